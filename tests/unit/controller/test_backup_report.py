"""What the status of a Backup says as its Job is started."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from controller.backup import report
from pgwarden.api.kinds import BackupSpec, RepositorySpec


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
