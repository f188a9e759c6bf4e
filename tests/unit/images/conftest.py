"""Fixtures: the program that PostgreSQL calls, and this process in the place of process 1."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.archive_program import PR_SET_CHILD_SUBREAPER, build, children


@pytest.fixture
def program(tmp_path: Path) -> Path:
    return build(tmp_path)


@pytest.fixture
def process_one() -> Iterator[set[int]]:
    """Orphans become this process's children, as they become PostgreSQL's where it is process 1.

    Its value are the children that were there before (a cluster of other tests in this process): none of these tests'.
    """
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    yield children()
    libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
