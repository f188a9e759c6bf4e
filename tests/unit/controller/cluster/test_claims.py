"""The claims of a PostgresCluster's instances when its size is raised."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from controller.claim_growth import Growth
from controller.cluster import report
from controller.cluster.claims import ClaimKeeper
from controller.cluster.decide import decide
from controller.cluster.facts import ClusterFacts
from pgwarden.api import names
from pgwarden.kube import errors

from .conftest import facts, instance, spec

KEY = ("ns", "hippo")


def claim(name: str, size: str = "1Gi", owner: str = "c") -> dict[str, Any]:
    labels = {names.MANAGED_BY: "pgwarden", names.LABEL_CLUSTER: "hippo", names.LABEL_INSTANCE: name}
    owners = [{"kind": "PostgresCluster", "name": "hippo", "uid": owner, "controller": True}]
    return {
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": "ns", "uid": f"of {name}", "labels": labels, "ownerReferences": owners},
        "spec": {"storageClassName": "fast", "resources": {"requests": {"storage": size}}},
        "status": {"phase": "Bound", "capacity": {"storage": size}},
    }


class Api:
    def __init__(self, *claims: dict[str, Any]) -> None:
        self.claims = {one["metadata"]["name"]: one for one in claims}
        self.read: list[str] = []
        self.expands = True  # whether the class allows it, and a driver does it at once

    async def find(self, path: str) -> dict[str, Any] | None:
        name = path.rpartition("/")[2]
        if "storageclasses" in path:
            return {"provisioner": "csi.example", "allowVolumeExpansion": self.expands}
        self.read.append(name)
        return self.claims.get(name)

    async def merge(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if not self.expands:
            raise errors.Invalid(403, "Forbidden", "must support resize")
        found = self.claims[path.rpartition("/")[2]]
        found["spec"]["resources"]["requests"] = wanted = body["spec"]["resources"]["requests"]
        found["status"]["capacity"] = dict(wanted)
        return found


def keeper(api: Api) -> ClaimKeeper:
    return ClaimKeeper(SimpleNamespace(client=api, clock=lambda: facts().now))  # type: ignore[arg-type]


def cluster(*instances: Any, **given: Any) -> ClusterFacts:
    """One whose spec asks for 2Gi for each instance."""
    wanted = spec(replicas=len(instances) or 1)
    storage = replace(wanted.instances.storage, size="2Gi")
    return facts(*instances, spec=replace(wanted, instances=replace(wanted.instances, storage=storage)), **given)


def sizes(api: Api) -> list[str]:
    return [one["spec"]["resources"]["requests"]["storage"] for one in api.claims.values()]


DOWN = instance(1, ready=False, unready_for=600)
RUNNING = {"all run": (instance(1, "primary"), instance(2)), "the primary is down": (DOWN, instance(2))}


@pytest.mark.parametrize("case", RUNNING)
async def test_the_claims_of_all_instances_grow_whether_they_run_or_not(case: str):
    api = Api(claim("hippo-1"), claim("hippo-2"))
    found = await keeper(api).look(KEY, cluster(*RUNNING[case]))
    assert sizes(api) == ["2Gi", "2Gi"]
    assert found.growths == ()


async def test_a_volume_that_is_being_filled_grows_too():
    api = Api(claim("hippo-1"))
    await keeper(api).look(KEY, cluster(claim=api.claims["hippo-1"]))
    assert sizes(api) == ["2Gi"]


@pytest.mark.parametrize("given", [{"restoring": True}, {}], ids=["a Restore swaps them", "of another cluster"])
async def test_claims_that_others_work_on_are_left_alone(given: dict[str, Any]):
    api = Api(claim("hippo-1", owner="c" if given else "another"))
    found = await keeper(api).look(KEY, cluster(instance(1, "primary"), **given))
    assert (sizes(api), found.growths) == (["1Gi"], ())


async def test_a_claim_that_is_large_enough_is_not_read_again_at_each_look():
    api, now = Api(claim("hippo-1", "2Gi")), cluster(instance(1, "primary"))
    same = keeper(api)
    for seconds in (0, 30, 60):
        await same.look(KEY, dataclasses.replace(now, now=now.now + timedelta(seconds=seconds)))
    assert api.read == ["hippo-1"]
    await same.look(KEY, dataclasses.replace(now, now=now.now + timedelta(minutes=3)))
    assert api.read == ["hippo-1", "hippo-1"]


async def test_a_cluster_is_not_as_specified_until_old_and_new_instances_have_the_same_size():
    api = Api(claim("hippo-1"), claim("hippo-2", "2Gi"))
    api.expands = False
    found = await keeper(api).look(KEY, cluster(instance(1, "primary"), instance(2), status={"phase": "Ready"}))
    said = report.status(found, decide(found))
    complete = next(one for one in said["conditions"] if one["type"] == "Complete")
    assert (complete["status"], complete["reason"]) == ("False", "ClaimNotExpanded")
    assert "claim hippo-1 has 1Gi, not 2Gi: storage class fast does not allow expansion" in complete["message"]
    assert [one["message"] for one in said["instances"]] == [complete["message"], None]
    assert said["phase"] == "Degraded"


def test_what_fails_is_told_before_what_is_under_way():
    growths = (Growth("hippo-1", "Expanding", "one grows"), Growth("hippo-2", "ExpansionFailed", "two does not"))
    found = cluster(instance(1, "primary"), instance(2), growths=growths)
    said = report.status(found, decide(found))
    complete = next(one for one in said["conditions"] if one["type"] == "Complete")
    assert (complete["reason"], complete["message"]) == ("ExpansionFailed", "one grows; two does not")
