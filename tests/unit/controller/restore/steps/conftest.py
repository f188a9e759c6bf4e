"""A Restore at its beginning, and with its plan made."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from controller.recovery.plan import Plan, Volume
from controller.restore import planning
from controller.restore.facts import RestoreFacts
from pgwarden.api import names
from pgwarden.api.kinds import RestoreSpec
from pgwarden.contract import calls
from tests.unit.controller.restore.steps.situations import RESTORE


@pytest.fixture
async def begin(run, settings) -> RestoreFacts:
    """As it is when Restore `back` begins on the fake cluster."""
    cluster = run.cluster
    return RestoreFacts(
        now=cluster.now, settings=settings, restore=RESTORE, spec=RestoreSpec(repository="hippo"),
        repository=cluster.of("repositories")[0], operations=(RESTORE,), workloads=tuple(cluster.of("statefulsets")),
        pods=tuple(cluster.of("pods")), claims={c["metadata"]["name"]: c for c in cluster.of("persistentvolumeclaims")},
        volumes={v["metadata"]["name"]: v for v in cluster.of("persistentvolumes")}, info=(await run.agents.host(None, "", calls.status())).info,
    )  # fmt: skip


@pytest.fixture
def planned(begin) -> RestoreFacts:
    """After Validated; the Job has filled a volume."""
    plan = planning.make(begin)
    assert isinstance(plan, Plan)
    plan = msgspec.structs.replace(plan, new_volume=Volume(name="pv-new", reclaim="Delete"))
    made = {
        "name": "back-restored",
        "uid": "c-2",
        "creationTimestamp": "2026-11-23T12:00:02Z",
        "labels": {names.LABEL_RESTORE: "back"},
    }
    claim = {"metadata": made, "spec": {"volumeName": "pv-new"}, "status": {"phase": "Bound"}}
    reference = {"namespace": "ns", "name": "back-restored", "uid": "c-2"}
    volume = {
        "metadata": {"name": "pv-new"},
        "spec": {"persistentVolumeReclaimPolicy": "Delete", "claimRef": reference},
    }
    return replace(
        begin, plan=plan, claims=begin.claims | {"back-restored": claim}, volumes=begin.volumes | {"pv-new": volume}
    )
