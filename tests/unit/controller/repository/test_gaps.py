"""WAL that is missing in a storage: windows, condition, metric, and the backup that is asked for."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from prometheus_client import REGISTRY

from controller.repository import decide, gaps, metrics, report
from controller.repository.facts import RepositoryFacts
from pgwarden.api import numbered_backups
from pgwarden.api.kinds import PodFacts
from pgwarden.contract.archive import Archive, Gap
from tests.unit.contract import produced
from tests.unit.contract.produced import NOW, Set, chain
from tests.unit.controller.repository.conftest import FACTS

Object = dict[str, Any]


def segment(number: int, timeline: int = 1) -> str:
    return f"{timeline:08X}{number // 256:08X}{number % 256:08X}"


def gap(number: int, until: datetime, count: int = 1, timeline: int = 1) -> Gap:
    return Gap(
        missing=segment(number, timeline), segments=count, next=segment(number + count, timeline),
        until=f"{until:%Y-%m-%dT%H:%M:%SZ}",
    )  # fmt: skip


#: A full one, and three that build on it, an hour apart: their WAL is 3, 13, 23 and 33.
SETS = [dataclasses.replace(one, number=3 + 10 * n) for n, one in enumerate(chain("FIII"))]
STOPS = [one.stop for one in SETS]
BEFORE = STOPS[1] + timedelta(minutes=20)
AFTER = STOPS[3] + timedelta(minutes=20)


def facts(
    *found: Gap, sets: list[Set] = SETS, storage_type: str = "local", complete: bool = True, last: str = "",
    before: Object | None = None, **more: Any,
) -> RepositoryFacts:  # fmt: skip
    given = produced.facts(produced.read(sets, storage_type), storage_type, before=before, **more)
    (pod,) = given.pods
    assert pod.answer
    assert pod.answer.archiver
    archiver = replace(pod.answer.archiver, last_archived_wal=last or segment(99))
    pod = dataclasses.replace(
        pod, facts=msgspec.convert(FACTS, PodFacts), answer=replace(pod.answer, archiver=archiver)
    )
    told = tuple(Archive(repo=repo, complete=complete, gaps=found if repo == 1 else ()) for repo in (1, 2))
    return dataclasses.replace(given, archives=told[: storage_type.count(",") + 1], pods=(pod,))


def windows(given: RepositoryFacts) -> list[tuple[str, str, str]]:
    listed = report.status(given, {})["recoveryWindow"]
    return [(one["earliest"], one["latest"], one.get("missing", "")) for one in listed]


def at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


ARCHIVED = at(NOW - timedelta(minutes=5))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([], [(STOPS[0], ARCHIVED, "")]),
        ([gap(18, BEFORE)], [(STOPS[2], ARCHIVED, ""), (STOPS[0], at(BEFORE), segment(18))]),
        ([gap(40, AFTER)], [(STOPS[0], at(AFTER), segment(40))]),
        (
            [gap(18, BEFORE), gap(40, AFTER)],
            [(STOPS[2], at(AFTER), segment(40)), (STOPS[0], at(BEFORE), segment(18))],
        ),
        ([gap(2, STOPS[0] - timedelta(hours=1))], [(STOPS[0], ARCHIVED, "")]),
        ([gap(13, BEFORE)], [(STOPS[2], ARCHIVED, ""), (STOPS[0], at(BEFORE), segment(13))]),
        ([gap(18, BEFORE, timeline=2)], [(STOPS[2], ARCHIVED, ""), (STOPS[0], at(BEFORE), segment(18, 2))]),
    ],
    ids=["none", "between backups", "after the last", "two", "before the first", "in a backup's own WAL",
         "on a later timeline"],
)  # fmt: skip
def test_a_window_ends_before_a_gap_and_begins_again_at_the_next_backup(found, expected):
    assert windows(facts(*found)) == [(at(earliest), latest, missing) for earliest, latest, missing in expected]


@pytest.mark.parametrize(
    ("given", "status", "reason"),
    [
        (facts(), True, "NothingMissing"),
        (facts(gap(18, BEFORE)), True, "NothingMissing"),
        (facts(gap(40, AFTER)), False, "WALMissing"),
        (facts(gap(40, AFTER), last=segment(39)), True, "NothingMissing"),
        (facts(gap(40, AFTER), last=segment(39, 2)), False, "WALMissing"),
        (facts(complete=False), None, "NotListedYet"),
        (dataclasses.replace(facts(), archives=()), None, "NotListedYet"),
        (facts(gap(40, AFTER), sets=[]), True, "NothingMissing"),
    ],
    ids=["none", "a backup followed", "no backup followed", "PostgreSQL still has it", "on a timeline of before",
         "not all is listed", "an agent of before", "without a backup there is nothing to recover"],
)  # fmt: skip
def test_the_condition_says_whether_wal_is_missing_since_the_newest_backup(given, status, reason):
    found = decide.continuous(given)
    assert (found.status, found.reason) == (status, reason)
    assert status is not False or f"WAL segment {segment(40)} is missing in storage local" in found.message
    assert (decide.phase(given) == "Degraded") is (status is False)
    assert (decide.why(given)[0] == "WALMissing") is (status is False)


def test_of_several_segments_it_says_how_many():
    assert f"{segment(40)} and 4 more is missing" in decide.continuous(facts(gap(40, AFTER, count=5))).message


def test_what_was_known_of_a_storage_stays_while_nobody_lists_it():
    known = report.status(facts(gap(40, AFTER)), {})
    later = facts(complete=False, before=produced.stored(known))
    assert windows(later) == windows(facts(gap(40, AFTER)))
    assert decide.continuous(later).reason == "WALMissing"


def test_each_storage_has_its_own_windows():
    both = [*SETS, *(dataclasses.replace(one, repo=2) for one in SETS)]
    listed = report.status(facts(gap(40, AFTER), sets=both, storage_type="local,s3"), {})["recoveryWindow"]
    assert [(one["storage"], one.get("missing")) for one in listed] == [("local", segment(40)), ("s3", None)]


@pytest.mark.parametrize("count", [0, 1, 10])
def test_the_metric_counts_the_missing_segments(count):
    found = [gap(40 + 5 * n, AFTER, count=3) for n in range(count)]
    metrics.show(("ns", "hippo"), report.status(facts(*found), {}))
    labels = {"namespace": "ns", "repository": "hippo", "storage": "local"}
    assert REGISTRY.get_sample_value("pgwarden_missing_wal_segments", labels) == 3 * count
    metrics.forget(("ns", "hippo"))


# --- the backup --------------------------------------------------------------------------------------------------

NAME = f"hippo-after-{segment(40).lower()}"


def backup(name: str, phase: str, *, storage: str = "local", ended: datetime | None = None) -> Object:
    status = {"phase": phase} | ({"completionTime": at(ended)} if ended else {})
    return {
        "metadata": {"name": name, "namespace": "ns", "uid": name},
        "spec": {"repository": "hippo", "storage": storage},
        "status": status,
    }


MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("given", "backups", "expected"),
    [
        (facts(), [], None),
        (facts(gap(18, BEFORE)), [], None),
        (facts(gap(40, AFTER)), [], NAME),
        (facts(gap(40, AFTER)), [backup("nightly", "Running")], None),
        (facts(gap(40, AFTER)), [backup("nightly", "Running", storage="s3")], NAME),
        (facts(gap(40, AFTER)), [backup("nightly", "Completed", ended=NOW)], NAME),
        (facts(gap(40, AFTER)), [backup(NAME, "Completed", ended=NOW)], None),
        (facts(gap(40, AFTER)), [backup(NAME, "Failed", ended=NOW - MINUTE)], None),
        (facts(gap(40, AFTER)), [backup(NAME, "Failed", ended=NOW - 2 * MINUTE)], f"{NAME}-2"),
        (facts(gap(40, AFTER)), [backup(f"{NAME}-{n}" if n > 1 else NAME, "Failed", ended=NOW - 50 * MINUTE) for n in range(1, 8)], None),
        (facts(gap(40, AFTER)), [backup(f"{NAME}-7", "Failed", ended=NOW - 61 * MINUTE)], f"{NAME}-8"),
        (dataclasses.replace(facts(gap(40, AFTER)), pods=()), [], None),
        (dataclasses.replace(facts(gap(40, AFTER)), host_ready=False), [], None),
    ],
    ids=["nothing is missing", "one followed", "asked for at once", "another one is at work", "in another storage",
         "one ended, and is not listed yet or was before", "it is complete", "it has just failed", "it failed a while ago",
         "it failed often", "and is tried each hour then", "no primary", "the storage cannot be read"],
)  # fmt: skip
def test_a_backup_is_asked_for_at_once_and_again_at_a_growing_pace(given, backups, expected):
    wanted = gaps.backup(given, backups)
    assert (wanted.name if wanted else None) == expected
    if wanted:
        body = gaps.body(given, wanted)
        assert body["spec"] == {"repository": "hippo", "type": "incr", "storage": "local"}
        assert len(body["metadata"]["name"]) <= 253


def test_few_of_those_that_failed_stay_and_the_next_try_is_told():
    given, failed = facts(gap(40, AFTER)), [backup(NAME, "Failed", ended=NOW - 300 * MINUTE)]
    failed += [backup(f"{NAME}-{n}", "Failed", ended=NOW - (300 - n) * MINUTE) for n in range(2, 8)]
    wanted = gaps.backup(given, failed)
    assert (wanted.name, wanted.expendable[0]) == (f"{NAME}-8", (NAME, NAME))
    left = len(failed) - len(wanted.expendable) + 1
    assert left == gaps.KEPT_FAILED, "and no more, the new one among them"
    just = backup(f"{NAME}-7", "Failed", ended=NOW - 10 * MINUTE)
    message = decide.continuous(dataclasses.replace(given, backups=(just,))).message
    assert message.endswith(f"; the last one failed, and it is tried again at {at(NOW + 50 * MINUTE)}")
    assert decide.continuous(given).message.endswith("and is asked for")


@pytest.mark.parametrize(("attempt", "name"), [(1, "x-after-0a"), (2, "x-after-0a-2"), (12, "x-after-0a-12")])
def test_an_attempt_is_read_from_its_name(attempt, name):
    assert numbered_backups.gap_backup("x", "0A", attempt) == name
    assert numbered_backups.gap_backup_attempt("x", "0A", name) == attempt


@pytest.mark.parametrize(
    "name", ["x-after-0a-", "x-after-0a-0", "x-after-0a-02", "x-after-0a-b", "x", "x-after-0b", ""]
)
def test_other_names_are_no_attempts(name):
    assert numbered_backups.gap_backup_attempt("x", "0A", name) == 0


def test_now_is_a_moment_after_all_of_it():
    assert NOW > AFTER > BEFORE > STOPS[0] > datetime(2026, 1, 1, tzinfo=UTC)
