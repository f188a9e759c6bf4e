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
    """Fill the first instance's volume, from its source. *own*: that is the cluster's own Repository."""

    own: bool = False


@dataclass(frozen=True)
class KeepClone:
    """Keep what that needs as it must be."""


@dataclass(frozen=True)
class RepeatClone:
    """Remove the Job that has failed for want of something, for another one."""

    job: Object


@dataclass(frozen=True)
class EndPod:
    """Delete a pod of that Job that has failed and is kept by something that is not ours: the Job makes another."""

    pod: Object


@dataclass(frozen=True)
class TakeClone:
    """The volume is filled: note that, with *result* in a sentence, and make the first instance."""

    result: str


@dataclass(frozen=True)
class EndClone:
    """Take back what it was filled by; with *remove*, what there is of the first instance as well."""

    remove: bool = False
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


Filling = Clone | KeepClone | RepeatClone | EndPod | TakeClone | EndClone
Action = Make | Remove | Switch | Configure | BackUp | Recover | Rename | Filling


@dataclass(frozen=True)
class ClusterDecision:
    action: Action | None
    message: str  # what is going on, in a sentence; empty where nothing is
