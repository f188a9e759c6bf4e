"""Every tier of tests, in lanes beside one another, and what they took: `python -m harness.lanes`.

The end-to-end tier waits more than it works, so several streams of it run at once (workers of pytest-xdist), each with
a cluster of its own; a stream takes the next module when it is free. The other tiers run beside them, one after the
other. Each pytest's output is printed whole when it ends; a line a minute tells how far each lane is; the table of the
slowest tests and of each tier's counts comes last. The exit code is 1 where a test failed or was skipped.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import report
from harness.processes import with_default_signals
from harness.report import Tier
from localcluster import config

ROOT = Path(__file__).resolve().parent.parent
#: pytest's output and its JUnit file, for each tier.
REPORTS = ROOT / ".reports"
#: Each takes about half of a core, as its tests wait; what waits under a limit of time fails where the CPU has no rest.
STREAMS = 2
#: Modules that take many minutes each: `make disasters`.
LONGER = "tests/e2e/disasters"
FOREIGN = "PGWARDEN_USE_KUBECONFIG"  # names somebody else's cluster, of which there is one
DOWN = (sys.executable, "-m", "localcluster", "down")
TOLD_EACH = 60.0  # seconds
#: Where a lane has not ended by itself, it is interrupted: CI ends everything after 90 minutes, and without a report.
LIMIT = 75 * 60.0
#: For fixtures to remove their clusters after an interruption.
GRACE = 30.0


@dataclass
class Suite:
    """One run of pytest."""

    name: str
    argv: Sequence[str]
    folder: Path = REPORTS
    seconds: float = 0.0
    code: int | None = None  # until it has ended by itself

    @property
    def output(self) -> Path:
        return self.folder / f"{self.name}.txt"

    @property
    def junit(self) -> Path:
        return self.folder / f"{self.name}.xml"

    def last(self) -> str:
        """The end of what it has printed so far."""
        try:
            text = self.output.read_bytes()[-4096:].decode(errors="replace")
        except FileNotFoundError:
            return ""
        return next((line.strip()[-100:] for line in reversed(text.splitlines()) if line.strip()), "")

    def tier(self) -> Tier:
        return Tier(self.name, self.seconds, report.read(self.junit), self.code)


@dataclass
class Lane:
    """Suites one after the other; one that fails does not keep the next from running."""

    suites: list[Suite]
    at: Suite | None = None

    async def run(self) -> None:
        for suite in self.suites:
            self.at, began = suite, time.monotonic()
            try:
                suite.code = await _run(suite)
            finally:
                suite.seconds = time.monotonic() - began
                say(f"\n===== {suite.name}\n{suite.output.read_text(errors='replace')}")
        self.at = None


async def _run(suite: Suite) -> int:
    """Its exit code. A process group of its own: a Ctrl-C reaches it once, from here."""
    with suite.output.open("wb") as stream:
        process = await asyncio.create_subprocess_exec(
            *with_default_signals(suite.argv), cwd=ROOT, process_group=0,
            stdin=asyncio.subprocess.DEVNULL, stdout=stream, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        try:
            return await process.wait()
        finally:
            if process.returncode is None:
                await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    """SIGINT, so that pytest tears its fixtures down, and SIGKILL for what is left of the group."""
    for number in (signal.SIGINT, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), GRACE)


def lanes() -> list[Lane]:
    streams = [] if os.environ.get(FOREIGN) else [
        "-n", str(STREAMS), "--dist", "loadfile", "--no-loadscope-reorder", "--max-worker-restart=0",
    ]  # fmt: skip
    beside = [_suite("apiserver"), _suite("hostile", nice=19), _suite("unit", nice=19)]
    return [Lane([_suite("e2e", "-v", f"--ignore={LONGER}", *streams)]), Lane(beside)]


def _suite(tier: str, *options: str, nice: int = 0) -> Suite:
    made = Suite(tier, ())
    argv = [sys.executable, "-m", "pytest", *options, f"tests/{tier}", f"--junitxml={made.junit}"]
    made.argv = [*(["nice", "-n", str(nice)] if nice else []), *argv, "-o", "junit_duration_report=total"]
    return made


def stream_clusters() -> set[str]:
    """Of the names that the streams' clusters have, those that there are."""
    first = config.cluster().name
    names = {first, *(f"{first}-{number}" for number in range(2, STREAMS + 1))}
    return names & {one.name for one in config.clusters()}


async def remove(names: set[str]) -> None:
    """Workers that are interrupted are given no time to remove theirs."""
    for name in sorted(names):
        down = await asyncio.create_subprocess_exec(*DOWN, "--name", name, cwd=ROOT, stdin=asyncio.subprocess.DEVNULL)
        await down.wait()


async def run(all_lanes: Sequence[Lane]) -> None:
    """All of them at once, until they end or until LIMIT."""
    tasks = {asyncio.create_task(lane.run()) for lane in all_lanes}
    try:
        async with asyncio.timeout(LIMIT):
            pending = tasks
            while pending:
                _, pending = await asyncio.wait(pending, timeout=TOLD_EACH)
                if pending:
                    say("; ".join(f"{lane.at.name}: {lane.at.last()}" for lane in all_lanes if lane.at))
    except TimeoutError:
        say(f"\nThe limit of {LIMIT / 60:.0f} minutes is over; what still runs is interrupted.")
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def main() -> int:
    began = time.monotonic()
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    all_lanes = lanes()
    shutil.rmtree(REPORTS, ignore_errors=True)
    REPORTS.mkdir()
    # Built once, before several ask for them.
    built = await asyncio.create_subprocess_exec(sys.executable, "-m", "localcluster.images", "build", cwd=ROOT)
    if code := await built.wait():
        return code
    before = stream_clusters()
    try:
        await run(all_lanes)
    except asyncio.CancelledError:
        say("\nInterrupted.")
    if os.environ.get("PGWARDEN_KEEP_CLUSTER") != "1":
        await remove(stream_clusters() - before)
    tiers = [suite.tier() for lane in all_lanes for suite in lane.suites]
    say(f"\n{report.table(tiers, time.monotonic() - began)}\n")
    found = report.faults(tiers, may_skip=bool(os.environ.get(FOREIGN)))
    say("\n".join(f"FAILED  {one}" for one in found) or "All passed; nothing was skipped.")
    return int(bool(found))


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
