"""images/recover.sh by itself: orders are done once, by the right program, and the end is told."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agent.recovery.orders import NOT_FOUND, Orders
from harness.waiting import SLOWER
from tests.unit.agent.recovery.conftest import ROOT, wait

SERVER = """
import signal, sys
def stop(*_):
    sys.stdout.write("stopped\\n")
    sys.exit(0)
signal.signal(signal.SIGINT, stop)
sys.stdout.write("up\\n")
sys.stdout.flush()
while True:
    signal.pause()
"""


@pytest.fixture
def script(tmp_path):
    """The script, with a folder of programs on its PATH."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "run").mkdir()
    argv = ["env", "--default-signal=INT,QUIT,TERM", "/bin/sh", str(ROOT / "images/recover.sh")]
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    with (tmp_path / "out").open("w") as out:
        process = subprocess.Popen(
            [*argv, str(tmp_path / "run"), str(tmp_path / "said")],
            env={"PATH": path},
            stdout=out,
            stderr=out,
            text=True,
            start_new_session=True,
        )
    yield process
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # with what waits for orders by itself
    process.wait()


@pytest.fixture
def orders(tmp_path, script):
    found = Orders(tmp_path / "run", "17")
    yield found
    found.close()


def program(tmp_path: Path, name: str, text: str) -> None:
    file = tmp_path / "bin" / name
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


def finished(run) -> int:
    return int(wait(run.exit_code, "it has ended", 20))


def test_arguments_arrive_as_they_are_and_output_is_kept(tmp_path, orders):
    program(tmp_path, "postgres", 'printf "<%s>\\n" "$@"; echo no newline >&2; printf end; exit 3')
    run = orders.new()
    orders.order(run, ["postgres", "-c", "a=it's  $HOME `x` \\n", "", "*"], server=True)
    assert finished(run) == 3
    assert run.log.read_text() == "<-c>\n<a=it's  $HOME `x` \\n>\n<>\n<*>\nno newline\nend\n"
    assert run.log.read_text() in (tmp_path / "out").read_text()  # a server's is the container's, too


def test_an_order_that_is_repeated_is_done_once(tmp_path, orders):
    program(tmp_path, "postgres", "echo started")
    run = orders.new()
    orders.order(run, ["postgres"], server=True)
    orders.repeat(run, server=True)
    assert finished(run) == 0
    orders.repeat(run, server=True)
    another = orders.new()
    orders.order(another, ["postgres"])
    assert finished(another) == 0
    assert run.log.read_text() == "started\n"


def test_an_order_from_before_the_container_was_there_is_done(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "bin").mkdir()
    program(tmp_path, "true-program", "echo done")
    early = Orders(tmp_path / "run", "17")
    run = early.new()
    early.order(run, [str(tmp_path / "bin" / "true-program")])
    with subprocess.Popen(
        ["/bin/sh", str(ROOT / "images/recover.sh"), str(tmp_path / "run"), str(tmp_path / "said")]
    ) as process:
        assert finished(run) == 0
        (tmp_path / "run/result.json").write_text(json.dumps({"ok": True, "error": 'a "word" \\ and\nmore'}) + "\n")
        early.end(0)
        assert process.wait(10 * SLOWER) == 0
    assert json.loads((tmp_path / "said").read_text())["error"] == 'a "word" \\ and\nmore'
    assert early.ended
    early.close()


def test_a_program_that_is_not_there_is_told(orders):
    run = orders.new()
    orders.order(run, ["postgres-that-is-nowhere"])
    assert finished(run) == NOT_FOUND
    assert "postgres-that-is-nowhere of PostgreSQL 17 is not in this image" in run.log.read_text()


def test_sigterm_shuts_the_server_down_and_says_nothing_to_the_kubelet(tmp_path, orders, script):
    program(tmp_path, "postgres", f"exec {sys.executable} -c '{SERVER}'")  # a shell cannot trap what it began with
    run = orders.new()
    orders.order(run, ["postgres"], server=True)
    wait(lambda: True if run.log.exists() and "up" in run.log.read_text() else None, "it is up")
    script.terminate()
    assert script.wait(20 * SLOWER) == 143
    assert run.log.read_text() == "up\nstopped\n"
    assert not (tmp_path / "said").exists()
