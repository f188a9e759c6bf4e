"""WAL that is missing in the archive is asked of the pods that may still have it, before a backup mends the gap."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from types import SimpleNamespace

from controller.agents import AgentError
from controller.repository.bring_back import BringBack, missing
from pgwarden.contract.archive import Gap
from pgwarden.contract.calls import MOST_SEGMENTS, Outcome
from pgwarden.contract.status import Postgres, Server, Status
from tests.unit.controller.repository.test_gaps import AFTER, facts, gap, segment

SIZE = 16 * 2**20
KEY = ("ns", "hippo")


def test_a_gap_within_a_timeline_has_one_name_for_each_segment():
    assert missing(gap(40, AFTER, count=2), SIZE) == (segment(40), segment(41))


def test_in_a_gap_across_a_switch_a_segment_may_be_of_either_timeline():
    found = Gap(missing=segment(40), segments=2, next=segment(42, timeline=2), until="2026-11-29T01:00:00Z")
    wanted = (segment(40), segment(40, timeline=2), segment(41), segment(41, timeline=2))
    assert missing(found, SIZE) == wanted


def test_not_more_are_asked_for_than_an_agent_takes():
    assert len(missing(gap(40, AFTER, count=10**9), SIZE)) == MOST_SEGMENTS


class World:
    """A primary and two replicas; *has* are the pods that have the segment. One replica's agent does not answer."""

    def __init__(self, *has: str) -> None:
        self.has, self.asked, self.events = has, list[str](), list[str]()
        self.facts = facts(gap(40, AFTER))
        (primary,) = self.facts.pods
        standby = Status(
            role="postgres", version="1", pgbackrest="2.60", server=Server(running=True, restarts=0),
            postgres=Postgres(reachable=True, in_recovery=True),
        )  # fmt: skip
        others = [dataclasses.replace(primary, name=name, ip=name, answer=standby) for name in ("silent", "former")]
        self.facts = dataclasses.replace(self.facts, pods=(*others, dataclasses.replace(primary, name="now", ip="now")))
        self.bring_back = BringBack(SimpleNamespace(agents=self, recorder=self))  # type: ignore[arg-type]

    async def pod(self, _key, ip, call, *, seconds):
        assert (seconds > 0, call.body.segments) == (True, (segment(40),))
        self.asked.append(ip)
        if ip == "silent":
            raise AgentError("no answer")
        return Outcome(ok=True, output=segment(40) if ip in self.has else "")

    async def normal(self, _about, reason, text):
        self.events.append(f"{reason}: {text}")

    async def look(self, minutes: float = 1) -> bool:
        self.facts = dataclasses.replace(self.facts, now=self.facts.now + timedelta(minutes=minutes))
        return await self.bring_back.ask(KEY, self.facts)


async def test_the_primary_is_asked_first_and_who_has_it_is_named():
    world = World("former")
    assert await world.look() is False  # nothing is left to a backup
    assert world.asked == ["now", "silent", "former"]
    assert "pod former and is archived again: 000000010000000000000028" in world.events[0]


async def test_nobody_else_is_asked_once_it_came_back():
    world = World("now", "former")
    await world.look()
    await world.look()
    assert world.asked == ["now"]


async def test_what_nobody_has_is_left_to_a_backup_and_asked_for_less_and_less_often():
    world = World()
    assert await world.look() is True
    for _ in range(60):
        assert await world.look() is True
    assert 3 * 4 <= len(world.asked) <= 3 * 7


async def test_what_came_back_and_is_still_missing_is_left_to_a_backup():
    world = World("now")
    assert await world.look() is False
    world.has = ()
    assert await world.look(5) is True
