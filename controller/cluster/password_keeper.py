"""Brings the roles in the data in step with the passwords in the Secret, through the agent beside the primary."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from controller.agents import AgentError
from controller.cluster import passwords
from controller.cluster.facts import ClusterFacts
from controller.cluster.passwords import Known
from controller.context import Context
from controller.runtime.backoff import Pace, Tries
from pgwarden.api.objects import Object
from pgwarden.contract import calls
from pgwarden.kube import errors, paths
from pgwarden.kube.cache import Key

SECONDS = 35.0
#: What could not be set is tried again; and what was set is looked at again, as SQL may have changed it.
PACE = Pace(timedelta(seconds=5), timedelta(minutes=2))
AGAIN = timedelta(minutes=5)


@dataclass(frozen=True)
class Kept:
    entry: Object | None = None  # for the status
    trouble: str = ""  # why the roles are not in step


class PasswordKeeper:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._tries: Tries[Key] = Tries(PACE)
        #: Cluster → what was brought in step, where, and when.
        self._done: dict[Key, tuple[tuple[Known, str], datetime]] = {}

    def forget(self, key: Key) -> None:
        self._done.pop(key, None)
        self._tries.forget(key)

    async def keep(self, key: Key, facts: ClusterFacts) -> Kept:
        before, primary = passwords.known(facts.cluster), facts.primary
        entry, secret = before.entry() if before else None, facts.credentials
        pod = (primary.pod if primary else None) or {}
        if facts.fault or secret is None or primary is None or not facts.store.system_identifier:
            return Kept(entry)
        now = Known(passwords.digest(secret), passwords.restored(facts.restores))
        mark = now, str(pod["metadata"].get("uid", ""))
        done = self._done.get(key)
        if done and done[0] == mark and facts.now - done[1] < AGAIN and before == now:
            return Kept(entry)
        first = Known("").entry() if before is None and not facts.initialized_before else entry
        if not self._tries.may(key, facts.now):
            known = self._tries.get(key)
            return Kept(first, known.said if known else "")
        due = passwords.application_is_due(before, now, initialized=facts.initialized_before)
        ip = str(pod.get("status", {}).get("podIP") or "")
        trouble = await self._set(key, facts, secret, ip, application=due)
        self._tries.tried(key, facts.now, trouble)
        if trouble:
            return Kept(first, trouble)
        self._tries.forget(key)
        self._done[key] = mark, facts.now
        return Kept(now.entry())

    async def _set(self, key: Key, facts: ClusterFacts, secret: Object, ip: str, *, application: bool) -> str:
        """Why it could not be done by the agent at *ip*, or nothing."""
        try:
            create = application and facts.store.of_another
            wanted = passwords.roles(secret, application=application, create=create)
        except passwords.UnreadableError as error:
            return str(error)
        try:
            answer = await self._context.agents.pod(key, ip, calls.roles(wanted), seconds=SECONDS)
        except AgentError as error:
            return str(error)
        if not answer.ok:
            return answer.error or "the agent could not set them"
        if answer.output:
            text = f"set by the Secret {secret['metadata']['name']}: {answer.output}"
            await self._context.recorder.normal(facts.cluster, "PasswordsSet", text)
        await self._mend_uri(key, secret)
        return ""

    async def _mend_uri(self, key: Key, secret: Object) -> None:
        uri = passwords.uri(secret)
        if not uri:
            return
        version = secret["metadata"]["resourceVersion"]
        patch = {"metadata": {"resourceVersion": version}, "data": {"uri": uri}}
        try:
            await self._context.client.merge(paths.of("secrets", key[0], secret["metadata"]["name"]), patch)
        except errors.Conflict:
            return  # it was changed meanwhile: the next look sees that
