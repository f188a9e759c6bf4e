"""The results of `make drills` as a table: bench/results/drills.md, which is written where that is asked for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.matrix_report import replaced

FILE = Path(__file__).resolve().parent.parent / "bench" / "results" / "drills.md"
PHASES = ("volume", "copy", "replay", "start", "checks")
TITLE = """\
# Restore drills that have to fail, and one that must not

`make drills`: each fault is planted in a real repository, server or volume, a RestoreDrill runs, and the fault is taken
out again. Seconds are of the phases, as `status.seconds` has them, and of the whole, with the queue.
"""


@dataclass(frozen=True)
class Answer:
    """What a drill said of a fault."""

    fault: str
    phase: str
    reason: str
    message: str
    took: float
    seconds: dict[str, int]

    @classmethod
    def of(cls, fault: str, status: dict[str, Any]) -> Answer:
        ends = [datetime.fromisoformat(status[key]) for key in ("startTime", "completionTime")]
        took = (ends[1] - ends[0]).total_seconds()
        return cls(fault, status["phase"], status["reason"], status["message"], took, status.get("seconds", {}))


def save(name: str, answers: list[Answer]) -> None:
    """Section *name* anew, if PGWARDEN_SAVE is set."""
    if os.environ.get("PGWARDEN_SAVE"):
        text = FILE.read_text(encoding="utf-8") if FILE.exists() else TITLE
        FILE.write_text(replaced(text, name, table(answers)), encoding="utf-8")


def table(answers: list[Answer]) -> str:
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d}, 2 CPUs with other work on the machine.\n",
        f"| fault | answer | {' | '.join(PHASES)} | whole |",
        "|---" * (len(PHASES) + 3) + "|",
    ]
    for one in answers:
        said = f"`{one.reason}`: {one.message}".replace("|", "\\|")
        seconds = [str(one.seconds.get(phase, "")) for phase in PHASES]
        lines.append(f"| {one.fault} | {said} | {' | '.join(seconds)} | {one.took:.0f} |")
    return "\n".join(lines) + "\n"
