"""What a Restore with spec.undo restores, and what every Restore leaves for its own undo."""

from __future__ import annotations

import copy
from dataclasses import replace

import msgspec
import pytest

from controller.recovery.plan import Undone
from controller.restore import render, steps_prepare, undone
from controller.restore.facts import RestoreFacts
from pgwarden.api import names
from pgwarden.api.kinds import RepositorySpec, RestoreSpec
from pgwarden.contract.calls import Fenced
from tests.unit.controller.restore.steps.situations import said

SET = "20261123-110000F"
STOPPED = "2026-11-23T11:30:00Z"


def earlier(name="wrong", spec=None, phase="Completed", **status):
    """The Restore that is undone."""
    metadata = {"name": name, "namespace": "ns", "uid": f"u-{name}", "creationTimestamp": "2026-11-23T11:00:00Z"}
    told = {"timelineBefore": 1, "timeline": 2, "stoppedTime": STOPPED, "set": SET, "keptClaim": "kept"} | status
    return {
        "kind": "Restore",
        "metadata": metadata,
        "spec": {"repository": "hippo"} | (spec or {}),
        "status": {"phase": phase} | told,
    }


def undoing(facts: RestoreFacts, *others, **more) -> RestoreFacts:
    return replace(
        facts, spec=RestoreSpec(repository="hippo", undo="wrong"), operations=(*facts.operations, *others), **more
    )


def test_it_follows_the_timeline_that_postgresql_had_from_a_set_of_it(begin):
    verdict = steps_prepare.validated(undoing(begin, earlier()))
    assert said(verdict) == ("done", "Valid")
    assert verdict.plan
    assert verdict.plan.undone == Undone(restore="wrong", set=SET, timeline=1, stopped=STOPPED)
    assert f"the state from just before Restore wrong stopped PostgreSQL at {STOPPED} (timeline 1)" in verdict.message
    forecast = verdict.status["forecast"]
    assert (forecast["set"], forecast["targetTimeline"]) == (SET, "1")
    assert forecast["lost"].startswith("EVERYTHING committed since Restore wrong stopped PostgreSQL")
    assert forecast["lostSince"] == STOPPED


def test_the_job_gets_the_set_and_the_timeline_that_were_found_at_the_beginning(begin):
    """The other Restore, and newer sets, may come and go meanwhile."""
    plan = steps_prepare.validated(undoing(begin, earlier())).plan
    spec = undone.spec_of(RestoreSpec(repository="hippo", undo="wrong"), plan)
    words = render.arguments(plan, spec, RepositorySpec())
    assert f"--set={SET}" in words
    assert "--target-timeline=1" in words


@pytest.mark.parametrize(
    ("others", "change", "verdict", "words"),
    [
        pytest.param((), {}, ("fail", "NothingToUndo"), "there is no Restore wrong, and no backup set", id="none of the name"),
        pytest.param((earlier(phase="Failed"),), {}, ("fail", "NothingToUndo"), "failed and was rolled back", id="failed"),
        pytest.param((earlier(spec={"volumeClaim": "look"}),), {}, ("fail", "NothingToUndo"), "claim look", id="beside"),
        pytest.param((earlier(timelineBefore=7),), {"sets": []}, ("fail", "NoWayBack"), "leads to timeline 7, which it ended; the old data is in claim kept", id="no set left"),
        pytest.param((), {"away": True}, ("wait", "StorageNotReadable"), "storage local", id="the storage cannot be read"),
    ],
)  # fmt: skip
def test_why_there_is_no_undo(begin, others, change, verdict, words):
    info = copy.deepcopy(begin.info)
    if "sets" in change:
        info["backup"] = change["sets"]
    if "away" in change:
        info["repo"][0]["status"] = {"code": 99, "message": "[HostConnectError] no"}
    found = steps_prepare.validated(undoing(begin, *others, info=info))
    assert said(found) == verdict
    assert words in found.message


def test_each_restore_records_where_postgresql_was(begin, planned):
    """By the archive at first; then by what PostgreSQL itself has just archived."""
    first = steps_prepare.validated(begin)
    assert first.plan
    assert (first.status["timelineBefore"], first.plan.timeline_before) == (1, 1)
    answer = Fenced(ok=True, wal="000000040000000000000009", lsn="0/9000000", time="2026-11-23T12:00:00Z")
    fenced = steps_prepare.fenced(replace(planned, answers={"fence": answer}))
    assert fenced.status == {"timelineBefore": 4, "lsnBefore": "0/9000000"}
    assert fenced.plan
    assert (fenced.plan.timeline_before, fenced.plan.lsn_before) == (4, "0/9000000")


def test_the_backup_afterwards_takes_it_into_the_repository(planned):
    plan = msgspec.structs.replace(planned.planned, timeline_before=4, lsn_before="0/9000000", stopped=STOPPED)
    marks = render.backup(plan, planned.spec, "ns")["metadata"]["annotations"]
    assert (marks[names.ANNOTATION_TIMELINE_BEFORE], marks[names.ANNOTATION_STOPPED]) == ("4", STOPPED)
    assert marks[names.ANNOTATION_LSN_BEFORE] == "0/9000000"


async def test_a_whole_undo_on_the_fake_cluster_ends_with_the_forecasts_set(run, cluster):
    run.create("wrong")
    first = await run.until_over("wrong")
    assert (first["phase"], first["timelineBefore"]) == ("Completed", 1)
    assert first["stoppedTime"] >= "2026-11-23T12:00"
    assert (first["forecast"]["set"], first["forecast"]["storage"]) == (first["set"], "local")
    run.create("undo", undo="wrong")
    status = await run.until_over("undo")
    assert status["phase"] == "Completed", status["message"]
    assert status["forecast"]["lostSince"] == first["stoppedTime"]
    assert status["forecast"]["set"] == status["set"]
