"""A namespace with a ResourceQuota and a LimitRange, on nodes that only PostgreSQL tolerates: everything starts by itself,
and where there is no room, Kubernetes' own words are in the status and in an Event.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from harness.command_line import pgwarden
from harness.kubectl import Kubectl, condition, is_true, phase
from harness.nodes import host
from harness.objects import backup, repository, restore
from harness.postgres import Postgres, statefulset
from harness.waiting import until

TAINT = {"key": "pgwarden.example/dedicated", "operator": "Equal", "value": "db", "effect": "NoSchedule"}
#: PostgreSQL 500m, its sidecar 500m, the repository host 1; a Restore's Job has two containers at a time.
ROOM = {"limits.cpu": "6", "limits.memory": "8Gi", "requests.cpu": "4", "requests.memory": "8Gi"}
LIMITED = {"limits": {"cpu": "500m", "memory": "512Mi"}, "requests": {"cpu": "100m", "memory": "128Mi"}}


@contextmanager
def tainted(space: Kubectl) -> Iterator[None]:
    """All nodes: what does not tolerate it finds none."""
    names = [node["metadata"]["name"] for node in space.list("nodes")]
    taint = f"{TAINT['key']}={TAINT['value']}:{TAINT['effect']}"
    space.run("taint", "nodes", *names, taint, "--overwrite")
    try:
        yield
    finally:
        space.run("taint", "nodes", *names, f"{taint}-", check=False)


def quota(**hard: str) -> dict[str, Any]:
    metadata = {"name": "small"}
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": {"hard": ROOM | hard}}


def limited(space: Kubectl, **hard: str) -> None:
    """The quota, in force: pods are held against what its status says."""
    space.apply(quota(**hard))
    wanted = ROOM | hard
    space.until("resourcequota", "small", lambda one: one["status"]["hard"] == wanted, "is in force", 30)


@pytest.fixture(scope="module")
def postgres(installed, space: Kubectl) -> Iterator[Postgres]:
    """A StatefulSet with limits and a toleration, and the label; a Repository that says nothing of either."""
    bounds = {"type": "Container", "max": {"memory": "512Mi"}}
    limit_range = {
        "apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "narrow"}, "spec": {"limits": [bounds]},
    }  # fmt: skip
    limited(space)
    space.apply(limit_range)
    documents = statefulset(installed.postgres_image)
    pod = documents[-1]["spec"]["template"]["spec"]
    pod["tolerations"] = [TAINT]
    pod["containers"][0]["resources"] = LIMITED
    with tainted(space):
        space.apply(repository(), *documents)
        found = Postgres(space)
        found.wait_ready()
        space.until("pgrepo", "hippo", is_true("Archiving"), "archives", 120)
        yield found


def sidecar(space: Kubectl) -> dict[str, Any]:
    inits = space.get("pod", "postgres-0")["spec"]["initContainers"]
    return next(one for one in inits if one["name"] == "pgwarden")


def events(space: Kubectl, kind: str, name: str, reason: str) -> list[str]:
    fields = f"involvedObject.kind={kind},involvedObject.name={name},reason={reason},type=Warning"
    listed = json.loads(space.run("get", "events", f"--field-selector={fields}", "-o", "json").stdout)["items"]
    return [one["message"] for one in listed]


#: A tenth more than PostgreSQL has, beside a repository host.
LARGE = {"limits": {"cpu": "1", "memory": "2Gi"}, "requests": {"cpu": "200m", "memory": "512Mi"}}
HOST = {"limits": {"cpu": "200m", "memory": "256Mi"}, "requests": {"cpu": "50m", "memory": "128Mi"}}
TIGHT = {"limits.cpu": "1300m", "limits.memory": "2508Mi", "requests.cpu": "270m", "requests.memory": "691Mi"}


@pytest.fixture(scope="module")
def full(installed, space: Kubectl) -> Iterator[Kubectl]:
    """A namespace of its own, with a Repository whose host runs."""
    name = f"{space.namespace}-full"
    installed.kubectl.run("create", "namespace", name)
    found = installed.kubectl.within(name)
    found.apply(repository(resources=HOST))
    until(lambda: host(found), "the repository host is ready", 120)
    yield found
    installed.kubectl.run("delete", "namespace", name, "--wait=false")


def test_a_pod_that_a_quota_has_just_room_for_starts_with_a_sidecar_that_takes_the_rest(installed, full: Kubectl):
    limited(full, **TIGHT)
    documents = statefulset(installed.postgres_image)
    documents[-1]["spec"]["template"]["spec"]["containers"][0]["resources"] = LARGE
    full.apply(*documents)
    found = Postgres(full)
    found.wait_ready()
    full.until("pgrepo", "hippo", is_true("Archiving"), "archives", 120)
    assert sidecar(full)["resources"] == {
        "limits": {"cpu": "100m", "memory": "204Mi"}, "requests": {"cpu": "20m", "memory": "51Mi"},
    }  # fmt: skip
    told = full.get("pod", "postgres-0")["metadata"]["annotations"]["pgwarden.io/shrunk"]
    assert "limits.cpu 100m instead of 1 (ResourceQuota small)" in told


def test_a_pod_that_replaces_one_is_not_short_of_what_that_one_had(full: Kubectl):
    """The quota may still count the old one when the new one is made."""
    limited(full, **TIGHT | {"limits.cpu": "2200m", "limits.memory": "2560Mi", "requests.memory": "704Mi"})
    full.run("delete", "pod", "postgres-0")
    Postgres(full).wait_ready()
    assert sidecar(full)["resources"] == {
        "limits": {"cpu": "1", "memory": "256Mi"}, "requests": {"cpu": "20m", "memory": "64Mi"},
    }  # fmt: skip
    assert "pgwarden.io/shrunk" not in full.get("pod", "postgres-0")["metadata"]["annotations"]


def test_a_labelled_pod_starts_where_a_quota_asks_for_limits(postgres: Postgres, space: Kubectl):
    assert sidecar(space)["resources"]["limits"] == {"cpu": "500m", "memory": "256Mi"}
    assert postgres.sql("SELECT 1") == "1"


def test_the_repository_host_fits_into_the_limit_range_and_follows_the_pods_onto_their_nodes(
    postgres: Postgres, space: Kubectl
):
    pod = until(lambda: host(space), "the repository host is ready", 60)
    limits = [one["resources"]["limits"] for one in pod["spec"]["containers"]]
    assert limits == [{"cpu": "500m", "memory": "512Mi"}, {"cpu": "500m", "memory": "256Mi"}]
    assert TAINT in pod["spec"]["tolerations"]


def test_a_backup_and_a_restore_in_place_go_through(postgres: Postgres, space: Kubectl):
    postgres.sql("CREATE TABLE notes AS SELECT i FROM generate_series(1, 100) AS i")
    space.apply(backup("base", "--type=full"))
    job = space.until("job", "base-backup", lambda _: True, "is created", 30)
    assert TAINT in job["spec"]["template"]["spec"]["tolerations"]
    done = space.until("pgb", "base", phase("Completed", "Failed"), "ends", 120)
    assert done["status"]["phase"] == "Completed", done["status"]["message"]
    postgres.sql("INSERT INTO notes VALUES (101)")
    space.apply(restore("back"))
    ended = space.until("pgr", "back", phase("Completed", "Failed"), "ends", 240)
    assert ended["status"]["phase"] == "Completed", ended["status"]["message"]
    postgres.wait_ready()
    assert postgres.sql("SELECT count(*) FROM notes") == "101"
    assert [one for one in space.list("events") if "must specify" in one["message"]] == []


def test_a_backup_without_room_says_so_in_kubernetes_words_and_begins_when_there_is_some(
    postgres: Postgres, space: Kubectl
):
    used = {"limits.cpu": "2"}  # PostgreSQL, its sidecar and the host have it all
    limited(space, **used)
    space.apply(backup("later", "--type=full"))

    def told(one: dict[str, Any]) -> bool:
        return "exceeded quota: small" in one.get("status", {}).get("message", "")

    waiting = space.until("pgb", "later", told, "says why it waits", 60)
    assert waiting["status"]["reason"] == "JobWaits"
    assert "limits.cpu" in waiting["status"]["message"]
    until(lambda: events(space, "Backup", "later", "JobWaits"), "an Event says so", 20)
    assert "exceeded quota: small" in events(space, "Backup", "later", "JobWaits")[0]
    limited(space)
    done = space.until("pgb", "later", phase("Completed", "Failed"), "ends", 150)
    assert done["status"]["phase"] == "Completed", done["status"]["message"]


def test_a_labelled_statefulset_whose_pod_is_refused_is_named_by_the_repository(postgres: Postgres, space: Kubectl):
    limited(space, **{"limits.cpu": "1500m"})
    space.run("delete", "pod", "postgres-0", "--wait=false")

    def named(one: dict[str, Any]) -> bool:
        return one["status"].get("reason") == "PodRefused"

    found = space.until("pgrepo", "hippo", named, "says that the pod is refused", 60)
    assert found["status"]["phase"] == "Degraded"
    assert "Kubernetes creates no pod of StatefulSet postgres: " in found["status"]["message"]
    assert "exceeded quota: small" in found["status"]["message"]
    assert condition(found, "Archiving")["reason"] == "PodRefused"
    assert any("exceeded quota: small" in said for said in events(space, "Repository", "hippo", "PodRefused"))
    told = pgwarden(space, "status", "hippo")
    assert (told.returncode, "protected since" in told.stdout) == (1, False), told.stdout
    assert "exceeded quota: small" in told.stdout
    limited(space)
    postgres.wait_ready(120)
    space.until("pgrepo", "hippo", phase("Ready"), "is Ready again", 60)
