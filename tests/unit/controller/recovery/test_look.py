"""Whose the pods of a recovery are: by the uid of its Job, or by its name where that has gone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from controller.recovery import look

Object = dict[str, Any]
JOB = {"metadata": {"name": "back-restore-1", "namespace": "ns", "uid": "j"}}
BY = {"apiVersion": "batch/v1", "kind": "Job", "name": "back-restore-1", "uid": "j", "controller": True}


def pod(name: str, *owners: Object) -> Object:
    """All of them have the label that is asked for."""
    return {"metadata": {"name": name, "namespace": "ns", "ownerReferences": list(owners)}}


PODS = [
    pod("own", BY), pod("labelled"), pod("of-another", BY | {"name": "nightly", "uid": "n"}), pod("forged", BY | {"uid": "x"}),
    pod("of-a-set", BY | {"kind": "ReplicaSet", "uid": "r"}),
]  # fmt: skip


@pytest.mark.parametrize(("job", "expected"), [(JOB, ["own"]), (None, ["own", "forged"])], ids=["there", "gone"])
async def test_a_pod_that_only_has_the_label_is_none_of_the_jobs(job, expected):
    async def items(_path: str, params: dict[str, str]) -> Any:
        assert params == {"labelSelector": "batch.kubernetes.io/job-name=back-restore-1"}
        for one in PODS:
            yield one

    context: Any = SimpleNamespace(client=SimpleNamespace(items=items))
    found = await look.pods_of(context, "ns", "back-restore-1", job)
    assert [one["metadata"]["name"] for one in found] == expected
