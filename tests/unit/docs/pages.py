"""The documents as the tests read them: fenced blocks, code spans, links."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
MANIFESTS = ROOT / "demo" / "manifests"
PAGES = sorted([ROOT / "README.md", ROOT / "charts" / "pgwarden" / "README.md", *(ROOT / "docs").rglob("*.md")])

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
_HEREDOC = re.compile(r"<<-?'?(\w+)'?\n(.*?)^\s*\1$", re.MULTILINE | re.DOTALL)
SHELL = {"sh", "shell", "bash", ""}


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path, *languages: str) -> list[str]:
    return [body for language, body in _FENCE.findall(text(page)) if language in languages]


def links(page: Path) -> list[str]:
    return [target for target in _LINK.findall(text(page)) if "://" not in target]


def commands(page: Path) -> list[str]:
    """Command lines: of shell blocks (continued lines joined, here-documents left out), and of code spans."""
    found: list[str] = []
    for body in blocks(page, *SHELL):
        without = _HEREDOC.sub("", body).replace("\\\n", " ")
        found += [line.strip() for line in without.splitlines() if line.strip()]
    prose = _FENCE.sub("", text(page))
    return found + _SPAN.findall(prose)


def yaml_texts(page: Path) -> list[str]:
    """YAML blocks, and here-documents of shell blocks with their variables filled in."""
    inner = [body for block in blocks(page, *SHELL) for _, body in _HEREDOC.findall(block)]
    filled = [re.sub(r"\$\([^)]*\)|\$\w+", _filled, body) for body in inner]
    return [*blocks(page, "yaml"), *filled]


def _filled(variable: re.Match[str]) -> str:
    values = {"$set": "20261123-010000F", "$size": "4Gi", "$mode": "ReadWriteOnce", "$class": "standard"}
    return values.get(variable[0], "hippo")
