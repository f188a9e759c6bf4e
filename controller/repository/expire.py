"""Carrying out a user's word to expire a full backup on the volume: in its turn, by the repository host's agent."""

from __future__ import annotations

from datetime import timedelta

from controller import operations, set_gone, turns
from controller.agents import AgentError
from controller.context import Context
from controller.repository import expiry, gather
from controller.repository.expiry import Offer
from controller.repository.facts import RepositoryFacts
from controller.runtime.backoff import Pace, Tries
from pgwarden.api import names
from pgwarden.contract import calls
from pgwarden.kube import paths
from pgwarden.kube.cache import Key

#: The agent goes on where it takes longer, and says so when it is asked again.
EXPIRE_SECONDS = 120.0
#: What failed is tried again for as long as the word stands.
PACE = Pace(timedelta(minutes=1), timedelta(hours=1))


class Expirer:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._tried: Tries[Key] = Tries(PACE)
        #: Repository → the word that was carried out last: a cache may still have it.
        self._spent: dict[Key, str] = {}

    def forget(self, key: Key) -> None:
        self._tried.forget(key)
        self._spent.pop(key, None)

    async def look(self, key: Key, facts: RepositoryFacts) -> RepositoryFacts:
        """Do what is asked for, if it can be done now; *facts* as they are then."""
        label = expiry.asked(facts)
        if not label:
            self.forget(key)
            return facts
        if self._spent.get(key) == label:
            await self._take_word_back(facts, label)
            return facts
        if not expiry.is_known(facts) or facts.operation or not self._tried.may(key, facts.now):
            return facts
        found = expiry.judge(facts, label)
        if isinstance(found, str):
            await self._context.recorder.warning(facts.repository, "ExpiryRefused", found)
            await self._spend(key, facts, label)
            return facts
        async with self._context.lock(*key):  # nobody begins an operation meanwhile
            if operations.running(await turns.listed(self._context.client, *key)) is not None:
                return facts
            error, gone = await self._expire(key, found)
        if error:
            self._tried.tried(key, facts.now)
            text = f"full backup {label} could not be expired: {error}; it is tried again"
            await self._context.recorder.warning(facts.repository, "ExpiryFailed", text)
            return facts
        await self._spend(key, facts, label)
        labels = [one.label for one in facts.info.backups if one.label.partition("_")[0] == label] if facts.info else []
        await set_gone.tell_expired(self._context, facts.repository, labels, found.number, "as it was asked for")
        await self._context.recorder.normal(facts.repository, "SetExpired", f"expired {gone}, as it was asked for")
        return await gather.ask_host(self._context, facts)

    async def _expire(self, key: Key, found: Offer) -> tuple[str, str]:
        """Why it was not done, and what went."""
        call = calls.expire(found.number, found.label, found.remaining)
        try:
            host = await gather.host_ip(self._context, key)
            answer = await self._context.agents.host(key, host, call, seconds=EXPIRE_SECONDS)
        except AgentError as problem:
            return str(problem), ""
        return ("" if answer.ok else answer.error or "no reason is known"), answer.output or found.label

    async def _spend(self, key: Key, facts: RepositoryFacts, label: str) -> None:
        self._spent[key] = label
        await self._take_word_back(facts, label)

    async def _take_word_back(self, facts: RepositoryFacts, label: str) -> None:
        """It is spent. Only this one: another may have been given meanwhile."""
        metadata = facts.repository["metadata"]
        path = paths.of("repositories", metadata["namespace"], metadata["name"])
        found = await self._context.client.find(path)
        given = ((found or {}).get("metadata", {}).get("annotations") or {}).get(names.ANNOTATION_EXPIRE)
        if found is not None and given == label:
            version = found["metadata"]["resourceVersion"]
            change = {"resourceVersion": version, "annotations": {names.ANNOTATION_EXPIRE: None}}
            await self._context.client.merge(path, {"metadata": change})
