"""How a PostgresCluster begins: empty, as a copy of another one, or with what its own Repository holds. Pure.

Asked until there is a primary. Before anything is made the cluster's own Repository is read: nothing is initialised
over the backups or WAL of an earlier cluster. What was chosen is on the first instance's claim from then on.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

import msgspec

from controller.cluster import clone
from controller.cluster.actions import (
    Clone,
    ClusterDecision,
    EndClone,
    EndPod,
    KeepClone,
    Make,
    RepeatClone,
    TakeClone,
)
from controller.cluster.facts import ClusterFacts, Instance
from controller.recovery import former_owner, progress, target
from controller.recovery.hindrance import Hindrance, never, not_yet
from controller.recovery.progress import Stage
from pgwarden import storages
from pgwarden.api import names, outside
from pgwarden.api.kinds import RepositorySpec, RestoreSpec
from pgwarden.api.reading import get
from pgwarden.pgbackrest.info import MISSING_PATH, Info
from pgwarden.storages import explain

NOT_EMPTY = "RepositoryNotEmpty"
_SENTENCE = 500  # characters of what a recovery has come to


class Origin(Enum):
    EMPTY = "empty"  # initdb
    SOURCE = "source"  # spec.dataSource
    OWN = "own"  # the cluster's own Repository


def origin(facts: ClusterFacts) -> Origin | Hindrance:
    """Where the data of a cluster without a primary comes from; or why that cannot be told, or not be begun."""
    asked = Origin.SOURCE if facts.spec.data_source is not None else Origin.EMPTY
    if facts.claim is not None or facts.instances:
        return Origin.OWN if _notes(facts).get(names.ANNOTATION_ORIGIN) == names.ORIGIN_OWN else asked
    if facts.own is None or facts.own.repository is None:
        return not_yet("RepositoryNotReachable", "the first instance is created once its Repository can be read")
    spec = msgspec.convert(facts.spec.repository, RepositorySpec)  # its Repository's own may lag behind
    info = facts.own.info
    problem = _not_read(spec, info, facts.own.error)
    if problem or info is None:
        return problem or asked
    if _is_empty(info):
        return asked
    return _recoverable(facts, spec, info) or Origin.OWN


def _not_read(spec: RepositorySpec, info: Info | None, error: str) -> Hindrance | None:
    """Why it is not known what the Repository holds. Of a host that tells of no stanza in no storage it is known."""
    before = "the first instance is created once its own Repository can be read"
    if error:
        return not_yet("RepositoryNotReachable", f"{before}: {error}")
    if info is None:
        return None
    for number, name in enumerate(spec.storages, 1):
        trouble = info.trouble(number)
        if trouble:
            return not_yet("RepositoryNotReachable", f"{before}: storage {name}: {explain(trouble).sentence}")
        if not any(one.repo == number for one in info.repos):
            return not_yet("RepositoryNotReachable", f"{before}: nothing is known of storage {name} yet")
    return None


def _is_empty(info: Info) -> bool:
    """Without a stanza in any storage. One that has lost its catalogue is none that is empty."""
    there = info.databases or info.backups or any(one.max for one in info.archives)
    return not there and all(one.code == MISSING_PATH for one in info.repos)


def _recoverable(facts: ClusterFacts, spec: RepositorySpec, info: Info) -> Hindrance | None:
    """Why a new cluster does not begin with what is there; None where it does."""
    if not spec.recovers:
        return not_yet(NOT_EMPTY, _ways_out(facts, spec, info))
    latest = target.storage(RestoreSpec(repository=facts.name), spec, info, facts.now)
    if isinstance(latest, Hindrance):
        said = never if latest.final else not_yet
        return said(latest.reason, f"onExistingBackups is Recover, but nothing can be recovered: {latest.message}")
    alive = former_owner.hindrance(info, facts.own.newest_wal if facts.own else None, facts.now)
    if alive:
        return not_yet(alive.reason, f"Repository {facts.name} is not recovered from yet: {alive.message}")
    return None


def _ways_out(facts: ClusterFacts, spec: RepositorySpec, info: Info) -> str:
    newest = max((one.stop for one in info.backups), default=None)
    of = f" {info.system_id}" if info.system_id else ""
    last = f", last backed up {newest:%Y-%m-%dT%H:%M:%SZ}" if newest else ""
    left = {"local": f"claim {names.repo_claim(facts.name)}", "s3": "the folder in the bucket"}
    path = storages.another_folder(spec, "spec.repository")
    return (
        f"Repository {facts.name} holds backups or WAL of an earlier PostgreSQL cluster{of}{last}; nothing is created "
        "over them. To begin with that data, set spec.repository.onExistingBackups to Recover; to begin empty, create "
        f"the cluster with another name{path}, or delete {' and '.join(left[one] for one in spec.storages)}"
    )


def is_filled(facts: ClusterFacts) -> bool:
    """Whether the first instance's volume has been recovered: Patroni may take it."""
    return names.ANNOTATION_FILLED in _notes(facts)


def came_to(facts: ClusterFacts) -> str:
    """What the recovery has come to, in a sentence; empty where that is not known any more."""
    return outside.printable(str(_notes(facts).get(names.ANNOTATION_FILLED, "")))[:_SENTENCE]


