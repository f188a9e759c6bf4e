"""What a Repository needs done: its stanza, a first WAL segment, and archive_timeout. Each in its own time."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import structlog

from controller.agents import AgentError
from controller.context import Context
from controller.repository import bring_back, decide, due, gaps, gather, lost, major_upgrade, mend, segment, takeover
from controller.repository.expire import Expirer
from controller.repository.facts import RepositoryFacts
from controller.runtime import conditions, status
from controller.runtime.backoff import Pace, Tries
from pgwarden.api.objects import Object
from pgwarden.contract import calls
from pgwarden.contract.calls import NewestWal
from pgwarden.kube import errors, paths
from pgwarden.kube.cache import Key
from pgwarden.pgbackrest.output import error_line

log = structlog.get_logger()
STANZA_CREATE_SECONDS = NEWEST_WAL_SECONDS = 60.0
#: stanza-create that failed is tried again.
STANZA_PACE = Pace(timedelta(seconds=3), timedelta(minutes=1))
#: archive_timeout that could not be set, or was set and is another again.
TIMEOUT_PACE = Pace(timedelta(seconds=15), timedelta(hours=1))


class Actor:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._stanzas: Tries[Key] = Tries(STANZA_PACE)
        self._timeouts: Tries[Key] = Tries(TIMEOUT_PACE)
        self._bring_back = bring_back.BringBack(context)
        self._mender = mend.Mender(context, self._stanzas)
        self._expirer = Expirer(context)
        #: When a segment was asked for last (status.segmentAsked), and what came of it.
        self._segments: dict[Key, tuple[Object, str]] = {}

    def forget(self, key: Key) -> None:
        self._segments.pop(key, None)
        self._timeouts.forget(key)
        self._mender.forget(key)
        self._bring_back.forget(key)
        self._expirer.forget(key)
        self.try_again(key)

    def try_again(self, key: Key) -> None:
        """What was in the way of the stanza may be mended."""
        self._stanzas.forget(key)

    async def advance(self, key: Key, facts: RepositoryFacts, *, on_the_way: bool) -> RepositoryFacts:
        """Bring back what the repository holds of another server, where that is asked for; else make the stanza or
        upgrade it, see to it that a first segment is archived, and ask for the backups that are owed.
        """
        if facts.spec.is_read_only:
            return dataclasses.replace(facts, on_the_way=on_the_way)
        await self._mender.let_go(key, facts)
        facts = await self._expirer.look(key, facts)
        facts = await self._take_over(key, facts)
        if lost.wants_set_aside(facts):
            facts = await self._mender.set_aside(key, facts)
        if due.wants_stanza(facts) or major_upgrade.is_due(facts):
            facts = await self._make_stanza(key, facts)
        elif facts.host_ready and not decide.stanza_missing(facts):
            self._stanzas.forget(key)
        await self._keep_archive_timeout(key, facts)
        await self._mend_gap(key, facts)
        asked, error = self._segments.get(key, (None, ""))
        facts = dataclasses.replace(facts, segment_asked=asked, segment_error=error, on_the_way=on_the_way)
        if due.needs_fence(facts):
            facts = await self._ask_for_segment(key, facts)
        await self._mender.back_up(facts)
        return facts

    async def _take_over(self, key: Key, facts: RepositoryFacts) -> RepositoryFacts:
        """Once for a server: the Restore that is there, whatever became of it, is not made again."""
        if takeover.mismatch(facts) is None or major_upgrade.found(facts) is not None:
            return facts  # what was upgraded is no empty server, whatever its age
        client, name = self._context.client, takeover.restore_name(facts)
        facts = dataclasses.replace(facts, takeover=await client.find(paths.of("restores", key[0], name)))
        if not takeover.is_asked(facts):
            return facts
        facts = dataclasses.replace(facts, newest_wal=await self._newest_wal(key))
        wanted = takeover.order(facts)
        if wanted is None:
            return facts
        said = takeover.judge(facts)
        try:
            made = await client.create(paths.of("restores", key[0]), wanted)
        except errors.Conflict:
            return facts  # another process has, a moment ago
        await self._context.recorder.normal(facts.repository, takeover.RECOVERING, said.message if said else "")
        return dataclasses.replace(facts, takeover=made)

    async def _newest_wal(self, key: Key) -> NewestWal:
        host_ip = await gather.host_ip(self._context, key)
        try:
            return await self._context.agents.host(key, host_ip, calls.newest_wal(), seconds=NEWEST_WAL_SECONDS)
        except AgentError as problem:
            return NewestWal(error=str(problem))

    async def _make_stanza(self, key: Key, facts: RepositoryFacts) -> RepositoryFacts:
        """Tried at once, then after growing pauses; meanwhile it is said why the last try failed."""
        host_ip, change = await gather.host_ip(self._context, key), major_upgrade.found(facts)
        lone = due.lone_stanza(facts)
        call = calls.stanza_upgrade() if change else calls.stanza_create(lone)
        known, again = self._stanzas.get(key), self._stanzas.next(key)
        if known is not None and again is not None and facts.now < again:
            said = f"{known.said}; tried again at {conditions.timestamp(again)}" if known.said else ""
            return dataclasses.replace(facts, stanza_error=said)
        if not host_ip:
            return facts
        try:
            made = await self._context.agents.host(key, host_ip, call, seconds=STANZA_CREATE_SECONDS)
            error = "" if made.ok else _why(made.output or "")
        except AgentError as problem:
            error = str(problem)
        self._stanzas.tried(key, facts.now, error)
        if error:
            return dataclasses.replace(facts, stanza_error=error)
        where = f" in storage {facts.spec.storages[lone - 1]}" if lone else ""
        reason, text = "StanzaCreated", f"created stanza {facts.stanza}{where}"
        if change:
            reason, text = "StanzaUpgraded", major_upgrade.event(change)
        await self._context.recorder.normal(facts.repository, reason, text)
        return await gather.ask_host(self._context, facts)

    async def _keep_archive_timeout(self, key: Key, facts: RepositoryFacts) -> None:
        seconds, primary = due.wants_archive_timeout(facts), facts.primary
        if seconds is None or primary is None or not self._timeouts.may(key, facts.now):
            return
        self._timeouts.tried(key, facts.now)
        try:
            answer = await self._context.agents.pod(key, primary.ip, calls.archive_timeout(seconds))
            error, done = answer.error or "", answer.output or ""
        except AgentError as problem:
            error, done = str(problem), ""
        recorder, pod = self._context.recorder, primary.name
        if error:
            text = f"archive_timeout could not be set in pod {pod}: {error}; see spec.archiveTimeout"
            await recorder.warning(facts.repository, "ArchiveTimeoutNotSet", text)
        elif done:
            text = f"archive_timeout of PostgreSQL in pod {pod} {done}; see spec.archiveTimeout"
            await recorder.normal(facts.repository, "ArchiveTimeoutSet", text)

    async def _mend_gap(self, key: Key, facts: RepositoryFacts) -> None:
        """Ask the pods for WAL that is missing; for a backup where none has it and no backup follows."""
        if not await self._bring_back.ask(key, facts):
            return
        caches = self._context.caches
        wanted = gaps.backup(facts, caches.of_repository(caches.backups, *key))
        if wanted is None:
            return
        try:
            await self._context.client.create(paths.of("backups", key[0]), gaps.body(facts, wanted))
        except errors.Conflict:
            return  # the cache has yet to see it
        for name, uid in wanted.expendable:
            await self._context.client.delete(paths.of("backups", key[0], name), uid=uid)
        text = f"{wanted.why}; Backup {wanted.name} is asked for"
        await self._context.recorder.warning(facts.repository, "WALMissing", text)

    async def _ask_for_segment(self, key: Key, facts: RepositoryFacts) -> RepositoryFacts:
        """The request is in the status first, so that the next reconcile, in this process or another, knows of it."""
        facts = dataclasses.replace(facts, now=self._context.clock())  # the look may have taken its time
        before, primary = facts.repository.get("status") or {}, facts.primary
        entry = segment.ask(facts).entry()
        after = before | {segment.FIELD: entry}
        await status.write(self._context.client, "repositories", facts.repository, after)
        self._segments[key] = entry, ""
        facts = dataclasses.replace(facts, repository=facts.repository | {"status": after}, segment_asked=entry)
        await self._context.recorder.normal(facts.repository, "SegmentAskedFor", segment.event(facts))
        error = ""
        try:
            seconds = segment.WAIT_SECONDS + 10.0
            ip = primary.ip if primary else ""
            answer = await self._context.agents.pod(key, ip, segment.call(), seconds=seconds)
            error = "" if answer.ok else answer.error or ""
        except AgentError as problem:
            error = str(problem)
        self._segments[key] = entry, error
        if error:
            log.info("could not switch to the first WAL segment", repository=key[1], error=error)
        return await gather.ask_host(self._context, dataclasses.replace(facts, segment_error=error))


def _why(output: str) -> str:
    """pgBackRest's error with its hints; where it tells of none, its last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return (error_line(output) or (lines[-1] if lines else ""))[:1000]
