"""update schedule, over the wire: one patch of the very schedule that was looked at."""

from __future__ import annotations

import argparse
import contextlib
from typing import Any

import pytest

from pgwarden.cli import schedule
from pgwarden.cli.errors import CliError
from pgwarden.cli.parser import parse
from pgwarden.kube.client import MERGE


class Session:
    namespace = "zoo"

    def __init__(self, *there: Any) -> None:
        self.there, self.sent, self.client = list(there), [], self

    async def find(self, _plural: str, name: str) -> Any:
        return next((one for one in self.there if one["metadata"]["name"] == name), None)

    async def all(self, _plural: str) -> list[Any]:
        return self.there

    async def request(self, method: str, path: str, **more: Any) -> Any:
        self.sent.append((method, path, more))
        return self.there[0] | {"spec": self.there[0]["spec"] | more["body"]["spec"]}


@pytest.fixture
def update(make, terminal, monkeypatch):
    """`update schedule nightly WORDS…` where there is one; the session, and what was said."""

    async def call(*words: str, name: str = "nightly") -> tuple[Session, str, str]:
        one = make("BackupSchedule", "nightly", repository="hippo", schedule="0 1 * * *")
        one["metadata"]["uid"] = "u-1"
        session = Session(one)

        @contextlib.asynccontextmanager
        async def connect(_args: argparse.Namespace):
            yield session

        monkeypatch.setattr(schedule, "connect", connect)
        _, args = parse(["update", "schedule", name, "-n", "zoo", *words])
        assert await schedule.update(args, terminal) == 0
        return session, terminal.out.getvalue(), terminal.err.getvalue()

    return call


async def test_it_is_one_patch_of_the_very_schedule(update):
    session, said, _ = await update("--schedule=0 2 * * *")
    ((method, path, more),) = session.sent
    assert (method, path.rpartition("/namespaces/")[2]) == ("PATCH", "zoo/backupschedules/nightly")
    assert more["body"] == {"metadata": {"uid": "u-1"}, "spec": {"schedule": "0 2 * * *"}}
    assert (more["content_type"], more["params"]) == (MERGE, {"fieldManager": "pgwarden"})
    assert said == "BackupSchedule nightly changed\n"


async def test_what_is_so_already_is_told(update):
    _, said, _ = await update("--schedule=0 1 * * *")
    assert said == "BackupSchedule nightly is so already\n"


async def test_a_server_dry_run_changes_nothing(update):
    session, said, _ = await update("--suspend=true", "--dry-run=server")
    assert session.sent[0][2]["params"]["dryRun"] == "All"
    assert "nothing was changed" in said


async def test_a_schedule_that_is_not_there_meets_those_that_are(update):
    with pytest.raises(CliError, match="did you mean nightly"):
        await update("--suspend=true", name="nightli")
