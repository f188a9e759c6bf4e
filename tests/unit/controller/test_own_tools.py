"""The version of pgBackRest in the controller's own image."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.own_tools import pgbackrest_version
from pgwarden.pgbackrest import version


def program(folder: Path, script: str) -> str:
    path = folder / "pgbackrest"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("output", "told"),
    [("pgBackRest 2.60.0\n", "2.60"), ("pgBackRest 2.60.1\n", "2.60.1"), ("pgBackRest 2.58", "2.58"), ("", "")],
)
def test_a_version_is_told_without_a_patch_level_of_zero(output: str, told: str):
    assert version.told(output) == told


def test_it_is_what_the_program_says(tmp_path: Path):
    assert pgbackrest_version(program(tmp_path, '[ "$*" = version ] && echo "pgBackRest 2.60.0"')) == "2.60"


def test_without_a_program_that_says_it_nothing_is_known(tmp_path: Path):
    assert pgbackrest_version(str(tmp_path / "absent")) == ""
    assert pgbackrest_version(program(tmp_path, "echo pgBackRest 9; exit 1")) == ""
