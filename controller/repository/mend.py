"""Mending what a storage has lost: its claim is let go, the rest of half a stanza set aside, and a full backup that is
owed asked for.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import timedelta

from controller import operations, storage_state
from controller.agents import AgentError
from controller.context import Context
from controller.repository import gather, lost, major_upgrade, renewal, volume
from controller.repository.facts import RepositoryFacts
from controller.repository.renewal import Debt
from controller.runtime.backoff import Pace, Tries
from pgwarden.api import names
from pgwarden.api.reading import is_going
from pgwarden.contract import calls
from pgwarden.kube import errors, paths
from pgwarden.kube.cache import Key

SET_ASIDE_SECONDS = 60.0
#: What the API server refused is told again after so long.
TOLD_PACE = Pace(timedelta(minutes=1), timedelta(hours=1))


class Mender:
    """*stanzas* are the tries at the stanza itself, which waits for this."""

    def __init__(self, context: Context, stanzas: Tries[Key]) -> None:
        self._context = context
        self._stanzas = stanzas
        #: Repositories whose Backup the API server refused.
        self._refused: Tries[Key] = Tries(TOLD_PACE)

    def forget(self, key: Key) -> None:
        self._refused.forget(key)

    async def let_go(self, key: Key, facts: RepositoryFacts) -> None:
        """Of a claim that the user deletes: the Jobs that are over go, as their pods would keep it there."""
        if not is_going(facts.claim):
            return
        caches, claim = self._context.caches, names.repo_claim(key[1])
        both = (*caches.of_repository(caches.backups, *key), *caches.of_repository(caches.restores, *key))
        over = {one["metadata"]["uid"] for one in both if operations.is_over(one)}
        pods, jobs = (caches.owned_by(cache, *key) for cache in (caches.own_pods, caches.jobs))
        for job in volume.spent(claim, pods, jobs, over):
            if is_going(job):
                continue
            name = job["metadata"]["name"]
            await self._context.client.delete(paths.of("jobs", key[0], name), uid=job["metadata"]["uid"])
            text = f"deleted Job {name}, which has ended: its pod held claim {claim}, which is being deleted"
            await self._context.recorder.normal(facts.repository, "JobRemoved", text)

    async def back_up(self, facts: RepositoryFacts) -> None:
        """Ask for the full backups that the status says are owed: what this look finds is remembered there first. And
        for the one after a major upgrade, which the backup sets themselves tell of.
        """
        repository = facts.repository
        waits = {name: storage_state.hindrance(repository, name) for name in facts.spec.storages}
        owed = renewal.standing(repository.get("status") or {}, [], lost.newest_full(facts))
        await self._ask(facts, owed, lost.hindrances(facts, waits.items()), "FullBackupAsked", "created Backup")
        upgraded = major_upgrade.debts(facts) if facts.primary is not None else []
        await self._ask(facts, upgraded, waits, "BackUp", "taking full backup")

    async def _ask(
        self, facts: RepositoryFacts, owed: list[Debt], hindrances: Mapping[str, str], event: str, told: str
    ) -> None:
        """*event* and the beginning of its sentence: once for each Backup."""
        context, repository = self._context, facts.repository
        there = context.caches.of_repository(context.caches.backups, *facts.key) if owed else []
        for step in renewal.plan(repository, owed, there, hindrances, facts.now):
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
            await context.recorder.normal(repository, event, f"{told} {step.name}: {step.debt.message}")

    async def set_aside(self, key: Key, facts: RepositoryFacts) -> RepositoryFacts:
        """Move what is left of half a stanza, so that it can be made again. Paced as that is."""
        known, again = self._stanzas.get(key), self._stanzas.next(key)
        if known is not None and again is not None and facts.now < again:
            return dataclasses.replace(facts, stanza_error=known.said)
        try:
            host_ip = await gather.host_ip(self._context, key)
            made = await self._context.agents.host(key, host_ip, calls.set_aside(), seconds=SET_ASIDE_SECONDS)
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
