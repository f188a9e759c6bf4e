"""A namespace's label asks that every PostgreSQL has a Repository. The API server decides it; no webhook runs but for one test."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
import yaml

from harness.kubectl import Kubectl
from harness.waiting import until
from pgwarden.discovery.likeness import likeness
from tests.apiserver.manifests import postgres_pod, repository
from tests.apiserver.release import Release
from tests.apiserver.test_discover import stateful_set
from tests.unit.discovery.corpus import NOT_POSTGRES, POSTGRES

LABEL = "pgwarden.io/require-repository"
SAID = "looks like PostgreSQL without a Repository"


def space_of(release: Release, space: Kubectl, value: str) -> Kubectl:
    name = f"{space.namespace}-{value or 'free'}"
    release.kubectl.run("create", "namespace", name)
    if value:
        release.kubectl.run("label", "namespace", name, f"{LABEL}={value}")
    return release.kubectl.within(name)


@pytest.fixture(scope="module")
def spaces(release: Release, space: Kubectl) -> dict[str, Kubectl]:
    """A namespace of each value, once the API server has read the policy."""
    made = {value: space_of(release, space, value) for value in ("enforce", "warn", "audit", "")}
    until(lambda: SAID in dry(made["enforce"], postgres_pod("one", "")), "the policy holds", 30)
    return made


def dry(by: Kubectl, *objects: Any) -> str:
    """What kubectl says to standard error: refusals and warnings."""
    text = yaml.safe_dump_all(objects)
    return by.run("create", "--dry-run=server", "-f", "-", stdin=text, check=False).stderr


def named(pods: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Those of the corpus that are pods, each with a name of its own."""
    found = {}
    for number, one in enumerate(pods.values()):
        if all(isinstance(each, dict) for each in one["spec"].get("containers", [None])):
            made = copy.deepcopy(one) | {"apiVersion": "v1"}
            made["metadata"] = {"name": f"{prefix}-{number}", "labels": one["metadata"].get("labels", {})}
            found[f"{prefix}-{number}"] = made
    return found


def test_the_policy_decides_as_discover_does(spaces: dict[str, Kubectl]):
    """Over the whole corpus; pods of other operators are not asked for by default."""
    pods = named(POSTGRES, "is") | named(NOT_POSTGRES, "not")
    said = dry(spaces["enforce"], *pods.values())
    refused = set(re.findall(r'pods "([^"]+)" is forbidden: [^\n]*' + SAID, said))
    expected = {name for name, pod in pods.items() if (found := likeness(pod)) and not found.operator}
    assert refused == expected
    assert len(expected) > 40
    others = [line for line in said.splitlines() if SAID not in line and not line.startswith("Warning: ")]
    assert others == []


def test_of_one_that_is_refused_the_way_out_is_told(spaces: dict[str, Kubectl]):
    said = dry(spaces["enforce"], postgres_pod("one", ""))
    assert "'pgwarden-require' with binding 'pgwarden-require-enforce' denied request" in said
    assert f"namespace {spaces['enforce'].namespace} requires (label {LABEL}: enforce)" in said
    assert "kubectl pgwarden protect" in said


@pytest.mark.parametrize(("value", "warned"), [("warn", True), ("audit", False), ("", False)])
def test_a_pod_is_warned_about_or_let_through_in_silence(spaces: dict[str, Kubectl], value: str, warned: bool):
    said = dry(spaces[value], postgres_pod("one", ""))
    assert "denied" not in said
    assert ("Warning: Validation failed for ValidatingAdmissionPolicy 'pgwarden-require'" in said) == warned
    assert (SAID in said) == warned


@pytest.mark.parametrize(("value", "warned"), [("enforce", True), ("warn", True), ("audit", False), ("", False)])
def test_a_workload_is_warned_about_and_never_refused(spaces: dict[str, Kubectl], value: str, warned: bool):
    """Its pods are made by a controller, to which nobody listens."""
    said = dry(spaces[value], stateful_set("one"))
    assert "denied" not in said
    assert ("its pods look like PostgreSQL without a Repository" in said) == warned
    assert ("until then they are refused" in said) == (value == "enforce")


def test_a_workload_is_warned_about_when_it_changes(spaces: dict[str, Kubectl]):
    spaces["enforce"].apply(stateful_set("two", "nginx:1"))
    change = (
        "--type=json",
        "-p",
        '[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"postgres:17"}]',
    )
    done = spaces["enforce"].run("patch", "statefulset", "two", *change)
    assert "its pods look like PostgreSQL" in done.stderr


@pytest.mark.parametrize("labelled", ["hippo", ""])
def test_a_label_without_a_name_is_none(spaces: dict[str, Kubectl], labelled: str):
    """With a name the workload is left alone, whether there is a Repository is the webhook's to say."""
    one = stateful_set("one", label="hippo")
    one["spec"]["template"]["metadata"]["labels"]["pgwarden.io/repository"] = labelled
    assert ("its pods look like PostgreSQL" in dry(spaces["enforce"], one)) == (labelled == "")


def test_what_ends_by_itself_is_let_through(spaces: dict[str, Kubectl]):
    one = postgres_pod("one", "")
    one["spec"]["restartPolicy"] = "Never"
    assert dry(spaces["enforce"], one) == ""


def test_a_pod_with_very_long_arguments_is_decided_all_the_same(spaces: dict[str, Kubectl]):
    """The API server gives up on expressions that cost too much: then nothing could be created."""
    one = postgres_pod("one", "")
    container = one["spec"]["containers"][0]
    container["args"] = ["-c", "x=" + "y" * 400_000]
    assert SAID in dry(spaces["enforce"], one)
    container["image"] = "nginx:1"
    assert dry(spaces["enforce"], one) == ""


def test_a_misspelt_value_is_refused_and_says_what_there_is(release: Release, spaces: dict[str, Kubectl]):
    label = ("label", "namespace", spaces[""].namespace)
    done = release.kubectl.run(*label, f"{LABEL}=enforced", check=False)
    assert done.returncode == 1
    assert 'pgwarden.io/require-repository]: "enforced": must be one of audit, warn, enforce' in done.stderr


def test_with_the_label_and_a_repository_the_pod_is_injected(spaces: dict[str, Kubectl], webhook: object):
    where = spaces["enforce"]
    where.apply(repository("hippo"), postgres_pod("labelled", "hippo"))
    assert "pgwarden.io/injected" in where.get("pod", "labelled")["metadata"]["annotations"]
