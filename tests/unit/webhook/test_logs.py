"""Lines of reviews: gathered for a moment, never lost, in one piece."""

from __future__ import annotations

import asyncio
import io
import json
from types import SimpleNamespace

import pytest

from pgwarden.webhook import logs


@pytest.fixture
def out(monkeypatch):
    stream = io.BytesIO()
    monkeypatch.setattr(logs, "sys", SimpleNamespace(stdout=SimpleNamespace(buffer=stream)))
    return stream


async def test_lines_are_written_soon_and_each_is_one_json_object(out):
    for number in range(3):
        logs.inform("review", {"uid": f"u\n{number}"})
    assert out.getvalue() == b""
    await asyncio.sleep(0.1)
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["uid"] for line in lines] == ["u\n0", "u\n1", "u\n2"]
    assert {(line["event"], line["level"]) for line in lines} == {("review", "info")}
    logs.inform("review", {})
    await asyncio.sleep(0.1)
    assert len(out.getvalue().splitlines()) == 4


async def test_what_is_gathered_is_written_before_the_end(out):
    logs.inform("review", {})
    logs.flush()
    assert len(out.getvalue().splitlines()) == 1
    await asyncio.sleep(0.05)
    assert len(out.getvalue().splitlines()) == 1
