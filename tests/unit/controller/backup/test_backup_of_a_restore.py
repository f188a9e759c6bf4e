"""What a Restore writes on the Backup that it ends with is believed by its seal."""

from __future__ import annotations

import pytest

from pgwarden.api import names
from pgwarden.api.objects import Object

from .test_returns import World


@pytest.fixture
def world() -> World:
    return World()


def _as_a_restore_writes(world, **changed: str) -> Object:
    """A Backup as a Restore ends with it, with the controller's seal; then *changed*."""
    annotations = {
        names.ANNOTATION_RESTORE_ORDER: "ab.cd",
        names.ANNOTATION_RESTORE_UID: "u",
        names.ANNOTATION_TIMELINE_BEFORE: "1",
        names.ANNOTATION_LSN_BEFORE: "0/4000000",
        names.ANNOTATION_STOPPED: "2026-11-23T10:00:00Z",
    }
    metadata = {
        "name": "nightly",
        "namespace": "ns",
        "labels": {names.LABEL_RESTORE: "ghost"},
        "annotations": annotations,
    }
    body = {"apiVersion": names.API_VERSION, "kind": "Backup", "metadata": metadata}
    body["spec"] = {"repository": "hippo", "type": "full"}
    annotations[names.ANNOTATION_RESTORE_SEAL] = world.seal.of_backup(body)
    annotations |= changed
    return body


FORGED = {
    "what the Restore wrote": ({}, True),
    "no seal": ({names.ANNOTATION_RESTORE_SEAL: ""}, False),
    "another seal": ({names.ANNOTATION_RESTORE_SEAL: "ab" * 32}, False),
    "another timeline": ({names.ANNOTATION_TIMELINE_BEFORE: "7"}, False),
    "another position": ({names.ANNOTATION_LSN_BEFORE: "0/9000000"}, False),
    "another Restore's uid": ({names.ANNOTATION_RESTORE_UID: "w"}, False),
}


@pytest.mark.parametrize(("changed", "told"), FORGED.values(), ids=FORGED)
async def test_a_set_tells_of_a_restore_where_a_restore_made_the_backup(world, changed, told):
    """Who may create Backups could write that; `undo` of a Restore that never was went back to where it said."""
    world.seal = await world.controller._context.sealing()
    world.add("backups", "ns", _as_a_restore_writes(world, **changed))
    assert (await world.settled())["phase"] == "Completed"
    assert ("pgwarden-restore" in world.sets[0]["annotation"]) is told
    assert ("pgwarden-timeline-before" in world.sets[0]["annotation"]) is told


async def test_under_another_name_a_seal_vouches_for_nothing(world):
    world.seal = await world.controller._context.sealing()
    body = _as_a_restore_writes(world)
    body["metadata"]["name"] = "other"
    world.add("backups", "ns", body)
    await world.settled("other")
    assert "pgwarden-restore" not in world.sets[0]["annotation"]
