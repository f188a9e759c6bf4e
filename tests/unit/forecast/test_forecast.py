"""What a Restore is said to take before it begins."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from pgwarden.api.kinds import RestoreSpec, RestoreTarget
from pgwarden.forecast import forecast, pace, told_info
from pgwarden.forecast.forecast import View
from pgwarden.forecast.pace import Pace
from pgwarden.forecast.way_back import Before
from pgwarden.pgbackrest import set_choice, wal_distance
from tests.unit.contract import produced
from tests.unit.contract.produced import NOW, Set, chain

#: Hourly from 9:00 to 11:00, one segment each; the archive goes one further.
SETS = chain("FII")
FULL, SECOND, THIRD = (one.label for one in SETS)
SIZE = 23422072
SEGMENT = 16 * 1024 * 1024


def spec(**target) -> RestoreSpec:
    return RestoreSpec(repository="hippo", target=RestoreTarget(**target) if target else None)


def view(sets=SETS, storage_type="local", **more) -> View:
    return View(info=produced.read(sets, storage_type), storages=storage_type.split(","), **more)


BEGINS = {
    "the latest": (spec(), THIRD),
    "a moment": (spec(time="2026-11-23T10:30:00Z"), SECOND),
    "the second in which a set ended": (spec(time="2026-11-23T10:00:00.9Z"), FULL),
    "before all": (spec(time="2026-11-23T08:00:00Z"), ""),
    "the position at which a set is consistent": (spec(lsn="0/4000060"), SECOND),
    "a position before it": (spec(lsn="0/4000059"), FULL),
    "a transaction": (spec(xid="77"), THIRD),
    "one that is named": (RestoreSpec(repository="hippo", set=FULL), FULL),
    "one that is not there": (RestoreSpec(repository="hippo", set="20200101-000000F"), ""),
}


@pytest.mark.parametrize(("wanted", "label"), BEGINS.values(), ids=BEGINS)
def test_it_begins_with_the_set_that_pgbackrest_chooses(wanted, label):
    assert forecast.make(wanted, view(), NOW).set == label


def test_it_is_the_first_storages_set_even_where_another_has_a_newer_one():
    sets = [*chain("F", last=NOW - timedelta(hours=3)), *(replace(one, repo=2) for one in SETS)]
    both = view(sets, "local,s3")
    assert forecast.make(spec(), both, NOW).storage == "local"
    assert forecast.make(RestoreSpec(repository="hippo", storage="s3"), both, NOW).set == THIRD
    away = View(info=produced.read(sets, "local,s3", unreadable=(1,)), storages=("local", "s3"))
    assert forecast.make(spec(), away, NOW).storage == "s3"


def test_where_only_the_newest_sets_are_known_no_other_storage_is_guessed():
    sets = [*SETS, *(replace(one, repo=2) for one in chain("F", last=NOW - timedelta(hours=9)))]
    info = produced.read(sets, "local,s3")
    early = spec(time="2026-11-23T05:00:00Z")
    assert set_choice.choose(early, info, [1, 2], cut={1}) is None
    found = set_choice.choose(early, info, [1, 2])
    assert found
    assert found.repo == 2


WAL = {
    "the latest: to the end of the archive": (spec(), (2, "about")),
    "the end of the backup": (spec(immediate=True), (1, "exactly")),
    "a position": (spec(lsn="0/6000000"), (2, "exactly")),
    "a position that was never written: to the end of the archive": (spec(lsn="FFFFFFFF/FFFFFFFF"), (2, "about")),
    "a moment, half way between two": (spec(time="2026-11-23T09:30:00Z"), (1, "about")),
    "a transaction: anywhere": (spec(xid="77"), (2, "atMost")),
}


@pytest.mark.parametrize(("wanted", "expected"), WAL.values(), ids=WAL)
def test_wal_is_counted_from_the_set_to_the_target(wanted, expected):
    found = forecast.make(wanted, view(), NOW)
    assert (found.wal_segments, found.wal_is) == expected
    assert found.wal_bytes == expected[0] * SEGMENT


def test_wal_at_a_moment_is_as_if_it_had_been_written_evenly():
    """From segment 3 at 9:00 to segment 103 at 11:00: at 10:00 it was about 50 segments on."""
    sets = [SETS[0], replace(SETS[2], number=103)]
    found = forecast.make(spec(time="2026-11-23T10:00:00Z"), view(sets), NOW)
    assert 49 <= (found.wal_segments or 0) <= 52


def test_segments_of_another_size_are_known_by_a_set():
    """With wal_segment_size of 64 MiB, the third segment holds positions from 0/C000000 on."""
    info = produced.read([Set(kind="full", stop=NOW, number=3)])
    one = replace_set(info.backups[0], wal_start="000000010000000000000003", wal_stop="000000010000000000000003",
                      lsn_start="0/C000028", lsn_stop="0/C000060")  # fmt: skip
    found = wal_distance.of(spec(lsn="0/18000000"), one, with_sets(info, one), archived=NOW)
    assert found
    assert (found.segments, found.bytes) == (4, 4 * 64 * 1024 * 1024)


def replace_set(one, **changes):
    import msgspec

    return msgspec.structs.replace(one, **changes)


def with_sets(info, *sets):
    import msgspec

    return msgspec.structs.replace(info, backups=sets)


def test_an_undo_counts_the_wal_up_to_where_its_timeline_ended():
    before = Before("back", 1, "2026-11-23T11:30:00Z", "0/9000000")
    wanted = RestoreSpec(repository="hippo", undo="back", set=THIRD, target_timeline="1")
    found = forecast.make(wanted, view(), NOW, before)
    assert (found.wal_segments, found.target_timeline) == (5, "1")
    assert found.lost_since == "2026-11-23T11:30:00Z"
    assert found.lost.startswith("EVERYTHING committed since Restore back stopped PostgreSQL at 2026-11-23 11:30:00Z")


def test_room_is_the_data_and_its_wal_at_most():
    found = forecast.make(spec(), view(claim_bytes=1), NOW)
    assert (found.copy_bytes, found.room_bytes) == (SIZE, SIZE + 2 * SEGMENT)
    assert found.is_tight
    assert not forecast.make(spec(), view(claim_bytes=2**30), NOW).is_tight


def test_without_an_earlier_restore_its_time_is_not_known():
    assert forecast.make(spec(), view(), NOW).seconds is None
    known = Pace(copied=1e6, replayed=2.0, of=1)
    assert forecast.make(spec(), view(pace=known), NOW).seconds == round(SIZE / 1e6 + 1)


# --- the pace ------------------------------------------------------------------------------------------------------


def restore(name="one", copied=1000, segments=10, seconds=(10, 5), phase="Completed", reason="Completed", new=True):
    start = NOW - timedelta(minutes=5)
    ready, done = start + timedelta(seconds=seconds[0]), start + timedelta(seconds=sum(seconds))
    steps = [("VolumeReady", start), ("Restored", ready)]
    steps += [("Replayed", done)] if new else [("Started", ready), ("Recovered", done)]
    listed = [{"type": kind, "status": "True", "lastTransitionTime": f"{at:%Y-%m-%dT%H:%M:%SZ}"} for kind, at in steps]
    recovery = {"copiedBytes": copied, "segments": segments}
    status = {"phase": phase, "reason": reason, "conditions": listed, "completionTime": name, "recovery": recovery}
    return {"kind": "Restore", "metadata": {"name": name}, "spec": {}, "status": status}


PACES = {
    "of one": ([restore()], Pace(100.0, 2.0, 1)),
    "of one that replayed after its start": ([restore(new=False)], Pace(100.0, 2.0, 1)),
    "the middle one of three": (
        [restore("a"), restore("b", copied=10), restore("c", copied=9000)],
        Pace(100.0, 2.0, 3),
    ),
    "of none that failed": ([restore(phase="Failed")], Pace()),
    "of no record": ([restore(reason="Record")], Pace()),
    "without WAL": ([restore(segments=0)], Pace(100.0, None, 1)),
    "within a second": ([restore(seconds=(0, 0))], Pace(1000.0, 10.0, 1)),
}


@pytest.mark.parametrize(("restores", "expected"), PACES.values(), ids=PACES)
def test_the_pace_is_that_of_the_restores_before(restores, expected):
    assert pace.measured(restores) == expected


# --- a status as info ----------------------------------------------------------------------------------------------


def test_a_status_tells_the_same_as_info_itself():
    """The controller forecasts by info, the command line by the Repository's status: they say the same."""
    repository = produced.repository(SETS)
    repository["metadata"] = {"name": "hippo"}
    told = View(info=told_info.of(repository), storages=("local",), cut=told_info.cut(repository))
    for wanted, _ in [*BEGINS.values(), *WAL.values()]:
        assert forecast.make(wanted, told, NOW) == forecast.make(wanted, view(), NOW)
