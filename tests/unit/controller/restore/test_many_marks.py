"""Thousands of marks that somebody else wrote cost a Restore no more than a few requests at each look."""

from __future__ import annotations

import json

import pytest

from controller.restore import carried_plans
from pgwarden.api import names
from pgwarden.kube.client import METADATA
from tests.unit.controller.restore.fake_cluster import FACTS

MARKS = 2200


@pytest.fixture
def forged(cluster, run):
    for n in range(MARKS):
        plan = {"restore": "ghost", "restoreUid": "r", "repository": "hippo", "workloadKind": "Deployment",
                "workload": f"d{n}", "newClaim": "x", "claim": "y", "facts": FACTS, "mounts": []}  # fmt: skip
        noted = {names.ANNOTATION_STOPPED_BY: json.dumps(plan)}
        spec = {"replicas": 0, "template": {}}
        cluster.add("deployments", "ns", {"metadata": {"name": f"d{n}", "annotations": noted}, "spec": spec})
    return run.controller._carried


async def test_a_look_at_thousands_asks_and_tells_little_and_none_is_told_twice(cluster, forged):
    request, asked = cluster.request, []

    async def counting(method, path, **more):
        asked.append(path)
        return await request(method, path, **more)

    cluster.request = counting
    for _ in range(MARKS // carried_plans._AT_A_LOOK + 2):
        asked.clear()
        assert not [plan async for _, plan in forged.look("ns") if plan]
        assert len(asked) <= 2 * carried_plans._AT_A_LOOK + 4
    assert len(cluster.told) == len({name for _, name, _ in cluster.told}) == MARKS
    assert len(asked) == 2, "both lists, and nothing else"
    assert "docs/restore.md" in cluster.told[0][2]
    assert cluster.told[0][2].endswith("pgwarden.io/stopped-by- pgwarden.io/stopped-by-seal-")


async def test_of_more_than_are_remembered_the_oldest_is_forgotten(cluster, forged, monkeypatch):
    monkeypatch.setattr(carried_plans, "_REMEMBERED", 30)
    for _ in range(2):
        assert not [plan async for _, plan in forged.look("ns") if plan]
    assert len(forged._told) == 30
    assert len(cluster.told) == 40


async def test_no_more_than_the_metadata_of_other_peoples_workloads_is_read(cluster, run):
    """There are thousands in a cluster, each of some ten kilobytes."""
    cluster.add("deployments", "ns", {"kind": "PartialObjectMetadata", "metadata": {"name": "app"}})
    request, asked = cluster.request, []

    async def asking(method, path, **more):
        asked.append(more.get("accept", ""))
        return await request(method, path, **more)

    cluster.request = asking
    found = [one async for one, _ in run.controller._carried.look()]
    assert ("Deployment", "app") in {(one["kind"], one["metadata"]["name"]) for one in found}
    assert asked == [METADATA] * 2
    asked.clear()
    assert [one async for one, _ in run.controller._carried.look("ns", whole=True)]
    assert asked == [""] * 2
