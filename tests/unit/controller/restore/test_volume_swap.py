"""The swap, change by change, from literal situations."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from controller.recovery.plan import Volume
from controller.restore import volume_swap
from controller.restore.verdict import Create, Delete, Merge
from pgwarden.api import names

NOW = datetime(2026, 11, 23, 12, 0, 10, tzinfo=UTC)
OLD, NEW = Volume(name="pv-old", reclaim="Delete"), Volume(name="pv-new", reclaim="Retain")
BODY = {"metadata": {"name": "body"}}
GOAL = volume_swap.Goal("ns", {"kept": (BODY, OLD), "data": (BODY, NEW)}, frozenset({"restored"}))


def claim(name, volume, uid, *, phase="Bound", **metadata):
    metadata = {"name": name, "uid": uid, "creationTimestamp": "2026-11-23T12:00:09Z"} | metadata
    return {"metadata": metadata, "spec": {"volumeName": volume}, "status": {"phase": phase}}


def volume(name, policy, owner, uid, phase="Bound", had=""):
    """*had*: the policy that it had, by its own word."""
    reference = {"namespace": "ns", "name": owner} | ({"uid": uid} if uid else {})
    spec = {"persistentVolumeReclaimPolicy": policy, "claimRef": reference}
    noted = {"annotations": {names.ANNOTATION_RECLAIM: had}} if had else {}
    return {"metadata": {"name": name} | noted, "spec": spec, "status": {"phase": phase}}


def change(claims, volumes):
    return volume_swap.next_change(
        GOAL, {c["metadata"]["name"]: c for c in claims}, {v["metadata"]["name"]: v for v in volumes}, NOW
    )


def promise(volume, name):
    reference = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "namespace": "ns",
        "name": name,
        "uid": None,
        "resourceVersion": None,
    }
    return Merge("persistentvolumes", "", volume, {"spec": {"claimRef": reference}})


def policy(volume, value, noted=None):
    metadata = {"annotations": {names.ANNOTATION_RECLAIM: noted}}
    body = {"metadata": metadata, "spec": {"persistentVolumeReclaimPolicy": value}}
    return Merge("persistentvolumes", "", volume, body)


DATA, RESTORED = claim("data", "pv-old", "u1"), claim("restored", "pv-new", "u2")
GOING = {"deletionTimestamp": "2026-11-23T12:00:10Z"}
FREE_OLD, FREE_NEW = (
    volume("pv-old", "Retain", "kept", "", "Available"),
    volume("pv-new", "Retain", "data", "", "Available"),
)
KEPT, SWAPPED = claim("kept", "pv-old", "u3"), claim("data", "pv-new", "u4")
HAS_OLD, HAS_NEW = volume("pv-old", "Retain", "kept", "u3"), volume("pv-new", "Retain", "data", "u4")


@pytest.mark.parametrize(
    ("claims", "volumes", "action"),
    [
        ([DATA, RESTORED], [volume("pv-old", "Delete", "data", "u1"), volume("pv-new", "Retain", "restored", "u2")], policy("pv-old", "Retain", "Delete")),
        ([DATA, RESTORED], [volume("pv-old", "Retain", "data", "u1"), volume("pv-new", "Delete", "restored", "u2")], policy("pv-new", "Retain", "Delete")),
        ([DATA, RESTORED], [volume("pv-old", "Retain", "data", "u1"), volume("pv-new", "Retain", "restored", "u2")], Delete("persistentvolumeclaims", "ns", "restored", "u2")),
        ([DATA], [volume("pv-old", "Retain", "data", "u1"), volume("pv-new", "Retain", "restored", "u2")], Delete("persistentvolumeclaims", "ns", "data", "u1")),
        ([claim("data", "pv-old", "u1", **GOING)], [volume("pv-old", "Retain", "data", "u1"), volume("pv-new", "Retain", "restored", "u2")], None),
        ([], [volume("pv-old", "Retain", "data", "u1", "Released"), volume("pv-new", "Retain", "restored", "u2", "Released")], promise("pv-old", "kept")),
        ([], [FREE_OLD, volume("pv-new", "Retain", "restored", "u2", "Released")], promise("pv-new", "data")),
        ([], [volume("pv-old", "Retain", "kept", "", "Released"), FREE_NEW], None),
        ([], [FREE_OLD, FREE_NEW], Create("persistentvolumeclaims", BODY)),
        ([claim("kept", "pv-old", "u3", phase="Pending")], [FREE_OLD, FREE_NEW], Create("persistentvolumeclaims", BODY)),
        ([KEPT, claim("data", "pv-new", "u4", phase="Pending", creationTimestamp="2026-11-23T12:00:10Z")], [HAS_OLD, FREE_NEW], None),
        ([KEPT, claim("data", "pv-new", "u4", phase="Pending")], [HAS_OLD, FREE_NEW], Merge("persistentvolumeclaims", "ns", "data", {"metadata": {"uid": "u4", "annotations": {"pgwarden.io/nudged": "2026-11-23T12:00:10Z"}}})),
        ([KEPT, claim("data", "pv-new", "u4", phase="Pending", annotations={"pgwarden.io/nudged": "2026-11-23T12:00:10Z"})], [HAS_OLD, FREE_NEW], None),
        ([KEPT, claim("data", "pv-new", "u4", annotations={"pgwarden.io/nudged": "2026-11-23T12:00:10Z"})], [HAS_OLD, HAS_NEW], Merge("persistentvolumeclaims", "ns", "data", {"metadata": {"uid": "u4", "annotations": {"pgwarden.io/nudged": None}}})),
        ([KEPT, SWAPPED], [volume("pv-old", "Retain", "kept", "u3", had="Delete"), HAS_NEW], policy("pv-old", "Delete")),
        ([KEPT, SWAPPED], [volume("pv-old", "Delete", "kept", "u3"), volume("pv-new", "Retain", "data", "u4", had="Recycle")], policy("pv-new", "Recycle")),
        # the workload was started by somebody, and its controller made a new, empty claim of that name
        ([KEPT, claim("data", "pv-empty", "u9")], [HAS_OLD, FREE_NEW], Delete("persistentvolumeclaims", "ns", "data", "u9")),
        ([KEPT, SWAPPED], [HAS_OLD], None),
    ],
    ids=[
        "keep the old", "keep the new", "the restored claim goes", "the old claim goes", "wait for it", "promise the old",
        "promise the new", "wait until it is free", "make one", "make the other", "wait for the binder", "remind the binder",
        "not twice a second", "tidy", "give the policy back", "give the other back", "an empty claim in the way", "a volume is gone",
    ],
)  # fmt: skip
def test_next_change(claims, volumes, action):
    found = change(claims, volumes)
    assert found is not None
    assert found.action == action


def test_nothing_is_left_to_do():
    assert change([KEPT, SWAPPED], [volume("pv-old", "Delete", "kept", "u3"), HAS_NEW]) is None


@pytest.mark.parametrize("had", ["", "Destroy"], ids=["begun by version 0.1", "no policy"])
def test_a_volume_that_does_not_say_what_policy_it_had_stays_retain(had):
    """Whatever the plan says: OLD had Delete by it."""
    volumes = {"pv-old": volume("pv-old", "Retain", "kept", "u3", had=had), "pv-new": HAS_NEW}
    assert change([KEPT, SWAPPED], list(volumes.values())) is None
    told = volume_swap.left_at_retain([OLD, NEW, None], volumes)
    assert told == "; set the reclaim policy of volume pv-old (it had Delete) by hand: it is still Retain"


def test_a_volume_that_is_gone_is_named():
    assert change([KEPT, SWAPPED], [HAS_OLD]).message == "PersistentVolume pv-new was deleted"


@pytest.mark.parametrize(
    ("one", "other", "bound"),
    [
        (SWAPPED, HAS_NEW, True),
        (SWAPPED, volume("pv-new", "Retain", "data", "u2"), False),
        (claim("data", "pv-new", "u4", phase="Lost"), HAS_NEW, False),
        (claim("data", "pv-new", "u4", **GOING), HAS_NEW, False),
        (None, HAS_NEW, False),
        (SWAPPED, None, False),
    ],
)
def test_is_bound(one, other, bound):
    assert volume_swap.is_bound(one, other) is bound
