"""Every tier of tests, in lanes beside one another, and what they took: `python -m harness.lanes`.

The end-to-end tier waits more than it works, so several streams of it run at once (workers of pytest-xdist), each with
a cluster of its own; a stream takes the next module when it is free. The other tiers run beside them, one after the
other. Each pytest's output is printed whole when it ends; a line a minute tells how far each lane is; the table of the
slowest tests and of each tier's counts comes last. A few failures are tried once more by themselves (harness.again).
The exit code is 1 where a test failed or was skipped.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import again, report
from harness import rights as asked
from harness.processes import with_default_signals
from harness.report import Tier
from localcluster import config, rights, scheduling

ROOT = Path(__file__).resolve().parent.parent
#: pytest's output and its JUnit file, for each tier.
REPORTS = asked.SEEN.parent
#: Each takes about half of a core, as its tests wait; what waits under a limit of time fails where the CPU has no rest.
STREAMS = 2
#: So many times longer a test waits than on a machine that does nothing else (harness.waiting).
SLOWER = "3"
#: Folders with modules of the end-to-end tier: they share its streams' clusters and installations.
END_TO_END = ("tests/e2e", "tests/redteam")
#: Modules that take many minutes each: `make disasters`, `make matrix`, `make drills`, `make liars`.
LONGER = ("tests/e2e/disasters", "tests/e2e/matrix", "tests/e2e/drills", "tests/redteam/test_liars.py")
FOREIGN = "PGWARDEN_USE_KUBECONFIG"  # names somebody else's cluster, of which there is one
DOWN = (sys.executable, "-m", "localcluster", "down")
#: Clusters that runs have made, with the process id of each: of the lanes, and of a session of the API server's tier.
_OF_A_RUN = re.compile(r"(?:test|api)-([0-9]+)(?:-[0-9]+)?")
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
    nice: int = scheduling.PREFERRED  # its tests wait under limits of time; those that compute have what is left

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
    """Its exit code. A session of its own: a Ctrl-C reaches it once, from here, and its share of the CPU is its own."""
    with suite.output.open("wb") as stream:
        process = await asyncio.create_subprocess_exec(
            *with_default_signals(suite.argv), cwd=ROOT, start_new_session=True,
            stdin=asyncio.subprocess.DEVNULL, stdout=stream, stderr=asyncio.subprocess.STDOUT,
            env={"PGWARDEN_SLOWER": SLOWER, rights.FILE: str(REPORTS / asked.SEEN.name)} | os.environ,
        )  # fmt: skip
        scheduling.prefer(process.pid, suite.nice)
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
    beside = [_suite("apiserver"), _suite("hostile", nice=scheduling.LAST), _suite("unit", nice=scheduling.LAST)]
    return [
        Lane([_suite("e2e", "-v", *(f"--ignore={one}" for one in LONGER), *streams, folders=END_TO_END)]),
        Lane(beside),
    ]


def _suite(tier: str, *options: str, nice: int = scheduling.PREFERRED, folders: Sequence[str] = ()) -> Suite:
    """nice(1) too, for kernels that share the CPU among processes."""
    made = Suite(tier, (), nice=nice)
    argv = [sys.executable, "-m", "pytest", *options, *(folders or [f"tests/{tier}"]), f"--junitxml={made.junit}"]
    made.argv = [*(["nice", "-n", str(nice)] if nice > 0 else []), *argv, "-o", "junit_duration_report=total"]
    return made


def are_kept() -> bool:
    """Whether clusters stay for the next run."""
    return os.environ.get("PGWARDEN_KEEP_CLUSTER") == "1"


def have_clusters_of_its_own() -> None:
    """One of the usual name may be somebody's at work, or what a killed run has left. Not where a name is given, nor
    where clusters are kept: the next run has them under the usual name.
    """
    if not are_kept():
        os.environ.setdefault("PGWARDEN_CLUSTER", f"test-{os.getpid()}")


def left_over() -> set[str]:
    """Clusters of runs that are gone without having removed them, as one that was killed."""
    found = (_OF_A_RUN.fullmatch(one.name) for one in config.clusters())
    return {one[0] for one in found if one and not Path("/proc", one[1]).exists()}


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


async def try_again(tiers: list[Tier], seconds: float) -> list[Tier]:
    """The tiers as they are once the few modules that failed have run by themselves, within *seconds*."""
    suites = {name: _suite(f"{name}-again", "-v", folders=paths) for name, paths in again.modules(tiers, ROOT).items()}
    if not suites:
        return tiers
    for name, suite in suites.items():
        say(f"\nTried once more, by itself: {name}: {' '.join(one for one in suite.argv if one.startswith('tests/'))}")
    await run([Lane(list(suites.values()))], seconds)
    return [again.merged(tier, suites[tier.name].tier()) if tier.name in suites else tier for tier in tiers]


async def run(all_lanes: Sequence[Lane], limit: float) -> None:
    """All of them at once, until they end or until *limit* seconds are over."""
    tasks = {asyncio.create_task(lane.run()) for lane in all_lanes}
    try:
        async with asyncio.timeout(limit):
            pending = tasks
            while pending:
                _, pending = await asyncio.wait(pending, timeout=TOLD_EACH)
                if pending:
                    say("; ".join(f"{lane.at.name}: {lane.at.last()}" for lane in all_lanes if lane.at))
    except TimeoutError:
        say(f"\nThe limit of {limit / 60:.0f} minutes is over; what still runs is interrupted.")
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def main() -> int:
    began = time.monotonic()
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    have_clusters_of_its_own()
    await remove(left_over())
    all_lanes = lanes()
    shutil.rmtree(REPORTS, ignore_errors=True)
    REPORTS.mkdir()
    # Built once, before several ask for them.
    built = await asyncio.create_subprocess_exec(sys.executable, "-m", "localcluster.images", "build", cwd=ROOT)
    if code := await built.wait():
        return code
    before = stream_clusters()
    tiers: list[Tier] = []
    try:
        await run(all_lanes, LIMIT)
        tiers = [suite.tier() for lane in all_lanes for suite in lane.suites]
        tiers = await try_again(tiers, LIMIT - (time.monotonic() - began))
    except asyncio.CancelledError:
        say("\nInterrupted.")
    kept = are_kept()
    if not kept:
        await remove(stream_clusters() - before)
    tiers = tiers or [suite.tier() for lane in all_lanes for suite in lane.suites]
    say(f"\n{report.table(tiers, time.monotonic() - began)}\n")
    for line in report.named(tiers):
        say(line)
    found = report.faults(tiers, may_skip=bool(os.environ.get(FOREIGN)))
    if not found and not os.environ.get(FOREIGN) and not kept:
        for line in asked.differences(REPORTS / asked.SEEN.name):
            say(line)
    say("\n".join(f"FAILED  {one}" for one in found) or "All passed; nothing was skipped.")
    return int(bool(found))


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
