"""Real processes: what is adopted is buried, what is ours keeps its exit code; a whole Job with a pretended pgBackRest."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest

from harness.processes import with_default_signals
from harness.waiting import SLOWER

#: A process that adopts (as PID 1 does), with one orphan that has ended and children of its own that end meanwhile.
ADOPTS = """
import asyncio, ctypes, os, sys
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
from agent.children import Children
import uvloop

async def main():
    children = Children()
    async with children.start(["sh", "-c", "(sh -c 'sleep 0.2; exit 7' & echo) ; exit 3"], capture=True) as process:
        await process.communicate()
        code = process.returncode
    async def own(n):
        async with children.start(["sh", "-c", f"exit {n}"], capture=False) as process:
            return await process.wait()
    tasks = [asyncio.create_task(own(n)) for n in range(1, 21)]
    buried = 0
    while not buried or not all(task.done() for task in tasks):
        buried += children.reap()
        await asyncio.sleep(0)
    print(code, buried, [task.result() for task in tasks] == list(range(1, 21)), children.reap())

(asyncio.run if sys.argv[1] == "asyncio" else uvloop.run)(main())
"""

JOB = """
import sys, pathlib
from agent import job
from agent.paths import Paths
sys.exit(job.main(sys.argv[2:], Paths.below(pathlib.Path(sys.argv[1]))))
"""
PRETENDED = """#!{python}
import sys, time
print("ARGS", *sys.argv[1:], flush=True)
{code}
"""


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_orphans_are_buried_and_exit_codes_of_our_own_are_kept(loop):
    done = subprocess.run(
        [sys.executable, "-c", ADOPTS, loop], check=False, capture_output=True, text=True, timeout=60 * SLOWER
    )
    assert (done.stdout, done.stderr) == ("3 1 True 0\n", "")


@pytest.fixture
def job(tmp_path, paths, source, files):
    """Starts a Job whose pgBackRest is Python code."""
    source.publish({"host.conf": files.pop("pod.conf"), **files})

    def start(code: str, *argv: str) -> subprocess.Popen[str]:
        paths.pgbackrest.parent.mkdir(parents=True, exist_ok=True)
        paths.pgbackrest.write_text(PRETENDED.format(python=sys.executable, code=code))
        paths.pgbackrest.chmod(0o755)
        command = [sys.executable, "-c", JOB, str(tmp_path), *argv]
        return subprocess.Popen(
            with_default_signals(command), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    return start


def finish(process, paths):
    out, _ = process.communicate(timeout=60 * SLOWER)
    return process.returncode, out, json.loads(paths.termination_log.read_text())


def test_a_backup_says_its_label(job, paths):
    process = job(
        "print('P00   INFO: new backup label = 20261123-175221F')", "backup", "--", "--stanza=hippo", "--type=full"
    )
    code, out, result = finish(process, paths)

    assert code == 0
    assert out.splitlines()[0].endswith("--log-level-stderr=off --stanza=hippo --type=full backup")
    assert out.splitlines()[1] == "P00   INFO: new backup label = 20261123-175221F"
    assert result.pop("seconds") < 30
    assert result == {"ok": True, "label": "20261123-175221F"}


def test_a_backup_that_fails_says_pgbackrests_error(job, paths):
    code, _, result = finish(job("print('ERROR: [050]: unable to acquire lock'); sys.exit(50)", "backup", "--"), paths)
    assert code == 1
    assert (result["ok"], result["exitCode"], result["error"]) == (False, 50, "ERROR: [050]: unable to acquire lock")


def test_sigterm_reaches_pgbackrest_and_ends_in_a_result(job, paths):
    process = job("time.sleep(60)", "backup", "--")
    assert process.stdout.readline().startswith("ARGS")
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    code, _, result = finish(process, paths)
    assert time.monotonic() - started < 10
    assert code == 1
    assert result["ok"] is False
    assert result["error"] == "ended by SIGTERM before it was done"
