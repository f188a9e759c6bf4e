"""The script that is process 1 of an instance's container, run as process 1 by the real shell and kernel."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pgwarden.api import names
from pgwarden.controller.cluster import scripts

from .conftest import spec

Start = Callable[[str], subprocess.Popen[bytes]]
SHELLS = ["sh", "bash"]


def process_one(unshare: subprocess.Popen[bytes]) -> int:
    """Its number out here."""
    children = Path(f"/proc/{unshare.pid}/task/{unshare.pid}/children")
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if found := children.read_text("ascii").split():
            return int(found[0])
        time.sleep(0.005)
    raise AssertionError("process 1 did not come")


@pytest.fixture(params=SHELLS)
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Start]:
    """Run start.sh as process 1 of its own namespace, beside a begin.sh of the given text."""
    running: list[subprocess.Popen[bytes]] = []

    def call(begin: str) -> subprocess.Popen[bytes]:
        text = scripts.files("hippo", spec())["start.sh"].replace(names.CLUSTER_CONF, str(tmp_path))
        (tmp_path / "start.sh").write_text(text)
        (tmp_path / "begin.sh").write_text(f"#!/bin/sh\n{begin}\n")
        (tmp_path / "begin.sh").chmod(0o755)
        own = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        argv = ["unshare", *own, "--pid", "--fork", "--kill-child", request.param, str(tmp_path / "start.sh")]
        running.append(subprocess.Popen(argv, cwd=tmp_path))
        return running[-1]

    yield call
    for one in running:
        one.kill()
        one.wait(10)


def test_a_container_ended_while_it_waits_is_gone_at_once(start: Start, tmp_path: Path):
    program = start("touch began; sleep 600")
    while not (tmp_path / "began").exists():
        time.sleep(0.01)
    os.kill(process_one(program), signal.SIGTERM)
    assert program.wait(20) == 128 + signal.SIGTERM


def test_what_it_runs_can_end_in_its_own_time_and_its_exit_code_is_the_containers(start: Start, tmp_path: Path):
    program = start("trap 'touch stopped; exit 7' TERM; touch began; while :; do sleep 0.05; done")
    while not (tmp_path / "began").exists():
        time.sleep(0.01)
    os.kill(process_one(program), signal.SIGTERM)
    assert program.wait(20) == 7
    assert (tmp_path / "stopped").exists()


@pytest.mark.parametrize(("begin", "code"), [("exit 0", 0), ("exit 3", 3), ("kill -KILL $$", 137)])
def test_a_program_that_ends_by_itself_ends_the_container_with_its_code(start: Start, begin: str, code: int):
    assert start(begin).wait(20) == code


def test_the_plain_program_as_process_1_would_not_hear_of_it(tmp_path: Path):
    """That the test can fail: the kernel's rule, which start.sh is there for."""
    own = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    with subprocess.Popen(["unshare", *own, "--pid", "--fork", "--kill-child", "sleep", "600"], cwd=tmp_path) as plain:
        os.kill(process_one(plain), signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            plain.wait(0.5)
        plain.kill()
