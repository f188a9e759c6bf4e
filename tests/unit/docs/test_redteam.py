"""tests/redteam/README.md has a row for each attack, and each finding is attacked, open, or says why it is not tried."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "redteam"
PAGE = (FOLDER / "README.md").read_text(encoding="utf-8")
_FINDINGS = re.compile(r"[CHML][0-9]{1,2}(, [CHML][0-9]{1,2})*")
_ROW = re.compile(r"^\| [a-g, ]+ \| ([CHML0-9, ]+) \| `(test_\w+)` \|", re.MULTILINE)
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
