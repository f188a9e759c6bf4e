"""What is told of replies: gathered for a moment, never lost, one JSON object a line."""

from __future__ import annotations

import asyncio
import io
import json
from types import SimpleNamespace

import pytest
from prometheus_client import REGISTRY

from pgwarden.api.faults import Fault
from webhook import access_log
from webhook.review import Answer, Reply, Request


@pytest.fixture
def out(monkeypatch):
    stream = io.BytesIO()
    monkeypatch.setattr(access_log, "sys", SimpleNamespace(stdout=SimpleNamespace(buffer=stream)))
    monkeypatch.setattr(access_log, "_lines", [])
    return stream


def reply(number=0, faults=()):
    outcome = "refused" if faults else "injected"
    answer = Answer(outcome=outcome, faults=faults, audit={"repository": "hippo"})
    return Reply(status=200, body=b"", outcome=outcome, request=Request(uid=f"u\n{number}", name="db"), answer=answer)


def lines(out):
    return [json.loads(line) for line in out.getvalue().splitlines()]


async def test_replies_are_told_soon_and_each_is_a_line(out):
    for number in range(3):
        access_log.tell("/mutate", reply(number), 0.0012345)
    assert out.getvalue() == b""
    await asyncio.sleep(0.1)
    assert [line["uid"] for line in lines(out)] == ["u\n0", "u\n1", "u\n2"]
    first = lines(out)[0]
    assert (first["event"], first["level"], first["path"], first["outcome"]) == (
        "review",
        "info",
        "/mutate",
        "injected",
    )
    assert (first["milliseconds"], first["repository"], first["name"]) == (1.234, "hippo", "db")
    assert first["timestamp"].endswith("Z")
    access_log.tell("/mutate", reply(), 0.0)
    await asyncio.sleep(0.1)
    assert len(lines(out)) == 4


async def test_what_is_gathered_is_written_before_the_end(out):
    access_log.tell("/mutate", reply(), 0.0)
    access_log.flush()
    assert len(lines(out)) == 1
    await asyncio.sleep(0.05)
    assert len(lines(out)) == 1


async def test_a_refusal_names_field_and_rule_and_never_the_value(out):
    access_log.tell("/mutate", reply(faults=(Fault("spec.x", "secret!", "is bad", "x"),)), 0.0)
    access_log.flush()
    assert lines(out)[0]["faults"] == ["spec.x (x)"]
    assert b"secret!" not in out.getvalue()


async def test_what_is_told_is_counted(out):
    def counted():
        return (
            REGISTRY.get_sample_value("pgwarden_webhook_requests_total", {"path": "/told", "outcome": "injected"}) or 0
        )

    before = counted()
    access_log.tell("/told", reply(), 0.0)
    assert counted() == before + 1


async def test_times_are_counted_by_what_they_reach(out):
    for seconds in (0.0005, 0.0006, 0.5, 60.0):
        access_log.tell("/timed", reply(), seconds)

    def reached(bound):
        return REGISTRY.get_sample_value("pgwarden_webhook_request_seconds_bucket", {"path": "/timed", "le": bound})

    assert [reached(bound) for bound in ("0.0005", "0.001", "0.25", "1.0", "10.0", "+Inf")] == [1, 2, 2, 3, 3, 4]
    assert REGISTRY.get_sample_value("pgwarden_webhook_request_seconds_sum", {"path": "/timed"}) == pytest.approx(
        60.5011
    )
    assert REGISTRY.get_sample_value("pgwarden_webhook_request_seconds_count", {"path": "/timed"}) == 4
