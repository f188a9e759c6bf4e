"""What the controller writes of a Repository's backup sets, given to the rules.

What is valid is never refused, whether the sets are listed or not; what is called the newest is the newest.
"""

from __future__ import annotations

import copy
import itertools
from dataclasses import replace
from datetime import timedelta

import pytest

from pgwarden.api.defaults import OperatorDefaults
from pgwarden.api.target import lsn_text, parse_lsn
from pgwarden.rules import validate
from pgwarden.rules.deletion import of_backup
from pgwarden.rules.dependents import dependents, is_only_full, may_have_more
from tests.unit.contract import produced
from tests.unit.contract.produced import NOW, Set, chain
from tests.unit.contract.worlds import ABSENT, FORKED, OLD_S3, World, some, two, unreadable, weekly, world
from tests.unit.rules.conftest import Cluster, build

HOUR = timedelta(hours=1)


def test_a_restore_of_any_set_that_is_there_is_accepted(also_before: World):
    for storage in also_before.storages:
        for one in some(also_before.of(storage)):
            for spec in ({"set": one.label}, {"set": one.label, "storage": storage}):
                assert also_before.judge("Restore", **spec).faults == [], spec


def test_a_restore_to_any_point_after_a_set_is_accepted(also_before: World):
    for storage in also_before.storages:
        for one in some(also_before.of(storage)):
            at = {"lsn": one.lsn}, {"time": f"{one.stop:%Y-%m-%dT%H:%M:%SZ}"}
            for target, more in itertools.product(at, ({}, {"set": one.label}, {"storage": storage})):
                verdict = also_before.judge("Restore", target=target, **more)
                assert verdict.faults == [], (target, more)


def test_a_restore_on_the_timeline_of_any_set_is_accepted(also_before: World):
    for storage in also_before.storages:
        for one in some(also_before.of(storage)):
            timeline = {"targetTimeline": str(one.timeline)}
            for more in ({}, {"set": one.label}, {"storage": storage}):
                assert also_before.judge("Restore", **timeline, **more).faults == []


def test_a_point_before_all_sets_is_refused_however_far_back_they_go(there: World):
    first = min(there.sets, key=lambda one: one.number)
    (fault,) = there.judge("Restore", target={"lsn": lsn_text(parse_lsn(first.lsn) - 1)}).faults
    assert fault.message == f"is before {first.lsn}, the end of the oldest usable backup; choose a later position"
    before = min(there.sets, key=lambda one: one.stop).stop - timedelta(seconds=1)
    (fault,) = there.judge("Restore", target={"time": f"{before:%Y-%m-%dT%H:%M:%SZ}"}).faults
    assert "the earliest time that Repository hippo can recover to" in fault.message


def test_a_timeline_that_nothing_has_is_refused():
    forked = world([replace(one, timeline=one.timeline + 1) for one in FORKED])
    (fault,) = forked.judge("Restore", targetTimeline="1").faults
    assert "all usable backups are on a later timeline (2 or higher)" in fault.message
    (fault,) = forked.judge("Restore", targetTimeline="4").faults
    assert fault.message.startswith("Repository hippo has no WAL on this timeline; the newest is 3")


def test_the_newest_timeline_is_looked_for_in_the_storage_that_is_restored_from():
    both = [*chain("FI"), *(replace(one, repo=2, timeline=2) for one in chain("FI"))]
    there = world(both, "local,s3")
    assert there.judge("Restore", storage="s3", targetTimeline="2").faults == []
    assert unreadable(there).judge("Restore", storage="s3", targetTimeline="3").faults == []  # it may have more by now


def test_a_set_that_is_nowhere_is_refused_by_a_whole_list_and_looked_for_later_by_a_cut_one(there: World):
    verdict = there.judge("Restore", set=ABSENT)
    if len(there.sets) > 50:
        assert verdict.faults == []
        assert f"is not among the newest 50 of {len(there.sets)} backup sets" in verdict.warnings[-1]
    else:
        newest = max(there.sets, key=lambda one: one.stop)
        assert f"has no such backup; the newest are: {newest.label}" in verdict.faults[0].message


def test_what_is_called_the_newest_is_in_order():
    sets = weekly(50)
    (fault,) = world(sets).judge("Restore", set=ABSENT).faults
    assert fault.message.endswith(f"the newest are: {', '.join(one.label for one in reversed(sets[-3:]))}")


def test_of_a_storage_that_was_never_read_nothing_is_refused():
    sets = chain("FII")
    found = World(tuple(sets), produced.repository(sets, "local,s3", unreadable=[2]))
    spec = {"storage": "s3", "set": OLD_S3[0].label}
    assert found.judge("Restore", **spec).faults == []
    assert "backups of Repository hippo on storage s3 are not known yet" in found.judge("Restore", **spec).warnings[-1]
    verdict = found.judge("Restore", target={"time": "2026-09-01T00:00:00Z"})
    assert (verdict.faults, len(verdict.warnings)) == ([], 1)
    assert found.judge("Restore", target={"lsn": "0/60"}).faults == []


