"""What is remembered of pods that are alike: the answer is the one that each of them would have got by itself."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bench.webhook import shapes
from pgwarden.api.faults import Fault
from pgwarden.injection import likeness, pods
from pgwarden.injection.decide import Inject
from pgwarden.injection.known_images import THAT_COUNT
from pgwarden.injection.main_container import postgres_container
from pgwarden.injection.patch import encode
from pgwarden.injection.pipeline import decision_on, operations
from pgwarden.injection.terms import terms_of
from webhook.pod_answers import Injections

REPOSITORIES = {each["metadata"]["name"]: each for each in shapes.repositories()}


def renumbered(pod, number):
    """Another pod of the same template."""
    return json.loads(json.dumps(pod).replace(shapes.MARK, f"{number:08d}"))


def alone(pod, repository, settings):
    """Faults or operations, worked out on the pod itself."""
    decision = decision_on(pod, repository, settings)
    if isinstance(decision, Inject):
        return encode(operations(decision)), decision.warnings
    return [str(fault) for fault in decision.faults]


def by_likeness(pod, repository, settings):
    """The same, on the example that stands for all pods like it. A pod in which no container is found is asked itself."""
    seen = pods.read(pod)
    index = postgres_container(seen, terms_of(repository, "x").access)
    if isinstance(index, Fault):
        return alone(pod, repository, settings)
    example = likeness.example(likeness.likeness(seen, index))
    labelled = replace(seen.metadata, annotations=example.metadata.annotations)
    example = replace(example, metadata=labelled)
    decision = decision_on(example, repository, settings)
    if isinstance(decision, Inject):
        return encode(operations(decision)), decision.warnings
    return [str(fault) for fault in decision.faults]


@pytest.mark.parametrize("pod", shapes.pods()[::5], ids=lambda pod: pod["metadata"]["labels"]["pgwarden.io/repository"])
def test_pods_of_one_template_are_alike_and_get_what_each_would_get(pod, settings):
    repository = REPOSITORIES[pod["metadata"]["labels"]["pgwarden.io/repository"]]
    found = decision_on(pod, repository, settings)
    one, other = (likeness.likeness(pods.read(renumbered(pod, number)), found.postgres.container) for number in (1, 2))
    assert one == other
    assert by_likeness(pod, repository, settings) == alone(pod, repository, settings)


def test_golden_pods_are_patched_by_their_likeness_as_by_themselves(golden, settings):
    pod, repository, _ = golden
    assert by_likeness(pod, repository, settings) == alone(pod, repository, settings)


def test_one_of_our_volumes_where_the_token_should_be_is_another_pod(settings):
    """Found by the test below: such a mount was taken for the token's, which is passed over."""
    pod = copy.deepcopy(TEMPLATES[0])
    repository = REPOSITORIES[pod["metadata"]["labels"]["pgwarden.io/repository"]]
    container = pod["spec"]["containers"][postgres_container(pods.read(pod), terms_of(repository, "x").access)]
    token = next(each for each in container["volumeMounts"] if each["name"].startswith("kube-api-access"))
    token["name"] = "pgwarden-conf"
    assert by_likeness(pod, repository, settings) == alone(pod, repository, settings)


def leaves(value, path=()):
    """Every place of *value*, with its path."""
    if isinstance(value, dict):
        for key in value:
            yield from leaves(value[key], (*path, key))
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from leaves(each, (*path, number))
    yield path


TEMPLATES = shapes.pods()[:24]
ODD = st.sampled_from(
    ["", "/", "/var/lib/postgresql/data", "pgwarden", "pgwarden-conf", "postgres", "postgres:18", "-c", "archive_mode=off", "$(POD_NAME)", "PGDATA", 0, 70, 8432, None]
)  # fmt: skip


@hypothesis_settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_change_anywhere_in_a_pod_changes_its_likeness_or_not_its_answer(data, settings):
    """Two pods that differ in any places at all: where they are alike, their answers are the same."""
    pod = copy.deepcopy(data.draw(st.sampled_from(TEMPLATES)))
    repository = REPOSITORIES[pod["metadata"]["labels"]["pgwarden.io/repository"]]
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from([path for path in leaves(pod["spec"]) if path]))
        target = pod["spec"]
        for part in path[:-1]:
            target = target[part]
        target[path[-1]] = data.draw(ODD)
    try:
        pods.read(pod)
    except ValueError:
        return
    assert by_likeness(pod, repository, settings) == alone(pod, repository, settings)


_OF_SECRET = {"secretKeyRef": {"name": "s", "key": "k"}}
_VARIABLE = st.builds(
    lambda name, more: {"name": name} | more,
    st.sampled_from([*sorted(THAT_COUNT), "PGDATA", "X", "Y"]),
    st.sampled_from([{"value": text} for text in ("", "a", "5433", "$(X)", "$(Y)/z", "/var/lib/postgresql/data/x")] + [{"valueFrom": _OF_SECRET}]),
)  # fmt: skip
_WHOLE = st.builds(
    lambda kind, name, prefix: {kind: {"name": name}} | ({"prefix": prefix} if prefix else {}),
    st.sampled_from(["secretRef", "configMapRef"]), st.sampled_from(["s", "t"]), st.sampled_from(["", "POSTGRES_", "PG"]),
)  # fmt: skip
_WORDS = st.sampled_from(
    ["-p", "5433", "-k", "/tmp", "-c", "port=1", "$(X)", "-D", "$(PGDATA)", "unix_socket_directories=$(Y)"]
)
_IMAGES = st.sampled_from(
    ["postgres:17", "bitnami/postgresql:17", "quay.io/sclorg/postgresql-16-c9s", "my/pg:1", "supabase/postgres:15"]
)


@hypothesis_settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    env=st.lists(_VARIABLE, max_size=5), whole=st.lists(_WHOLE, max_size=2), words=st.lists(_WORDS, max_size=5), image=_IMAGES,
    user=st.sampled_from([None, 5]),
)  # fmt: skip
def test_however_postgresql_is_reached_pods_that_are_alike_get_the_same_answer(
    env, whole, words, image, user, pod, repository, settings
):
    more = {"env": env, "envFrom": whole, "args": words}
    made = pod(image=image, **{name: value for name, value in more.items() if value})
    said = {"dataDirectory": "/var/lib/postgresql/data"} | ({"runAsUser": user} if user else {})
    there = repository(postgres=said)
    assert by_likeness(made, there, settings) == alone(made, there, settings)


def test_a_changed_repository_is_another_question(settings, pod):
    injections = Injections(settings)
    seen = pods.read(pod())
    repository = {"metadata": {"name": "hippo"}, "spec": {}}
    first = injections.answer(seen, "hippo", repository)
    assert injections.answer(seen, "hippo", repository) is first
    changed = {"metadata": {"name": "hippo"}, "spec": {"postgres": {"port": 5433}}}
    assert injections.answer(seen, "hippo", changed).encoded != first.encoded


def test_memory_is_bounded_whatever_pods_come(settings, pod, monkeypatch):
    """Many templates: the oldest answer goes. A large one is never kept."""
    monkeypatch.setattr("webhook.pod_answers._REMEMBERED", 3)
    injections = Injections(settings)
    repository = {"metadata": {"name": "hippo"}, "spec": {}}
    for number in range(5):
        injections.answer(pods.read(pod(args=["-c", f"port={number}"])), "hippo", repository)
    assert len(injections._answers) == 3
    before = dict(injections._answers)
    injections.answer(pods.read(pod(args=["-c", "x=" + "y" * 30_000])), "hippo", repository)
    assert injections._answers == before
