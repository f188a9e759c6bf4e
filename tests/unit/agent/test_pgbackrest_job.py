"""A backup's Job looks for its set: before it copies anything, and after pgBackRest has failed. Real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from agent import own_set, pgbackrest_job, work_done
from agent.backup_progress import BackupProgress
from agent.children import Children
from agent.log_level import LogLevel
from agent.own_set import LookError, OwnSet
from agent.pgbackrest import Runner
from pgwarden.contract import backup_progress as words
from tests.unit.agent.test_processes import finish, job

__all__ = ["job"]
ARGS = ("--stanza=hippo", "--repo=1", "--annotation=pgwarden-uid=u-one", "--annotation=x=y")
LABEL = "20261123-175221F"
EXPIRY = "ERROR: [041]: unable to remove '/repo/x': [1] Operation not permitted"


def info(*uids: str, code: int = 0) -> str:
    sets = [
        {
            "label": LABEL, "type": "full", "database": {"id": 1, "repo-key": 1}, "timestamp": {"start": 1, "stop": 2},
            "info": {"size": 1, "delta": 1, "repository": {"delta": 1}}, "annotation": {"pgwarden-uid": uid},
        }
        for uid in uids
    ]  # fmt: skip
    status = {"code": code, "message": "no answer" if code else "ok"}
    repos = [{"key": 1, "cipher": "none", "status": status}]
    return json.dumps([{"name": "hippo", "status": {"code": 0, "message": "ok"}, "backup": sets, "archive": [], "db": [],
                        "repo": repos}])  # fmt: skip


def pretended(before: str, *, after: str = "", backup: str = "sys.exit(0)") -> str:
    """`info` says *before* until `backup` has run, then *after*; a file beside the program counts what was run."""
    return f"""
import pathlib
ran = pathlib.Path(sys.argv[0] + ".ran")
if sys.argv[-1] == "info":
    assert "--repo=1" in sys.argv and "--stanza=hippo" in sys.argv, sys.argv
    text = {after!r} if ran.exists() else {before!r}
    print(text) if text else sys.exit(99)
else:
    ran.write_text("x")
    {backup}
"""


def run(job, paths, code: str, kind: str = "backup", *args: str):
    return finish(job(code, kind, "--", *(args or ARGS)), paths)


@pytest.fixture(autouse=True)
def _plain(monkeypatch):
    """The pretended program prints nothing of its own: what `info` prints is JSON."""
    monkeypatch.setattr("tests.unit.agent.test_processes.PRETENDED", "#!{python}\nimport sys, time\n{code}\n")


def ran(paths) -> bool:
    return paths.pgbackrest.with_name("pgbackrest.ran").exists()


def test_a_set_that_is_there_already_is_not_made_again(job, paths):
    code, _, result = run(job, paths, pretended(info("u-one")))
    assert (code, ran(paths)) == (0, False)
    assert (result["ok"], result["label"], result["expiryError"]) == (True, LABEL, pgbackrest_job.INTERRUPTED)


def test_without_one_it_is_made_and_another_backups_set_is_none(job, paths):
    line = "P00   INFO: new backup label = 20261124-000000F"
    code, out, result = run(job, paths, pretended(info("u-two"), backup=f"print({line!r})"))
    assert (code, ran(paths)) == (0, True)
    assert line in out
    assert (result["ok"], result["label"], "expiryError" in result) == (True, "20261124-000000F", False)


def test_a_set_that_is_complete_though_pgbackrest_has_failed_makes_the_job_succeed(job, paths):
    fails = f"print({EXPIRY!r}); sys.exit(41)"
    code, _, result = run(job, paths, pretended(info(), after=info("u-one"), backup=fails))
    assert code == 0
    assert (result["ok"], result["exitCode"], result["label"], result["expiryError"]) == (True, 41, LABEL, EXPIRY)


def test_a_backup_that_has_made_no_set_has_failed(job, paths):
    fails = "print('ERROR: [082]: WAL segment was not archived'); sys.exit(82)"
    code, _, result = run(job, paths, pretended(info(), after=info(), backup=fails))
    assert (code, result["ok"], result["exitCode"]) == (1, False, 82)
    assert result["error"] == "ERROR: [082]: WAL segment was not archived"


def test_where_the_repository_cannot_be_read_afterwards_the_next_pod_will_look(job, paths):
    code, _, result = run(job, paths, pretended(info(), backup=f"print({EXPIRY!r}); sys.exit(41)"))
    assert (code, result["ok"], result["error"]) == (1, False, EXPIRY)


def test_an_expiry_looks_for_no_set(job, paths):
    code, _, result = run(job, paths, pretended(info("u-one")), "expire")
    assert (code, result["ok"], ran(paths)) == (0, True, True)


@pytest.mark.parametrize(("more", "shown"), [((), False), (("--log-level-console=detail",), True)])
def test_lines_that_only_tell_how_far_it_is_are_shown_only_if_the_user_has_asked_for_them(job, paths, more, shown):
    lines = "print('P01 DETAIL: backup file a:/b (8KB, 1.00%) checksum x'); print('P00   INFO: told', *sys.argv)"
    _, out, _ = run(job, paths, pretended(info(), backup=lines), "backup", *ARGS, *more)
    assert ("P01 DETAIL: backup file" in out) is shown
    assert out.count("--log-level-console=detail") == 1


TOLD = """\
2026-11-29 16:31:32.143 P00   INFO: backup command begin 2.60
2026-11-29 16:31:32.143 P01 DETAIL: backup file h:/x (8KB, 1.00%) checksum x
2026-11-29 16:31:32.143 P00   WARN: a file vanished
                                    HINT: it happens
