"""Child processes of tests: they can be signalled, and none outlives its test."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from typing import Any

Argv = Sequence[str | PathLike[str]]


def with_default_signals(argv: Argv) -> list[str | PathLike[str]]:
    """The same command, with the default action for the signals that end a program.

    Under `nohup`, and in the background of a script, SIGINT and SIGQUIT are ignored, and so they are in every process
    below: Python then raises no KeyboardInterrupt, and a shell cannot trap them. `env` executes the command, so the
    child's process id is the command's. SIGHUP stays as it is: under `nohup` the tests go on without a terminal.
    """
    return ["env", "--default-signal=INT,QUIT,TERM", *argv]


@contextmanager
def started(argv: Argv, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A child that can be signalled; killed where the block ends before it, so that a failed test cannot hang."""
    with subprocess.Popen(with_default_signals(argv), text=True, **options) as process:
        try:
            yield process
        finally:
            process.kill()
