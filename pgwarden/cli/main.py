"""`kubectl pgwarden` and `pgwarden`: words in, exit code out. An error is a sentence, never a traceback."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import inspect
import os
import sys
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from pgwarden import __version__
from pgwarden.cli import parser
from pgwarden.cli.errors import INTERRUPTED, OK, WRONG, CliError, UsageError, faults_of
from pgwarden.cli.terminal import Terminal, system

_COMPLETE = "__complete"


def main(argv: Sequence[str] | None = None, terminal: Terminal | None = None) -> int:
    words = list(sys.argv[1:] if argv is None else argv)
    where = terminal or system()
    try:
        code = _guarded(words, where)
        where.out.flush()
    except BrokenPipeError:  # `… | head`: the reader has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    return code


def _guarded(words: list[str], terminal: Terminal) -> int:
    try:
        return _run(words, terminal)
    except parser.HelpWanted as wanted:
        terminal.say(wanted.text)
        return OK
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except Exception as error:
        if os.environ.get("PGWARDEN_DEBUG"):
            raise
        problem = error if isinstance(error, CliError) else translated(error)
        terminal.note(f"{program()}: {problem.message}")
        for fault in problem.faults:
            terminal.note(f"  - {fault}")
        return problem.code


def _run(words: list[str], terminal: Terminal) -> int:
    if words[:1] == [_COMPLETE]:
        from pgwarden.cli import completion

        return completion.answer(words[1:], terminal)
    if words[:1] == ["--version"]:
        return version(argparse.Namespace(), terminal)
    command, args = parser.parse(words, program())
    _check(args)
    module, _, name = command.run.partition(":")
    outcome = getattr(importlib.import_module(module), name)(args, terminal)
    return int(asyncio.run(outcome) if inspect.iscoroutine(outcome) else outcome)


def _check(args: argparse.Namespace) -> None:
    if getattr(args, "timeout", 0) and not args.wait:
        raise UsageError("--timeout needs --wait")
    if getattr(args, "timeout", 0) < 0:
        raise UsageError(f"--timeout {args.timeout} must not be negative")


def program() -> str:
    """The name it was called by: kubectl runs the plugin as kubectl-pgwarden."""
    return "kubectl pgwarden" if PurePath(sys.argv[0]).stem == "kubectl-pgwarden" else "pgwarden"


def version(_: argparse.Namespace, terminal: Terminal) -> int:
    terminal.say(f"pgwarden {__version__}")
    return OK


def translated(error: Exception) -> CliError:
    """An error of another part of the program, as the user reads it."""
    import aiohttp

    from pgwarden.kube import errors
    from pgwarden.kube.kubeconfig import KubeconfigError

    if isinstance(error, errors.ApiError):
        return _of_api(error)
    if isinstance(error, KubeconfigError):
        return CliError(str(error))
    if isinstance(error, aiohttp.ClientError | TimeoutError | OSError):
        said = " ".join(str(error).split()) or type(error).__name__
        return CliError(f"cannot reach the API server: {said}")
    return CliError(f"internal error: {type(error).__name__}: {error} (PGWARDEN_DEBUG=1 shows where)")


def _of_api(error: Any) -> CliError:
    if error.status == 401:
        return CliError("authentication failed: the kubeconfig's credentials are wrong or have expired")
    if error.status == 404 and "requested resource" in error.message:
        return CliError("pgwarden is not installed in this cluster: it has no pgwarden.io resources")
    if error.status >= 500 or error.status == 429:
        return CliError(f"the API server cannot answer now: {error.message}")
    faults = faults_of(error.message)
    if len(faults) == 1:
        return CliError(f"refused: {faults[0]}", code=WRONG)
    return CliError(f"refused, {len(faults)} faults:", faults, WRONG)


if __name__ == "__main__":
    sys.exit(main())
