"""Claims that are to be larger: what is asked for, what is still missing, and who says why."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from controller import claim_growth
from controller.claim_grower import Grower
from pgwarden.kube import errors, paths

Object = dict[str, Any]
NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
CLASS = {"metadata": {"name": "fast"}, "provisioner": "csi.example", "allowVolumeExpansion": True}
FIXED = CLASS | {"allowVolumeExpansion": False}


def claim(
    asks: str = "20Gi", has: str = "10Gi", of: str = "fast", phase: str = "Bound", state: str = "", **told: str
) -> Object:
    """*told*: the claim's conditions, type → message; *state*: what the driver says of its storage."""
    status: Object = {
        "phase": phase,
        "conditions": [{"type": k, "status": "True", "message": v} for k, v in told.items()],
    }
    if has:
        status["capacity"] = {"storage": has}
    if state:
        status["allocatedResourceStatuses"] = {"storage": state}
    spec = {"resources": {"requests": {"storage": asks}}} | ({"storageClassName": of} if of else {})
    metadata = {"name": "data", "namespace": "ns", "uid": "u", "resourceVersion": "1"}
    return {"metadata": metadata, "spec": spec, "status": status}


REFUSED = claim("10Gi")
CASES = {
    "nothing is missing": (claim(has="20Gi"), CLASS, "", None),
    "the same size in another spelling": (claim(asks="20480Mi", has="21474836480"), CLASS, "", None),
    "a volume that is larger than its claim asks for": (claim("10Gi", "30Gi"), CLASS, "", None),
    "a claim without a volume that asks for as much": (claim(has="", phase="Pending"), CLASS, "", None),
    "a claim without a volume": (
        claim("10Gi", has="", phase="Pending"), CLASS, "", ("ClaimNotBound", "lets it grow once it is bound"),
    ),
    "the class allows none": (
        REFUSED, FIXED, "", ("ClaimNotExpanded", "storage class fast does not allow expansion; if its driver can expand volumes, set allowVolumeExpansion: true"),
    ),
    "the class is gone": (REFUSED, None, "x", ("ClaimNotExpanded", "storage class fast no longer exists")),
    "of no class": (claim("10Gi", of=""), None, "x", ("ClaimNotExpanded", "its volume is of no storage class")),
    "a quota": (REFUSED, CLASS, "exceeded quota: q", ("ClaimNotExpanded", "Kubernetes refuses the larger claim: exceeded quota: q")),
    "nobody has begun": (claim(), CLASS, "", ("Expanding", "driver csi.example has not begun yet")),
    "the driver is at it": (claim(Resizing=""), CLASS, "", ("Expanding", "the storage's driver expands the volume")),
    "at it by its state": (claim(state="NodeResizeInProgress"), CLASS, "", ("Expanding", "driver expands the volume")),
    "a pod is waited for": (
        claim(FileSystemResizePending="Waiting for user to (re-)start a pod"), CLASS, "", ("FileSystemResizePending", "once a pod mounts the volume"),
    ),
    "the driver failed": (
        claim(Resizing="", ControllerResizeError="no space in pool"), CLASS, "", ("ExpansionFailed", "could not expand the volume: no space in pool"),
    ),
    "the node failed": (
        claim(FileSystemResizePending="", NodeResizeError="resize2fs: bad magic"), CLASS, "", ("ExpansionFailed", "resize2fs: bad magic"),
    ),
    "infeasible": (claim(state="ControllerResizeInfeasible"), CLASS, "", ("ExpansionFailed", "ControllerResizeInfeasible")),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_a_claim_lacks_is_said_in_the_words_of_who_knows(case: str):
    given, storage_class, refused, expected = CASES[case]
    found = claim_growth.judge(given, "20Gi", storage_class, refused)
    if expected is None:
        assert found is None
        return
    assert found is not None
    assert found.reason == expected[0]
    assert expected[1] in found.message
    assert found.message.startswith(("claim data has 10Gi, not 20Gi", "claim data grows from 10Gi to 20Gi"))


class Api:
    """An API server that has one claim and its class, and takes larger requests or does not."""

    def __init__(self, found: Object, storage_class: Object | None = CLASS, refuses: str = "") -> None:
        self.claim, self.storage_class, self.refuses = found, storage_class, refuses
        self.asked: list[Object] = []

    async def find(self, path: str) -> Object | None:
        assert path == paths.of("storageclasses", "", "fast")
        return self.storage_class

    async def merge(self, path: str, body: Object) -> Object:
        assert path == paths.of("persistentvolumeclaims", "ns", "data")
        self.asked.append(body)
        if self.refuses:
            raise errors.Invalid(403, "Forbidden", self.refuses)
        self.claim["spec"]["resources"]["requests"] = body["spec"]["resources"]["requests"]
        return self.claim


class World:
    def __init__(self, api: Api) -> None:
        self.api, self.now = api, NOW
        self.grower = Grower(SimpleNamespace(client=api, clock=lambda: self.now))  # type: ignore[arg-type]

    async def look(self, size: str = "20Gi", later: timedelta = timedelta()) -> claim_growth.Growth | None:
        self.now += later
        return await self.grower.look(self.api.claim, size)


async def test_a_larger_size_is_asked_for_once_of_the_claim_that_was_looked_at():
    world = World(Api(claim("10Gi")))
    found = await world.look()
    assert found is not None
    assert found.reason == "Expanding"
    await world.look()
    (body,) = world.api.asked
    assert body == {"metadata": {"uid": "u"}, "spec": {"resources": {"requests": {"storage": "20Gi"}}}}


async def test_what_is_refused_is_said_each_time_and_tried_again_at_a_pace():
    world = World(Api(claim("10Gi"), refuses="exceeded quota: q"))
    for later in (0, 15, 10):
        found = await world.look(later=timedelta(seconds=later))
        assert found is not None
        assert found.message.endswith("refuses the larger claim: exceeded quota: q")
    assert len(world.api.asked) == 1
    await world.look(later=timedelta(seconds=30))
    assert len(world.api.asked) == 2
    world.api.refuses = ""
    assert (await world.look(later=timedelta(minutes=2))).reason == "Expanding"  # type: ignore[union-attr]


async def test_a_class_that_allows_it_now_is_asked_at_once():
    world = World(Api(claim("10Gi"), FIXED, refuses="must support resize"))
    assert (await world.look()).reason == "ClaimNotExpanded"  # type: ignore[union-attr]
    world.api.storage_class, world.api.refuses = CLASS, ""
    assert (await world.look()).reason == "Expanding"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "left_alone",
    [claim("30Gi", "30Gi"), claim("10Gi") | {"metadata": claim()["metadata"] | {"deletionTimestamp": "2026"}}],
    ids=["larger already", "being deleted"],
)
async def test_a_claim_that_is_large_enough_or_going_is_left_alone(left_alone: Object):
    world = World(Api(left_alone))
    assert await world.look() is None
    assert world.api.asked == []
