"""The results of `make matrix` as tables: bench/results/versions.md, which is written where that is asked for."""

from __future__ import annotations

import os
import re
from pathlib import Path

from harness.matrix import Run

FILE = Path(__file__).resolve().parent.parent / "bench" / "results" / "versions.md"
STEPS = ("starts", "archives", "full", "incr", "restore", "label off")
TITLE = """\
# PostgreSQL of each major, and of many shapes

`make matrix`, four at once, each in a namespace of its own; seconds. It runs and has rows; the label comes on
("archives"); a full and an incremental backup; the table is dropped and the server restored in place to the moment
before (`wal-elsewhere`: into a new claim, as pg_wal is on another volume); the rows are compared; the label goes.
"""


def save(name: str, runs: list[Run]) -> None:
    """Section *name* anew, if PGWARDEN_SAVE is set."""
    if os.environ.get("PGWARDEN_SAVE"):
        text = FILE.read_text(encoding="utf-8") if FILE.exists() else TITLE
        FILE.write_text(replaced(text, name, table(runs)), encoding="utf-8")


def replaced(text: str, name: str, body: str) -> str:
    """*text* with *body* below the heading *name*."""
    section = f"\n## {name}\n\n{body}"
    old = re.compile(rf"\n## {re.escape(name)}\n.*?(?=\n## |\Z)", re.DOTALL)
    return (
        old.sub(lambda _: section.rstrip("\n") + "\n", text) if old.search(text) else text.rstrip("\n") + "\n" + section
    )


def table(runs: list[Run]) -> str:
    lines = [f"| | PostgreSQL | configured by | {' | '.join(STEPS)} | rows |", "|---" * (len(STEPS) + 4) + "|"]
    for run in runs:
        seconds = [f"{run.seconds[step]:.0f}" if step in run.seconds else "" for step in STEPS]
        rows = "failed" if run.error else "the same" if run.after == run.before else "OTHER ROWS"
        lines.append(f"| {run.case.name} | {run.version} | {run.configured_by} | {' | '.join(seconds)} | {rows} |")
    return "\n".join(lines) + "\n"
