"""What the pods and the host of each Repository said last of their pgBackRest, and the host's image by that."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from controller import host_image, operations
from controller.agents import AgentError
from controller.context import Context
from controller.repository import gather, tools
from controller.repository.facts import PodView, RepositoryFacts
from controller.repository.tools import Speaker, Tools, View
from pgwarden.contract import calls
from pgwarden.contract.status import Status
from pgwarden.kube.cache import Key
from pgwarden.pgbackrest import version

#: For the first answer of a pod. Who is later is asked again with all else.
_SECONDS = 5.0


@dataclass(frozen=True)
class _Told:
    version: str = ""
    is_primary: bool = False


class Versions:
    def __init__(self, context: Context) -> None:
        self._context = context
        #: Repository → what each pod said, by its uid. It stays while the pod is there but does not answer.
        self._pods: dict[Key, dict[str, _Told]] = {}
        self._hosts: dict[Key, Tools] = {}

    def forget(self, key: Key) -> None:
        self._pods.pop(key, None)
        self._hosts.pop(key, None)

    async def image(self, key: Key) -> str:
        """For the host and the spare one. Asks only pods with another image that have not been asked before."""
        context, new = self._context, self._new()
        pods = [pod for pod in gather.pods(context, key) if pod.facts is not None]
        if new.version:
            await self._ask(key, [pod for pod in pods if pod.image != new.image])
        caches = context.caches
        begun = operations.running(
            [*caches.of_repository(caches.backups, *key), *caches.of_repository(caches.restores, *key)]
        )
        return tools.choose(self._view(key, pods), busy=begun is not None)

    def learn(self, facts: RepositoryFacts) -> RepositoryFacts:
        """*facts* with what is known by now of the versions."""
        key, there = facts.key, [pod for pod in facts.pods if pod.facts is not None]
        known = self._pods.get(key, {})
        has_primary = any(pod.is_primary for pod in there)
        self._pods[key] = {
            pod.uid: told for pod in there if (told := _told(pod, known.get(pod.uid), has_primary=has_primary))
        }
        if facts.host_answered.version:
            self._hosts[key] = facts.host_answered
        return dataclasses.replace(facts, versions=self._view(key, there))

    def _new(self) -> Tools:
        settings = self._context.settings
        return Tools(settings.image, settings.pgbackrest)

    def _host(self, key: Key) -> Tools:
        """As its Deployment is now: what another image said does not count."""
        image, told = host_image.of(self._context.caches, key), self._hosts.get(key, Tools())
        return told if image in {"", told.image} else Tools(image)

    def _view(self, key: Key, pods: Sequence[PodView]) -> View:
        said = self._pods.get(key, {})
        told = [(pod, said.get(pod.uid, _Told())) for pod in pods]
        speakers = (Speaker(pod.name, Tools(pod.image, one.version), one.is_primary) for pod, one in told)
        history = tools.history(self._context.caches.repositories.get(*key))
        answered = self._hosts.get(key, Tools()).version
        return View(self._new(), self._host(key), tuple(speakers), history, answered)

    async def _ask(self, key: Key, pods: Sequence[PodView]) -> None:
        known = self._pods.setdefault(key, {})
        unasked = [pod for pod in pods if pod.uid not in known and pod.ip]
        answers = await asyncio.gather(*(self._status(key, pod.ip) for pod in unasked))
        for pod, answer in zip(unasked, answers, strict=True):
            known[pod.uid] = _of(answer) if answer else _Told()

    async def _status(self, key: Key, ip: str) -> Status | None:
        try:
            return await self._context.agents.pod(key, ip, calls.status(), seconds=_SECONDS)
        except AgentError:
            return None


def _of(answer: Status) -> _Told:
    return _Told(version.believed(answer.pgbackrest), answer.postgres is not None and answer.postgres.takes_writes)


def _told(pod: PodView, before: _Told | None, *, has_primary: bool) -> _Told | None:
    """One that does not answer is taken for the primary that it was until another one says that it is."""
    if pod.answer is not None:
        return _of(pod.answer)
    return before and _Told(before.version, before.is_primary and not has_primary)
