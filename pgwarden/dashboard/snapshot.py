"""What was read of the cluster at one time, and what could not be. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pgwarden.api.objects import Object
from pgwarden.api.reading import get
from pgwarden.api.registry import BY_PLURAL


@dataclass(frozen=True)
class Snapshot:
    """`there`: objects by plural; a kind that could not be read is not in it, but in `unread`, with the reason."""

    at: datetime
    there: dict[str, list[Object]]
    unread: Mapping[str, str] = field(default_factory=dict)

    def of(self, plural: str) -> list[Object]:
        return self.there.get(plural, [])

    def knows(self, plural: str) -> bool:
        """Whether there being none of a kind means that there is none."""
        return plural in self.there

    def of_repository(self, plural: str, namespace: str, name: str) -> list[Object]:
        return [one for one in self.of(plural) if place(one) == (namespace, name)]

    def repository(self, namespace: str, name: str) -> Object | None:
        found = (one for one in self.of("repositories") if place(one, own=True) == (namespace, name))
        return next(found, None)

    def within(self, namespace: str) -> list[Object]:
        """All objects of one namespace."""
        return [one for listed in self.there.values() for one in listed if place(one)[0] == namespace]

    @property
    def missing(self) -> list[tuple[str, str]]:
        """Kind → why it is not shown."""
        return [(BY_PLURAL[plural].name if plural in BY_PLURAL else plural, why) for plural, why in self.unread.items()]


@dataclass(frozen=True)
class Told:
    """The newest snapshot that there is. `trouble`: why there is no newer one."""

    snapshot: Snapshot
    trouble: str = ""


def place(obj: Object, *, own: bool = False) -> tuple[str, str]:
    """Its namespace, and the Repository that it names; with *own* its own name."""
    metadata = obj["metadata"]
    name = metadata["name"] if own else get(obj, str, "spec", "repository")
    return str(metadata.get("namespace", "")), str(name or "")
