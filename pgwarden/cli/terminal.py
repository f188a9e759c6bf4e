"""Where a command writes and asks: streams, width and characters of the terminal, or of the pipe in its place."""

from __future__ import annotations

import io
import os
import shutil
import sys
from dataclasses import dataclass
from typing import TextIO

from pgwarden.api import outside

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
        """Whether somebody is there to be asked."""
        return self.source.isatty() and self.err.isatty()

    @property
    def live(self) -> bool:
        """Whether a line of progress can be written over."""
        return self.err.isatty()

    def say(self, text: str) -> None:
        """A result: standard output."""
        self.out.write(clean(text).rstrip("\n") + "\n")

    def note(self, text: str) -> None:
        """About the result: standard error."""
        self.err.write(clean(text).rstrip("\n") + "\n")
        self.err.flush()

    def ask(self, question: str) -> str:
        self.err.write(clean(question))
        self.err.flush()
        return self.source.readline().strip()

    def ask_unseen(self, question: str) -> str:
        """As `ask`, without showing what is typed."""
        try:
            import termios

            number = self.source.fileno()
            before = termios.tcgetattr(number)
        except (ImportError, OSError):  # another system, or no terminal of its
            return self.ask(question)
        unseen = [*before]
        unseen[3] &= ~termios.ECHO
        termios.tcsetattr(number, termios.TCSAFLUSH, unseen)
        try:
            return self.ask(question)
        finally:
            termios.tcsetattr(number, termios.TCSAFLUSH, before)
            self.note("")

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
    """Messages come from the cluster: what would steer the terminal is not passed on."""
    return outside.printable(text)
