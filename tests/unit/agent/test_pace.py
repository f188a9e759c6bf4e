"""What the agent does at most, however often it is asked, over hours of a clock that is moved by hand."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from aiohttp import web

from agent import fence, process
from agent.calls import Repository
from agent.postgres import PostgresError
from agent.process import Agent
from agent.server import _seconds
from pgwarden.contract.calls import Fenced, Outcome

HOURS = 6 * 3600


class Ended(Exception):
    """The hours are over."""


async def test_whoever_wants_but_a_segment_gets_one_a_minute_and_a_restore_its_fence_each_time(monkeypatch):
    now, closed = 0, []

    async def close(_postgres, _seconds):
        closed.append(now)
        return Fenced(ok=True)

    monkeypatch.setattr(fence, "fence", close)
    closer = fence.Closer(None, clock=lambda: now)
    for now in range(HOURS):  # noqa: B007  the clock
        answer = await closer.close(20, 60)
        if not answer.ok:
            assert "at most every 60 s" in answer.error
    assert closed == list(range(0, HOURS, 60))
    await fence.fence(None, 60)
    assert len(closed) == HOURS // 60 + 1


@pytest.mark.parametrize("raw", ["", "0", "-1", "x", "nan", "inf", "3601"])
def test_a_period_that_is_no_number_of_seconds_is_refused(raw):
    with pytest.raises(web.HTTPBadRequest) as refused:
        _seconds(SimpleNamespace(query={"every": raw}), "every")
    assert "every must be a number of seconds" in str(refused.value.text)


async def test_a_stanza_create_that_hangs_is_not_queued_behind_by_others():
    begun, may_end = [], asyncio.Event()

    class Runner:
        async def run(self, argv, _limit):
            begun.append(argv)
            await may_end.wait()
            return SimpleNamespace(ok=True, exit_code=0, output="", timed_out=False)

    repository = Repository("hippo", Runner())
    first = asyncio.create_task(repository.stanza_create())
    await asyncio.sleep(0)
    for _ in range(50):
        answer = await repository.stanza_create()
        assert answer == Outcome(exit_code=-1, output="stanza-create is already running")
    may_end.set()
    assert (await first).ok
    assert len(begun) == 1


LOOPS = {
    "somebody changes it back each time": (["archive_command"], 50),
    "it is as it should be": ([], HOURS // 15),
    "PostgreSQL does not answer": (PostgresError("no answer"), HOURS // 15),
}


@pytest.mark.parametrize("loop", LOOPS)
async def test_settings_that_somebody_takes_back_are_set_again_less_and_less_often(monkeypatch, loop):
    answer, most = LOOPS[loop]
    now, looks = 0.0, 0

    async def sleep(seconds):
        nonlocal now
        now += seconds
        if now > HOURS:
            raise Ended

    async def configure(_wanted):
        nonlocal looks
        looks += 1
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(process, "asyncio", SimpleNamespace(sleep=sleep))
    agent = SimpleNamespace(
        _settings=SimpleNamespace(stanza="hippo"),
        _log=SimpleNamespace(info=lambda *_, **__: None, warning=lambda *_, **__: None),
    )
    with pytest.raises(Ended):
        await Agent._keep_configured(agent, SimpleNamespace(configure=configure))
    assert looks <= most + 1
    assert looks > 35
