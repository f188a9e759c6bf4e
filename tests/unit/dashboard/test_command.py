"""The command around the page: its port, its browser, and what it hands on to the commands that it shows."""

from __future__ import annotations

import argparse
import asyncio
import errno
import stat
import sys
import webbrowser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from aiohttp import ClientSession, web

from pgwarden.cli import parser
from pgwarden.cli.errors import CliError, UsageError
from pgwarden.dashboard import command


@pytest.mark.parametrize("port", [-1, 65536])
async def test_a_port_that_is_none_is_refused_before_anything_is_asked(port):
    with pytest.raises(UsageError, match="from 1 to 65535"):
        await command.run(argparse.Namespace(port=port), None)


async def test_it_listens_on_loopback_alone_and_names_the_port():
    async with command.serving(web.Application(), 0) as port:
        async with ClientSession() as session, session.get(f"http://127.0.0.1:{port}/") as answer:
            assert answer.status == 404
        with pytest.raises(OSError):  # noqa: PT012  another address of loopback, which is not listened on
            _, writer = await asyncio.open_connection("127.0.0.2", port)
            writer.close()


async def test_a_port_that_is_taken_is_named_with_a_way_out():
    async with command.serving(web.Application(), 0) as port:
        with pytest.raises(CliError, match=f"--port {port}: .*another program uses it; choose another"):
            async with command.serving(web.Application(), port):
                pass


def test_a_port_that_needs_rights_says_so():
    assert "administrator" in command._no_port(80, OSError(errno.EACCES, "Permission denied")).message
    assert "odd" in command._no_port(80, OSError(errno.EPERM, "odd")).message


def test_the_commands_that_it_shows_find_the_same_cluster():
    _, args = parser.parse(["dashboard", "--context=lab", "--kubeconfig", "/k"])
    assert command.flags(args) == ("--kubeconfig=/k", "--context=lab")
    _, args = parser.parse(["dashboard"])
    assert command.flags(args) == ()
    assert (args.port, args.no_open, args.all_namespaces) == (0, False, False)


async def test_the_browser_is_told_by_a_file_that_others_cannot_read(monkeypatch, tmp_path):
    """Every user of the machine sees the command lines of all processes."""
    seen: list[tuple[str, int, str]] = []
    there = asyncio.Event()
    loop = asyncio.get_running_loop()

    def opened(url: str) -> bool:
        path = Path(unquote(urlsplit(url).path))
        seen.append((url, stat.S_IMODE(path.stat().st_mode), path.read_text()))
        loop.call_soon_threadsafe(there.set)
        return True

    monkeypatch.setattr(webbrowser, "open", opened)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with command._opened("http://127.0.0.1:1/t0ken/"):
        await there.wait()
        ((url, mode, text),) = seen
        assert "t0ken" not in url
        assert mode == 0o600
        assert "url=http://127.0.0.1:1/t0ken/" in text
    assert list(tmp_path.iterdir()) == []


async def test_a_browser_that_cannot_be_started_ends_nothing(monkeypatch, tmp_path):
    there = asyncio.Event()
    loop = asyncio.get_running_loop()

    def fails(_: str) -> bool:
        loop.call_soon_threadsafe(there.set)
        raise webbrowser.Error("none")

    monkeypatch.setattr(webbrowser, "open", fails)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with command._opened("http://127.0.0.1:1/t0ken/"):
        await there.wait()


@pytest.mark.parametrize(("display", "there"), [("", False), (":0", True)])
def test_without_a_screen_no_browser_takes_the_terminal(monkeypatch, display, there):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert command._has_browser() is there
