"""How full the volumes are: the local storage's, and those of data and WAL in PostgreSQL's pods. Pure.

What the status says of it changes with each percent and no more often: sizes in bytes change with every look.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from controller.repository import expiry
from controller.repository.facts import RepositoryFacts
from pgwarden.api.objects import Object
from pgwarden.api.quantity import size as in_words
from pgwarden.api.reading import get, objects
from pgwarden.contract.status import Usage
from pgwarden.storages import on_volume

#: Percent from which a volume is told of, and from which that is urgent.
WARNING, URGENT = 80, 90
HAS_ROOM = "VolumesHaveRoom"
FILLS_UP = "VolumeFillsUp"
NEARLY_FULL = "VolumeNearlyFull"
NOT_MEASURED = "NotMeasured"
#: Fields of the status: of a storage, and of a pod.
OF_STORAGE, OF_DATA, OF_WAL = "volume", "dataVolume", "walVolume"
_KINDS = {OF_DATA: "data", OF_WAL: "wal"}


@dataclass(frozen=True)
class Filled:
    """One volume. *of*: the storage or the pod that it is of; *field*: where the status has it."""

    of: str
    field: str
    percent: int
    usage: Usage
    role: str = ""  # of the pod

    @property
    def kind(self) -> str:
        """For metrics: data or wal; empty of a storage's."""
        return _KINDS.get(self.field, "")

    @property
    def entry(self) -> Object:
        """In the status."""
        return {"size": self.usage.size, "usedPercent": self.percent}


def measured(facts: RepositoryFacts) -> list[Filled]:
    """What the agents tell, the storage's volume first."""
    before = facts.repository.get("status") or {}
    found: list[Filled | None] = []
    storage = on_volume(facts.spec)
    if storage and facts.volume is not None and facts.volume.mounted:
        found.append(_filled(storage, OF_STORAGE, facts.volume, _known(before, "storages", storage, OF_STORAGE)))
    for pod in facts.pods:
        if pod.answer is None:
            continue
        for field, usage in ((OF_DATA, pod.answer.data), (OF_WAL, pod.answer.wal)):
            found.append(_filled(pod.name, field, usage, _known(before, "pods", pod.name, field), pod.role))
    return [one for one in found if one is not None]


def verdict(facts: RepositoryFacts) -> tuple[bool | None, str, str]:
    """Of the condition HasRoom."""
    found, offered = measured(facts), expiry.offer(facts)
    full = sorted((one for one in found if one.percent >= WARNING), key=lambda one: -one.percent)
    if not found:
        return None, NOT_MEASURED, "no agent has told how full the volumes are"
    if not full:
        return True, HAS_ROOM, f"no volume is {WARNING} % full"
    told = [
        _sentence(one) + (f". To make room: {offered.words}" if offered and one.field == OF_STORAGE else "")
        for one in full
    ]
    return False, _reason(full[0].percent), "; ".join(told)


def of_storage(found: Sequence[Filled], name: str) -> Object:
    """What the status has of the volume of storage *name*."""
    return {one.field: one.entry for one in found if one.of == name and not one.kind}


def of_pod(found: Sequence[Filled], name: str) -> Object:
    """What the status has of the volumes of pod *name*."""
    return {one.field: one.entry for one in found if one.of == name and one.kind}


def risen(before: Object, after: Object) -> list[tuple[str, str]]:
    """Reason and sentence of each volume that has passed a bound between two statuses."""
    known = {(of, field): percent for of, field, percent, _ in _of_status(before)}
    found = []
    for of, field, percent, size in _of_status(after):
        was = known.get((of, field), 0)
        if any(was < bound <= percent for bound in (WARNING, URGENT)):
            found.append((_reason(percent), _words(of, field, percent, size)))
    return found


def _reason(percent: int) -> str:
    return NEARLY_FULL if percent >= URGENT else FILLS_UP


def _sentence(one: Filled) -> str:
    return _words(one.of, one.field, one.percent, one.usage.size)


def _words(of: str, field: str, percent: int, size: int | None) -> str:
    whose = {
        OF_STORAGE: f"the volume of storage {of}",
        OF_DATA: f"the data volume of pod {of}",
        OF_WAL: f"the volume of pg_wal of pod {of}",
    }[field]
    return f"{whose} is {percent} % full ({in_words(size)} in all)"


def _of_status(status: Object) -> Iterator[tuple[str, str, int, int | None]]:
    for listed, fields in (("storages", (OF_STORAGE,)), ("pods", (OF_DATA, OF_WAL))):
        for one in objects(status, listed):
            for field in fields:
                percent = get(one, int, field, "usedPercent")
                if percent is not None:
                    yield str(one.get("name")), field, percent, get(one, int, field, "size")


def _known(before: Object, listed: str, name: str, field: str) -> int | None:
    known = next((one for one in objects(before, listed) if one.get("name") == name), None)
    return get(known, int, field, "usedPercent")


def _filled(of: str, field: str, usage: Usage | None, known: int | None, role: str = "") -> Filled | None:
    exact = usage.percent if usage is not None else None
    if usage is None or exact is None or usage.size is None:
        return None
    # What stands on a bound between two looks must not turn a condition each time.
    percent = known if known is not None and abs(exact - known) < 1 else int(exact)
    return Filled(of, field, percent, usage, role)
