"""Where a command writes and asks: streams, width and characters of the terminal, or of the pipe in its place."""

from __future__ import annotations

import io
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO

from pgwarden.api import outside
from pgwarden.cli.errors import INTERRUPTED, CliError

WIDTH = 100  # of a pipe, where no COLUMNS says otherwise


@dataclass
class Terminal:
    out: TextIO
    err: TextIO
    source: TextIO
    width: int = WIDTH
    unicode: bool = True

    @property
    def interactive(self) -> bool:
        """Whether a person can answer a question."""
        return self.source.isatty() and self.err.isatty()

    @property
    def live(self) -> bool:
        """Whether a line of progress can be overwritten."""
        return self.err.isatty()

    def say(self, text: str) -> None:
        """A result: standard output."""
        self.out.write(clean(text).rstrip("\n") + "\n")

    def note(self, text: str) -> None:
        """About the result: standard error."""
        self.err.write(clean(text).rstrip("\n") + "\n")
        self.err.flush()

    def ask(self, question: str) -> str:
        """What is typed. CliError on Ctrl-C: no command changes anything before its last question."""
        with self._interruptible():
            self.err.write(clean(question))
            self.err.flush()
            return self.source.readline().strip()

    def ask_unseen(self, question: str) -> str:
        """As `ask`, without showing what is typed."""
        try:
            import termios

            number = self.source.fileno()
            before = termios.tcgetattr(number)
        except (ImportError, OSError):  # another operating system, or not a terminal
            return self.ask(question)
        unseen = [*before]
        unseen[3] &= ~termios.ECHO
        termios.tcsetattr(number, termios.TCSAFLUSH, unseen)
        try:
            answer = self.ask(question)
        finally:
            termios.tcsetattr(number, termios.TCSAFLUSH, before)
        self.note("")
        return answer

    def read(self, most: int) -> str:
        """Standard input, at most so many characters. CliError on Ctrl-C."""
        with self._interruptible():
            if self.interactive:
                self.note("reading from the terminal; Ctrl-D ends the input")
            return self.source.read(most)

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """asyncio turns the first Ctrl-C into a cancellation, which a blocking read never sees."""
        before = signal.getsignal(signal.SIGINT)
        if not callable(before):  # ignored: under nohup, or in the background of a script
            yield
            return
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            yield
        except KeyboardInterrupt:
            self.note("")
            raise CliError("nothing was changed", code=INTERRUPTED) from None
        finally:
            signal.signal(signal.SIGINT, before)

    def overwrite(self, text: str) -> None:
        """Progress, in place of the line before; empty clears it. Only where `live`."""
        line = clean(text).replace("\n", " ")
        self.err.write(f"\r\x1b[K{line[: max(1, self.width - 1)]}")
        self.err.flush()


def system() -> Terminal:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    width = shutil.get_terminal_size((WIDTH, 24)).columns
    encoding = (getattr(sys.stdout, "encoding", None) or "ascii").lower().replace("-", "")
    drawn = encoding.startswith("utf") and os.environ.get("TERM") not in {"dumb", "linux"}
    return Terminal(sys.stdout, sys.stderr, sys.stdin, width, drawn)


def clean(text: str) -> str:
    """Messages come from the cluster: control characters that would steer the terminal are dropped."""
    return outside.printable(text)
