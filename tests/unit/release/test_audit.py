"""What is called audited was. pip-audit ends with 0 where nothing answered, and calls it skipped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from release import audit

SOUND = {"name": "yarl", "version": "1.25.1", "vulns": []}
WEAK = {
    "name": "urllib3",
    "version": "2.8.0",
    "vulns": [{"id": "PYSEC-2026-1", "fix_versions": ["2.8.1"]}, {"id": "PYSEC-2026-2", "fix_versions": []}],
}
SKIPPED = {"name": "uvloop", "skip_reason": "Dependency not found on PyPI and could not be audited: uvloop (0.23.0)"}


def lines(*dependencies: object, errors: str = "") -> list[str]:
    return audit.verdict(json.dumps({"dependencies": dependencies, "fixes": []}), errors).lines


def test_sound_packages_are_audited() -> None:
    assert lines(SOUND) == ["audited: 1 packages, 0 known weaknesses"]


def test_weak_packages_are_named_with_the_version_that_mends_them() -> None:
    assert lines(SOUND, WEAK) == [
        "WEAK: urllib3 2.8.0: PYSEC-2026-1 (mended in 2.8.1)",
        "WEAK: urllib3 2.8.0: PYSEC-2026-2 (mended in no version yet)",
        "audited: 2 packages, 2 known weaknesses",
    ]


def test_skipped_packages_are_not_called_audited() -> None:
    assert lines(SKIPPED) == [f"NOT audited: all packages: {SKIPPED['skip_reason']}"]
    assert lines(SOUND, SKIPPED)[0] == f"NOT audited: 1 packages: {SKIPPED['skip_reason']}"


@pytest.mark.parametrize("output", ["", "[]", "{}", "Traceback"])
def test_without_an_answer_the_last_line_says_why(output: str) -> None:
    assert audit.verdict(output, "one\nno route to host\n").lines == ["NOT audited: all packages: no route to host"]
    assert audit.verdict(output, "").lines == [f"NOT audited: all packages: {audit.SILENT}"]


@pytest.mark.parametrize(("dependency", "code"), [(WEAK, 1), (SOUND, 0), (SKIPPED, 0)])
def test_only_a_known_weakness_fails(dependency: object, code: int, tmp_path: Path) -> None:
    program = tmp_path / "pip-audit"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps({'dependencies': [dependency]})}\nEND\n")
    program.chmod(0o755)
    assert audit.main([str(program)]) == code


def test_a_missing_program_audits_nothing_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.main([str(tmp_path / "none")]) == 0
    assert "NOT audited" in capsys.readouterr().out
