"""What is found out of a pod: the user, the data directory, the way PostgreSQL is configured."""

import json

import pytest

from pgwarden.injection import arguments, pods
from pgwarden.injection.decide import Inject
from pgwarden.injection.patch import encode
from pgwarden.injection.pipeline import decision_on, operations
from pgwarden.injection.workloads import apply

DATA = "/var/lib/postgresql/data"
USERS = {
    "official": ({}, {}, {}, (999, 999)),
    "official alpine": ({"image": "postgres:17-alpine"}, {}, {}, (70, 70)),
    "container wins over pod": ({"securityContext": {"runAsUser": 1}}, {"runAsUser": 2, "runAsGroup": 3}, {}, (1, 3)),
    "pod wins over repository": ({}, {"runAsUser": 2}, {"runAsUser": 4, "runAsGroup": 5}, (2, 5)),
    "repository for an unknown image": ({"image": "x"}, {}, {"runAsUser": 4}, (4, 4)),
    "root becomes the image's own": ({"securityContext": {"runAsUser": 0, "runAsGroup": 0}}, {}, {}, (999, 999)),
    "group zero as some platforms give": ({"securityContext": {"runAsUser": 5, "runAsGroup": 0}}, {}, {}, (5, 0)),
}
DIRECTORIES = {
    "default": ({}, {}, DATA),
    "PGDATA": ({"env": [{"name": "PGDATA", "value": f"{DATA}/x/"}]}, {}, f"{DATA}/x"),
    "PGDATA made of others": (
        {"env": [{"name": "V", "value": "17"}, {"name": "PGDATA", "value": f"{DATA}/$(V)"}]},
        {},
        f"{DATA}/17",
    ),
    "argument over PGDATA": (
        {"args": ["-D", f"{DATA}/a"], "env": [{"name": "PGDATA", "value": DATA}]},
        {},
        f"{DATA}/a",
    ),
    "data_directory": ({"args": ["-c", f"data_directory={DATA}/c"]}, {}, f"{DATA}/c"),
    "repository over all": ({"args": ["-D", f"{DATA}/a"]}, {"dataDirectory": f"{DATA}/r"}, f"{DATA}/r"),
}
MODES = {
    "official default": ({}, "Arguments"),
    "options only": ({"args": ["-c", "a=b"]}, "Arguments"),
    "postgres among args": ({"args": ["postgres"]}, "Arguments"),
    "another program": ({"args": ["bash"]}, "AlterSystem"),
    "command postgres": ({"command": ["/usr/lib/postgresql/17/bin/postgres"]}, "Arguments"),
    "entrypoint and postgres": ({"command": ["docker-entrypoint.sh", "postgres"]}, "Arguments"),
    "entrypoint alone": ({"command": ["docker-entrypoint.sh"]}, "AlterSystem"),
    "shell": ({"command": ["sh", "-c", "postgres"]}, "AlterSystem"),
    "unknown image": ({"image": "x"}, "AlterSystem"),
    "unknown image with options": ({"image": "x", "args": ["-c", "a=b"]}, "Arguments"),
    "patroni": ({"image": "x", "command": ["patroni", "/etc/patroni.yml"]}, "AlterSystem"),
}


def _facts(pod, repository, settings):
    decision = decision_on(pod, repository, settings)
    assert isinstance(decision, Inject), decision
    return decision.facts


@pytest.mark.parametrize(("container", "whole", "access", "expected"), USERS.values(), ids=USERS.keys())
def test_user(container, whole, access, expected, pod, repository, settings):
    """Files of a data directory are readable to one uid alone."""
    seen = pod(**container)
    seen["spec"]["securityContext"] = whole
    facts = _facts(seen, repository(postgres=access), settings)
    assert expected == (facts.run_as_user, facts.run_as_group)


@pytest.mark.parametrize(("container", "access", "expected"), DIRECTORIES.values(), ids=DIRECTORIES.keys())
def test_data_directory(container, access, expected, pod, repository, settings):
    """What is said most explicitly wins."""
    assert expected == _facts(pod(**container), repository(postgres=access), settings).data_directory


@pytest.mark.parametrize(("container", "expected"), MODES.values(), ids=MODES.keys())
def test_way_of_configuration(container, expected, pod, repository, settings):
    """Arguments only where they surely reach PostgreSQL."""
    facts = _facts(pod(**container), repository(postgres={"runAsUser": 5}), settings)
    assert expected == facts.configured_by


def test_repository_decides_the_way(pod, repository, settings):
    """configureBy is obeyed."""
    assert _facts(pod(), repository(postgres={"configureBy": "AlterSystem"}), settings).configured_by == "AlterSystem"


