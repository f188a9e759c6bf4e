"""Checks of a backup are the Repository's: who may make Backups alone switches none of them off."""

from __future__ import annotations

from copy import deepcopy

import pytest

from pgwarden.api.defaults import OperatorDefaults
from pgwarden.api.faults import Waits
from pgwarden.rules import checks, validate
from tests.unit.rules.conftest import NOW, Cluster, Object, build, said

OFF = [
    "--no-archive-check",
    "--archive-check=n",
    "--no-archive-mode-check",
    "--no-checksum-page",
    "--no-page-header-check",
]


def repository(*options: str, **spec: object) -> Object:
    return build("Repository", "hippo", storageType="local", retention={"full": 7}, options=list(options), **spec)


def backup(*options: str) -> Object:
    return build("Backup", "now", repository="hippo", type="full", options=list(options))


def schedule(*options: str, **spec: object) -> Object:
    wanted = {"repository": "hippo", "schedule": "0 1 * * *", "type": "full", "options": list(options)}
    return build("BackupSchedule", "nightly", **wanted | spec)


def answer(obj: Object, *there: Object, old: Object | None = None, standing: bool = False):
    given = {"lookup": Cluster(*there), "now": NOW, "defaults": OperatorDefaults(), "standing": standing}
    return validate(obj, old=old, **given)


@pytest.mark.parametrize("make", [backup, schedule])
@pytest.mark.parametrize("option", OFF)
def test_a_check_of_the_repository_is_not_switched_off_unless_that_allows_it(make, option: str):
    text = said(answer(make(option), repository()))
    assert "switches off a check that Repository hippo makes of every backup; remove it, or set " in text
    assert said(answer(make(option), repository(allowDisabledChecks=True))) == ""


def test_the_way_out_for_a_clusters_repository_is_the_cluster():
    there = repository()
    there["metadata"]["ownerReferences"] = [{"kind": "PostgresCluster", "name": "hippo"}]
    text = said(answer(backup("--no-checksum-page"), there))
    assert text.endswith("set spec.repository.allowDisabledChecks of PostgresCluster hippo to true")
    text = said(answer(backup("--repo1-retention-full=1"), there))
    assert text.endswith("set spec.repository.retention.allowShorter of PostgresCluster hippo to true")


def test_what_the_repository_has_off_itself_is_no_check_of_it():
    assert said(answer(backup("--no-checksum-page"), repository("--no-checksum-page"))) == ""
    assert said(answer(backup("--no-archive-copy"), repository())) == ""
    assert "--no-archive-copy" in said(answer(backup("--no-archive-copy"), repository("--archive-copy")))


def test_the_label_of_a_schedule_is_no_leave_to_switch_checks_off():
    one = backup("--no-checksum-page")
    one["metadata"]["labels"] = {"pgwarden.io/schedule": "nightly"}
    assert "switches off a check" in said(answer(one, repository(), schedule()))
    assert said(answer(one, repository(), schedule("--no-checksum-page"))) == ""


def test_a_schedule_that_stood_before_the_rule_goes_on_and_is_told_of():
    before = schedule("--no-checksum-page")
    after = deepcopy(before) | {"spec": before["spec"] | {"schedule": "0 2 * * *"}}
    assert answer(before, repository(), standing=True).ok
    verdict = answer(after, repository(), before, old=before)
    assert (verdict.ok, any("switches off a check" in text for text in verdict.warnings)) == (True, True)
    (told,) = checks.told(repository(), [before])
    assert told.startswith("BackupSchedule nightly: --no-checksum-page switches off a check of every backup")
    held = schedule("--no-checksum-page", suspend=True)
    resumed = deepcopy(held) | {"spec": held["spec"] | {"suspend": False}}
    assert not answer(resumed, repository(), old=held).ok


def test_a_backup_that_came_past_the_webhook_waits_until_the_repository_allows_it():
    (fault,) = answer(backup("--no-checksum-page"), repository(), standing=True).faults
    assert fault.waits == Waits.CHECKS_REQUIRED


@pytest.mark.parametrize("make", [backup, schedule, repository])
def test_more_than_32_processes_are_refused_where_they_are_new(make):
    assert "must be at most 32" in said(answer(make("--process-max=33"), repository()))
    assert said(answer(make("--process-max=32"), repository())) == ""
    assert answer(make("--process-max=64"), repository(), standing=True).ok or make is backup


def test_who_has_more_processes_already_keeps_them():
    before = schedule("--process-max=64")
    after = deepcopy(before) | {"spec": before["spec"] | {"schedule": "0 2 * * *"}}
    assert answer(after, repository(), before, old=before).ok
    one = backup("--process-max=64")
    one["metadata"]["labels"] = {"pgwarden.io/schedule": "nightly"}
    assert answer(one, repository(), before).ok
