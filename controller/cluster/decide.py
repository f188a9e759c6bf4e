"""What is to be done next for a PostgresCluster: at most one thing at a time. Pure.

The order is the order of `STEPS`: names that pods have lost, instances that have lost their volume, replicas that
cannot follow any more, instances that are missing, instances too many, Patroni's configuration, templates and restarts
(replicas first, then a switchover, then who was the primary), the first backup.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from controller import operations, owned, patroni, storage_state
from controller.cluster import beginning, clone, instance, lost_volume, stale_replica, takeover
from controller.cluster.actions import BackUp, ClusterDecision, Configure, EndClone, Make, Remove, Rename, Switch
from controller.cluster.encryption import Mode
from controller.cluster.facts import ClusterFacts, Instance
from controller.runtime import conditions
from controller.runtime.backoff import Pace
from pgwarden.api import names, numbered_backups, records, sizing
from pgwarden.api.objects import Object
from pgwarden.api.target import parse_time

#: After a first backup has failed, until the next is asked for.
BACKUP_PACE = Pace(timedelta(minutes=1), timedelta(hours=1))
#: Failed ones that are kept, and how many of the others are deleted at a time.
KEPT_FAILED, DELETED_AT_ONCE = 3, 20
#: Seconds for which a pod that runs may be unready before a new template is its cure: two of Patroni's TTLs.
READY_GRACE = 2 * patroni.TTL
#: Seconds without a primary, or for which one may give up the lock, before a new template is the cure.
DOWN = 300


def decide(facts: ClusterFacts) -> ClusterDecision:
    if facts.fault:
        return ClusterDecision(None, facts.fault)
    begins = beginning.decide(facts)
    if begins is not None:
        return begins
    said = clone.said(facts.cluster)
    if said not in clone.DONE and (facts.spec.data_source is not None or said == clone.RECOVERING):
        return ClusterDecision(EndClone(), "what it began with is there: it no longer reads its source")
    if facts.restoring:  # it stops and starts instances itself: only Patroni is told to keep still
        return configuration(facts) or ClusterDecision(None, "a Restore is running")
    waiting = ""
    for step in STEPS:
        decision = step(facts)
        if decision is not None and decision.action is not None:
            return decision
        waiting = waiting or (decision.message if decision else "")
    return ClusterDecision(None, waiting)


# --- names -------------------------------------------------------------------------------------------------------


def renamed(facts: ClusterFacts) -> ClusterDecision | None:
    """In synchronous mode none takes over but those that Patroni has noted by name, and a new pod has a new name.

    Where none of them is left to take over, the cluster would be down for ever. What is noted is true of their
    volumes, and those are the instances': so it is told by the names of today's pods.
    """
    noted, leader = facts.store.synchronous, facts.store.synchronous_leader
    if not (facts.spec.synchronous and leader) or facts.primary is not None:
        return None
    pods = {one.pod_name: one for one in facts.instances}
    if facts.store.leader in pods or any(name in pods and pods[name].ready for name in (leader, *noted)):
        return None
    today = {one.name: one.pod_name for one in facts.instances if one.pod_name}

    def now(pod: str) -> str:
        return pod if pod in pods else today.get(names.instance_of_pod(pod), pod)

    found = Rename(now(leader), tuple(sorted(now(name) for name in noted)))
    if found == Rename(leader, tuple(sorted(noted))):
        return None
    able = " and ".join(names.instance_of_pod(name) for name in (found.leader, *found.standbys))
    return ClusterDecision(found, f"{able} may be promoted: their pods are new, and Patroni knew the old ones")


# --- instances ---------------------------------------------------------------------------------------------------


def missing(facts: ClusterFacts) -> ClusterDecision | None:
    present = {one.number for one in facts.instances}
    lacking = [number for number in range(1, facts.spec.instances.replicas + 1) if number not in present]
    if not lacking:
        return None
    name = names.instance(facts.name, lacking[0])
    if not facts.instances:
        return beginning.left_over(facts) or ClusterDecision(Make(lacking[0]), f"creating instance {name}")
    if facts.primary is None:
        return ClusterDecision(None, f"instance {name} is created once there is a primary")
    if facts.store.paused:
        return ClusterDecision(
            None, f"instance {name} is created once autofail is on: Patroni creates no replica while it is off"
        )
    if not facts.has_backup and not first_backup_failed(facts):
        return ClusterDecision(None, f"instance {name} is created from the first backup, once there is one")
    wanted = [one for one in facts.instances if one.number <= facts.spec.instances.replicas]
    unready = [one.name for one in wanted if not one.ready]
    if unready:
        return ClusterDecision(None, f"instance {name} is created once {' and '.join(unready)} is ready")
    return ClusterDecision(Make(lacking[0]), f"creating instance {name}")


def surplus(facts: ClusterFacts) -> ClusterDecision | None:
    """The highest numbers go, and never the primary: another one that stays takes over first."""
    wanted = facts.spec.instances.replicas
    beyond = [one for one in facts.instances if one.number > wanted]
    if not beyond:
        return None
    primary = facts.primary
    if primary is None:
        return ClusterDecision(None, "instances are removed once there is a primary")
    if facts.store.switching:
        return ClusterDecision(None, f"switching over from {primary.name}")
    kept = [one for one in facts.instances if one.number <= wanted]
    if primary in beyond and not any(takeover.able(facts, one) for one in kept):
        why = takeover.why_none(facts, kept)
        return ClusterDecision(None, f"no remaining instance is ready to take over from {primary.name}{why}")
    removable = [one for one in beyond if one is not primary]
    if removable:
        last = max(removable, key=lambda one: one.number)
        return ClusterDecision(Remove(last), f"removing instance {last.name}")
    return _switch(facts, primary, kept)


# --- templates and restarts --------------------------------------------------------------------------------------


def outdated(facts: ClusterFacts) -> ClusterDecision | None:
    """One at a time, replicas first; the next only when the one before is ready again."""
    unfit = [one for one in facts.instances if one.refused and not sizing.same(one.resources, _resources(facts))]
    if unfit:  # the quota or the limit is newer than its template
        return ClusterDecision(Make(unfit[0].number, unfit[0].restarted), f"fitting instance {unfit[0].name}")
    old = [one for one in facts.instances if one.digest != facts.digest or one.member.pending_restart]
    if not old:
        return None
    moving = [one for one in facts.instances if not one.settled]
    stuck = [one for one in moving if one.digest != facts.digest and not _may_be_back(facts, one)]
    if stuck:  # what is new may be the cure
        return _renew(facts, stuck[0])
    if moving:
        why = takeover.unready(moving[0])
        return ClusterDecision(None, f"rolling: waiting for {moving[0].name}{why and f', which {why}'}")
    primary = facts.primary
    if primary is None and len(facts.instances) > 1 and not _is_down(facts):
        return ClusterDecision(None, "rolling: waiting for a primary")
    if primary is not None and facts.store.switching:
        return ClusterDecision(None, f"switching over from {primary.name}")
    replicas = [one for one in old if one is not primary]
    if replicas or primary is None:
        return _renew(facts, max(replicas, key=lambda one: one.number))
    others = [one for one in facts.instances if one is not primary]
    if not others:
        return _renew(facts, primary)
    if facts.encryption is Mode.BEGUN and not primary.standing.runs_with:
        return _hand_over(facts, primary, others)
    return _switch(facts, primary, others)


def _resources(facts: ClusterFacts) -> Object:
    return instance.resources(facts.spec, facts.asks)


def _is_down(facts: ClusterFacts) -> bool:
    """Whether there has been no primary for so long that what is new may be the cure."""
    ready = conditions.find((facts.cluster.get("status") or {}).get("conditions", []), "Ready")
    if ready is None or ready["status"] == "True":
        return False
    return (facts.now - parse_time(ready["lastTransitionTime"])).total_seconds() > DOWN


def _may_be_back(facts: ClusterFacts, one: Instance) -> bool:
    """Whether it is unready for so short a time that a probe may have come late: that is no reason to renew it.

    Of who holds the lock that is also so while it is not known since when, and for longer while it gives the lock up:
    its last checkpoint takes its time.
    """
    holds = one is facts.lock_holder
    if one.unready_since is None:
        return holds
    grace = DOWN if holds and facts.store.switching else READY_GRACE
    return (holds or one.runs) and (facts.now - one.unready_since).total_seconds() < grace


def _renew(facts: ClusterFacts, one: Instance) -> ClusterDecision:
    mark = one.restarted
    if one.digest == facts.digest:
        mark = conditions.timestamp(facts.now)
    return ClusterDecision(Make(one.number, mark), f"rolling: restarting instance {one.name}")


def _switch(facts: ClusterFacts, primary: Instance, others: list[Instance]) -> ClusterDecision:
    able = [one for one in others if takeover.safely(facts, one)]
    if not able:
        why = takeover.why_none(facts, others)
        return ClusterDecision(None, f"no replica is ready to take over from {primary.name}{why}")
    best = min(able, key=lambda one: (one.member.replication != "streaming", one.number))
    text = f"switching over from {primary.name} to {best.name}"
    return ClusterDecision(Switch(primary.pod_name, best.pod_name), text)


def _hand_over(facts: ClusterFacts, primary: Instance, others: list[Instance]) -> ClusterDecision:
    """Of a primary without certificates: its Patroni cannot verify that another may take over, as a switchover asks.
    But when it ends, it gives up the lock once they have all of its WAL, and they see to it among themselves.
    """
    switch = _switch(facts, primary, others)
    return _renew(facts, primary) if switch.action is not None else switch


# --- Patroni's configuration -------------------------------------------------------------------------------------


def configuration(facts: ClusterFacts) -> ClusterDecision | None:
    if facts.store.config is None:
        return None  # the first instance brings it
    encrypted = facts.encryption is Mode.WHOLE
    wanted = patroni.dynamic(facts.name, facts.spec, paused=paused(facts), encrypted=encrypted)
    if wanted == facts.store.config:
        return None
    turned = wanted.get("pause", False) != facts.store.paused
    what = f"turning autofail {'off' if wanted.get('pause') else 'on'}" if turned else "configuring PostgreSQL"
    return ClusterDecision(Configure(wanted), what)


def paused(facts: ClusterFacts) -> bool:
    """Autofail goes off only when the cluster is complete: Patroni makes no replica after that."""
    if facts.restoring:
        return True
    if facts.spec.autofail:
        return False
    complete = len(facts.instances) >= facts.spec.instances.replicas and all(one.ready for one in facts.instances)
    return facts.store.paused or complete


# --- the first backup --------------------------------------------------------------------------------------------


def first_backup(facts: ClusterFacts) -> ClusterDecision | None:
    if facts.has_backup or facts.primary is None or facts.repository is None:
        return None
    hindrance = storage_state.hindrance(facts.repository, storage_state.first(facts.repository))
    if hindrance:
        return ClusterDecision(None, f"the first backup is taken once the Repository is ready: {hindrance}")
    running = [one for one in facts.backups if not operations.is_over(one)]
    if running:
        return ClusterDecision(None, f"waiting for Backup {running[0]['metadata']['name']}")
    done = [one for one in facts.backups if operations.phase(one) == "Completed" and not records.is_record(one)]
    if done:
        return ClusterDecision(None, "the first backup is complete; the Repository will list it")
    due, attempts = backup_due(facts), _attempts(facts)
    if due is not None and facts.now < due:
        times = f" {max(attempts)} times" if attempts and max(attempts) > 1 else ""
        text = f"the first backup has failed{times}; it is tried again at {conditions.timestamp(due)}"
        return ClusterDecision(None, text)
    name = numbered_backups.first_backup(facts.name, max(_taken(facts), default=0) + 1)
    failed = [attempts[number] for number in sorted(attempts) if operations.phase(attempts[number]) == "Failed"]
    old = [(one["metadata"]["name"], one["metadata"]["uid"]) for one in failed[: max(0, len(failed) - KEPT_FAILED + 1)]]
    return ClusterDecision(BackUp(name, tuple(old[:DELETED_AT_ONCE])), f"taking the first backup, {name}")


def backup_due(facts: ClusterFacts) -> datetime | None:
    """When a first backup that has failed is tried again: later each time, soon where the spec has changed since."""
    ended = _ended(facts)
    if not ended:
        return None
    attempts = _attempts(facts)
    number = max(attempts, default=1)
    before = (attempts[number]["metadata"].get("annotations") or {}) if number in attempts else {}
    generation = str(facts.cluster["metadata"].get("generation", ""))
    changed = before.get(names.ANNOTATION_GENERATION, generation) != generation
    return parse_time(ended) + BACKUP_PACE.pause(1 if changed else number)


def _attempts(facts: ClusterFacts) -> dict[int, Object]:
    """Our own, by their number: that of the newest is how often it was tried."""
    uid = facts.cluster["metadata"]["uid"]
    own = [one for one in facts.backups if owned.is_owned(one, uid)]
    numbered = {numbered_backups.first_backup_attempt(facts.name, one["metadata"]["name"]): one for one in own}
    return {number: one for number, one in numbered.items() if number}


def _taken(facts: ClusterFacts) -> set[int]:
    return {numbered_backups.first_backup_attempt(facts.name, one["metadata"]["name"]) for one in facts.backups}


def first_backup_failed(facts: ClusterFacts) -> bool:
    return any(operations.phase(one) == "Failed" and not records.is_record(one) for one in facts.backups)


def _ended(facts: ClusterFacts) -> str:
    own = [one for one in facts.backups if not records.is_record(one)]
    times = [str((one.get("status") or {}).get("completionTime") or "") for one in own]
    return max(filter(None, times), default="")


Step = Callable[[ClusterFacts], ClusterDecision | None]
STEPS: tuple[Step, ...] = (
    renamed,
    lost_volume.decide,
    stale_replica.decide,
    missing,
    surplus,
    configuration,
    outdated,
    first_backup,
)
