"""The tools' copy: complete, repeatable, for any uid."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys

import pytest

from agent import process, tools
from agent.paths import Paths
from agent.process import Agent
from harness.waiting import SLOWER
from pgwarden.contract.environment import Instance, Role, Settings


@pytest.fixture
def image(tmp_path):
    image = tmp_path / "image"
    (image / "bin").mkdir(parents=True)
    (image / "lib").mkdir()
    (image / "bin/pgbackrest").write_text("program")
    (image / "bin/pgbackrest").chmod(0o750)
    (image / "lib/libpq.so.5.18").write_text("library")
    (image / "lib/libpq.so.5.18").chmod(0o640)
    (image / "lib/libpq.so.5").symlink_to("libpq.so.5.18")
    return image


@pytest.fixture
def target(tmp_path):
    return tmp_path / "target"


def listing(folder):
    return {
        str(path.relative_to(folder)): (
            str(path.readlink()) if path.is_symlink() else path.read_text(),
            path.lstat().st_mtime_ns,
        )
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def test_files_links_and_modes_arrive(image, target):
    assert "3 files" in tools.install(image, target)
    assert (target / "bin/pgbackrest").read_text() == "program"
    assert stat.S_IMODE((target / "bin/pgbackrest").stat().st_mode) == 0o755
    assert stat.S_IMODE((target / "lib/libpq.so.5.18").stat().st_mode) == 0o644
    assert str((target / "lib/libpq.so.5").readlink()) == "libpq.so.5.18"


def test_a_second_run_touches_nothing(image, target):
    tools.install(image, target)
    before = listing(target)
    assert "up to date" in tools.install(image, target)
    assert listing(target) == before


def test_a_run_that_was_interrupted_is_made_good(image, target):
    tools.install(image, target)
    (target / tools.STAMP).unlink()
    (target / "bin/pgbackrest").write_text("half")
    (target / "bin/.pgbackrest.new").write_text("leftover")
    tools.install(image, target)
    assert (target / "bin/pgbackrest").read_text() == "program"
    assert not (target / "bin/.pgbackrest.new").exists()


def test_other_tools_replace_the_old_ones(image, target):
    tools.install(image, target)
    (image / "bin/pgbackrest").write_text("newer program")
    assert "copied" in tools.install(image, target)
    assert (target / "bin/pgbackrest").read_text() == "newer program"


def test_an_image_without_tools_is_an_error(tmp_path, target, capsys):
    assert tools.main(["--from", str(tmp_path / "none"), "--to", str(target)]) == 1
    assert "no tools" in capsys.readouterr().err


def test_two_at_once_leave_whole_tools(image, target):
    command = [sys.executable, "-m", "agent", "install-tools", "--from", str(image), "--to", str(target)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) for _ in range(2)]
    said = sorted(one.communicate(timeout=60 * SLOWER)[0] for one in both)
    assert [one.returncode for one in both] == [0, 0]
    assert ["copied" in line or "up to date" in line for line in said] == [True, True]
    assert sum("copied" in line for line in said) == 1
    assert (target / "bin/pgbackrest").read_text() == "program"


async def test_the_agent_installs_what_an_ended_post_start_has_left(image, tmp_path, monkeypatch):
    """And tries again where there was no room."""
    paths = Paths.below(tmp_path, pgbackrest=image / "bin/pgbackrest")
    (paths.tools_target / "bin").mkdir(parents=True)
    (paths.tools_target / "bin/.pgbackrest.new").write_text("half")
    tries, install = [], tools.install

    def full_at_first(source, target):
        tries.append(target)
        if len(tries) == 1:
            raise OSError(28, "No space left on device")
        return install(source, target)

    monkeypatch.setattr(tools, "install", full_at_first)
    monkeypatch.setattr(process, "TOOLS_SECONDS", 0.01)
    agent = Agent(Settings(Role.POSTGRES, "hippo", Instance("/data")), paths)
    duty = asyncio.create_task(agent._keep_tools())
    async with asyncio.timeout(20 * SLOWER):
        while not (paths.tools_target / tools.STAMP).exists():  # noqa: ASYNC110  files tell nobody
            await asyncio.sleep(0.01)
    assert (paths.tools_target / "bin/pgbackrest").read_text() == "program"
    assert len(tries) == 2
    assert not duty.done()
    duty.cancel()
