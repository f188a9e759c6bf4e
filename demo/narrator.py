# ruff: noqa: T201  it speaks to a person at a terminal
"""What the demo says: numbered steps with times, the commands as a user would type them, and what is waited for."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: A wait that shows nothing new says so this often, in seconds.
HEARTBEAT = 15.0
PAUSE = 0.5
#: A command that was ended because it took too long, as a shell says it.
TIMED_OUT = 124


class DemoError(Exception):
    """A step failed: why, and what to look at."""

    def __init__(self, why: str, *look: str) -> None:
        super().__init__(why)
        self.why = why
        self.look = look
        self.step = ""


class Narrator:
    """Prints the story, and runs what it prints: each `$ …` line is given to a shell as it stands."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._number = 0
        self.times: list[tuple[str, float]] = []
        self.environment: dict[str, str] = dict(os.environ)
        colours = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self._bold, self._dim, self._plain = ("\033[1m", "\033[2m", "\033[0m") if colours else ("", "", "")

    def use(self, **variables: str) -> None:
        """Environment of all commands from here on."""
        self.environment |= variables

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        self._number += 1
        began = time.monotonic()
        print(f"\n{self._bold}== {self._number}. {title}{self._plain}", flush=True)
        try:
            yield
        except DemoError as error:
            error.step = error.step or f"{self._number}. {title}"
            raise
        took = time.monotonic() - began
        self.times.append((title, took))
        self._line(f"done in {took:.1f} s")

    def say(self, text: str) -> None:
        for paragraph in textwrap.dedent(text).strip().split("\n\n"):
            print(textwrap.fill(" ".join(paragraph.split()), 116, initial_indent="   ", subsequent_indent="   "))
        sys.stdout.flush()

    def _line(self, text: str) -> None:
        print(f"   {self._dim}[{time.monotonic() - self._began:6.1f} s]{self._plain} {text}", flush=True)

    def show(self, command: str, *look: str, seconds: float = 180, quiet: bool = False) -> str:
        """Print the command, run it, print what it says. DemoError where it fails."""
        print(textwrap.indent(f"$ {command}", "   "), flush=True)
        code, out, err = self.run(command, seconds)
        if not quiet or code:
            for line in (out + err).rstrip().splitlines():
                print(f"   {self._dim}|{self._plain} {line}")
            sys.stdout.flush()
        if code:
            raise DemoError(f"the command above failed with exit code {code}", *look)
        return out

    def run(self, command: str, seconds: float = 60) -> tuple[int, str, str]:
        """The command's exit code, output and errors, unprinted."""
        argv = ["sh", "-c", command]
        try:
            done = subprocess.run(
                argv,
                cwd=ROOT,
                env=self.environment,
                text=True,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return TIMED_OUT, "", f"no answer within {seconds:g} s"
        return done.returncode, done.stdout, done.stderr

    def pass_on(self, argv: list[str], *look: str, more: Mapping[str, str] | None = None) -> None:
        """Run a program of ours that tells its progress itself."""
        done = subprocess.run(argv, cwd=ROOT, env=self.environment | dict(more or {}), check=False)
        if done.returncode:
            raise DemoError(f"`{' '.join(argv)}` failed with exit code {done.returncode}; see its output above", *look)

    def wait(self, what: str, look: Callable[[], tuple[bool, str]], seconds: float, *hints: str) -> None:
        """Until *look* is true; its second word is what is seen, and is told each time that it changes."""
        began = told = time.monotonic()
        self._line(f"waiting for {what}")
        last = ""
        while True:
            good, seen = look()
            now = time.monotonic()
            if seen and seen != last:
                self._line(f"  {seen}")
                last, told = seen, now
            if good:
                return
            if now - began > seconds:
                raise DemoError(f"waited {seconds:g} s for {what}; last seen: {last or 'nothing'}", *hints)
            if now - told > HEARTBEAT:
                self._line(f"  still waiting ({now - began:.0f} s)")
                told = now
            time.sleep(PAUSE)

    def summary(self) -> None:
        print(f"\n{self._bold}== Times{self._plain}")
        for title, took in self.times:
            print(f"   {took:7.1f} s  {title}")
        print(f"   {time.monotonic() - self._began:7.1f} s  in all", flush=True)
