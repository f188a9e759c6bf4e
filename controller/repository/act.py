"""What a Repository needs done: its stanza made, and a first WAL segment asked for. Each in its own time."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import structlog

from controller import storage_state
from controller.agents import AgentError
from controller.context import Context
from controller.repository import decide, gather, lost, renewal, segment
from controller.repository.facts import RepositoryFacts
from controller.runtime import conditions, status
from controller.runtime.backoff import Pace, Tries
from pgwarden.api import names
from pgwarden.api.objects import Object
from pgwarden.contract import calls
from pgwarden.kube import errors, paths
from pgwarden.kube.cache import Key

log = structlog.get_logger()
STANZA_CREATE_SECONDS = 60.0
#: stanza-create that failed is tried again.
STANZA_PACE = Pace(timedelta(seconds=3), timedelta(minutes=1))


class Actor:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._stanzas: Tries[Key] = Tries(STANZA_PACE)
        #: Backups that the API server refused: told less and less often.
        self._refused: Tries[Key] = Tries(STANZA_PACE)
        #: When a segment was asked for last (status.segmentAsked), and what came of it.
        self._segments: dict[Key, tuple[Object, str]] = {}

    def forget(self, key: Key) -> None:
        self._segments.pop(key, None)
        self._refused.forget(key)
        self.try_again(key)

    def try_again(self, key: Key) -> None:
        """What was in the way of the stanza may be mended."""
        self._stanzas.forget(key)

    async def advance(self, key: Key, facts: RepositoryFacts, *, on_the_way: bool) -> RepositoryFacts:
        """Make the stanza, see to it that a first segment is archived, and ask for a full backup that is owed."""
        if lost.wants_set_aside(facts):
            facts = await self._set_aside(key, facts)
        if decide.wants_stanza(facts):
            facts = await self._make_stanza(key, facts)
        elif facts.host_ready and not decide.stanza_missing(facts):
            self._stanzas.forget(key)
        asked, error = self._segments.get(key, (None, ""))
        facts = dataclasses.replace(facts, segment_asked=asked, segment_error=error, on_the_way=on_the_way)
        if decide.needs_fence(facts):
            facts = await self._ask_for_segment(key, facts)
        await self._back_up(facts)
        return facts

    async def _back_up(self, facts: RepositoryFacts) -> None:
        """Ask for the full backups that the status says are owed: what this look finds is remembered there first."""
        context, repository = self._context, facts.repository
        debts = renewal.standing(repository.get("status") or {}, [], lost.newest_full(facts))
        if not debts:
            return
        there = context.caches.of_repository(context.caches.backups, *facts.key)
        waits = [(name, storage_state.hindrance(repository, name)) for name in facts.spec.storages]
        for step in renewal.plan(repository, debts, there, lost.hindrances(facts, waits), facts.now):
            if isinstance(step, renewal.Wait):
                continue
            try:
                await context.client.create(paths.of("backups", facts.key[0]), renewal.backup(repository, step))
            except errors.Conflict:
                continue
            except errors.Invalid as error:
                if self._refused.may(facts.key, facts.now):
                    self._refused.tried(facts.key, facts.now)
                    await context.recorder.warning(repository, "BackupNotCreated", f"Backup {step.name}: {error}")
                continue
            for name, uid in step.expendable:
                await context.client.delete(paths.of("backups", facts.key[0], name), uid=uid)
            text = f"created Backup {step.name}: {step.debt.message}"
            await context.recorder.normal(repository, "FullBackupAsked", text)

    async def _set_aside(self, key: Key, facts: RepositoryFacts) -> RepositoryFacts:
        """Move what is left of half a stanza, so that it can be made again. Paced as that is."""
        known, again = self._stanzas.get(key), self._stanzas.next(key)
        if known is not None and again is not None and facts.now < again:
            return dataclasses.replace(facts, stanza_error=known.said)
        try:
            host_ip = gather.host_ip(self._context, key)
            made = await self._context.agents.host(key, host_ip, calls.set_aside(), seconds=STANZA_CREATE_SECONDS)
            error = "" if made.ok else made.error or "no reason given"
        except AgentError as problem:
            error = str(problem)
        if error:
            self._stanzas.tried(key, facts.now, error)
            return dataclasses.replace(facts, stanza_error=error)
        half = lost.half(facts)
        text = lost.set_aside_message(facts, made.output or "")
        await self._context.recorder.warning(facts.repository, half.reason if half else "RepositoryHalfLost", text)
        return await gather.ask_host(self._context, facts)

    async def _make_stanza(self, key: Key, facts: RepositoryFacts) -> RepositoryFacts:
        """Tried at once, then after growing pauses; meanwhile it is said why the last try failed."""
        host_ip, error = gather.host_ip(self._context, key), ""
        known, again = self._stanzas.get(key), self._stanzas.next(key)
        if known is not None and again is not None and facts.now < again:
            said = f"{known.said}; tried again at {conditions.timestamp(again)}" if known.said else ""
            return dataclasses.replace(facts, stanza_error=said)
        if not host_ip:
            return facts
        try:
            made = await self._context.agents.host(key, host_ip, calls.stanza_create(), seconds=STANZA_CREATE_SECONDS)
            error = "" if made.ok else _last_line(made.output or "")
        except AgentError as problem:
            error = str(problem)
        self._stanzas.tried(key, facts.now, error)
        if error:
            return dataclasses.replace(facts, stanza_error=error)
        await self._context.recorder.normal(facts.repository, "StanzaCreated", f"created stanza {names.stanza(key[1])}")
        return await gather.ask_host(self._context, facts)

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


def _last_line(output: str) -> str:
    """The line that says what is wrong, with its hints."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    begin = next((n for n, line in enumerate(lines) if "ERROR" in line), max(len(lines) - 1, 0))
    return " ".join(lines[begin:])[:1000]
