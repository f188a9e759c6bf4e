"""The timeline that an undo follows, and the set that it begins with."""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest

from pgwarden.api import names
from pgwarden.forecast import way_back
from pgwarden.forecast.way_back import Before, Fork
from tests.unit.contract import produced
from tests.unit.contract.produced import NOW, Set

STOPPED = "2026-11-23T10:00:00Z"


def full(hour: int, timeline: int, **more) -> Set:
    stop = NOW.replace(hour=hour, minute=10)
    return Set(kind="full", stop=stop, number=hour, timeline=timeline, took=timedelta(minutes=10), **more)


#: A base backup, and the one after each of three Restores.
SETS = [full(1, 1), full(2, 2), full(3, 3), full(4, 4)]
INFO = produced.read(SETS)
BASE, AFTER_1, AFTER_2, AFTER_3 = (one.label for one in SETS)


def restore(name="back", phase="Completed", **status):
    return {
        "kind": "Restore",
        "metadata": {"name": name},
        "spec": {"repository": "hippo"},
        "status": {"phase": phase} | status,
    }


FORKS = way_back.forks(
    [
        restore("back-1", timeline=2, timelineBefore=1, set=BASE),
        restore("back-2", timeline=3, timelineBefore=2, set=AFTER_1),
        restore("back-3", timeline=4, timelineBefore=3, set=AFTER_2),
    ]
)


def without(*labels: str):
    return msgspec.structs.replace(INFO, backups=tuple(one for one in INFO.backups if one.label not in labels))


WAYS = {
    "the backup after the restore before": (3, FORKS, INFO, AFTER_2),
    "the base backup": (1, FORKS, INFO, BASE),
    "the one that it came from, if its own has expired": (3, FORKS, without(AFTER_2), AFTER_1),
    "two timelines back": (3, FORKS, without(AFTER_2, AFTER_1), BASE),
    "after a failover, of which no Restore tells": (3, {}, without(AFTER_2), AFTER_1),
    "none is left": (1, FORKS, without(BASE), None),
    "the fork's own set has expired": (2, {2: Fork("20261123-010000F", 1)}, without(AFTER_1), BASE),
    "its timeline came from a skipped one": (4, {4: Fork(AFTER_1, 3)}, without(AFTER_3), AFTER_1),
}


@pytest.mark.parametrize(("timeline", "forks", "info", "label"), WAYS.values(), ids=WAYS)
def test_an_undo_begins_with_the_newest_set_that_leads_to_its_timeline(timeline, forks, info, label):
    way = way_back.find(Before("back", timeline), forks, info, [1])
    assert (way and way.set.label) == label


def test_a_set_of_the_timeline_before_that_was_taken_after_the_fork_leads_elsewhere():
    """back-1 went to a moment before the second backup: that one is of what was left behind."""
    info = produced.read([full(1, 1), full(2, 1)])
    way = way_back.find(Before("back-2", 2), {2: Fork("20261123-010000F", 1)}, info, [1])
    assert way
    assert way.set.label == "20261123-010000F"


def test_a_damaged_set_is_none_to_begin_with():
    info = produced.read([full(1, 1), full(2, 1, error=True)])
    way = way_back.find(Before("back", 1), {}, info, [1])
    assert way
    assert way.set.label == BASE


def test_the_first_storage_that_leads_there_is_taken():
    info = produced.read([full(1, 1), full(2, 2), replace(full(1, 1), repo=2), replace(full(2, 2), repo=2)], "local,s3")
    expired = msgspec.structs.replace(
        info, backups=tuple(one for one in info.backups if (one.repo, one.label) != (1, BASE))
    )
    way = way_back.find(Before("back", 1), {}, expired, [1, 2])
    assert way
    assert (way.set.repo, way.set.label) == (2, BASE)


BEFORES = {
    "as it says": (restore(timelineBefore=3, timeline=5, stoppedTime=STOPPED, lsnBefore="0/3000060"), Before("back", 3, STOPPED, "0/3000060")),
    "of version 0.1": (restore(timeline=5, keptClaim="kept"), Before("back", 4, kept_claim="kept")),
    "a record": (restore(reason="Record", timelineBefore=2, timeline=3), Before("back", 2)),
    "at work": (restore(phase="Running"), "Restore back is Running; wait until it is Completed"),
    "failed": (restore(phase="Failed"), "Restore back failed and was rolled back"),
    "tells nothing": (restore(), "Restore back does not tell its timeline"),
    "gone, and no set tells": (None, None),
}  # fmt: skip


@pytest.mark.parametrize(("there", "expected"), BEFORES.values(), ids=BEFORES)
def test_where_postgresql_was_is_read_off_the_restore(there, expected):
    found = way_back.before("back", there, INFO)
    assert found == expected or (isinstance(found, str) and found.startswith(str(expected)))


MARKS = {
    "all": (
        {names.PGBACKREST_ANNOTATION_TIMELINE_BEFORE: "1", names.PGBACKREST_ANNOTATION_STOPPED: STOPPED},
        Before("back", 1, STOPPED),
    ),
    "of version 0.1": ({}, Before("back", 1)),
    "nonsense": (
        {names.PGBACKREST_ANNOTATION_TIMELINE_BEFORE: "-1", names.PGBACKREST_ANNOTATION_STOPPED: "\x1b[2J"},
        Before("back", 1),
    ),
}


@pytest.mark.parametrize(("marks", "expected"), MARKS.values(), ids=MARKS)
def test_of_a_restore_that_is_gone_the_set_of_its_backup_tells(marks, expected):
    document = copy.deepcopy(produced.document(SETS))
    document[0]["backup"][1]["annotation"] = {names.PGBACKREST_ANNOTATION_RESTORE: "back"} | marks
    info = produced.parse_info(document, "hippo")
    assert info
    assert way_back.before("back", None, info) == expected


def test_for_people_the_backup_object_tells_as_well():
    marks = {names.ANNOTATION_TIMELINE_BEFORE: "2", names.ANNOTATION_STOPPED: STOPPED}
    backup = {"metadata": {"labels": {names.LABEL_RESTORE: "back"}, "annotations": marks}}
    assert way_back.by_backup("back", [backup]) == Before("back", 2, STOPPED)
    assert way_back.by_backup("other", [backup]) is None
