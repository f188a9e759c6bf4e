"""Every process logs one JSON object a line: its own lines and its libraries', on the stream that is its own."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest
import structlog

from harness.waiting import SLOWER
from pgwarden import logs

PROCESSES = {
    "webhook": ("from pgwarden import logs; logs.configure('info')", "stdout"),
    "agent": ("from agent import log; log.configure()", "stderr"),  # its stdout is pgBackRest's
}
SAID = """
import logging, structlog
log = structlog.get_logger(component="x")
log.debug("nobody asked")
structlog.contextvars.bind_contextvars(repository="zoo/hippo")
log.info("füttern", number=1, odd=object)
try:
    raise ValueError("no\\nbanana")
except ValueError:
    log.exception("failed")
    logging.getLogger("aiohttp.server").exception("Error handling %s", "request")
logging.getLogger("asyncio").info("nobody asked")
"""


@pytest.mark.parametrize(("start", "stream"), PROCESSES.values(), ids=PROCESSES)
def test_own_lines_and_the_libraries_are_json_lines_of_one_shape(start, stream):
    done = subprocess.run(
        [sys.executable, "-c", f"{start}\n{SAID}"], capture_output=True, check=True, timeout=30 * SLOWER
    )
    other = "stderr" if stream == "stdout" else "stdout"
    assert getattr(done, other) == b""
    info, error, library = [json.loads(line) for line in getattr(done, stream).decode().splitlines()]
    assert info.pop("timestamp").endswith("Z")
    assert info == {
        "component": "x",
        "event": "füttern",
        "level": "info",
        "number": 1,
        "odd": "<class 'object'>",
        "repository": "zoo/hippo",
    }
    assert "ValueError: no\nbanana" in error["exception"]
    assert (library["logger"], library["event"]) == ("aiohttp.server", "Error handling request")
    assert "ValueError: no\nbanana" in library["exception"]


@pytest.mark.parametrize("value", ["caf\udce9", {"error": ["caf\udce9"]}], ids=["text", "nested"])
def test_a_name_that_is_not_utf8_costs_no_line_and_no_caller(value):
    """As of a file on a volume: Python reads such bytes as lone surrogates, which no UTF-8 has."""
    source = f"import structlog; structlog.get_logger().info('job ends', error={value!r})"
    done = subprocess.run(
        [sys.executable, "-c", f"{PROCESSES['agent'][0]}\n{source}"],
        capture_output=True,
        check=True,
        timeout=30 * SLOWER,
    )
    line = json.loads(done.stderr)
    assert line["event"] == "job ends"
    assert "caf" in str(line["error"])


@pytest.fixture
def _as_before(monkeypatch):
    before, levels = structlog.get_config(), dict(logs._levels)
    monkeypatch.setattr("logging.basicConfig", lambda **_: None)
    yield
    structlog.configure(**before)
    logs._levels.update(levels)


@pytest.mark.usefixtures("_as_before")
@pytest.mark.parametrize(
    ("level", "informs"), [("debug", True), ("info", True), ("warning", False), ("error", False), ("chatty", True)]
)
def test_reviews_are_written_at_level_info(level, informs):
    logs.configure(level, io.TextIOWrapper(io.BytesIO()))
    assert logs.informs() is informs
