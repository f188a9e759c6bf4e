"""A session's share of the CPU, and that of a node's pods; where the kernel has no such thing, nothing happens."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from localcluster import scheduling

AUTOGROUPS = Path("/proc/self/autogroup").exists()


@pytest.mark.parametrize("nice", [scheduling.PREFERRED, scheduling.LAST])
def test_a_session_is_preferred_or_comes_last(nice: int):
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as child:
        scheduling.prefer(child.pid, nice)
        shown = Path(f"/proc/{child.pid}/autogroup").read_text() if AUTOGROUPS else f"nice {nice}"
        child.kill()
    assert shown.endswith((f"nice {nice}", f"nice {nice}\n"))


def test_a_process_that_has_gone_is_no_error():
    with subprocess.Popen(["true"]) as child:
        child.wait()
    scheduling.prefer(child.pid)


@pytest.mark.parametrize("name", ["cpu.shares", "cpu.weight"])
def test_a_nodes_pods_have_more_than_one_session(tmp_path: Path, name: str):
    (tmp_path / name).write_text("100")
    scheduling.weigh(tmp_path)
    assert int((tmp_path / name).read_text()) == {"cpu.shares": 8 * 1024, "cpu.weight": 8 * 100}[name]
    assert [one.name for one in tmp_path.iterdir()] == [name]
