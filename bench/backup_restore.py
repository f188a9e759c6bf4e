"""Backup and restore through pgwarden beside the same pgBackRest commands by hand, in one run, alternating.

BENCH_SCALE (140: about 2.1 GB), BENCH_ROUNDS (3), BENCH_KEEP=1 keeps the namespace.
"""

from __future__ import annotations

import os
import platform
import sys
from datetime import UTC, datetime
from statistics import median

from bench import ground as grounds
from bench import runs
from bench.ground import Ground, say
from bench.runs import Parts

FULL = ["--type=full"]
HOW = """pgwarden: `kubectl apply` to phase Completed. By hand: `kubectl exec … pgbackrest …` with the Job's own
arguments; the backup in the repository host's pod, the restore in a pod that was made from the Job's template and runs
already. MB/s: size of the databases by wall time."""


class Measured:
    def __init__(self) -> None:
        self.bytes = 0
        self.backup: list[Parts] = []
        self.backup_hand: list[float] = []
        self.restore: list[Parts] = []
        self.restore_hand: list[float] = []
        self.in_place = Parts()
        self.load: list[float] = []

    def note_load(self) -> None:
        self.load.append(os.getloadavg()[0])


def measure(ground: Ground, rounds: int) -> Measured:
    found = Measured()
    found.bytes = ground.bytes()
    say(f"{found.bytes / 1e9:.2f} GB of data; {rounds} rounds")
    for number in range(1, rounds + 1):
        name = f"full-{number}"
        found.note_load()
        parts = runs.through_pgwarden(ground, "pgb", runs.custom("Backup", name, options=FULL))
        hand = runs.backup_by_hand(ground, runs.job_arguments(ground.kubectl, f"{name}-backup"))
        found.backup.append(parts)
        found.backup_hand.append(hand)
        _tell("backup", number, parts, hand)
    for number in range(1, rounds + 1):
        name = f"copy-{number}"
        found.note_load()
        parts = runs.through_pgwarden(ground, "pgr", runs.custom("Restore", name, volumeClaim=name))
        hand = runs.restore_by_hand(ground, f"{name}-restore-1", f"hand-{number}")
        found.restore.append(parts)
        found.restore_hand.append(hand)
        ground.kubectl.run("delete", "pgr", name, "--wait=true")
        ground.kubectl.run("delete", "pvc", name, "--wait=false")
        _tell("restore", number, parts, hand)
    found.note_load()
    say("restore in place, under a writing client")
    found.in_place = runs.restore_in_place(ground)
    found.note_load()
    return found


def _tell(what: str, number: int, parts: Parts, hand: float) -> None:
    own = f"pgwarden {parts.total:.1f} s (pgBackRest in it {parts.pgbackrest:.1f} s)"
    say(f"{what} {number}: {own}, by hand {hand:.1f} s")


# --- the report ---------------------------------------------------------------------------------------------------


def report(found: Measured, scale: int) -> str:
    loads = ", ".join(f"{one:.1f}" for one in found.load)
    head = f"""# Backup and restore: pgwarden beside pgBackRest by hand

{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {grounds.commit()}, `make bench`.
pgbench scale {scale}, {found.bytes / 1e9:.2f} GB. PostgreSQL 17, pgBackRest 2.60, local storage, zst, process-max 2.
{os.cpu_count()} CPUs ({platform.machine()}), one node. Load average before each round: {loads}; what is above 2
came from other work on the same machine, and then runs differ by a factor of two: read the ratio with that in mind, and
"besides pgBackRest" (wall time less what pgBackRest took inside of the Job), which does not hang on it.

| medians of {len(found.backup)} | pgwarden | by hand | ratio | besides pgBackRest | pgwarden MB/s | by hand MB/s |
|---|---|---|---|---|---|---|
"""
    lines = [
        _row("full backup", found.backup, found.backup_hand, found.bytes),
        _row("restore into a new claim", found.restore, found.restore_hand, found.bytes),
        f"\n{HOW}\n",
        *_all_runs(found),
        *_overhead("Backup", found.backup),
        *_overhead("Restore", found.restore),
        *_in_place(found.in_place),
    ]
    return head + "\n".join(lines) + "\n"


def _row(what: str, ours: list[Parts], hand: list[float], size: int) -> str:
    mine, other = median(one.total for one in ours), median(hand)
    besides = median(one.total - one.pgbackrest for one in ours)
    speeds = f"{size / 1e6 / mine:.0f} | {size / 1e6 / other:.0f}"
    return f"| {what} | {mine:.1f} s | {other:.1f} s | {mine / other:.2f} | {besides:.1f} s | {speeds} |"


def _all_runs(found: Measured) -> list[str]:
    rows = [
        ("backup, pgwarden", [one.total for one in found.backup]),
        ("backup, pgBackRest inside of it", [one.pgbackrest for one in found.backup]),
        ("backup, by hand", found.backup_hand),
        ("restore, pgwarden", [one.total for one in found.restore]),
        ("restore, pgBackRest inside of it", [one.pgbackrest for one in found.restore]),
        ("restore, by hand", found.restore_hand),
    ]
    table = [f"| {what} | {', '.join(f'{value:.1f}' for value in values)} |" for what, values in rows]
    return ["| every run, seconds | |", "|---|---|", *table, ""]


def _overhead(what: str, parts: list[Parts]) -> list[str]:
    made = median(one.pod_made for one in parts)
    start = median(one.pod_runs - one.pod_made for one in parts)
    inside = median(one.pod_ended - one.pod_runs - one.pgbackrest for one in parts)
    after = median(one.total - one.pod_ended for one in parts)
    return [
        f"| {what}: where the time besides pgBackRest goes (medians) | seconds |",
        "|---|---|",
        f"| `kubectl apply` until the Job's pod is made | {made:.1f} |",
        f"| pod start: scheduling, volumes, init container | {start:.1f} |",
        f"| in the pod around pgBackRest: Python's start, the kubelet's report of the end | {inside:.1f} |",
        f"| end of the pod until Completed | {after:.1f} |",
        "",
    ]


def _in_place(parts: Parts) -> list[str]:
    moments = parts.moments
    steps = ("Validated", "Restored", "Replayed", "Stopped", "Recovered", "Swapped", "Started")
    rows = [f"| `kubectl apply` to {step} | {moments[step]:.1f} |" for step in steps if step in moments]
    return [
        "| restore in place, to the latest state, under a writing client | seconds |",
        "|---|---|",
        *rows,
        f"| `kubectl apply` to Completed, with the new full backup | {parts.total:.1f} |",
        f"| **downtime: last confirmed write before to first one after** | **{moments['downtime']:.1f}** |",
        "",
        f"The client had {moments['confirmed']:.0f} rows confirmed over the whole run;",
        f"{moments['present']:.0f} were there afterwards. pgbench_accounts had the same count and sum.",
    ]


def main() -> int:
    return grounds.measured(
        "backup_restore", grounds.lay, lambda ground, rounds, scale: report(measure(ground, rounds), scale)
    )


if __name__ == "__main__":
    sys.exit(main())
