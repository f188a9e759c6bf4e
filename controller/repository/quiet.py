"""A look at a Repository of which nothing has changed since the one before: its agents are asked, and no more is done.

Everything that a look goes by is compared: objects by their versions, the answers of agents whole. What a look does by
the clock alone (certificates, what is owed) it does at the full looks, which come every few minutes.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from controller.agents import AgentError, Unchanged
from controller.context import REPOSITORY, Context
from controller.pods import is_ready
from controller.repository import decide, due, expiry, gaps, major_upgrade, renewal, storages
from controller.repository.facts import RepositoryFacts
from controller.repository.keys import Keys
from pgwarden.api import names
from pgwarden.api.objects import Object
from pgwarden.api.reading import objects
from pgwarden.contract import calls, last_drills, server_facts
from pgwarden.contract.status import Status, tag
from pgwarden.kube.cache import NAMESPACE, Key

#: A look goes through everything so often, whatever has changed; of very many, one in three seconds does.
FULL, BETWEEN_FULL = timedelta(minutes=5), timedelta(seconds=3)
#: The same of those whose storages have been away for some time.
FULL_AWAY = timedelta(minutes=1)
#: And so often in any case.
LONGEST = timedelta(hours=1)
#: Pods that are asked in a second, of those of all Repositories. What a storage does shows at its host, which is asked
#: at each look; a pod that is gone or not ready, at the pod itself.
POD_ASKS = 4
Answers = Mapping[str, Status | AgentError]  # by the IP that was asked


@dataclass(frozen=True)
class _Look:
    full: datetime
    away: bool  # its storage
    versions: bytes
    host: str  # the IP of the host that answered
    answers: Mapping[str, str]  # the tag of each: a host's `info` of twenty sets takes 50 KB
    pods: datetime  # when they were asked


@dataclass(frozen=True)
class _Own:
    """What a look goes by of the Repository itself, at one resourceVersion of it."""

    version: str
    digest: str  # of all but its status, which is what the last look wrote; of that the drills, which others write
    segment_size: int


class Quiet:
    def __init__(self, context: Context, keys: Keys) -> None:
        self._context = context
        self._keys = keys
        self._last: dict[Key, _Look] = {}
        self._owns: dict[Key, _Own] = {}

    def forget(self, key: Key) -> None:
        for known in (self._last, self._owns):
            known.pop(key, None)

    async def ask(self, key: Key) -> tuple[bool, Answers]:
        """Whether all is as at the last full look; and what the agents say, where they were asked."""
        last, now = self._last.get(key), self._context.clock()
        known = last is not None and now - last.full < self._full(last) and self._keys.knows(key)
        if last is None or not known or self.versions(key) != last.versions:
            self._last.pop(key, None)
            return False, {}
        size, pods = self._own(key).segment_size, now - last.pods >= self._between_pods()
        wanted = {ip: known for ip, known in last.answers.items() if pods or ip == last.host}
        asked = await asyncio.gather(
            *(self._ask(key, ip, size if ip == last.host else None, known) for ip, known in wanted.items())
        )
        new = {ip: answer for ip, answer in zip(wanted, asked, strict=True) if answer is not None}
        if new:
            self._last.pop(key, None)
        elif pods and self._last.get(key) is last:
            self._last[key] = replace(last, pods=now)
        return not new, new

    def _between_pods(self) -> timedelta:
        """Between two questions to the same pod: nothing where there are few, as they are asked at each look then."""
        seconds = len(self._context.caches.postgres_pods.items) / POD_ASKS
        return timedelta(seconds=max(0.0, seconds - decide.STEADY))

    def _full(self, last: _Look) -> timedelta:
        if last.away:
            away = sum(one.away for one in self._last.values())
            return max(FULL_AWAY, min(LONGEST, away * BETWEEN_FULL))
        return max(FULL, min(LONGEST, len(self._context.caches.repositories.items) * BETWEEN_FULL))

    async def _ask(self, key: Key, ip: str, segment_size: int | None, known: str) -> Status | AgentError | None:
        """Of a PostgreSQL pod's agent; with *segment_size* of the host's. None where the answer is the *known* one."""
        agents = self._context.agents
        try:
            if segment_size is None:
                answer = await agents.pod(key, ip, calls.status(unless=known))
            else:
                call = calls.status(refresh=True, segment_size=segment_size, unless=known)
                answer = await agents.host(key, ip, call)
        except Unchanged:
            return None
        except AgentError as error:
            return error
        return None if tag(answer) == known else answer

    async def note(self, facts: RepositoryFacts, versions: bytes, *, soon: bool = False) -> None:
        """After a full look that began with *versions* and had nothing to do. *soon*: another full one is to follow."""
        self._last.pop(facts.key, None)
        if facts.host_answer is None or not rests(facts, soon=soon):
            return
        hosts = [str(pod["status"]["podIP"]) for pod in await self._context.hosts(*facts.key) if is_ready(pod)]
        if not hosts:
            return
        answers = {hosts[0]: facts.host_answer} | {pod.ip: pod.answer for pod in facts.pods if pod.answer is not None}
        if len(answers) == 1 + len(facts.pods):
            tags = {ip: tag(one) for ip, one in answers.items()}
            self._last[facts.key] = _Look(facts.now, not decide.settled(facts), versions, hosts[0], tags, facts.now)

    def versions(self, key: Key) -> bytes:
        """A digest of every object that a look goes by: for a thousand Repositories the versions themselves are much.

        None of the objects is read for it: the caches know their versions.
        """
        caches, own = self._context.caches, names.LABEL_OWNER_REPOSITORY
        by_label = (caches.own_pods, *caches.of_repositories.values(), caches.claims)
        found = (
            [self._own(key).digest],
            caches.postgres_pods.versions(names.LABEL_REPOSITORY, key),
            *(cache.versions(own, key) for cache in by_label),
            *(cache.versions(REPOSITORY, key) for cache in (caches.backups, caches.restores, caches.schedules)),
            *(cache.versions(NAMESPACE, key[0]) for cache in (caches.quotas, caches.limit_ranges)),
        )
        return _digest("\n".join(",".join(versions) for versions in found))

    def _own(self, key: Key) -> _Own:
        """Read once for each version of the Repository: as an object it is the largest of all."""
        cache = self._context.caches.repositories
        version = cache.version(*key)
        known = self._owns.get(key)
        if known is None or known.version != version:
            known = self._owns[key] = _read(version, cache.get(*key))
        return known


def _read(version: str, repository: Object | None) -> _Own:
    if repository is None:
        return _Own(version, "", 0)
    metadata = repository["metadata"]
    kept = {field: one for field, one in metadata.items() if field not in {"resourceVersion", "managedFields"}}
    drills = objects(repository, "status", last_drills.FIELD)
    digest = _digest(json.dumps([kept, drills], sort_keys=True)).hex()
    return _Own(version, digest, server_facts.of(repository).wal_segment_size or 0)


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def rests(facts: RepositoryFacts, *, soon: bool) -> bool:
    """Whether nothing is under way, or owed, that goes on by the clock. *soon*: what is waited for has just begun."""
    return not _is_busy(facts) and (decide.settled(facts) or (_is_away(facts) and not soon))


def _is_away(facts: RepositoryFacts) -> bool:
    """Whether no storage of it can be read, so that there is nothing to do but to ask again."""
    if facts.secret_error or facts.not_applied or facts.in_the_way:
        return False
    return bool(facts.info_error) or len(storages.unreadable(facts)) == len(facts.spec.storages)


def _is_busy(facts: RepositoryFacts) -> bool:
    return bool(
        facts.operation
        or facts.refused
        or facts.growth
        or facts.on_the_way
        or expiry.asked(facts)
        or major_upgrade.debts(facts)
        or due.wants_archive_timeout(facts) is not None
        or (facts.repository.get("status") or {}).get(renewal.FIELD)
        or any(gaps.known(facts, name) for name in facts.spec.storages)
    )
