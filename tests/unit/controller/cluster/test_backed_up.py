"""BackedUp of a PostgresCluster with two storages, of which one is away: the one that answers decides."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from controller.cluster import news
from controller.cluster.facts import ClusterFacts
from pgwarden.api.objects import Object
from tests.unit.controller.cluster.test_report import condition, of_repository, status

AWAY = "cannot connect to s3.example"
READ = {"Ready": ("False", "CannotConnect"), "Reachable": ("False", "CannotConnect")}
FAILING = ("False", "ArchiveCommandFailing")


def storage(name: str, **entry: Any) -> Object:
    return {"name": name, "reachable": True, "ready": True, "backupCount": 1} | entry


def backup(label: str, storage: str, stopped: str = "2026-11-29T12:00:00Z") -> Object:
    return {"label": label, "type": "full", "storage": storage, "stopTime": stopped}


LOCAL, S3 = storage("local"), storage("s3")
NO_LOCAL = storage("local", reachable=False, ready=False, message="its volume is not mounted")
NO_S3 = storage("s3", reachable=False, ready=False, message=AWAY)
BOTH = (backup("IN_S3", "s3", "2026-11-30T12:00:00Z"), backup("IN_LOCAL", "local"))


def over(whole: ClusterFacts, *storages: Object, backups: tuple[Object, ...] = BOTH, **given: Any) -> ClusterFacts:
    repository = of_repository(**READ | given)
    repository["status"] |= {"storages": list(storages), "backups": list(backups), "lastBackup": backups[0]}
    return dataclasses.replace(whole, repository=repository)


LEFT = {
    "s3 is away": ((LOCAL, NO_S3), f"the last backup in storage local is IN_LOCAL; storage s3: {AWAY}"),
    "local is away": (
        (NO_LOCAL, S3),
        "the last backup in storage s3 is IN_S3; storage local: its volume is not mounted",
    ),
}


@pytest.mark.parametrize("failing", [{}, {"Archiving": FAILING}], ids=["no WAL is due", "archive_command waits for it"])
@pytest.mark.parametrize("case", LEFT)
def test_the_storage_that_answers_decides_and_the_one_that_is_away_is_named(whole, case, failing):
    storages, words = LEFT[case]
    said = status(over(whole, *storages, **failing))
    found = condition(said, "BackedUp")
    assert (found["status"], found["reason"], found["message"]) == ("True", "StorageAway", words)
    assert (said["phase"], said["message"]) == ("Creating", words)
    before = status(whole)
    assert [(one.good, one.reason) for one in news.of(before, said)] == [(False, "StorageAway")]


def test_a_set_that_is_not_listed_any_more_counts(whole):
    full = {"lastFull": {"label": "OLD", "stopTime": "2026-11-01T12:00:00Z"}}
    found = condition(status(over(whole, LOCAL | full, NO_S3, backups=BOTH[:1])), "BackedUp")
    assert (found["status"], found["message"]) == (
        "True",
        f"the last backup in storage local is OLD; storage s3: {AWAY}",
    )


UNKNOWN = {
    "it has no backup": ((storage("local", backupCount=0), NO_S3), BOTH[:1]),
    "it takes nothing": ((storage("local", ready=False), NO_S3), BOTH),
    "none answers": ((NO_LOCAL, NO_S3), BOTH),
    "it is not known": ((), BOTH),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_where_the_other_one_does_not_protect_it_nothing_is_known(whole, case):
    storages, backups = UNKNOWN[case]
    found = condition(status(over(whole, *storages, backups=backups)), "BackedUp")
    assert (found["status"], found["reason"], found["message"]) == ("Unknown", "CannotConnect", "Repository: of Ready")


BROKEN = {
    "WAL is missing in it": ((LOCAL, NO_S3), {"WALContinuous": ("False", "WALMissing")}, "WALMissing"),
    "archiving is off": ((LOCAL, NO_S3), {"Archiving": ("False", "ArchiveModeOff")}, "ArchiveModeOff"),
    "it is full": ((LOCAL, NO_S3), {"Writable": ("False", "RepositoryFull")}, "RepositoryFull"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_the_other_one_lacks_is_told(whole, case):
    storages, given, reason = BROKEN[case]
    repository = over(whole, *storages, **given)
    if "Writable" in given:
        more = {"type": "Writable", "status": "False", "reason": reason, "message": "of Writable"}
        repository.repository["status"]["conditions"].append(more)
    found = condition(status(repository), "BackedUp")
    kind = next(iter(given))
    assert (found["status"], found["reason"]) == ("False", reason)
    assert found["message"] == f"Repository: of {kind}; storage s3: {AWAY}"


def test_archive_command_that_fails_for_both_adds_nothing_to_either(whole):
    facts = over(whole, LOCAL, NO_S3, Archiving=FAILING)
    listed = facts.repository["status"]["conditions"]
    next(one for one in listed if one["type"] == "Archiving")["message"] = f"storage local: full; storage s3: {AWAY}"
    assert condition(status(facts), "BackedUp")["status"] == "False"


def test_a_full_volume_that_is_away_says_nothing_of_the_other_storage(whole):
    facts = over(whole, NO_LOCAL, S3)
    full = {"type": "Writable", "status": "False", "reason": "RepositoryFull", "message": "of Writable"}
    facts.repository["status"]["conditions"].append(full)
    assert condition(status(facts), "BackedUp")["reason"] == "StorageAway"


@pytest.mark.parametrize(("stopped", "told"), [("2026-11-22T12:00:00Z", "Unknown"), ("2026-11-24T12:00:00Z", "True")])
def test_in_that_storage_too_the_backups_of_an_earlier_cluster_are_none_of_its(whole, stopped, told):
    facts = over(whole, LOCAL, NO_S3, backups=(BOTH[0], backup("OLD", "local", stopped)))
    facts.cluster["metadata"]["creationTimestamp"] = "2026-11-23T12:00:00Z"
    assert condition(status(facts), "BackedUp")["status"] == told
