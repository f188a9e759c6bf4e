"""Which image the repository host runs, and what is said of pods that have another pgBackRest. Pure.

pgBackRest talks to its own version alone. A new image of pgwarden reaches a PostgreSQL pod only when that starts anew:
until then the host stays with an image whose pgBackRest the pod speaks, or else nothing would be archived.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from pgwarden.api.objects import Object
from pgwarden.api.reading import get, objects

MATCH, OWED, DIFFER, UNKNOWN = "VersionsMatch", "PodsOwedRestart", "VersionsDiffer", "VersionsUnknown"
_MOST = 10  # pods that are named
FIELD, VERSION = "hostImages", "pgbackrestVersion"  # of a Repository's status
_KEPT = 5


@dataclass(frozen=True)
class Tools:
    image: str = ""
    version: str = ""  # of pgBackRest; empty where it is not known


NOT_TOLD = Tools()


@dataclass(frozen=True)
class Speaker:
    """A PostgreSQL pod: the image that it was injected with, and what its agent says that this holds."""

    name: str
    tools: Tools
    is_primary: bool = False


@dataclass(frozen=True)
class View:
    """*new* is this release's, *host* that of the repository host's Deployment, *pods* those that have not ended."""

    new: Tools = Tools()
    host: Tools = Tools()
    pods: tuple[Speaker, ...] = ()
    history: tuple[Tools, ...] = ()  # what the host has had, the newest first
    answered: str = ""  # the version that a host told last: its pod may be the one before

    @cached_property
    def spoken(self) -> Mapping[str, str]:
        """Pod → version. What one says of its image is true of another with that image."""
        return {pod.name: pod.tools.version or self.version_of(pod.tools.image) for pod in self.pods}

    @property
    def of_host(self) -> str:
        return self.host.version or self.version_of(self.host.image)

    def version_of(self, image: str) -> str:
        return self._known.get(image, "")

    @property
    def primary(self) -> Speaker | None:
        return next((pod for pod in self.pods if pod.is_primary), None)

    @property
    def owed(self) -> list[Speaker]:
        """The pods that have to start anew to speak *new*."""
        return [pod for pod in self.pods if self.spoken[pod.name] not in {"", self.new.version}]

    @cached_property
    def _known(self) -> Mapping[str, str]:
        told = (*reversed(self.history), *(pod.tools for pod in self.pods), self.host, self.new)
        return {one.image: one.version for one in told if one.image and one.version}


NOT_SEEN = View()


def choose(view: View, *, busy: bool = False) -> str:
    """The image of the repository host. *busy*: an operation runs, which a host of another version would end.

    The primary decides, as it archives; while none answers, all of the pods.
    """
    new, host, primary = view.new, view.host, view.primary
    if not new.version:
        return new.image
    if not view.pods:
        return host.image if busy and host.image and view.of_host != new.version else new.image
    told = {view.spoken[primary.name]} if primary else set(view.spoken.values())
    if told == {new.version} or (view.of_host == new.version and told <= {"", new.version}):
        return new.image
    if host.image and (primary is None or "" in {*told, view.of_host} or view.of_host in told):
        return host.image
    # Not the pod's own image: who may write a pod must not choose what runs with the Repository's keys.
    return next((one.image for one in view.history if one.version in told), host.image or new.image)


def history(repository: Object | None) -> tuple[Tools, ...]:
    """What the host of *repository* has had, by its status."""
    told = [(get(one, str, "image"), get(one, str, VERSION)) for one in objects(repository or {}, "status", FIELD)]
    return tuple(Tools(image, version) for image, version in told if image and version)


def entry(view: View) -> list[Object]:
    """For the status: of each version the image that the host had last, the newest first."""
    now = [Tools(view.host.image, view.of_host)] if view.host.image and view.of_host else []
    found: dict[str, str] = {}
    for one in (*now, *view.history):
        found.setdefault(one.version, one.image)
    return [{"image": image, VERSION: version} for version, image in found.items()][:_KEPT]


def verdict(view: View, *, on_volume: bool) -> tuple[bool | None, str, str] | None:
    """Of the condition SameVersion: status, reason, message. None where this release's own version is not known.

    *on_volume*: WAL goes through the host, else straight to the storage.
    """
    new, of_host, primary = view.new, view.answered or view.of_host, view.primary
    if not new.version:
        return None
    of_primary = view.spoken[primary.name] if primary else ""
    if primary and of_primary and of_host and of_primary != of_host:
        return False, DIFFER, _differs(view, primary.name, on_volume=on_volume)
    if view.owed:
        return False, OWED, _owed(view)
    unknown = [pod.name for pod in view.pods if not view.spoken[pod.name]]
    if unknown:
        return None, UNKNOWN, f"not known yet of {_list([f'pod {name}' for name in unknown])}"
    if not of_host:
        return None, UNKNOWN, "not known yet of the repository host"
    if of_host != new.version:
        return False, DIFFER, f"the repository host runs pgBackRest {of_host}; it starts anew with {new.version}"
    return True, MATCH, f"the repository host and all PostgreSQL pods run pgBackRest {new.version}"


def why_kept(view: View) -> str:
    """What is added to why a host with an earlier image does not start; empty where it has this release's."""
    late = view.owed
    if not view.new.version or not late or view.host.image in {"", view.new.image}:
        return ""
    them = "it" if len(late) == 1 else "them"
    return f"; this image is kept for {_list(_shown(view, late))}; if it can no longer be pulled, restart {them}"


def _differs(view: View, pod: str, *, on_volume: bool) -> str:
    of_pod, of_host = view.spoken[pod], view.answered or view.of_host
    lost = "WAL waits in pg_wal" if on_volume else "no backup can be made"
    said = f"pod {pod} runs pgBackRest {of_pod} and the repository host {of_host}, which refuse each other"
    if view.version_of(choose(view)) == of_pod:
        return f"{said}: {lost} until the host has started anew with {of_pod}"
    return f"{said}: {lost} until you restart the pod: no image of before is known that has {of_pod}"


def _owed(view: View) -> str:
    of_host, new = view.answered or view.of_host, view.new.version
    said = f"restart {_list(_shown(view, view.owed))}: this release of pgwarden has pgBackRest {new}"
    if of_host and of_host != new:
        said += f". Until then the repository host stays with {of_host}, and archiving and backups go on"
    deaf = [pod.name for pod in view.pods if of_host and view.spoken[pod.name] not in {"", of_host}]
    if deaf:
        said += f". Another version than the host's, and so no access to the repository, has {_list(deaf)}"
    return said


def _shown(view: View, pods: Iterable[Speaker]) -> list[str]:
    roles = {True: "primary, ", False: ""}
    return [f"pod {one.name} ({roles[one.is_primary]}pgBackRest {view.spoken[one.name]})" for one in pods]


def _list(words: Sequence[str]) -> str:
    named = [*words[:_MOST], *([f"{len(words) - _MOST} more"] if len(words) > _MOST else [])]
    return " and ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named)
