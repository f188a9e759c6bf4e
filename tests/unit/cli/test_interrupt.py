"""Ctrl-C at a question, in a real terminal: one is enough, and what it says is true."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

_SECONDS = 30.0  # until the question shows, or the program ends
#: The terminal becomes the child's own, so that a typed Ctrl-C is a signal; SIGINT is set, whatever the test run has.
_IN_TERMINAL = """
import fcntl, os, signal, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGINT, {sigint})
"""
_KEYS = "from pgwarden.cli.main import main\nsys.exit(main({words}))"
_SURE = """
import argparse
from pgwarden.cli import main, operate
from pgwarden.cli.terminal import Terminal

async def ask(args, terminal):
    operate.sure(argparse.Namespace(yes=False), terminal, {question!r}, "hippo")
    return 0

main.version = ask
sys.exit(main.main(["version"]))
"""
_S3 = ["create", "cluster", "hippo", "--pgbackrest-storage-type=s3", "--dry-run", "--show-keys"]
QUESTIONS = {
    "the name before a restore": (_SURE.format(question="Type the name: "), "Type the name: "),
    "yes or no before a deletion": (_SURE.format(question="Delete it? [y/N] "), "Delete it? [y/N] "),
    "a key": (_KEYS.format(words=_S3), "S3 access key: "),
    "a key that is not shown": (_KEYS.format(words=[*_S3, "--pgbackrest-s3-key=a"]), "S3 secret key (not shown): "),
    "keys on standard input": (_KEYS.format(words=[*_S3, "--pgbackrest-s3-keys-from=-"]), "Ctrl-D ends the input\r\n"),
}


@contextmanager
def child(code: str, sigint: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    ours, theirs = pty.openpty()
    argv = [sys.executable, "-c", _IN_TERMINAL.format(sigint=sigint) + code]
    with subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs) as program:
        os.close(theirs)
        try:
            yield program, ours
        finally:
            program.kill()
            os.close(ours)


def read_until(terminal: int, ending: str | None = None) -> str:
    """What the terminal shows, up to *ending*, or until the program closes it."""
    shown = ""
    while ending is None or not shown.endswith(ending):
        readable, _, _ = select.select([terminal], [], [], _SECONDS)
        assert readable, f"nothing more after {shown!r}"
        try:
            part = os.read(terminal, 4096)
        except OSError:  # Linux' end of a terminal that nobody holds open any more
            return shown
        if not part:
            return shown
        shown += part.decode()
    return shown


@pytest.mark.parametrize(("code", "question"), QUESTIONS.values(), ids=QUESTIONS)
def test_one_ctrl_c_ends_a_question_and_says_that_nothing_was_changed(code: str, question: str):
    with child(code, "signal.default_int_handler") as (program, terminal):
        read_until(terminal, question)
        os.write(terminal, b"\x03")
        said = read_until(terminal)
        assert program.wait(_SECONDS) == 130
    assert re.sub(r"^\^C", "", said).split("\r\n") == ["", "pgwarden: nothing was changed", ""]


def test_where_ctrl_c_is_ignored_a_question_goes_on():
    """As under nohup: the answer counts."""
    code, question = QUESTIONS["the name before a restore"]
    with child(code, "signal.SIG_IGN") as (program, terminal):
        read_until(terminal, question)
        os.write(terminal, b"\x03")
        os.write(terminal, b"hippo\n")
        read_until(terminal)
        assert program.wait(_SECONDS) == 0
