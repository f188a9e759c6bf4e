"""The whole path on other images than the usual one: musl without glibc, and a namespace of restricted Pod Security.

Both go side by side, each in a namespace of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from harness.kubectl import Kubectl, is_true, phase
from harness.objects import backup, repository, restore
from harness.postgres import Postgres, client, statefulset

MUSL = "localhost/postgres:17-alpine"
RESTRICTED = "pod-security.kubernetes.io/enforce=restricted"
KINDS = ["musl", "restricted"]


@dataclass(frozen=True)
class Case:
    space: Kubectl
    postgres: Postgres


@pytest.fixture(scope="module")
def cases(installed, space: Kubectl) -> Iterator[dict[str, Case]]:
    """Both archive, with a full backup each and a table made after it."""
    other = space.within(f"{space.namespace}-restricted")
    space.run("create", "namespace", other.namespace)
    space.run("label", "namespace", other.namespace, RESTRICTED)
    space.apply(repository(), *musl(), client(installed.postgres_image))
    other.apply(repository(), *restricted(installed.postgres_image))
    made = {"musl": Case(space, Postgres(space, client="client")), "restricted": Case(other, Postgres(other))}
    for case in made.values():
        case.postgres.wait_ready()
        case.space.until("pgrepo", "hippo", is_true("Archiving"), "archives", 150)
        case.space.apply(backup("base", "--type=full"))
    for case in made.values():
        done = case.space.until("pgb", "base", phase("Completed", "Failed"), "ends", 180)
        assert done["status"]["phase"] == "Completed", done["status"]["message"]
        case.postgres.sql("CREATE TABLE notes AS SELECT i, md5(i::text) AS said FROM generate_series(1, 5000) AS i")
    yield made
    space.run("delete", "namespace", other.namespace, "--wait=false")


@pytest.fixture(scope="module")
def restored(cases: dict[str, Case]) -> dict[str, tuple[str, str, dict]]:
    """Rows before, rows after, and the Restore that ended."""
    before = {name: case.postgres.rows("notes") for name, case in cases.items()}
    for case in cases.values():
        case.space.apply(restore("latest"))
    ended = {
        name: case.space.until("pgr", "latest", phase("Completed", "Failed"), "ends", 300)
        for name, case in cases.items()
    }
    return {
        name: (before[name], case.postgres.rows("notes") if phase("Completed")(ended[name]) else "", ended[name])
        for name, case in cases.items()
    }


def test_the_musl_image_holds_nothing_that_our_tools_could_lean_on(cases: dict[str, Case]):
    found = cases["musl"].space.run("exec", "postgres-0", "-c", "postgres", "--", "ls", "/lib", "/usr/local/bin").stdout
    assert "ld-musl" in found
    assert "psql" not in found.split()
    assert "libc.so.6" not in found


def test_restricted_pod_security_is_enforced_and_kept_by_all_that_pgwarden_runs(restored, cases: dict[str, Case]):
    space = cases["restricted"].space
    root = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "root"}}
    said = space.refused(root | {"spec": {"containers": [{"name": "root", "image": MUSL}]}})
    assert 'violates PodSecurity "restricted:latest"' in said
    events = space.run("get", "events", "-o", "jsonpath={.items[*].message}").stdout
    assert "violates PodSecurity" not in events


@pytest.mark.parametrize("name", KINDS)
def test_a_restore_to_the_latest_brings_back_every_row(restored, name: str):
    before, after, restore_object = restored[name]
    assert restore_object["status"]["phase"] == "Completed", restore_object["status"]["message"]
    assert len(before.splitlines()) == 5000
    assert after == before


@pytest.mark.parametrize("name", KINDS)
def test_the_backup_after_a_restore_begins_the_new_timeline(restored, cases: dict[str, Case], name: str):
    again = cases[name].space.get("pgb", restored[name][2]["status"]["backup"])
    assert (again["status"]["phase"], again["status"]["type"]) == ("Completed", "full")
    assert again["status"]["walStart"].startswith("00000002")


def musl() -> list[dict]:
    """The demo's StatefulSet on an image that has no pg_isready either."""
    documents = statefulset(MUSL)
    documents[-1]["spec"]["template"]["spec"]["containers"][0]["readinessProbe"] = {
        "tcpSocket": {"port": 5432},
        "periodSeconds": 2,
    }
    return documents


def restricted(image: str) -> list[dict]:
    """The demo's StatefulSet as restricted Pod Security asks for it, the data in a folder of its volume."""
    documents = statefulset(image)
    pod = documents[-1]["spec"]["template"]["spec"]
    pod["securityContext"] = {
        "runAsNonRoot": True,
        "runAsUser": 999,
        "fsGroup": 999,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    container = pod["containers"][0]
    container["env"].append({"name": "PGDATA", "value": "/var/lib/postgresql/data/pgdata"})
    container["securityContext"] = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    return documents
