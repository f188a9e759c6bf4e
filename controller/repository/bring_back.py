"""WAL that is missing in a storage, and may still lie in the pg_wal of a pod: its agent is asked to archive it again.

Level-triggered: whatever lost it (a dead primary, an archive_command that gave up, somebody's hand), the host finds the
gap, and each pod is asked, the primary first. Only what no pod has is mended by a backup.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from controller.agents import AgentError
from controller.context import Context
from controller.repository import gaps
from controller.repository.facts import PodView, RepositoryFacts
from controller.runtime.backoff import Pace, Tries
from pgwarden.contract import calls, server_facts
from pgwarden.contract.archive import Gap
from pgwarden.contract.calls import MOST_SEGMENTS, Segments
from pgwarden.kube.cache import Key
from pgwarden.pgbackrest import wal

SECONDS = 120.0
PACE = Pace(timedelta(minutes=2), timedelta(hours=2))
#: After segments came back, until the host must have seen that: it counts a gap as such by two looks.
SEEN = timedelta(minutes=4)


def missing(gap: Gap, size: int) -> tuple[str, ...]:
    """The names that the segments of *gap* may have: a switch of timelines may lie in it."""
    first = wal.position(gap.missing, size) // size
    timelines = range(int(gap.missing[:8], 16), int(gap.next[:8], 16) + 1)
    found = (wal.name(timeline, first + n, size) for n in range(gap.segments) for timeline in timelines)
    return tuple(name for name, _ in zip(found, range(MOST_SEGMENTS), strict=False))


class BringBack:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._tries: Tries[tuple[Key, str]] = Tries(PACE)
        self._came: dict[tuple[Key, str], datetime] = {}

    def forget(self, key: Key) -> None:
        for mark in [one for one in self._came if one[0] == key]:
            del self._came[mark]
            self._tries.forget(mark)

    async def ask(self, key: Key, facts: RepositoryFacts) -> bool:
        """Whether each gap was asked for in vain, so that a backup has to mend it."""
        found = [gap for name in facts.spec.storages for gap in gaps.known(facts, name)]
        in_vain = True
        for gap in {gap.missing: gap for gap in found}.values():
            mark = key, gap.missing
            if self._tries.may(mark, facts.now):
                self._tries.tried(mark, facts.now)
                if await self._ask(key, facts, gap):
                    self._came[mark] = facts.now
            came = self._came.get(mark)
            in_vain = in_vain and (came is None or facts.now - came > SEEN)
        return in_vain

    async def _ask(self, key: Key, facts: RepositoryFacts, gap: Gap) -> bool:
        size = server_facts.of(facts.repository).wal_segment_size or wal.SEGMENT_SIZE
        call = calls.bring_back(Segments(segments=missing(gap, size)))
        for pod in sorted(facts.pods, key=lambda one: not one.is_primary):
            if pod.answer is None:
                continue
            try:
                answer = await self._context.agents.pod(key, pod.ip, call, seconds=SECONDS)
            except AgentError:
                continue
            if answer.output:
                await self._tell(facts, pod, answer.output)
                return True
        return False

    async def _tell(self, facts: RepositoryFacts, pod: PodView, names: str) -> None:
        text = (
            f"WAL that was missing in the archive was still in pg_wal of pod {pod.name} and is archived again: {names}"
        )
        await self._context.recorder.normal(facts.repository, "WALBroughtBack", text)
