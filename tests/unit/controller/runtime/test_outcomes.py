"""What has ended is counted once, where its status turns."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from prometheus_client import REGISTRY

from controller.runtime import outcomes
from pgwarden.api.objects import Object

_NAMES = (f"shop-{number}" for number in itertools.count())


@pytest.fixture
def space() -> str:
    """A namespace of each test's own: the metrics are the process's."""
    return next(_NAMES)


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def operation(space: str, kind: str = "Backup", status: Object | None = None, **spec: Any) -> Object:
    metadata = {"name": "b", "namespace": space, "uid": "u"}
    return {"kind": kind, "metadata": metadata, "spec": {"repository": "hippo"} | spec, "status": status or {}}


DONE = {
    "phase": "Completed", "type": "incr", "storage": "s3", "databaseSize": 1000, "backupSize": 100,
    "startTime": "2026-11-29T12:00:00Z", "completionTime": "2026-11-29T12:00:40Z",
}  # fmt: skip


def test_a_backup_is_counted_with_its_bytes_and_seconds_when_it_is_over(space: str):
    before = counted("pgwarden_operation_duration_seconds_sum", kind="Backup", type="incr")
    running = operation(space, status={"phase": "Running"})
    outcomes.tell("backups", running, {"phase": "Running", "message": "50 %"})
    outcomes.tell("backups", running, DONE)
    outcomes.tell("backups", running | {"status": DONE}, DONE | {"expired": ["x"]})
    where = {"namespace": space, "repository": "hippo"}
    assert counted("pgwarden_operations_total", **where, kind="Backup", type="incr", outcome="Completed") == 1
    assert counted("pgwarden_backup_database_bytes_total", **where, storage="s3") == 1000
    assert counted("pgwarden_backup_added_bytes_total", **where, storage="s3") == 100
    assert counted("pgwarden_operation_duration_seconds_sum", kind="Backup", type="incr") - before == 40


def test_a_failed_one_has_no_bytes_and_no_seconds(space: str):
    outcomes.tell("backups", operation(space), DONE | {"phase": "Failed"})
    where = {"namespace": space, "repository": "hippo"}
    assert counted("pgwarden_operations_total", **where, kind="Backup", type="incr", outcome="Failed") == 1
    assert counted("pgwarden_backup_database_bytes_total", **where, storage="s3") == 0


@pytest.mark.parametrize(
    ("spec", "kind"),
    [({}, "in-place"), ({"volumeClaim": "copy"}, "copy"), ({"undo": "back"}, "undo")],
    ids=["in place", "into a claim", "undo"],
)
def test_restores_are_told_apart(space: str, spec: dict[str, str], kind: str):
    outcomes.tell("restores", operation(space, "Restore", **spec), {"phase": "Completed"})
    where = {"namespace": space, "repository": "hippo"}
    assert counted("pgwarden_operations_total", **where, kind="Restore", type=kind, outcome="Completed") == 1


def test_the_record_of_an_earlier_one_is_none(space: str):
    record = [{"type": "Completed", "status": "True", "reason": "Record"}]
    outcomes.tell("backups", operation(space), DONE | {"reason": "Record", "conditions": record})
    where = {"namespace": space, "repository": "hippo"}
    assert counted("pgwarden_operations_total", **where, kind="Backup", type="incr", outcome="Completed") == 0


def test_runs_of_a_schedule_are_counted_as_started_or_missed(space: str):
    status: Object = {"lastScheduleTime": "2026-11-29T12:00:00Z", "missed": [{"time": "1", "reason": "x"}]}
    later = {"lastScheduleTime": "2026-11-29T13:00:00Z", "missed": [{"time": n, "reason": "x"} for n in "123"]}
    schedule = operation(space, "BackupSchedule", status)
    outcomes.tell("backupschedules", schedule, status | {"message": "other"})
    outcomes.tell("backupschedules", schedule, later)
    where = {"namespace": space, "repository": "hippo", "kind": "BackupSchedule"}
    assert counted("pgwarden_schedule_runs_total", **where, outcome="started") == 1
    assert counted("pgwarden_schedule_runs_total", **where, outcome="missed") == 2


def test_those_of_a_deleted_repository_go(space: str):
    outcomes.tell("backups", operation(space), DONE)
    outcomes.forget((space, "hippo"))
    labels = {"namespace": space, "repository": "hippo", "kind": "Backup", "type": "incr", "outcome": "Completed"}
    assert REGISTRY.get_sample_value("pgwarden_operations_total", labels) is None


@pytest.mark.parametrize(("plural", "kind"), [("backups", "Backup"), ("restores", "Restore")])
def test_of_a_repository_that_is_gone_no_series_is_made_again(space: str, plural: str, kind: str):
    there = {(space, "hippo"): True}
    with outcomes.of_those(lambda key: there.get(key, False)):
        outcomes.tell(plural, operation(space, kind), DONE | {"retries": 1})
        assert series(space)
        there.clear()
        outcomes.forget((space, "hippo"))
        outcomes.tell(plural, operation(space, kind), DONE | {"retries": 1})
        outcomes.tell("backupschedules", operation(space), {"lastScheduleTime": "2026-11-29T12:00:00Z"})
        assert series(space) == set()


def series(space: str) -> set[str]:
    samples = [sample for metric in REGISTRY.collect() for sample in metric.samples]
    return {sample.name for sample in samples if sample.labels.get("namespace") == space}


def test_seconds_are_told_by_repository_and_storage(space: str):
    restored = {key: DONE[key] for key in ("phase", "startTime", "completionTime")} | {"forecast": {"storage": "s3"}}
    outcomes.tell("backups", operation(space), DONE)
    outcomes.tell("backups", operation(space), DONE)
    outcomes.tell("backups", operation(space), DONE | {"phase": "Failed"})
    outcomes.tell("restores", operation(space, "Restore"), restored)
    where = {"namespace": space, "repository": "hippo", "storage": "s3"}
    assert counted("pgwarden_operation_seconds_total", **where, kind="Backup", type="incr") == 80
    assert counted("pgwarden_operation_seconds_total", **where, kind="Restore", type="in-place") == 40


def test_each_retry_is_counted_once_and_those_of_a_job_that_is_made_anew_too(space: str):
    labels = {"namespace": space, "repository": "hippo", "kind": "Backup"}
    told: list[Object] = [{}, {"retries": 1}, {"retries": 1}, {"retries": 2}, {}, {"retries": 1}]
    for before, after in itertools.pairwise({"phase": "Running"} | status for status in told):
        outcomes.tell("backups", operation(space, status=before), after)
    assert counted("pgwarden_job_retries_total", **labels) == 3


@pytest.mark.parametrize("plural", ["repositories", "postgresclusters"])
def test_kinds_that_stand_do_not_end(space: str, plural: str):
    outcomes.tell(plural, operation(space, "Repository"), {"phase": "Completed"})
    outcomes.tell("pods", operation(space, "Pod"), {"phase": "Completed"})
