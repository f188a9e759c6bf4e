"""What the status of a Backup says as its Job is started."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from controller.backup import report
from pgwarden.api.kinds import BackupSpec, RepositorySpec
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


def test_sizes_are_told_in_binary_units():
    now = datetime(2026, 11, 23, tzinfo=UTC)
    sizes = {
        "database_size": 23438253,
        "database_delta": 23438253,
        "repository_delta": 2795231,
    }
    found = BackupSet(label="20261123-000000F", type="full", repo=1, database_id=1, start=now, stop=now, **sizes)
    backup = {"metadata": {"name": "one", "generation": 1}, "status": {}}
    spec = msgspec.convert({"repository": "hippo", "type": "full"}, BackupSpec)
    status = report.without_job(backup, spec, RepositorySpec(), found, now)
    assert status["message"] == "full backup 20261123-000000F of 22.4 MiB added 2.7 MiB"
