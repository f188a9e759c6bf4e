"""dashboard: serves the page until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import errno
import os
import signal
import sys
import tempfile
import threading
import webbrowser
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress
from html import escape
from pathlib import Path

from aiohttp import web

from pgwarden.cli.errors import OK, CliError, UsageError
from pgwarden.cli.session import connect
from pgwarden.cli.terminal import Terminal
from pgwarden.dashboard import guard
from pgwarden.dashboard.reading import Reader
from pgwarden.dashboard.shell import Pages

HOST = "127.0.0.1"
_ENDING = 1.0  # seconds that an open request gets at the end


async def run(args: argparse.Namespace, terminal: Terminal) -> int:
    if not 0 <= args.port <= 65535:
        raise UsageError(f"--port {args.port}: must be from 1 to 65535, or 0 for a free one")
    async with connect(args) as session:
        where = "all namespaces" if args.all_namespaces else f"namespace {session.namespace}"
        reader = Reader(session, "" if args.all_namespaces else session.namespace)
        await reader.start()
        over = _asked_to_end()  # until here Ctrl-C ends the reading
        token = guard.new_token()
        pages = Pages(reader, token, where, flags(args))
        async with serving(pages.app(), args.port) as port:
            address = f"http://{HOST}:{port}/{token}/"
            terminal.say(f"the dashboard of {where} is at {address}")
            terminal.note("whoever has the address sees what you may see; Ctrl-C ends it")
            with _opened(address) if not args.no_open and _has_browser() else nullcontext():
                await over.wait()
        await reader.close()
    terminal.note("ended")
    return OK


def flags(args: argparse.Namespace) -> Sequence[str]:
    given = (("--kubeconfig", args.kubeconfig), ("--context", args.context))
    return tuple(f"{flag}={value}" for flag, value in given if value)


@asynccontextmanager
async def serving(app: web.Application, port: int) -> AsyncIterator[int]:
    """On loopback alone; the port that it is. CliError where that is taken."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_ENDING)  # a log would have the token in it
    await runner.setup()
    try:
        site = web.TCPSite(runner, HOST, port)
        try:
            await site.start()
        except OSError as error:
            raise _no_port(port, error) from None
        (address, *_) = runner.addresses
        yield int(address[1])
    finally:
        await runner.cleanup()


def _no_port(port: int, error: OSError) -> CliError:
    why = {errno.EADDRINUSE: "another program uses it", errno.EACCES: "it takes an administrator's rights"}
    said = why.get(error.errno or 0, error.strerror or str(error))
    return CliError(f"--port {port}: cannot listen there: {said}; choose another, or leave --port out for a free one")


def _asked_to_end() -> asyncio.Event:
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        try:
            loop.add_signal_handler(each, over.set)
        except (NotImplementedError, RuntimeError):  # another system, or not the main thread: Ctrl-C is an exception
            break
    return over


def _has_browser() -> bool:
    """One with a window: a browser in this terminal would take it away."""
    return sys.platform in {"darwin", "win32"} or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


@contextmanager
def _opened(address: str) -> Iterator[None]:
    """By a file that only this user can read: the address in a command line would show its token to all of them."""
    folder = os.environ.get("XDG_RUNTIME_DIR") or None
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", prefix="pgwarden-", suffix=".html", dir=folder
    ) as page:  # mode 0600
        to = escape(address, quote=True)
        page.write(f'<!doctype html><meta http-equiv="refresh" content="0;url={to}"><a href="{to}">the dashboard</a>')
        page.flush()
        # A browser that does not come back is not waited for at the end.
        threading.Thread(target=_open, args=(Path(page.name).as_uri(),), daemon=True).start()
        yield


def _open(page: str) -> None:
    with suppress(webbrowser.Error, OSError):  # the address is on the terminal too
        webbrowser.open(page)
