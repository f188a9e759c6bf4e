"""Waiting: what is shown, when it ends, and that leaving it leaves the work alone. The API server is a few answers."""

from __future__ import annotations

import asyncio
import io
import re
from datetime import UTC, datetime

import pytest

from harness.waiting import SLOWER
from pgwarden.cli import wait
from pgwarden.cli.session import Session
from pgwarden.cli.terminal import Terminal
from pgwarden.kube import errors
from tests.unit.cli.conftest import Screen

DETAIL = """\
2026-11-23 10:00:00.000 P00   INFO: backup command begin 2.60: --stanza=hippo
2026-11-23 10:00:04.123 P01 DETAIL: backup file hippo-0:/data/base/1/1255 (640KB, 12.50%) checksum 3d1e
2026-11-23 10:00:05.123 P01 DETAIL: backup file hippo-0:/data/base/1/1259 (640KB, 37.20%) checksum 5d1e
"""


class Answers:
    """The client of a session: each look gets the next status; the last one stays."""

    def __init__(self, *statuses, log="", log_error=None):
        self.statuses = list(statuses)
        self.log, self.log_error = log, log_error
        self.asked = []
        self.written = []

    async def find(self, path):
        self.asked.append(path)
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if isinstance(status, Exception):
            raise status
        return None if status is None else obj(status)

    async def get(self, path, params=None, seconds=None):
        self.asked.append(path)
        if not path.endswith("/log"):
            return {"items": [{"metadata": {"name": f"p{n}", "creationTimestamp": str(n)}} for n in (1, 3, 2)]}
        if self.log_error:
            raise self.log_error
        return self.log


def obj(status):
    metadata = {"name": "hippo-1", "namespace": "zoo", "uid": "u", "creationTimestamp": "2026-11-23T10:00:00Z"}
    return {"apiVersion": "pgwarden.io/v1alpha1", "kind": "Backup", "metadata": metadata, "status": status}


RUNS = {
    "phase": "Running",
    "reason": "JobRuns",
    "message": "Job hippo-1-backup runs",
    "startTime": "2026-11-23T10:00:00Z",
}
DONE = RUNS | {
    "phase": "Completed",
    "message": "full backup 20261123-100000F",
    "completionTime": "2026-11-23T10:01:05Z",
}


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(wait, "POLL", 0.0)


async def follow(client, terminal, seconds=0, **given):
    return await wait.until_over(Session(client, "zoo"), terminal, "backups", obj({}), seconds, **given)


async def test_it_ends_with_the_backup_and_its_own_words(terminal):
    code = await follow(Answers({}, RUNS, DONE, log=DETAIL), terminal)
    assert code == 0
    assert terminal.out.getvalue() == "Backup hippo-1 Completed after 1 min 5 s: full backup 20261123-100000F\n"


async def test_how_far_a_backup_is_is_told_by_its_status_where_its_log_does_not(terminal):
    """A line for each tenth, where lines stay."""
    at = [RUNS | {"message": f"Job hippo-1-backup copies: {share} % (1.0 GiB)"} for share in (12, 13, 43)]
    assert await follow(Answers(*at, DONE), terminal) == 0
    assert re.findall(r"  (\d+) %  ", terminal.err.getvalue()) == ["12", "43"]


@pytest.mark.parametrize(("made", "code"), [(True, 1), (False, 0)], ids=["made just now", "looked at"])
async def test_a_record_was_not_done_by_whoever_made_it_just_now(terminal, made, code):
    record = DONE | {"reason": "Record", "message": "a record: an earlier Backup of this name did this"}
    assert await follow(Answers(record), terminal, made=made) == code
    said = "Backup hippo-1 Completed: a record: an earlier Backup of this name did this\n"
    assert terminal.out.getvalue() == said


async def test_a_failure_is_exit_code_1_with_pgbackrests_words(terminal):
    failed = RUNS | {"phase": "Failed", "message": "ERROR: [028]: info file missing"}
    assert await follow(Answers(RUNS, failed), terminal) == 1
    assert "Backup hippo-1 Failed: ERROR: [028]: info file missing" in terminal.out.getvalue()


@pytest.mark.parametrize("gone", [None, "another uid"])
async def test_a_deleted_one_is_not_waited_for(terminal, gone, monkeypatch):
    client = Answers(RUNS, None)
    if gone:
        client = Answers(RUNS)
        monkeypatch.setattr(client, "find", lambda _: _answer(obj(RUNS) | {"metadata": {"name": "x", "uid": "v"}}))
    assert await follow(client, terminal) == 1
    assert "was deleted" in terminal.err.getvalue()


