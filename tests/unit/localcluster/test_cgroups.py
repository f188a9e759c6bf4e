"""Folders that go while they are listed, as cgroups of containers do."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest

from localcluster import cgroups


@pytest.fixture
def churning(tmp_path: Path):
    """A folder below which others come and go all the time, beside one that stays."""
    stop = threading.Event()
    (tmp_path / "kubepods" / "stays").mkdir(parents=True)

    def churn() -> None:
        while not stop.is_set():
            for number in range(20):
                (tmp_path / "kubepods" / f"pod{number}" / "container").mkdir(parents=True)
            for number in range(20):
                shutil.rmtree(tmp_path / "kubepods" / f"pod{number}")

    thread = threading.Thread(target=churn)
    thread.start()
    yield tmp_path
    stop.set()
    thread.join()


def test_what_ends_meanwhile_is_passed_over_and_what_stays_is_listed(churning: Path):
    for _ in range(300):
        found = cgroups.folders(churning)
        assert {churning, churning / "kubepods", churning / "kubepods" / "stays"} <= set(found)


def test_a_cluster_without_cgroups_has_none(tmp_path: Path):
    assert cgroups.folders(tmp_path / "never-made") == []
