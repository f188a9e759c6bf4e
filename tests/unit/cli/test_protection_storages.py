"""status: what each storage holds, and from when on there is no hole."""

from __future__ import annotations

import pytest

from pgwarden.cli import status
from pgwarden.cli.protection import judge
from tests.unit.cli.conftest import NOW


def storage(name, many):
    return {"name": name, "backupCount": many}


TWO = [{"storage": "local", "earliest": "2026-11-01T00:10:00Z", "latest": "2026-11-23T11:55:00Z"}]


def test_each_of_two_storages_has_a_line_and_an_empty_one_is_wrong(there, schedule):
    (one,) = judge(there(schedule(), storages=[storage("local", 3), storage("s3", 0)], recoveryWindow=TWO), NOW)
    text = status.as_text(one, NOW)
    assert "  storage      local  3 backups, since 2026-11-01 00:10:00Z, up to 2026-11-23 11:55:00Z" in text
    assert "  storage      s3     NO BACKUP" in text
    assert one.wrong == (
        "storage s3 holds no backup: `kubectl pgwarden backup hippo --pgbackrest-storage-type=s3` takes one",
    )


def window(storage, earliest, latest, **more):
    return {"storage": storage, "earliest": earliest, "latest": latest} | more


HOLE = "000000010000000000000003"
BEFORE = window("local", "2026-11-01T00:10:00Z", "2026-11-10T00:00:00Z", missing=HOLE)
AFTER = window("local", "2026-11-12T00:00:00Z", "2026-11-23T11:55:00Z")


def test_since_is_that_of_the_newest_window_and_what_is_before_the_hole_is_a_note(there, schedule):
    """Nothing between the two can be recovered."""
    (one,) = judge(there(schedule(), recoveryWindow=[AFTER, BEFORE]), NOW)
    assert status.as_text(one, NOW)[0] == (
        "hippo: protected since 2026-11-12 00:00:00Z (11 d 12 h), up to 2026-11-23 11:55:00Z (5 min ago)"
    )
    assert status.as_data(one)["since"] == "2026-11-12T00:00:00Z"
    (note,) = one.notes
    assert note == (
        "storage local has an earlier window, from 2026-11-01 00:10:00Z up to 2026-11-10 00:00:00Z: "
        f"WAL segment {HOLE} is missing after that"
    )


def test_while_the_hole_is_open_the_window_ends_at_it(there, schedule):
    (one,) = judge(there(schedule(), recoveryWindow=[BEFORE]), NOW)
    assert f"{one.until:%d}" == "10"


def test_what_one_storage_lacks_the_other_has(there, schedule):
    whole = window("s3", "2026-11-09T00:00:00Z", "2026-11-23T11:50:00Z")
    storages = [storage("local", 2), storage("s3", 1)]
    (one,) = judge(there(schedule(), recoveryWindow=[AFTER, BEFORE, whole], storages=storages), NOW)
    assert (f"{one.since:%d %H:%M}", f"{one.until:%d %H:%M}", one.notes) == ("01 00:10", "23 11:55", ())
    assert one.storages[0] == "local  2 backups, since 2026-11-12 00:00:00Z, up to 2026-11-23 11:55:00Z"
    late = window("s3", "2026-11-11T00:00:00Z", "2026-11-23T11:50:00Z")
    (one,) = judge(there(schedule(), recoveryWindow=[AFTER, BEFORE, late], storages=storages), NOW)
    assert f"{one.since:%d %H:%M}" == "11 00:00"


def test_that_nothing_can_be_recovered_is_said_once(there, schedule):
    empty = {"storages": [storage("local", 0), storage("s3", 0)], "recoveryWindow": [], "backups": []}
    (one,) = judge(there(schedule(), **empty), NOW)
    assert one.wrong == ("there is no finished backup: nothing can be recovered",)


def test_a_storage_that_owes_a_full_backup_is_wrong_and_says_why(there, schedule):
    owed = [{"storage": "local", "reason": "BackupsLost", "message": "its 7 backups are gone"}]
    (one,) = judge(there(schedule(), storages=[storage("local", 0), storage("s3", 2)], fullBackupOwed=owed), NOW)
    assert one.wrong == ("storage local needs a full backup: its 7 backups are gone",)


@pytest.mark.parametrize("reason", ["ClaimTerminating", "VolumeLost"])
def test_a_claim_that_goes_is_wrong_though_the_storage_answers(there, schedule, healthy, reason):
    listed = [one for one in healthy["conditions"] if one["type"] != "Reachable"]
    going = {"type": "Reachable", "status": "True", "reason": reason, "message": "claim x is being deleted"}
    (one,) = judge(there(schedule(), conditions=[*listed, going]), NOW)
    assert one.wrong == ("claim x is being deleted",)


def test_backups_whose_sets_are_gone_are_named(there, make, schedule):
    def gone(name, reason):
        known = {"phase": "Completed", "conditions": [{"type": "Available", "status": "False", "reason": reason}]}
        return make("Backup", name, status=known, repository="hippo")

    (one,) = judge(there(schedule(), *(gone(f"b{n}", "Gone") for n in range(5)), gone("old", "Expired")), NOW)
    assert "Backups b0, b1, b2 and 2 more: their sets are gone from the repository, not by retention" in one.notes


def test_what_a_bucket_keeps_is_told_and_a_lock_that_is_too_short_is_a_note(there, schedule):
    lock = {"mode": "COMPLIANCE", "days": 14}
    kept = {"versioning": "Enabled", "objectLock": lock, "warning": "backups are kept for 30 days"}
    (one,) = judge(there(schedule(), storages=[storage("s3", 3) | {"immutable": kept}]), NOW)
    text = "\n".join(status.as_text(one, NOW))
    assert "storage      s3  3 backups; bucket: versioning Enabled, objects locked for 14 days (COMPLIANCE)" in text
    assert "storage s3: backups are kept for 30 days" in one.notes
    unknown = {"versioning": "Unknown", "reason": "versioning: 403 AccessDenied"}
    (other,) = judge(there(schedule(), storages=[storage("s3", 3) | {"immutable": unknown}]), NOW)
    assert "bucket: versioning Unknown (versioning: 403 AccessDenied)" in "\n".join(status.as_text(other, NOW))
