"""A PostgresCluster that is being deleted: what is next until its last WAL is archived. Pure.

PostgreSQL archives the segment that it writes to when it shuts down, and the repository host has to be there then. So
the finalizer keeps the cluster until its instances have stopped: the replicas first, as none of them may take over,
then the primary.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from controller import finalizers, pods
from controller.cluster.facts import ClusterFacts, Instance
from controller.cluster.instance import GRACE_SECONDS
from controller.runtime import conditions
from pgwarden.api import names
from pgwarden.api.objects import Object
from pgwarden.api.reading import is_going
from pgwarden.contract.calls import Fenced

#: Seconds from the deletion on for which PostgreSQL is asked again to archive, where it could not.
PATIENCE = 60
#: Seconds from the deletion on after which the finalizer comes off, whatever has stopped by then.
LONGEST = PATIENCE + GRACE_SECONDS + 30
DELETING, ARCHIVED, NOT_ARCHIVED = "Deleting", "LastWALArchived", "LastWALNotArchived"
_FOREGROUND = "foregroundDeletion"


@dataclass(frozen=True)
class Archive:
    """Ask the agent beside *instance* to archive all that it has."""

    instance: Instance
    message: str


@dataclass(frozen=True)
class Stop:
    instances: tuple[Instance, ...]
    message: str


@dataclass(frozen=True)
class Wait:
    message: str


@dataclass(frozen=True)
class Release:
    """Take the finalizer off. *reason* and *message* are the Event's; none where nothing can be missing."""

    reason: str = ""
    message: str = ""


Step = Archive | Stop | Wait | Release


@dataclass(frozen=True)
class Leaving:
    """*answer*: what the agent beside the primary said last, when it was asked to archive."""

    facts: ClusterFacts
    answer: Fenced | None = None

    @property
    def age(self) -> timedelta:
        return self.facts.now - datetime.fromisoformat(self.facts.cluster["metadata"]["deletionTimestamp"])

    @property
    def running(self) -> list[Instance]:
        """Those with a pod that has not ended, and may have WAL to archive."""
        return [one for one in self.facts.instances if one.pod is not None and not pods.has_ended(one.pod)]

    @property
    def primary(self) -> Instance | None:
        """Who holds Patroni's lock, or held it last; of one instance that is clear."""
        listed = self.facts.instances
        return self.facts.lock_holder or (listed[0] if len(listed) == 1 else None)

    @property
    def begun(self) -> bool:
        """Whether the instances that do not run now have been stopped for the deletion."""
        return (self.facts.cluster.get("status") or {}).get("phase") == DELETING


def has_finalizer(cluster: Object) -> bool:
    return finalizers.has(cluster, names.FINALIZER_LAST_WAL)


def decide(leaving: Leaving) -> Step:
    facts = leaving.facts
    repository = facts.repository
    if not facts.initialized and not leaving.begun:  # it has never taken a write
        return Release()
    if finalizers.has(facts.cluster, _FOREGROUND):
        return lost("a foreground deletion ends the repository host and the instances at the same time")
    if repository is None or is_going(repository):
        return lost("its Repository was deleted")
    if not leaving.running:
        return _ended(leaving)
    if leaving.age > timedelta(seconds=LONGEST):
        waiting = " and ".join(one.name for one in leaving.running)
        return lost(f"{waiting} did not stop within {LONGEST} s")
    primary = leaving.primary
    if primary is not None and primary in leaving.running and _stands(primary):
        asked = _archive(leaving, primary)
        if asked is not None:
            return asked
    return _stop(leaving, primary)


def _archive(leaving: Leaving, primary: Instance) -> Step | None:
    """None once the primary has archived what it has, or is to try it once more as it shuts down."""
    answer = leaving.answer
    if answer is None or (not is_archived(answer) and leaving.age <= timedelta(seconds=PATIENCE)):
        return Archive(primary, _waits(f"; {_trouble(answer)}" if answer else ""))
    if is_archived(answer) or not answer.unreached:
        return None
    return lost(f"for {PATIENCE} s {_trouble(answer)}")


def is_archived(answer: Fenced) -> bool:
    """Of a PostgreSQL that does not run, the agent has archived what it left."""
    return answer.ok or bool(answer.last)


def _stop(leaving: Leaving, primary: Instance | None) -> Step:
    standing = [one for one in leaving.facts.instances if _stands(one)]
    others = [one for one in leaving.facts.instances if one is not primary]
    first = [one for one in standing if one is not primary] or (
        standing if primary is None or not any(one in leaving.running for one in others) else []
    )
    if first:
        listed = " and ".join(one.name for one in first)
        return Stop(tuple(first), _waits(f": stopping {listed}"))
    ending = next(one for one in leaving.running if not _stands(one))
    return Wait(_waits(f": waiting for pod {ending.pod_name} to end"))


def _ended(leaving: Leaving) -> Release:
    answer = leaving.answer
    if not leaving.begun:
        return lost("no instance was running")
    if answer is not None and not is_archived(answer):
        return lost(f"before the instances stopped, {_trouble(answer)}")
    if answer is not None and answer.last:
        return Release(ARCHIVED, f"PostgreSQL did not run; all that it wrote is archived, up to segment {answer.last}")
    return Release(ARCHIVED, "all instances have stopped, and PostgreSQL archived its last WAL when it shut down")


def lost(why: str) -> Release:
    text = f"WAL that PostgreSQL had not archived may be missing from the backups: {why}"
    return Release(NOT_ARCHIVED, text)


def _waits(more: str) -> str:
    return f"archiving the last WAL before the cluster is deleted{more}"


def _trouble(answer: Fenced) -> str:
    return f"PostgreSQL could not archive its WAL ({answer.error or 'no reason was given'})"


def _stands(one: Instance) -> bool:
    """Whether its Deployment asks for a pod."""
    return bool(one.deployment["spec"].get("replicas", 1))


def status(cluster: Object, message: str, now: datetime) -> Object:
    """The status of *cluster* while it is being deleted."""
    before = cluster.get("status") or {}
    generation = cluster["metadata"].get("generation", 1)
    listed = conditions.put(
        before.get("conditions", []), "Ready", False, DELETING, message, now=now, generation=generation
    )
    return before | {"phase": DELETING, "message": message, "conditions": listed}
