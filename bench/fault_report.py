"""The table of what came of each fault at each step."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime

from bench import ground
from harness.faults import FAULTS, STEPS
from harness.fire import Outcome


def report(outcomes: Sequence[Outcome]) -> str:
    faults = [fault for fault in FAULTS if any(o.fault == fault for o in outcomes) and fault != "none"]
    head = f"""# A restore under fire

{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {ground.commit()}, `make faults`.
A StatefulSet (S) and a PostgresCluster (P) are restored to a moment (m) and to the latest state (l), over and over, four
at once. At each step a fault, within milliseconds of the moment at which the Restore's status names the step. Processes
are ended by SIGKILL, and pods deleted without grace. Then: how it ended, whose rows PostgreSQL has (all compared, with
those of a session that writes until PostgreSQL stops), whether it takes writes, whether a PostgreSQL that nobody had to
stop was left alone, and whether any claim, volume, Job or mark was left over. The next trial is the next Restore. S3
faults: repository in S3; all else: there or on a volume. Seconds from the order to a write, on {os.cpu_count()} CPUs with
other work on the machine.

| fault | {" | ".join(f"`{step}`" for step in STEPS)} |
|---|{"---|" * len(STEPS)}
"""
    rows = [f"| {fault} | {' | '.join(_cell(outcomes, step, fault) for step in STEPS)} |" for fault in faults]
    tried = [o for o in outcomes if not o.too_late]
    after = [f"{o.kind} {o.storage} {o.seconds:.0f} s" for o in outcomes if o.fault == "none" and o.good]
    whole = f"{sum(o.good for o in tried)} of {len(tried)} trials ended whole, and a Restore after them all did: "
    whole += f"{', '.join(after) or 'not yet'}."
    tail = [
        "",
        "Only seconds: Completed, with the target's rows. Failed: with the rows from before, and the reason in the status.",
        "Undone: deleted; the rows from before where it was not started yet, else the target's. Late: what was to be harmed",
        "had ended before. `came at`: the step that the Restore had reached when the fault had been done.",
        whole,
        *_downtimes(outcomes),
        *[
            f"- {o.step}, {o.fault}, {_mode(o)}: {o.phase} {o.reason} {o.message} {' '.join(o.left)}"
            for o in tried
            if _told(o)
        ],
    ]
    return head + "\n".join([*rows, *tail]) + "\n"


def _downtimes(outcomes: Sequence[Outcome]) -> list[str]:
    found = sorted(o.down for o in outcomes if o.down is not None and o.phase == "Completed")
    if not found:
        return []
    middle, most = found[len(found) // 2], found[-1]
    return [
        f"Seconds from `Stopped` to `Started` of the {len(found)} that completed: median {middle:.0f}, most {most:.0f}."
    ]


def _told(outcome: Outcome) -> bool:
    return not outcome.good or outcome.phase == "Failed"


def _mode(outcome: Outcome) -> str:
    return f"{outcome.kind[:1]}{outcome.target[:1]}"


def _cell(outcomes: Sequence[Outcome], step: str, fault: str) -> str:
    found = sorted((o for o in outcomes if (o.step, o.fault) == (step, fault)), key=_mode)
    return "<br>".join(f"{_mode(one)} {_word(one)}" for one in found)


def _word(outcome: Outcome) -> str:
    if outcome.too_late:
        return "late"
    if not outcome.good:
        return f"**BAD** {outcome.phase} {outcome.rows}"
    later = "" if outcome.hit in {outcome.step, "anew"} else f" (came at {outcome.hit})"
    word = {"Failed": f"{outcome.reason} ", "Undone": f"Undone, {outcome.rows} "}.get(outcome.phase, "")
    return f"{word}{outcome.seconds:.0f}{later}"