def test_a_repository_without_any_set_refuses_no_set():
    assert world([]).judge("Restore", set=ABSENT).faults == []


def test_a_repository_with_a_full_backup_is_never_said_to_have_none(also_before: World):
    for storage in ("", *also_before.storages):
        assert "no full backup" not in str(also_before.judge("Backup", storage=storage).warnings)


def test_a_repository_without_a_full_backup_is_said_to_have_none():
    assert "Repository hippo has no full backup yet" in str(world([]).judge("Backup").warnings)


def test_of_two_storages_the_one_that_the_backup_goes_to_counts():
    there = world(chain("FII"), "local,s3")
    assert there.judge("Backup", storage="local").warnings == []
    assert "has no full backup in storage s3 yet" in str(there.judge("Backup", storage="s3").warnings)


PACES = {
    "full ones became slow": (
        [*chain("F" * 57, last=NOW - 9 * HOUR), *chain("FFF", took=3 * HOUR, every=3 * HOUR)], True),
    "full ones became fast": (
        [*chain("F" * 57, last=NOW - 9 * HOUR, took=3 * HOUR), *chain("FFF")], False),
    "the last full one was slow, and is not listed": (
        [*chain("F", last=NOW - 99 * HOUR, took=3 * HOUR), *chain("I" * 60)], True),
    "the last full one was fast, and is not listed": (
        [*chain("F", last=NOW - 99 * HOUR), *chain("I" * 60, took=3 * HOUR)], False),
}  # fmt: skip


@pytest.mark.parametrize(("sets", "warned"), PACES.values(), ids=PACES.keys())
def test_the_pace_of_a_schedule_is_held_to_the_newest_backups(sets: list[Set], warned: bool):
    verdict = world(sets).judge("BackupSchedule", schedule="0 */2 * * *", type="full")
    said = [text for text in verdict.warnings if "fires every 2h" in text]
    assert [("take up to 3h" in text) for text in said] == ([True] if warned else [])


def test_a_storage_that_holds_sets_cannot_be_left_out_though_none_of_them_is_listed():
    there = two(chain("F" + "I" * 59), OLD_S3)
    assert all(one["storage"] == "local" for one in there.status["backups"])
    narrowed = copy.deepcopy(there.repository)
    narrowed["spec"]["storageType"] = "local"
    del narrowed["spec"]["s3"]
    verdict = validate(narrowed, old=there.repository, lookup=Cluster(), now=NOW, defaults=OperatorDefaults())
    assert "cannot remove storage s3: it still holds 5 backups" in str(verdict.faults[0])


def truly_with(sets: list[Set], gone: Set) -> set[str]:
    """What builds on *gone* in its storage."""
    found = {gone.label}
    for one in sorted(sets, key=lambda one: one.stop):
        if one.prior in found or one.full in found:
            found.add(one.label)
    return found - {gone.label}


def test_nobody_is_told_that_nothing_builds_on_a_set_on_which_something_does(also_before: World):
    for storage in also_before.storages:
        sets = also_before.of(storage)
        fulls = [one.label for one in sets if one.kind == "full"]
        for one in some(sets):
            known, truth = set(dependents(also_before.repository, one.label, one.repo)), truly_with(sets, one)
            assert known <= truth
            assert known == truth or may_have_more(also_before.repository, one.label, one.repo)
            said = deleted(also_before, one, storage)
            if fulls != [one.label]:
                assert "only full" not in said
            assert "no other set depends on it" not in said or not truth


def deleted(there: World, one: Set, storage: str) -> str:
    status = {"label": one.label, "repo": one.repo, "storage": storage}
    backup = build("Backup", repository="hippo", deletionPolicy="Delete", status=status)
    (said,) = of_backup(backup, lookup=Cluster(there.repository)).warnings
    return said


def test_the_only_full_one_is_known_where_it_is_not_listed(there: World):
    for storage in there.storages:
        fulls = [one for one in there.of(storage) if one.kind == "full"]
        for one in fulls[-2:]:
            assert is_only_full(there.repository, one.label, one.repo) == (len(fulls) == 1)


def test_of_a_listed_set_all_that_builds_on_it_is_known_although_the_list_is_cut():
    sets = weekly(2000)
    label = sets[-7 * 3 - 5].label  # a full one
    there = world(sets)
    assert deleted(there, sets[-5 - 7 * 3], "local").count("build on it") <= 1
    assert not may_have_more(there.repository, label, 1)


def test_a_storage_that_got_another_number_is_still_the_one_of_the_backup():
    """s3 alone was repo1, and is repo2 once there is a local one."""
    old, new = chain("F", last=NOW - 9 * HOUR), chain("FI")
    there = world([*new, *(replace(one, repo=2) for one in old)], "local,s3")
    assert "only full backup" in deleted(there, replace(old[0], repo=1), "s3")
