"""A schedule with windows in which no backup begins, and with a spread; and what its Backups are made with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from controller.schedule import render
from pgwarden.api import names, records
from pgwarden.api.kinds import BackupScheduleSpec, BackupSpec
from pgwarden.schedule import runs
from tests.unit.controller.living import condition
from tests.unit.controller.schedule.test_away import MINUTE, Minutely

AT_NOON = {"schedule": "5 12 * * *", "duration": "10m"}  # from 12:05 to 12:15; a World begins at 12:00


async def test_a_run_in_a_window_is_put_off_to_its_end_and_the_status_says_so_beforehand():
    world = Minutely(schedule="3-59/3 * * * *", notDuring=[AT_NOON])
    status = await world.look()
    assert status["nextScheduleTimes"] == [f"2026-11-23T12:{at}:00Z" for at in ("03", "15", "18")]
    for _ in range(20):
        await world.through(MINUTE)
        world.end()
        await world.look()
    assert world.runs == ["12:03", "12:15", "12:18"]
    assert "missed" not in status or not status["missed"]


async def test_a_look_within_a_window_does_not_lose_the_run_that_it_has_put_off():
    """One that was late is dealt with while the window is open, when the next one is due in it already."""
    world = Minutely(schedule="3,9 * * * *", notDuring=[AT_NOON])
    await world.look()
    world.tick(10 * MINUTE)  # the controller was busy: both runs have passed
    status = await world.look()
    assert world.runs == ["12:03"]
    assert status["nextScheduleTimes"][0] == "2026-11-23T12:15:00Z"
    world.end()
    for _ in range(3):  # and it is looked at meanwhile, for whatever reason
        world.tick(MINUTE)
        assert (await world.look())["nextScheduleTimes"][0] == "2026-11-23T12:15:00Z"
    await world.through(5 * MINUTE)
    assert world.runs == ["12:03", "12:15"]


async def test_a_schedule_whose_windows_leave_no_time_takes_none_and_is_refused():
    world = Minutely(notDuring=[{"schedule": "* * * * *", "duration": "1h"}])
    status = await world.look()
    assert (status["phase"], status["reason"]) == ("Failed", "InvalidSpec")
    assert "leave time between them" in status["message"]


async def test_a_spread_is_in_the_next_run_and_in_the_words():
    world = Minutely(schedule="0 * * * *", spread="1h")
    uid = world.there("BackupSchedule", "nightly")["metadata"]["uid"]
    moved = runs.offset("1h", uid)
    assert moved > timedelta(minutes=1)
    status = await world.look()
    first = datetime.fromisoformat(status["nextScheduleTimes"][0])
    assert (first - moved).minute == (first - moved).second == 0
    assert condition(status, "Ready")["message"].endswith(" later by spec.spread)")
    await world.through(3600)
    assert world.runs == [f"{first:%H:%M}"]


# --- its Backups -------------------------------------------------------------------------------------------------

SCHEDULE = {"metadata": {"name": "nightly", "namespace": "ns"}}
DUE = datetime(2026, 11, 23, 1, tzinfo=UTC)


def made(**spec):
    given = {"repository": "hippo", "schedule": "0 1 * * *", "timeZone": "Europe/Zurich"} | spec
    return render.backup(SCHEDULE, msgspec.convert(given, BackupScheduleSpec), DUE)


def test_a_backup_has_what_its_schedule_says_of_backups():
    spec = {
        "type": "full", "options": ["--repo1-retention-full=7"], "activeDeadlineSeconds": 7200,
        "resources": {"limits": {"cpu": "2"}}, "podLabels": {"a": "b"}, "podAnnotations": {"mesh/inject": "false"},
    }  # fmt: skip
    window = {"schedule": "0 8 * * *", "duration": "10h"}
    body = made(**spec, notDuring=[window, window | {"timeZone": "UTC"}])
    own = {"notDuring": [window | {"timeZone": "Europe/Zurich"}, window | {"timeZone": "UTC"}]}
    assert body["spec"] == {"repository": "hippo", "storage": ""} | spec | own
    assert body["metadata"]["name"] == "nightly-20261123010000"
    assert body["metadata"]["annotations"] == {names.ANNOTATION_DUE: "2026-11-23T01:00:00Z"}


def test_what_a_schedule_does_not_say_is_left_to_the_repository():
    assert made()["spec"] == {"repository": "hippo", "type": "incr", "storage": "", "options": []}


def test_how_and_when_a_backup_is_made_is_no_part_of_what_is_asked_for():
    """Else one that comes back from Git after a change of its mesh would be taken once more."""

    def order(**spec):
        wanted = msgspec.convert({"repository": "hippo"} | spec, BackupSpec)
        return records.order_of({"kind": "Backup", "metadata": {}, "spec": msgspec.to_builtins(wanted)})

    window = {"schedule": "0 8 * * *", "duration": "10h"}
    more = {
        "notDuring": [window],
        "resources": {"limits": {"cpu": "2"}},
        "podLabels": {"a": "b"},
        "podAnnotations": {"a": "b"},
    }
    assert order(**more) == order()
    assert order(type="full") != order()
