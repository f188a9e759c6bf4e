"""Where the PostgreSQL of each pod truly is, as its agent has said last: the webhook has only seen the pod.

Kept by this process alone. After its start the configuration says what the webhook assumed, until the first answers.
"""

from __future__ import annotations

from msgspec.structs import replace

from controller.repository.facts import PodView, RepositoryFacts
from pgwarden.api.kinds import PodFacts
from pgwarden.contract.status import Place
from pgwarden.kube.cache import Key


class ServerPlaces:
    def __init__(self) -> None:
        #: Repository → the places that are other than assumed, by the pod's uid.
        self._known: dict[Key, dict[str, Place]] = {}

    def forget(self, key: Key) -> None:
        self._known.pop(key, None)

    def learn(self, facts: RepositoryFacts) -> bool:
        """Whether the configuration is to be written anew. A pod that does not answer is where it was."""
        before, now = self._known.get(facts.key, {}), dict[str, Place]()
        for pod in facts.pods:
            place = pod.answer.place if pod.answer else before.get(pod.uid)
            if place is not None:
                now[pod.uid] = place
        if now:
            self._known[facts.key] = now
        else:
            self.forget(facts.key)
        return now != before

    def of(self, key: Key, pod: PodView) -> PodFacts | None:
        """What the configuration is to say of *pod*."""
        place = self._known.get(key, {}).get(pod.uid)
        if pod.facts is None or place is None:
            return pod.facts
        return replace(
            pod.facts,
            data_directory=place.data_directory,
            port=place.port,
            socket_directory=place.socket_directory,
        )