def _notes(facts: ClusterFacts) -> dict[str, Any]:
    return get(facts.claim or {}, dict, "metadata", "annotations") or {}


def is_refused(facts: ClusterFacts) -> bool:
    """Whether it takes the user to go on."""
    chosen = None if facts.initialized else origin(facts)
    return isinstance(chosen, Hindrance) and chosen.reason == NOT_EMPTY


def title(facts: ClusterFacts, chosen: Origin | Hindrance) -> str:
    """What is copied, in a sentence."""
    source = facts.spec.data_source
    if source is None or chosen is Origin.OWN:
        return f"its own Repository {facts.name}"
    return clone.title(source, facts.cluster["metadata"]["namespace"])


def doing(chosen: Origin | Hindrance) -> str:
    return "recovering from" if chosen is Origin.OWN else "cloning"


def decide(facts: ClusterFacts) -> ClusterDecision | None:
    """Before there is a primary: what is to be done, or waited for. None where nothing is special about it."""
    if facts.initialized:
        return None
    chosen = origin(facts)
    first = next(iter(facts.instances), None)
    if clone.said(facts.cluster) in clone.FAILURES:
        left = first or facts.claim or facts.filling
        return ClusterDecision(EndClone(remove=True, instance=first) if left else None, clone.message(facts.cluster))
    if facts.filling is not None and facts.claim is None:
        text = f"the volume claim of {names.instance(facts.name, 1)} was deleted: its recovery is begun again"
        return ClusterDecision(RepeatClone(facts.filling.job), text)
    if isinstance(chosen, Hindrance):
        return ClusterDecision(None, chosen.message)
    if chosen is Origin.EMPTY:
        return None
    what = f"{doing(chosen)} {title(facts, chosen)}"
    if is_filled(facts):
        return _started(facts, what)
    if first is not None:
        return _begun_before(facts, first, what)
    if facts.filling is not None:
        return _filling(facts, facts.filling, what)
    problem = hindrance(facts, chosen)
    if problem is not None:
        return ClusterDecision(None, problem.message)
    return left_over(facts) or ClusterDecision(Clone(own=chosen is Origin.OWN), what)


def _filling(facts: ClusterFacts, seen: progress.Seen, what: str) -> ClusterDecision:
    if facts.no_longer_allowed:
        return ClusterDecision(None, f"{what}: {facts.no_longer_allowed}")
    found = progress.judge(seen, facts.now)
    if found.stage is Stage.ENDED:
        result = clone.result(found)
        return ClusterDecision(TakeClone(result), f"{what}: {result}")
    if found.kept is not None:
        return ClusterDecision(EndPod(found.kept), f"{what}: {found.message}")
    if found.stage is not Stage.FAILED:
        return ClusterDecision(KeepClone(), f"{what}: {found.message}")
    if clone.may_end_better(found):
        return ClusterDecision(RepeatClone(seen.job), f"{what}: begun again, as {found.message}")
    return ClusterDecision(None, f"{found.reason}: {found.message}")


def _started(facts: ClusterFacts, what: str) -> ClusterDecision:
    """Its volume is filled: the first instance is made, and kept as it must be until it is the primary."""
    first = next(iter(facts.instances), None)
    if first is None:
        return ClusterDecision(Make(1), f"{what}: creating instance {names.instance(facts.name, 1)}")
    if first.digest != facts.digest:
        return ClusterDecision(Make(first.number), f"restarting instance {first.name}")
    return ClusterDecision(KeepClone(), f"{what}: {came_to(facts)}; instance {first.name} starts")


def _begun_before(facts: ClusterFacts, first: Instance, what: str) -> ClusterDecision:
    """By a version whose instances filled their volumes themselves. It is begun anew, unless Patroni has taken it."""
    if facts.store.system_identifier or facts.store.leader:
        return ClusterDecision(KeepClone(), f"{what}: instance {first.name} starts")
    text = f"{what}: begun anew, as an earlier version of pgwarden has begun it"
    return ClusterDecision(EndClone(remove=True, instance=first), text)


def hindrance(facts: ClusterFacts, chosen: Origin | Hindrance) -> Hindrance | None:
    """Why the first instance is not filled yet."""
    source = facts.spec.data_source
    if isinstance(chosen, Hindrance):
        return chosen
    if chosen is Origin.OWN and (facts.own is None or facts.own.info is None):
        why = facts.own.error if facts.own else ""
        return not_yet("RepositoryNotReachable", f"Repository {facts.name} cannot be read{why and f': {why}'}")
    if chosen is not Origin.SOURCE or source is None:
        return None
    namespace = facts.cluster["metadata"]["namespace"]
    if facts.source is None:
        return not_yet("SourceNotReachable", f"checking {clone.title(source, namespace)}")
    return clone.hindrance(source, namespace, facts.source, facts.now, facts.spec.postgres_version)


def left_over(facts: ClusterFacts) -> ClusterDecision | None:
    """Of an earlier cluster of the name. While a pod of it is there, it may write to its volume and Patroni's maps."""
    if facts.pods:
        return ClusterDecision(None, f"waiting for pod {facts.pods[0]} of an earlier instance to end")
    return ClusterDecision(None, facts.left) if facts.left else None
