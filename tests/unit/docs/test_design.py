"""docs/design describes the code as it is: the modules and layers that it names are there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from .pages import ROOT, blocks, links, text

FOLDER = ROOT / "docs" / "design"
INDEX = FOLDER / "README.md"
DESIGN = sorted(FOLDER.glob("*.md"))
IDS = [page.name for page in DESIGN]
PROGRAMS = ("pgwarden", "webhook", "controller", "agent")
LONGEST_LINE = 160
#: Files that a change would add, by example.
SKETCHES = {"storages/azure.py", "rules/restore_drill.py"}

#: A file or folder of ours, in prose or in a drawing; without the functions and the choices of several.
_PATH = re.compile(
    r"(?<![\w./-])(?:pgwarden|webhook|controller|agent|harness|localcluster|tests|bench|charts|crds)/[\w./-]*[\w/]"
)
_MODULE = re.compile(r"(?<![\w./*{-])(?:\w+/)*\w+\.py(?!\w)")


def modules() -> set[str]:
    folders = (*PROGRAMS, "tests", "harness", "localcluster")
    return {f"/{path.relative_to(ROOT)}" for folder in folders for path in (ROOT / folder).rglob("*.py")}


@pytest.mark.parametrize("page", DESIGN, ids=IDS)
def test_folders_and_files_that_a_page_names_are_there(page: Path):
    named = {path for path in _PATH.findall(text(page)) if "." in path or path.endswith("/") or "/" in path[:-1]}
    missing = {path for path in named if not _is_there(path)}
    assert missing == set()


def _is_there(path: str) -> bool:
    """Drawings name a module without its ending."""
    return (ROOT / path).exists() or (ROOT / f"{path}.py").exists()


@pytest.mark.parametrize("page", DESIGN, ids=IDS)
def test_modules_that_a_page_names_are_there(page: Path):
    """The end of a path is enough to name one."""
    known = modules()
    named = set(_MODULE.findall(text(page))) - SKETCHES
    assert {name for name in named if not any(path.endswith(f"/{name}") for path in known)} == set()


@pytest.mark.parametrize("page", DESIGN, ids=IDS)
def test_lines_are_short_enough_to_read(page: Path):
    assert [line for line in text(page).splitlines() if len(line) > LONGEST_LINE] == []


def test_the_index_links_to_every_page():
    assert {page.name for page in DESIGN} - {INDEX.name} <= set(links(INDEX))


def test_the_index_shows_the_layers_that_import_linter_holds():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = next(one["layers"] for one in contracts if one["name"] == "Layers are one-way")
    drawn = next(body for body in blocks(INDEX, "text") if "│" in body and layers[-1] in body)
    shown = [re.sub(r"\s{2,}.*", "", line).replace("│", "|") for line in drawn.splitlines()]
    assert shown == layers


def test_each_room_of_the_library_and_each_program_is_in_the_index():
    rooms = {path.parent.name for path in (ROOT / "pgwarden").glob("*/__init__.py")}
    listed = set(re.findall(r"── (\w+)/", text(INDEX)))
    assert rooms | set(PROGRAMS) <= listed