def test_deepest_mount_holds_the_data(pod, repository, settings):
    """A volume inside another is the one that counts, and a name that only begins alike is not inside."""
    mounts = [
        {"name": "outer", "mountPath": "/var/lib"},
        {"name": "data", "mountPath": "/var/lib/postgresql"},
        {"name": "near", "mountPath": "/var/lib/postgresql/18/dock"},
    ]
    assert _facts(pod(image="postgres:18", volumeMounts=mounts), repository(), settings).data_volume == "data"


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("postgres", (True, None, False)),
        ("docker.io/library/postgres:18.1-alpine", (True, 18, True)),
        ("localhost/postgres:17", (True, 17, False)),
        ("localhost:5000/postgres", (False, None, False)),
        ("mirror.example:5000/library/postgres:16", (True, 16, False)),
        ("quay.io/someone/postgres:16", (False, 16, False)),
        ("postgres@sha256:aa", (True, None, False)),
        ("bitnami/postgresql:17", (False, 17, False)),
        ("x/my-postgres:17", (False, None, False)),
    ],
)
def test_image(reference, expected):
    """Only the official image and its mirrors have its habits, not whatever is named postgres."""
    image = arguments.image(reference)
    official = image.known is not None and image.known.name == "official"
    assert expected == (official, image.major, image.alpine)


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["-c", "a=b"], [("a", "b", 1)]),
        (["-ca=b"], [("a", "b", 0)]),
        (["--Wal-Level=x=y"], [("wal_level", "x=y", 0)]),
        (["-c"], []),
        (["-c", "a"], []),
        (["-D", "x", "-c", "a = b"], [("a", "b", 3)]),
    ],
)
def test_settings(argv, expected):
    """As PostgreSQL reads its own arguments."""
    assert expected == [(each.name, each.value, each.index) for each in arguments.settings(argv)]


@pytest.mark.parametrize(
    ("outer", "inner", "expected"),
    [
        ("/run", "/var/run/postgresql", True),
        ("/var/run/postgresql/", "/run/postgresql", True),
        ("/var", "/run/postgresql", False),
        ("/a", "/ab", False),
        ("/a/../b", "/b/c", True),
    ],
)
def test_folders(outer, inner, expected):
    """/var/run is /run in every image."""
    assert expected == pods.covers(outer, inner)


def test_the_shape_that_a_widespread_chart_renders(pod, repository, settings, operations, applied):
    """Bitnami's chart postgresql: a uid of its own, a read-only root, the data below the mount, the socket in /tmp."""
    seen = pod(
        name="postgresql",
        image="bitnami/postgresql:17",
        securityContext={"runAsUser": 1001, "readOnlyRootFilesystem": True},
        env=[{"name": "PGDATA", "value": "/bitnami/postgresql/data"}],
        volumeMounts=[{"name": "data", "mountPath": "/bitnami/postgresql"}, {"name": "tmp", "mountPath": "/tmp"}],
    )
    seen["spec"]["securityContext"] = {"fsGroup": 1001}
    seen["spec"]["containers"].append({"name": "metrics", "image": "exporter"})
    seen["spec"]["volumes"].append({"name": "tmp", "emptyDir": {}})
    password = {"name": "release-postgresql", "key": "postgres-password"}
    found = repository(postgres={"container": "postgresql", "socketDirectory": "/tmp", "passwordSecretRef": password})
    facts = _facts(seen, found, settings)
    assert (facts.container, facts.data_directory, facts.data_volume) == (
        "postgresql", "/bitnami/postgresql/data", "data",
    )  # fmt: skip
    assert (facts.run_as_user, facts.run_as_group, facts.configured_by) == (1001, 1001, "AlterSystem")
    sidecar = applied(seen, operations(seen, found))["spec"]["initContainers"][0]
    assert {"name": "tmp", "mountPath": "/tmp"} in sidecar["volumeMounts"]  # where the socket is


SHELL = ["sh", "-c", "exec docker-entrypoint.sh postgres -c archive_mode=off"]


@pytest.mark.parametrize(
    ("container", "warned"),
    [
        pytest.param({"command": SHELL}, "archive_mode=off", id="a shell's string"),
        pytest.param({"command": ["bash", "-ec", "gosu postgres postgres -c wal_level=minimal"]}, "wal_level=minimal", id="with more letters"),
        pytest.param({"command": ["sh", "-c", "exec docker-entrypoint.sh postgres"]}, "", id="that says nothing of it"),
        pytest.param({"args": ["-c", "log_line_prefix=%t archive_command=x "]}, "", id="the server's own setting"),
    ],
)  # fmt: skip
def test_a_shells_string_that_beats_alter_system_is_warned_of(container, warned, pod, repository, settings):
    found = decision_on(pod(**container), repository(), settings)
    said = [text for text in found.warnings if "starts a shell with" in text]
    assert bool(said) == bool(warned)
    assert all(warned in text for text in said)


def test_an_injected_pod_is_not_warned_of_our_own_settings(pod, repository, settings):
    first = pod()
    again = apply(first, json.loads(encode(operations(decision_on(first, repository(), settings)))))
    assert decision_on(again, repository(), settings).warnings == ()
