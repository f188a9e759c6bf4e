"""tests/redteam/README.md has a row for each attack, and each finding is attacked, open, or says why it is not tried."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "redteam"
PAGE = (FOLDER / "README.md").read_text(encoding="utf-8")
RESULTS = (FOLDER / "results-98c6c8f.md").read_text(encoding="utf-8")
_, _, _MATRIX = (FOLDER.parents[1] / "docs" / "security.md").read_text(encoding="utf-8").partition("The same by asset.")
_FINDINGS = re.compile(r"[CHML][0-9]{1,2}(, [CHML][0-9]{1,2})*")
_ROW = re.compile(r"^\| [a-i, ]+ \| ([CHML0-9, ]+) \| `(test_\w+)` \|", re.MULTILINE)
ALL = {"C1", *(f"H{n}" for n in range(1, 8)), *(f"M{n}" for n in range(1, 14)), *(f"L{n}" for n in range(1, 13))}


def attacks() -> dict[str, str]:
    """Each test's name → the first line of its docstring."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("test_*.py"))]
    found = [one for tree in trees for one in tree.body if isinstance(one, ast.FunctionDef)]
    return {
        one.name: (ast.get_docstring(one) or "").partition("\n")[0] for one in found if one.name.startswith("test_")
    }


def spread(text: str) -> set[str]:
    """The findings that a cell names; `L1` to `L5`, with a dash, are five."""
    ranges = re.findall(r"([CHML])([0-9]+)(?:–[CHML]([0-9]+))?", text)
    return {f"{letter}{n}" for letter, first, last in ranges for n in range(int(first), int(last or first) + 1)}


@pytest.mark.parametrize("name", attacks())
def test_each_attack_names_its_finding(name: str):
    finding, colon, before = attacks()[name].partition(": ")
    assert _FINDINGS.fullmatch(finding)
    assert colon
    assert before


def test_each_attack_has_its_row():
    rows = sorted((name, finding) for finding, name in _ROW.findall(PAGE))
    assert rows == sorted((name, first.partition(": ")[0]) for name, first in attacks().items())


def test_each_finding_is_attacked_or_listed():
    attacked = {finding for first in attacks().values() for finding in spread(first.partition(": ")[0])}
    _, _, rest = PAGE.partition("\n## Open\n")
    cells = re.findall(r"^\| ([CHML][0-9, CHML–]*) \|", rest, re.MULTILINE)
    assert attacked | {one for cell in cells for one in spread(cell)} == ALL


# --- docs/security.md: attackers and what they reach -----------------------------------------------------------------


def every_test() -> set[str]:
    """The names of all tests of this repository."""
    files = FOLDER.parent.rglob("test_*.py")
    return {
        found
        for path in files
        for found in re.findall(r"^(?:async )?def (test_\w+)", path.read_text("utf-8"), re.MULTILINE)
    }


def matrix() -> list[list[str]]:
    """Attackers by assets, with the line of the assets first."""
    table = _MATRIX.partition("\n\n")[2].partition("\n\n")[0].splitlines()
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table if not row.startswith("|---")]


def shown_by() -> dict[str, str]:
    """Number → test."""
    return dict(re.findall(r"^\| ([0-9]+) \| `(test_\w+)` \|$", _MATRIX, re.MULTILINE))


def cited() -> set[str]:
    return {
        one
        for row in matrix()
        for cell in row
        for told in re.findall(r"\[([0-9, ]+)\]", cell)
        for one in told.split(", ")
    }


def test_each_attacker_has_a_cell_for_each_asset():
    assets, *rows = matrix()
    assert len(assets) == 10
    assert [row[0] for row in rows if len(row) != len(assets) or not all(row)] == []
    assert {letter for row in rows for letter in re.findall(r"\(([a-i])\)$", row[0])} == set("abcdefghi")


def test_each_test_that_shows_what_an_attacker_reaches_is_there():
    assert set(shown_by().values()) - every_test() == set()
    assert len(set(shown_by().values())) == len(shown_by())
    assert cited() == shown_by().keys()


def test_each_attack_has_its_result_of_then_and_now():
    told = re.findall(r"^\| ([CHML0-9, ]+) \| `(test_\w+)` \| .+ \| .+ \|$", RESULTS, re.MULTILINE)
    assert sorted(told) == sorted((first.partition(": ")[0], name) for name, first in attacks().items())
