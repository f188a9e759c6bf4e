"""Signals reach the children of tests, also where the tests themselves were started with them ignored."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.install import ROOT
from harness.processes import started, with_default_signals
from harness.waiting import SLOWER

#: Sends itself the signal, as a test sends it to its child.
ENDS = "import os, signal, sys, time; os.kill(os.getpid(), int(sys.argv[1])); print('still here')"
#: Sends another process a signal that may be ignored there; SIGKILL and SIGSTOP never are.
SENDS = re.compile(r"(send_signal|os\.kill|os\.killpg)\((?!os\.getpid\(\)).*\bSIG(INT|TERM|QUIT)\b")


@pytest.fixture(params=[signal.SIGINT, signal.SIGQUIT, signal.SIGTERM], ids=lambda one: one.name)
def ignored(request):
    """As `nohup` and a script's background leave it to what they start."""
    before = signal.signal(request.param, signal.SIG_IGN)
    yield request.param
    signal.signal(request.param, before)


def end_itself(argv: list, number: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, capture_output=True, text=True, timeout=30 * SLOWER, check=False)


def test_a_child_is_ended_by_a_signal_that_is_ignored_here(ignored):
    argv = [sys.executable, "-c", ENDS, str(int(ignored))]
    assert end_itself(argv, ignored).stdout == "still here\n", "that the test can fail"
    done = end_itself(with_default_signals(argv), ignored)
    assert (done.returncode, done.stdout) == (-ignored, "")


def test_the_child_is_the_command_itself():
    with started([sys.executable, "-c", "import os; print(os.getpid())"], stdout=subprocess.PIPE) as process:
        said, _ = process.communicate(timeout=30 * SLOWER)
    assert int(said) == process.pid


def test_a_child_does_not_outlive_a_test_that_fails():
    with pytest.raises(ZeroDivisionError), started(["sleep", "600"]) as process:
        _ = 1 / 0
    assert process.returncode == -signal.SIGKILL


def test_an_exit_code_is_kept():
    with started(["sh", "-c", "exit 7"]) as process:
        process.wait(10 * SLOWER)
    assert process.returncode == 7


SENDERS = [path for folder in ("tests", "harness") for path in sorted((ROOT / folder).rglob("*.py"))]
SENDERS = [path for path in SENDERS if SENDS.search(path.read_text())]


@pytest.mark.parametrize("path", SENDERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_whatever_sends_a_signal_starts_its_children_with_the_default_action(path: Path):
    assert re.search(r"with_default_signals\(|started\(", path.read_text()), "see harness/processes.py"
