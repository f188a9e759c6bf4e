"""The tiers of tests in lanes beside one another: `python -m harness.lanes`.

The end-to-end tier waits more than it works, so two streams of it run at once, each with a cluster of its own, and the
unit and hostile tests beside them at low priority. (The API server's tier has limits of time, and runs before.) Each
lane's output is printed whole when the lane ends; a line a minute tells how far each one is. The exit code is 1 where
any lane has failed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
E2E = ROOT / "tests" / "e2e"
#: The first stream; what is not named here is in the second, in the order of the names: those that end or restart the
#: cluster or the release come last there.
FIRST = (
    "test_first_aid", "test_strangers", "test_returns", "test_s3_widened", "test_s3_both", "test_schedules",
    "test_refusals", "test_backups", "test_injection", "test_s3_alone",
)  # fmt: skip
TOLD_EACH = 60.0  # seconds
PYTEST = (sys.executable, "-m", "pytest")


@dataclass
class Lane:
    """Commands one after the other; the first that fails does not keep the next from running."""

    name: str
    commands: list[tuple[str, ...]]
    cluster: str = ""
    output: IO[str] | None = None  # a temporary file, from the first command to `end`
    running: subprocess.Popen[str] | None = None
    codes: list[int] = field(default_factory=list)

    def step(self) -> bool:
        """Whether there is still something to do."""
        if self.running is not None:
            code = self.running.poll()
            if code is None:
                return True
            self.codes.append(code)
            self.running = None
        if len(self.codes) == len(self.commands):
            return False
        self.output = self.output or tempfile.TemporaryFile("w+")  # noqa: SIM115  until `end`
        environment = os.environ | ({"PGWARDEN_CLUSTER": self.cluster} if self.cluster else {})
        self.running = subprocess.Popen(
            self.commands[len(self.codes)],
            cwd=ROOT, env=environment, text=True,
            stdin=subprocess.DEVNULL, stdout=self.output, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return True

    def last(self) -> str:
        """The end of what it has printed."""
        if self.output is None:
            return ""
        size = os.fstat(self.output.fileno()).st_size
        text = os.pread(self.output.fileno(), 4096, max(0, size - 4096)).decode(errors="replace")
        return next((line.strip()[-100:] for line in reversed(text.splitlines()) if line.strip()), "")

    def end(self) -> str:
        """All that it has printed; its commands are over, or are ended."""
        if self.running is not None:
            self.running.terminate()
            self.running.wait()
        if self.output is None:
            return ""
        with self.output:
            self.output.seek(0)
            return self.output.read()


def lanes() -> list[Lane]:
    modules = sorted(path.stem for path in E2E.glob("test_*.py"))
    missing = set(FIRST) - set(modules)
    if missing:
        raise SystemExit(f"harness/lanes.py names modules that are not in tests/e2e: {', '.join(sorted(missing))}")
    second = [name for name in modules if name not in FIRST]
    streams = [(*PYTEST, *_paths(FIRST)), (*PYTEST, *_paths(second))]
    beside = Lane("unit and hostile", [("nice", "-n", "19", *PYTEST, "tests/unit", "tests/hostile")])
    if os.environ.get("PGWARDEN_USE_KUBECONFIG"):  # one cluster, of somebody else's
        return [Lane("end to end", streams), beside]
    second_stream = Lane("end to end, second stream", streams[1:], cluster="pgwarden-2")
    return [Lane("end to end, first stream", streams[:1]), second_stream, beside]


def _paths(modules: tuple[str, ...] | list[str]) -> Iterator[str]:
    return (f"tests/e2e/{name}.py" for name in modules)


def main() -> int:
    # Built once, before two ask for them.
    subprocess.run([sys.executable, "-m", "localcluster.images", "build"], cwd=ROOT, check=True)
    open_lanes, failed, told = lanes(), False, time.monotonic()
    try:
        while open_lanes:
            for lane in [one for one in open_lanes if not one.step()]:
                open_lanes.remove(lane)
                failed |= any(lane.codes)
                print(f"\n===== {lane.name}: {'FAILED' if any(lane.codes) else 'passed'}\n{lane.end()}", flush=True)  # noqa: T201
            if time.monotonic() - told > TOLD_EACH:
                told = time.monotonic()
                print("; ".join(f"{lane.name}: {lane.last()}" for lane in open_lanes), flush=True)  # noqa: T201
            time.sleep(1)
    finally:
        for lane in open_lanes:
            lane.end()
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
