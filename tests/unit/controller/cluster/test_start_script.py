"""The script that is process 1 of an instance's container, run as process 1 by the real shell and kernel."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from controller.cluster import scripts
from harness.processes import Argv, with_default_signals
from harness.waiting import until
from pgwarden.api import names

from .conftest import spec

SHELLS = ["sh", "bash"]


class Start(Protocol):
    def __call__(self, begin: str, *, slowly: bool = False) -> subprocess.Popen[bytes]: ...


def as_process_one(*argv: str) -> Argv:
    own = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return with_default_signals(["unshare", *own, "--pid", "--fork", "--kill-child", *argv])


def terminate_process_one(unshare: subprocess.Popen[bytes]) -> None:
    children = Path(f"/proc/{unshare.pid}/task/{unshare.pid}/children")
    number, *_ = until(lambda: children.read_text("ascii").split(), "process 1 is there", 20, pause=0.005)
    os.kill(int(number), signal.SIGTERM)


@pytest.fixture(params=SHELLS)
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Start]:
    """Run start.sh as process 1 of its own namespace, beside a begin.sh of the given text."""
    running: list[subprocess.Popen[bytes]] = []

    def call(begin: str, *, slowly: bool = False) -> subprocess.Popen[bytes]:
        text = scripts.files("hippo", spec())["start.sh"].replace(names.CLUSTER_CONF, str(tmp_path))
        if slowly:
            text = text.replace("child=$!", "child=$!; sleep 0.2")
            assert "sleep 0.2" in text
        (tmp_path / "start.sh").write_text(text)
        (tmp_path / "begin.sh").write_text(f"#!/bin/sh\n{begin}\n")
        (tmp_path / "begin.sh").chmod(0o755)
        running.append(subprocess.Popen(as_process_one(request.param, str(tmp_path / "start.sh")), cwd=tmp_path))
        return running[-1]

    yield call
    for one in running:
        one.kill()
        one.wait(10)


def test_a_container_ended_while_it_waits_is_gone_at_once(start: Start, tmp_path: Path):
    program = start("touch began; sleep 600")
    until((tmp_path / "began").exists, "it began", 20, pause=0.01)
    terminate_process_one(program)
    assert program.wait(20) == 128 + signal.SIGTERM


def test_what_it_runs_can_end_in_its_own_time_and_its_exit_code_is_the_containers(start: Start, tmp_path: Path):
    program = start("trap 'touch stopped; exit 7' TERM; touch began; while :; do sleep 0.05; done")
    until((tmp_path / "began").exists, "it began", 20, pause=0.01)
    terminate_process_one(program)
    assert program.wait(20) == 7
    assert (tmp_path / "stopped").exists()


@pytest.mark.parametrize(("begin", "code"), [("exit 0", 0), ("exit 3", 3), ("kill -KILL $$", 137)])
def test_a_program_that_ends_by_itself_ends_the_container_with_its_code(start: Start, begin: str, code: int):
    assert start(begin).wait(20) == code


@pytest.mark.parametrize(("begin", "code"), [("exit 0", 0), ("exit 3", 3), ("kill -KILL $$", 137)])
def test_its_code_is_kept_when_it_ends_before_the_shell_waits_for_it(start: Start, begin: str, code: int):
    assert start(begin, slowly=True).wait(20) == code


def test_the_plain_program_as_process_1_would_not_hear_of_it(tmp_path: Path):
    """That the test can fail: the kernel's rule, which start.sh is there for."""
    with subprocess.Popen(as_process_one("sleep", "600"), cwd=tmp_path) as plain:
        terminate_process_one(plain)
        with pytest.raises(subprocess.TimeoutExpired):
            plain.wait(0.5)
        plain.kill()
