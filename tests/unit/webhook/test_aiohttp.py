"""webhook/connection.py leans on parts of aiohttp that are not its public API: a release that changes them is noticed."""

from __future__ import annotations

import asyncio
import importlib
import re
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import pytest

TESTED = "3.14"
#: Module of aiohttp → what webhook/connection.py takes from it, or overrides in it.
PRIVATE = {
    "base_protocol": (
        "BaseProtocol.connection_made",
        "BaseProtocol.connection_lost",
        "BaseProtocol.pause_writing",
        "BaseProtocol.resume_writing",
        "BaseProtocol.pause_reading",
        "BaseProtocol.resume_reading",
        "BaseProtocol._loop",
        "BaseProtocol._paused",
        "BaseProtocol.transport",
    ),
    "http_exceptions": ("HttpProcessingError",),
    "http_parser": (
        "HttpRequestParser.feed_data",
        "RawRequestMessage.method",
        "RawRequestMessage.path",
        "RawRequestMessage.headers",
        "RawRequestMessage.should_close",
    ),
    "streams": (
        "StreamReader.is_eof",
        "StreamReader.exception",
        "StreamReader.read_nowait",
        "StreamReader.total_bytes",
    ),
}
WAY_OUT = (
    "Run tests/unit/webhook against it, mend webhook/connection.py, then set the minor here and in pyproject.toml. "
    "Until then PGWARDEN_WEBHOOK_SERVER=plain serves without it."
)


def complaint(installed, load):
    """What is wrong with the aiohttp of version *installed*, whose modules *load* gives; "" for nothing."""
    gone = [
        f"aiohttp.{module}.{name}"
        for module, names in PRIVATE.items()
        for name in names
        if not _has(load, module, name)
    ]
    if installed.startswith(f"{TESTED}.") and not gone:
        return ""
    lost = f"; gone from it: {', '.join(gone)}" if gone else ""
    return f"webhook/connection.py was tested with aiohttp {TESTED}; {installed} is installed{lost}. {WAY_OUT}"


def _has(load, module, name):
    try:
        found = load(module)
    except ImportError:
        return False
    for part in name.split("."):
        if not hasattr(found, part):
            return False
        found = getattr(found, part)
    return True


def real(module):
    return importlib.import_module(f"aiohttp.{module}")


def test_the_installed_aiohttp_is_the_one_that_connection_py_was_tested_with():
    wrong = complaint(version("aiohttp"), real)
    assert not wrong, wrong


def test_the_requirement_is_the_minor_that_was_tested():
    major, minor = map(int, TESTED.split("."))
    text = Path("pyproject.toml").read_text("utf-8")
    assert re.search(rf'"aiohttp>={major}\.{minor}(\.\d+)?,<{major}\.{minor + 1}"', text)


def test_connection_py_takes_nothing_that_is_not_listed_here():
    text = Path("webhook/connection.py").read_text("utf-8")
    taken = {
        (module, name.strip())
        for module, names in re.findall(r"^from aiohttp\.(\w+) import (.+)$", text, re.MULTILINE)
        for name in names.split(",")
    }
    assert taken == {(module, name.split(".")[0]) for module, names in PRIVATE.items() for name in names}


@pytest.mark.parametrize(
    ("installed", "load", "said"),
    [
        ("3.15.0", real, "tested with aiohttp 3.14; 3.15.0 is installed. Run"),
        ("3.14.9", lambda m: SimpleNamespace() if m == "http_exceptions" else real(m), "gone from it: aiohttp.http_exceptions.HttpProcessingError. Run"),
    ],
    ids=["another minor", "a name is gone"],
)  # fmt: skip
def test_another_aiohttp_is_named_with_what_to_do(installed, load, said):
    assert said in complaint(installed, load)


def test_a_module_that_is_gone_is_named_with_all_that_was_taken_from_it():
    def load(module):
        raise ImportError(module)

    assert "aiohttp.streams.StreamReader.read_nowait" in complaint("3.14.0", load)


async def test_the_parser_gives_what_connection_py_reads():
    """The shape of its answer is no name that could be looked up."""
    parsers, protocols = real("http_parser"), real("base_protocol")
    loop = asyncio.get_running_loop()
    parser = parsers.HttpRequestParser(protocols.BaseProtocol(loop), loop, 65_536, auto_decompress=False)
    fed = parser.feed_data(b"POST /check?a=b HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{")
    assert len(fed) == 3, f"feed_data gives (messages, upgraded, tail). {WAY_OUT}"
    ((head, body),), upgraded, _ = fed
    assert (head.method, head.path, head.headers["content-length"]) == ("POST", "/check?a=b", "2")
    assert (head.should_close, upgraded, body.is_eof(), body.total_bytes, body.exception()) == (
        True,
        False,
        False,
        1,
        None,
    )
    with pytest.raises(real("http_exceptions").HttpProcessingError) as error:
        parsers.HttpRequestParser(protocols.BaseProtocol(loop), loop, 65_536).feed_data(b"\x16\x03\r\n\r\n")
    assert isinstance(error.value.message, str)
