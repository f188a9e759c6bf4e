"""What can be done for a PostgresCluster, one thing at a time, and what is said while it is done. Plain values."""

from __future__ import annotations

from dataclasses import dataclass

from controller.cluster.facts import Instance
from pgwarden.api.objects import Object


@dataclass(frozen=True)
class Make:
    number: int
    restarted: str = ""  # the mark that restarts it


@dataclass(frozen=True)
class Remove:
    instance: Instance


@dataclass(frozen=True)
class Switch:
    leader: str
    candidate: str


@dataclass(frozen=True)
class Configure:
    config: Object


@dataclass(frozen=True)
class BackUp:
    name: str
    expendable: tuple[tuple[str, str], ...] = ()  # name and uid of failed ones before it, which go


@dataclass(frozen=True)
class Clone:
    """Make the first instance, with what it needs to read its source. *own*: that is the cluster's own Repository."""

    own: bool = False


@dataclass(frozen=True)
class KeepClone:
    """Keep that as it must be while the clone is being made."""


@dataclass(frozen=True)
class EndClone:
    """Take that back; of a clone that has failed, what there is of it as well."""

    instance: Instance | None = None


@dataclass(frozen=True)
class Recover:
    """Create this Restore in place: all that there was of the data is lost but for the Repository."""

    name: str
    uid: str  # of the claim that is lost


@dataclass(frozen=True)
class Rename:
    """Patroni's note of who has every acknowledged commit, by the names that their pods have now."""

    leader: str
    standbys: tuple[str, ...]


Action = Make | Remove | Switch | Configure | BackUp | Recover | Rename | Clone | KeepClone | EndClone


@dataclass(frozen=True)
class ClusterDecision:
    action: Action | None
    message: str  # what is going on, in a sentence; empty where nothing is
