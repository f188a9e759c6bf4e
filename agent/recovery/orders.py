"""RUN_DIR: what is ordered of the server's container (images/recover.sh), and what it leaves there.

Each program has a folder RUN/N: args, log, pid, exit; the server's also has restore.sh, which asks about missing WAL
(see restore_script.py). They outlive this process, so that the next one goes on with the server of the last.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

ORDERS, RESULT, ENDED = "orders", "result.json", "ended"
#: Between two looks at what the server's container writes.
TICK_SECONDS = 0.05
NOT_FOUND = 127  # recover.sh's exit code where the image has no such program


class Run:
    """A program in the server's container."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def number(self) -> int:
        return int(self.folder.name)

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def wal(self) -> Path:
        return self.folder / "wal"

    @property
    def answers(self) -> Path:
        return self.folder / "answers"

    @property
    def is_server(self) -> bool:
        return self.answers.exists()

    def exit_code(self) -> int | None:
        """None while it runs, or has not been started yet."""
        return _number(self.folder / "exit")

    async def until_exit(self) -> int:
        while (code := self.exit_code()) is None:  # noqa: ASYNC110  another container writes it
            await asyncio.sleep(TICK_SECONDS)
        return code

    def pid(self) -> int | None:
        return _number(self.folder / "pid")

    def signal(self, number: signal.Signals) -> bool:
        """Whether it was there to be signalled."""
        pid = self.pid()
        if pid is None or self.exit_code() is not None:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
            return True
        return False


class Orders:
    def __init__(self, run_dir: Path, major: str = "") -> None:
        self.run_dir = run_dir
        self.major = major or "0"
        with contextlib.suppress(FileExistsError):
            os.mkfifo(run_dir / ORDERS, 0o600)
        # For reading, too: so it waits for nobody, and what is written stays until the container has started.
        self._fifo = os.open(run_dir / ORDERS, os.O_RDWR | os.O_NONBLOCK)

    def close(self) -> None:
        os.close(self._fifo)

    def runs(self) -> list[Run]:
        """In the order in which they were made."""
        found = (path for path in self.run_dir.iterdir() if path.name.isdecimal() and (path / "args").exists())
        return [Run(path) for path in sorted(found, key=lambda path: int(path.name))]

    def new(self) -> Run:
        """A folder for the next program; what is in it before `order` is the caller's to write."""
        numbers = [int(path.name) for path in self.run_dir.iterdir() if path.name.isdecimal()]
        folder = self.run_dir / str(max(numbers, default=0) + 1)
        folder.mkdir()
        return Run(folder)

    def order(self, run: Run, arguments: Sequence[str], *, server: bool = False) -> None:
        """Have it started. One that has been already is left as it is."""
        lines = [argument.replace("\n", " ") for argument in arguments]
        beside = run.folder / "args.new"
        beside.write_text("".join(f"{line}\n" for line in lines))
        beside.replace(run.folder / "args")
        self.repeat(run, server=server)

    def repeat(self, run: Run, *, server: bool) -> None:
        self._write(f"{'start' if server else 'run'} {run.number} {self.major}")

    def end(self, code: int) -> None:
        self._write(f"end {code}")

    @property
    def ended(self) -> bool:
        return (self.run_dir / ENDED).exists()

    async def until_ended(self) -> None:
        while not self.ended:  # noqa: ASYNC110  another container writes it
            await asyncio.sleep(TICK_SECONDS)

    def _write(self, order: str) -> None:
        os.write(self._fifo, f"{order}\n".encode())


class Tail:
    """Whole lines that were appended to a file since the last look."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0
        self._rest = b""

    def lines(self) -> Iterator[str]:
        try:
            with self._path.open("rb") as file:
                file.seek(self._at)
                while piece := file.read(65536):
                    self._at += len(piece)
                    *whole, self._rest = (self._rest + piece).split(b"\n")
                    yield from (line.decode("utf-8", "replace") for line in whole)
        except FileNotFoundError:
            return


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
