"""NetworkPolicies, which the local cluster enforces: what reaches the ports of all that we run, and what does not."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator

import pytest

from harness.cluster import Cluster, manifest
from harness.kubectl import Kubectl, Object, is_true, phase
from harness.objects import backup, repository
from harness.postgres import Postgres, statefulset
from harness.waiting import until
from pgwarden.api import names
from tests.redteam.town import Town, listens, neighbour, places, reaches

ALL = {
    "host": {names.PORT_PGBACKREST, names.PORT_AGENT},
    "other host": {names.PORT_PGBACKREST, names.PORT_AGENT},
    "pod": {names.PORT_POSTGRES, names.PORT_PGBACKREST, names.PORT_AGENT},
    "instance": {names.PORT_POSTGRES, names.PORT_PATRONI, names.PORT_PGBACKREST, names.PORT_AGENT},
    "webhook": {10250, 8080},
    "controller": {8080},
}
#: What of it a neighbour reaches. A StatefulSet's pod is its user's, and no policy of ours is about it.
OPEN = ALL | {"host": set(), "other host": set(), "instance": {names.PORT_POSTGRES}}


@pytest.fixture(scope="module")
def town(installed, space: Kubectl) -> Iterator[Town]:
    alley = space.within(f"alley-{uuid.uuid4().hex[:5]}")
    alley.run("create", "namespace", alley.namespace)
    for where in (alley, space):
        where.apply(neighbour(installed.image))
    space.apply(repository(local={"size": "1Gi"}), *statefulset(installed.postgres_image), manifest("herd", replicas=2))
    found = Town(space, Postgres(space), Cluster(space, "herd"), alley)
    found.postgres.wait_ready()
    space.until("pgrepo", "hippo", is_true("Archiving"), "archives", 120)
    found.herd.wait_ready()
    for where in (alley, space):
        where.until("pod", "neighbour", lambda one: one["status"]["phase"] == "Running", "runs", 60)
    yield found
    alley.run("delete", "namespace", alley.namespace, "--wait=false")


@pytest.mark.parametrize("place", ALL)
def test_a_neighbour_reaches_no_port_of_hosts_and_patroni(town: Town, place: str):
    """M9: every pod of the cluster reached all of them. From another namespace, and from a pod of the same one."""
    where = places(town)[place]
    found = listens(town, place)
    assert found == ALL[place]
    for pod in (town.alley, town.kubectl):
        assert reaches(pod, "neighbour", where, found) == OPEN[place]


def test_who_must_connect_does(town: Town):
    """M9: the other side of it: nothing that pgwarden does is shut out, and Patroni's instances know one another."""
    space, herd = town.kubectl, town.herd
    space.apply(backup("through", "--type=full"), backup("herds", repository="herd"))
    for name in ("through", "herds"):
        space.until("pgb", name, phase("Completed"), "is completed", 240)
    where = space.get("pod", herd.pod("herd-2"))["status"]["podIP"]
    found = reaches(space, herd.pod("herd-1"), where, ALL["instance"], "postgres")
    assert found == {names.PORT_POSTGRES, names.PORT_PATRONI}
    former = herd.primary()
    space.run("scale", "deployment", former, "--replicas=0")
    until(lambda: herd.primary() not in {"", former}, "another instance is the primary", 120)
    space.run("scale", "deployment", former, "--replicas=1")
    herd.wait_ready()


def switched_on(kubectl: Kubectl, namespace: str) -> list[str]:
    found = kubectl.within(namespace).list("networkpolicies", f"{names.MANAGED_BY}=pgwarden")
    return sorted(one["metadata"]["name"] for one in found)


def test_a_policy_that_is_gone_comes_back(town: Town):
    """M9: one of ours that is deleted, whoever did it, is made again."""
    space = town.kubectl
    made = ["herd-instance", names.host("hippo"), names.host("herd")]
    assert switched_on(space, space.namespace) == sorted(made)
    before: Object = json.loads(space.run("get", "networkpolicy", names.host("hippo"), "-o", "json").stdout)
    space.delete("networkpolicy", names.host("hippo"), seconds=30)

    def again() -> Object | None:
        found = space.get("networkpolicy", names.host("hippo"))
        return found if found and found["metadata"]["uid"] != before["metadata"]["uid"] else None

    assert until(again, "it is made again", 60)["spec"] == before["spec"]
