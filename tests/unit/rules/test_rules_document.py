"""docs/rules.md has every rule, with an example that provokes its message."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import pgwarden
from pgwarden.pgbackrest.option_table import REFUSED
from pgwarden.schedule import cron_fields
from tests.unit.rules import rules_table

ROOT = Path(pgwarden.__file__).parent
INJECTION = ("inspection", "main_container", "data_folder", "conflicts", "terms", "decide")
SPOKEN = [
    *sorted((ROOT / "rules").glob("*.py")),
    *(ROOT / "api" / f"{name}.py" for name in ("bounds", "schema", "target")),
    *(ROOT / "pgbackrest" / f"{name}.py" for name in ("user_options", "option_table", "option_needs")),
    ROOT / "storages" / "s3" / "rules.py",
    *sorted((ROOT / "schedule").glob("*.py")),
    *(ROOT / "injection" / f"{name}.py" for name in INJECTION),
]  # fmt: skip
#: Statements that look like a sentence to a user and are none, or that no object of a user can reach.
SILENT = {
    "must be an object with apiVersion, kind, metadata and spec",  # the API server sends objects
    "Fault('kind', _brief(kind)",  # and only of our kinds
    "'apiVersion'",
    "must be a cron expression in quotes",  # the schema speaks first, of a schedule that is no string
    "has more than {_LONGEST_TEXT} characters",  # the schema speaks first of what is too long or too many
    "(a list)', message, 'options'",
    "must have at most {_ENTRY} characters",
    "mirror pod",  # let through, not refused
    "must have at least {bound} characters",  # schema words for bounds that no field has
    "must be at least {low}",
    "must be a quantity such as 500m",
}


def test_the_document_is_what_the_rules_say():
    """Where this fails: python -m tests.unit.rules.rules_table."""
    assert rules_table.DOCUMENT.read_text("utf-8") == rules_table.document()


def test_no_refusal_names_what_is_in_another_namespace():
    """All objects of the examples are in ns, but for those in apps, which a refusal names where its field does."""
    found = [fault for _, fault in rules_table.refusals()]
    assert [str(one) for one in found if re.search(r"\bapps\b", one.message) and one.value != "apps"] == []
    assert {one.rule for one in found if one.elsewhere} == {"repository", "s3.path", "cloneableFrom"}


def test_every_reason_of_the_option_table_is_in_the_document():
    text = rules_table.document()
    assert [reason for _, reason in REFUSED if reason not in text] == []


def sentences(path: Path) -> Iterator[tuple[int, int, str]]:
    """First and last line of each statement that refuses, warns, or returns or raises a sentence."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Return | ast.Raise | ast.Expr | ast.Assign) and _speaks(node):
            yield node.lineno, node.end_lineno or node.lineno, ast.unparse(node)


def _speaks(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return False  # a docstring
    for node in ast.walk(statement):
        name = getattr(node.func, "attr", getattr(node.func, "id", "")) if isinstance(node, ast.Call) else ""
        if name in {"refuse", "warn", "Fault"}:
            return True
    texts = (node.value for node in ast.walk(statement) if isinstance(node, ast.Constant))
    in_function = isinstance(statement, ast.Return | ast.Raise)
    return in_function and any(isinstance(text, str) and text.strip().count(" ") > 1 for text in texts)


@pytest.fixture(scope="module")
def executed() -> dict[str, set[int]]:
    """Lines that the examples run through, by file."""
    lines: dict[str, set[int]] = {str(path): set() for path in SPOKEN}

    def trace(frame, event, argument):
        seen = lines.get(frame.f_code.co_filename)
        if seen is None:
            return None
        seen.add(frame.f_lineno)
        return trace

    cron_fields.parse_field.cache_clear()  # what is remembered runs through no line
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        rules_table.document()
    finally:
        sys.settrace(before)
    return lines


@pytest.mark.parametrize("path", SPOKEN, ids=lambda path: path.name)
def test_every_sentence_of_the_rules_has_an_example(path, executed):
    """A refusal that is added without a row in rules_examples.py is named here."""
    missing = [
        f"{path.name}:{first}: {text[:160]}"
        for first, last, text in sentences(path)
        if not executed[str(path)] & set(range(first, last + 1)) and not any(known in text for known in SILENT)
    ]
    assert missing == []


@pytest.mark.parametrize("known", sorted(SILENT))
def test_what_is_said_to_be_no_refusal_is_still_there(known):
    assert any(known in text for path in SPOKEN for _, _, text in sentences(path))
