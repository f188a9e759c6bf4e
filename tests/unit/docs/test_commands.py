"""Every command line in the documents names what is there: make targets, files, kinds."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml

from pgwarden.cli.parser import parse

from .pages import PAGES, ROOT, commands, links

BUILTIN = {
    "node",
    "pod",
    "pods",
    "pvc",
    "pv",
    "statefulset",
    "deployment",
    "deployments",
    "namespace",
    "nodes",
    "events",
}
VERBS = {"get", "describe", "delete", "wait", "patch", "scale", "edit", "label"}
#: Flags of kubectl that take the next word.
TAKES_WORD = {"-n", "--namespace", "-o", "--output", "-l", "-c", "-p", "--type", "--patch", "--for", "--timeout", "-f"}
PAGE_IDS = [str(page.relative_to(ROOT)) for page in PAGES]


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def kinds() -> set[str]:
    found = {"pgwarden"}
    for names in crd_names():
        found |= {names["plural"], names["singular"], *names["shortNames"]}
    return found


def crd_names() -> list[dict]:
    return [
        yaml.safe_load(path.read_text(encoding="utf-8"))["spec"]["names"]
        for path in sorted((ROOT / "crds").glob("*.yaml"))
    ]


def words_of(command: str, program: str) -> list[str]:
    """The words after *program* up to the end of that command; [] where the line does not run it."""
    match = re.search(rf"(?:^|[\s(=;|])(?:\$k|{program}) (.*)", command)
    if not match:
        return []
    text = re.split(r"\s(?:&&|\|\|?|;)\s|[;)]$", match[1])[0]
    try:
        return shlex.split(text, comments=True)
    except ValueError:  # a quote that ends on another line
        return text.split()


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_make_targets_exist(page: Path):
    named = {target for one in commands(page) for target in re.findall(r"(?:^|\s)make ([a-z][a-z-]*)", one)}
    assert named <= targets()


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_kubectl_speaks_of_kinds_that_exist(page: Path):
    known = kinds() | BUILTIN
    for command in commands(page):
        words = plain(words_of(command, "kubectl"))
        if len(words) > 1 and words[0] in VERBS:
            resources = {one for one in words[1].partition("/")[0].split(",") if not one.startswith("$")}
            assert resources <= known, command


def plain(words: list[str]) -> list[str]:
    """Without flags and the words that they take."""
    kept: list[str] = []
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word.startswith("-"):
            skip = word in TAKES_WORD
        else:
            kept.append(word)
    return kept


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_files_that_commands_name_exist(page: Path):
    for command in commands(page):
        for word in command.split():
            if word.startswith(("demo/", "charts/", "docs/", "bench/", "tests/")):
                assert (ROOT / word.rstrip(".,;:")).exists() or (page.parent / word).exists(), command


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_links_lead_to_files(page: Path):
    for target in links(page):
        assert (page.parent / target).exists(), target


def test_the_readme_has_the_two_commands():
    named = commands(ROOT / "README.md")
    assert "make demo" in named
    assert "make test" in named


def test_the_readme_lists_every_short_name():
    named = {spec["kind"]: spec["shortNames"] for spec in crd_names()}
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    assert {kind: [short] for kind, short in re.findall(r"\| ([A-Z]\w+) \| `(pg\w+)` \|", page)} == named


def test_the_charts_page_lists_every_kind():
    page = (ROOT / "charts" / "pgwarden" / "README.md").read_text(encoding="utf-8")
    (row,) = [line for line in page.splitlines() if line.startswith("| CustomResourceDefinition")]
    assert set(re.findall(r"`(\w+)`", row)) == {spec["plural"] for spec in crd_names()}


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_kubectl_pgwarden_takes_every_command_line(page: Path):
    """UsageError is a failure. A line that leaves something out, or only names a command, is not one to type."""
    for command in commands(page):
        if "kubectl pgwarden " in command and not re.search(r"…|\|", command):
            words = words_of(command, "kubectl pgwarden")
            if len(words) > 1:
                parse(words[: words.index(">")] if ">" in words else words)
