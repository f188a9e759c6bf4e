"""What the status of a Backup says as its Job is started."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from controller import jobs
from controller.backup import report
from pgwarden.api.kinds import BackupSpec, RepositorySpec
from pgwarden.contract.job_result import JobResult
from pgwarden.pgbackrest.info import BackupSet


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        (["--type=full --repo1-retention-full 7"], ["repo1-retention-full=7"]),
        (["--repo1-retention-full=7 --repo1-retention-full-type=time"], ["repo1-retention-full=7", "repo1-retention-full-type=time"]),
        (["--start-fast"], None),
    ],
    ids=["in words", "with a type", "none"],
)  # fmt: skip
def test_the_options_that_say_how_long_backups_are_kept_are_shown_in_one_spelling(options, kept):
    spec = msgspec.convert({"repository": "hippo", "options": options}, BackupSpec)
    backup = {"metadata": {"name": "one", "generation": 1}}
    status = report.started(backup, spec, RepositorySpec(), datetime(2026, 11, 23, tzinfo=UTC))
    assert status["retention"] == kept


NOW = datetime(2026, 11, 23, tzinfo=UTC)
SIZES = {"database_size": 23438253, "database_delta": 23438253, "repository_delta": 2795231}
FOUND = BackupSet(label="20261123-000000F", type="full", repo=1, database_id=1, start=NOW, stop=NOW, **SIZES)
FULL = msgspec.convert({"repository": "hippo", "type": "full"}, BackupSpec)


def test_a_container_that_was_killed_for_want_of_memory_is_named_beside_pgbackrests_own_words():
    backup = {"metadata": {"name": "one", "generation": 1}}
    job = {"metadata": {"name": "one-backup"}, "status": {"conditions": [{"type": "Failed", "status": "True"}]}}
    said, end = JobResult(ok=False, exit_code=62, error="ERROR: [062]: connection closed"), jobs.End(jobs.FAILED, NOW)
    killed = "container pgwarden of pod pg-0 was killed for want of memory (OOMKilled): raise it"
    status = report.ended(backup, FULL, RepositorySpec(), job, end, said, None, NOW, killed)
    assert status["message"] == f"{said.error}; {killed}"
    noted = backup | {"status": {"lastError": f"its pod was killed; {killed}"}}
    status = report.ended(noted, FULL, RepositorySpec(), job, end, None, None, NOW, killed)
    assert status["message"] == f"its pod was killed; {killed}"


def test_a_backup_that_was_to_be_of_a_standby_says_that_none_answered():
    backup = {"metadata": {"name": "one", "generation": 1}, "status": {}}
    job = {"metadata": {"name": "one-backup"}, "status": {"conditions": [{"type": "Complete", "status": "True"}]}}
    result = JobResult(ok=True, note="no standby answered, so it was taken from the primary")
    status = report.ended(backup, FULL, RepositorySpec(), job, jobs.End(jobs.COMPLETE, NOW), result, FOUND, NOW)
    assert status["phase"] == "Completed"
    assert status["message"].endswith("added 2.7 MiB; no standby answered, so it was taken from the primary")


def test_sizes_are_told_in_binary_units():
    backup = {"metadata": {"name": "one", "generation": 1}, "status": {}}
    status = report.without_job(backup, FULL, RepositorySpec(), FOUND, NOW)
    assert status["message"] == "full backup 20261123-000000F of 22.4 MiB added 2.7 MiB"