2026-11-29 16:31:32.143 P00  DEBUG:     main::main: (void)
ERROR: [055]: unable to open
       HINT: has a stanza-create been performed?
""".splitlines()


@pytest.mark.parametrize(
    ("level", "asked", "shown"),
    [
        (None, "detail", [0, 2, 3, 5, 6]), ("info", "detail", [0, 2, 3, 5, 6]), ("warn", "detail", [2, 3, 5, 6]),
        ("error", "detail", [5, 6]), ("off", "detail", []), ("detail", "detail", [0, 1, 2, 3, 5, 6]),
        ("debug", "debug", [0, 1, 2, 3, 4, 5, 6]),
    ],
)  # fmt: skip
def test_pgbackrest_is_asked_for_each_file_whatever_the_user_wants_to_see(level, asked, shown):
    """Else a backup that copies would seem to stand still."""
    args = ["--stanza=x", *([f"--log-level-console={level}"] if level else [])]
    found = LogLevel(args)
    assert (found.asked, found.others(args)) == (asked, ["--stanza=x"])
    assert [number for number, line in enumerate(TOLD) if found.shows(line)] == shown


@pytest.fixture
def own(paths):
    """An OwnSet whose `info` prints *text* and ends with *code*."""

    def make(text: str, code: int = 0, args: tuple[str, ...] = ARGS) -> OwnSet:
        paths.pgbackrest.parent.mkdir(parents=True, exist_ok=True)
        paths.pgbackrest.write_text(f"#!/bin/sh\ncat <<'EOF'\n{text}\nEOF\nexit {code}\n")
        paths.pgbackrest.chmod(0o755)
        return OwnSet(Runner(paths, Children()), args)

    return make


@pytest.mark.parametrize(
    ("text", "code"),
    [("ERROR: [103]: unable to connect", 103), (info("u-one", code=99), 0), ("no json", 0)],
    ids=["an error", "the storage is away", "no json"],
)
async def test_what_cannot_be_read_is_not_taken_for_nothing(own, text, code):
    with pytest.raises(LookError):
        await own(text, code).find()


async def test_its_set_is_found_by_its_own_uid_alone(own):
    assert (await own(info("u-two", "u-one")).find()).label == LABEL
    assert await own(info("u-two")).find() is None
    assert await own("[]").find() is None
    assert await own("not asked", 1, ("--stanza=hippo", "--repo=1")).find() is None


async def test_a_repository_that_cannot_be_read_beforehand_is_asked_again_and_nothing_is_copied(
    job, paths, monkeypatch
):
    """Else what is there might be copied once more."""
    monkeypatch.setattr(pgbackrest_job, "LOOK_AGAIN_SECONDS", 0.0)
    asked = []

    async def find(_self):
        asked.append(1)
        raise LookError("no answer")

    monkeypatch.setattr(own_set.OwnSet, "find", find)
    one = pgbackrest_job.Job("backup", list(ARGS), paths)
    with pytest.raises(
        pgbackrest_job.JobError, match="nothing was copied, as the repository cannot be read: no answer"
    ):
        await one._made_before()
    assert len(asked) == 3


# --- how far it is -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "percent", "copied"),
    [
        ("P01 DETAIL: backup file 10-1-2-3.x:/d/base/1/2 (8KB, 45.67%) checksum ab", 45.67, 8192),
        ("P01 DETAIL: backup file h:/d/base/1/2 (bundle 1/0, 1.5MB, 5%) checksum ab", 5.0, 1572864),
        ("P02 DETAIL: backup file h:/d/base/1/2 (bundle 1/24, 8KB->16KB, 5.1%) checksum ab", 5.1, 16384),
        ("P01 DETAIL: match file from prior backup h:/d/x (1GB, 99.99%) checksum ab", 99.99, 2**30),
        ("P01 DETAIL: checksum resumed file h:/d/x (0B, 100.00%)", 100.0, 0),
    ],
)
def test_how_far_the_copy_is_is_told_by_pgbackrests_lines(line, percent, copied):
    found = BackupProgress()
    found.line(line, 1_800_000_000.0)
    assert (found.phase, found.percent, found.bytes) == (words.COPYING, percent, copied)
    assert found.told().advanced == "2027-01-15T08:00:00Z"


def test_what_follows_the_copy_is_told():
    found, phases = BackupProgress(), []
    found.begins(1.0)
    for line in (
        "P00   INFO: execute backup start: backup begins after the requested immediate checkpoint completes",
        "P01 DETAIL: backup file h:/d/x (8KB, 100.00%) checksum ab",
        "P00   INFO: execute backup stop and wait for all WAL segments to archive",
        "P00   INFO: check archive for segment(s) 000000010000000000000002:000000010000000000000003",
        "P00   INFO: new backup label = 20261123-175221F",
        "P00   INFO: expire command begin 2.60: --stanza=hippo",
    ):
        found.line(line, 2.0)
        phases.append(found.phase)
    assert phases == ["Starting", "Copying", "Archiving", "Archiving", "Archiving", "Expiring"]


def test_the_last_line_of_all_says_when_it_advanced():
    found = BackupProgress()
    found.begins(1.0)
    found.line("P00   INFO: anything", 5.0)
    assert found.told().advanced == "1970-01-01T00:00:05Z"


# --- what its processes do ---------------------------------------------------------------------------------------


def at_work(folder, number: int = 7, *, moved: int = 0, ticks: int = 0, started: int = 99):
    """One process in a /proc of its own; its name has what would mislead a reader."""
    process = folder / str(number)
    process.mkdir(parents=True, exist_ok=True)
    (process / "io").write_text(f"rchar: {moved}\nwchar: 0\nsyscr: 5\nread_bytes: 0\n")
    fields = ["S", *["0"] * 10, str(ticks), "0", *["0"] * 6, str(started), "0"]
    (process / "stat").write_text(f"{number} (a) S (b) {' '.join(fields)}\n")
    return work_done.work(folder)


def test_a_file_that_is_copied_for_hours_advances_though_pgbackrest_says_nothing(tmp_path):
    found = BackupProgress()
    found.line("P00   INFO: execute backup start", 5.0)
    found.works(at_work(tmp_path, moved=10 * 2**20), 10.0)
    found.works(at_work(tmp_path, moved=10 * 2**20 + 2**19), 20.0)
    assert (found.advanced, found.watched) == (10.0, True)
    found.works(at_work(tmp_path, moved=11 * 2**20), 30.0)
    assert (found.advanced, found.told().watched) == (30.0, True)


def test_what_keeps_its_connections_alive_and_looks_at_its_clock_does_not_advance(tmp_path):
    found = BackupProgress()
    found.works(at_work(tmp_path, moved=2**21), 1.0)
    for hour in range(1, 10):
        found.works(at_work(tmp_path, moved=2**21 + hour * 4096, ticks=hour), hour * 3600.0)
    assert (found.advanced, found.watched) == (1.0, True)


def test_what_removes_files_advances_by_its_time_on_a_cpu(tmp_path):
    found = BackupProgress()
    found.works(at_work(tmp_path, ticks=os.sysconf("SC_CLK_TCK") * 3), 9.0)
    assert found.advanced == 9.0


def test_another_process_of_the_same_number_is_another_one(tmp_path):
    found = BackupProgress()
    found.works(at_work(tmp_path, moved=2**30), 1.0)
    found.works(at_work(tmp_path, moved=2**20, started=100), 2.0)
    assert found.advanced == 2.0


def test_where_the_work_of_no_process_can_be_read_nothing_is_claimed(tmp_path):
    (tmp_path / "8").mkdir()  # without its files, as of somebody else
    found = BackupProgress()
    found.works(work_done.work(tmp_path), 1.0)
    assert (found.watched, found.advanced) == (False, 0.0)


def test_the_work_of_real_processes_is_seen_and_that_of_one_that_is_stopped_is_none():
    with subprocess.Popen(["sh", "-c", "while :; do head -c 2000000 /dev/zero | cat >/dev/null; done"]) as busy:
        try:
            before = of(busy.pid)
            until(lambda: (of(busy.pid) or 0) > (before or 0) + 2**20)
            busy.send_signal(signal.SIGSTOP)
            until(lambda: Path(f"/proc/{busy.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
            stopped = of(busy.pid)
            assert of(busy.pid) == stopped
        finally:
            busy.kill()


def of(number: int) -> int | None:
    found = work_done.work() or {}
    return next((done for (process, _), done in found.items() if process == number), None)


def until(true) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)