async def _answer(value):
    return value


async def test_in_a_file_a_line_stands_for_a_change_and_not_for_a_look(terminal):
    client = Answers({}, *[RUNS] * 20, DONE, log=DETAIL)
    await follow(client, terminal)
    lines = terminal.err.getvalue().splitlines()
    assert len(lines) == 2
    assert "Running" in lines[1]
    assert "37.20 %" in lines[1]


async def test_on_a_terminal_one_line_is_written_over():
    terminal = Terminal(io.StringIO(), Screen(), io.StringIO(), width=60)
    await follow(Answers(RUNS, RUNS, DONE, log=DETAIL), terminal)
    shown = terminal.err.getvalue().split("\r\x1b[K")
    assert len(shown) == 4  # nothing before the first, two looks, cleared
    assert shown[1].startswith("Running  ")
    assert max(len(line) for line in shown) < 60
    assert shown[-1] == ""
    assert "\n" not in terminal.err.getvalue()


async def test_an_api_server_that_does_not_answer_is_asked_again(terminal):
    code = await follow(Answers(errors.ApiError(503, "", "etcd is away"), DONE), terminal)
    assert code == 0
    assert "cannot reach the API server, retrying: 503 : etcd is away" in terminal.err.getvalue()


@pytest.mark.parametrize("error", [errors.Invalid(403, "Forbidden", "no"), errors.NotFound(404, "", "no")], ids=str)
async def test_without_a_log_the_status_is_shown(terminal, error):
    """No right to read logs, or a pod that went: the percentage is missed, nothing else."""
    assert await follow(Answers(RUNS, DONE, log_error=error), terminal) == 0
    assert "Job hippo-1-backup runs" in terminal.err.getvalue()


async def test_the_newest_pods_log_is_read(terminal):
    client = Answers(RUNS, DONE, log=DETAIL)
    await follow(client, terminal)
    assert "/api/v1/namespaces/zoo/pods/p3/log" in client.asked


async def test_leaving_changes_nothing_and_says_how_to_come_back(terminal, monkeypatch):
    """Ctrl-C is a cancellation: only reads have been sent by then."""
    monkeypatch.setattr(wait, "POLL", 30.0)
    client = Answers(RUNS)
    task = asyncio.create_task(follow(client, terminal))
    await asyncio.sleep(0.1)  # by now it has looked, and waits for the next time
    assert client.asked
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    said = terminal.err.getvalue().splitlines()[-1]
    assert said == (
        "Backup hippo-1 continues in the cluster; watch it with: kubectl pgwarden show backup hippo-1 -n zoo --wait"
    )


async def test_a_timeout_ends_the_looking_only(terminal, monkeypatch):
    monkeypatch.setattr(wait, "POLL", 0.05)
    assert await asyncio.wait_for(follow(Answers(RUNS), terminal, 1), 20 * SLOWER) == 2
    assert "is still Running after 1 s; watch it with: kubectl pgwarden show backup hippo-1" in terminal.err.getvalue()


def test_a_restores_line_names_its_step():
    status = {"phase": "Running", "step": "Restored", "reason": "Copying", "message": "Job r runs"}
    restore = obj(status | {"startTime": "2026-11-23T10:00:00Z"}) | {"kind": "Restore"}
    text = wait.line(
        restore, wait.Log("37.20", "restore file base/1 (37.20%)"), datetime(2026, 11, 23, 10, 1, 5, tzinfo=UTC)
    )
    assert text == "Running  1 min 5 s  step Restored (4 of 10)  37.20 %  restore file base/1 (37.20%)"


LOGS = {
    "pgBackRest's percentage and last words": (
        DETAIL,
        wait.Log("37.20", "backup file hippo-0:/data/base/1/1259 (640KB, 37.20%) checksum 5d1e"),
    ),
    "no percentage at the usual level": (
        DETAIL.splitlines()[0],
        wait.Log("", "backup command begin 2.60: --stanza=hippo"),
    ),
    "an empty log": ("", wait.Log()),
    "a log of something else": ("exec format error", wait.Log()),
}


@pytest.mark.parametrize(("text", "read"), LOGS.values(), ids=LOGS)
def test_a_log_is_read(text, read):
    assert wait.read(text) == read


@pytest.mark.parametrize(("following", "verb"), [(" --wait", "watch"), ("", "see")])
def test_the_command_to_look_with_says_what_it_does(following, verb):
    text = wait.again("backup", obj({}), following)
    assert text == f"{verb} it with: kubectl pgwarden show backup hippo-1 -n zoo{following}"
