"""`pgbackrest server` runs, reloads and comes back."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys

import pytest

from agent import supervisor
from agent.children import Children
from agent.pgbackrest import Runner

SERVER = """#!{python}
import os, signal, time
note = open({note!r}, "a", buffering=1)
signal.signal(signal.SIGHUP, lambda *_: note.write("HUP\\n"))
def end(*_):
    note.write("TERM\\n")
    os._exit(0)
signal.signal(signal.SIGTERM, end)
note.write(f"{{os.getpid()}}\\n")
while True:
    time.sleep(0.05)
"""


@pytest.fixture
def notes(paths, tmp_path):
    """What the pretended server has noted so far."""
    note = tmp_path / "note"
    note.touch()
    paths.pgbackrest.parent.mkdir(parents=True)
    paths.pgbackrest.write_text(SERVER.format(python=sys.executable, note=str(note)))
    paths.pgbackrest.chmod(0o755)
    return lambda: note.read_text().splitlines()


@pytest.fixture
async def watched(paths, monkeypatch):
    monkeypatch.setattr(supervisor, "FIRST_DELAY", 0.1)
    children = Children()
    watched = supervisor.Supervisor(Runner(paths, children), children)
    task = asyncio.create_task(watched.run())
    yield watched
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert not watched.running


async def until(condition, seconds=10.0):
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - files and processes tell nobody
            await asyncio.sleep(0.02)


async def test_it_waits_for_a_configuration(watched, notes):
    await asyncio.sleep(0.2)
    assert not watched.running
    assert notes() == []


async def test_a_change_reloads_and_an_end_restarts(watched, notes):
    await watched.reload()
    await until(lambda: len(notes()) == 1)
    first = int(notes()[0])

    await watched.reload()
    await until(lambda: notes()[1:] == ["HUP"])
    assert watched.restarts == 0

    os.kill(first, signal.SIGKILL)
    await until(lambda: len(notes()) == 3)
    assert int(notes()[2]) != first
    assert watched.running
    assert watched.restarts == 1


async def test_a_change_ends_the_back_off(watched, notes, monkeypatch):
    monkeypatch.setattr(supervisor, "LONGEST_DELAY", 300.0)
    monkeypatch.setattr(supervisor, "FIRST_DELAY", 300.0)
    await watched.reload()
    await until(lambda: len(notes()) == 1)
    os.kill(int(notes()[0]), signal.SIGKILL)
    await until(lambda: not watched.running)
    await asyncio.sleep(0.1)
    await watched.reload()
    await until(lambda: len(notes()) == 2)


async def test_at_the_end_the_server_is_ended_with_sigterm(paths, notes):
    children = Children()
    watched = supervisor.Supervisor(Runner(paths, children), children)
    task = asyncio.create_task(watched.run())
    await watched.reload()
    await until(lambda: len(notes()) == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert notes()[1:] == ["TERM"]


async def test_a_program_that_is_not_there_is_tried_again(watched, paths):
    await watched.reload()
    await until(lambda: watched.restarts >= 1)
    assert not watched.running
