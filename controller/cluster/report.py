"""The status of a PostgresCluster: `kubectl get pgc` as a status board. Pure."""

from __future__ import annotations

from controller import admission, claim_growth, nodes, pods
from controller.cluster import (
    backed_up,
    beginning,
    clone,
    collations,
    encryption,
    lost_volume,
    passwords,
    stale_replica,
    takeover,
)
from controller.cluster.actions import Clone, ClusterDecision
from controller.cluster.beginning import Origin
from controller.cluster.facts import ClusterFacts, Instance
from controller.recovery import progress
from controller.recovery.hindrance import Hindrance
from controller.recovery.progress import Progress, Stage
from controller.runtime import conditions
from pgwarden.api.objects import Object
from pgwarden.api.reasons import HELD, REFUSED

#: Why a cluster is not complete: an instance's node is silent, or gone.
NODE = "NodeNotReady"
#: A quota or a policy is in the way of an object that it consists of.
KUBERNETES_REFUSES = "KubernetesRefuses"
#: Told by a warning whenever a condition gets one of them.
LACKS = HELD | {
    backed_up.AWAY,
    NODE,
    KUBERNETES_REFUSES,
    claim_growth.FAILED,
    claim_growth.REFUSED,
    encryption.UNUSABLE,
    lost_volume.REASON,
    passwords.NOT_SET,
    progress.STUCK,
    stale_replica.REASON,
}


def status(facts: ClusterFacts, decision: ClusterDecision, not_set: str = "") -> Object:
    """*not_set*: why the roles have not the passwords in the Secret."""
    before = facts.cluster.get("status") or {}
    generation = facts.cluster["metadata"]["generation"]
    known = before.get("conditions", [])
    listed = admission.refusal(known, facts.refused, now=facts.now, generation=generation)
    judged = {
        "Ready": _ready(facts),
        "Complete": _complete(facts, decision),
        "Autofail": _autofail(facts),
        "BackedUp": backed_up.judge(facts),
    }
    if clone.said(facts.cluster) not in clone.FINAL:
        copied = _data_source(facts, decision)
        judged |= {clone.CONDITION: copied} if copied else {}
    collation = collations.judge(facts.repository, told=conditions.find(known, collations.CONDITION) is not None)
    if collation is not None and facts.initialized:
        judged[collations.CONDITION] = collation
    if not_set or conditions.find(known, passwords.CONDITION) is not None:
        judged[passwords.CONDITION] = passwords.verdict(facts.name, not_set)
    encrypted = encryption.judge(facts.name, facts.spec, facts.encryption, facts.served)
    judged |= {encryption.CONDITION: encrypted} if facts.instances or facts.served.trouble else {}
    for kind, (value, reason, message) in judged.items():
        listed = conditions.put(listed, kind, value, reason, message, now=facts.now, generation=generation)
    phase = _phase(facts, listed)
    ready = [one for one in facts.instances if one.ready]
    primary = facts.primary
    return (
        before
        | {
            "observedGeneration": generation,
            "phase": phase,
            "message": _message(facts, listed),
            "conditions": listed,
            "primary": primary.name if primary else None,
            "ready": f"{len(ready)}/{facts.spec.instances.replicas}",
            "readyInstances": len(ready),
            "autofail": _autofail_word(facts),
            "timeline": primary.member.timeline if primary else before.get("timeline"),
            "instances": [_instance(facts, one) for one in sorted(facts.instances, key=lambda one: one.number)],
            "initialized": facts.initialized or None,
            "recovery": _recovery(facts),
            "systemIdentifier": facts.store.system_identifier or before.get("systemIdentifier"),
        }
        | _of_repository(facts)
    )


def _of_repository(facts: ClusterFacts) -> Object:
    found = (facts.repository or {}).get("status") or {}
    window: Object = next(iter(found.get("recoveryWindow") or []), {})
    return {
        "lastBackup": found.get("lastBackup") if facts.has_backup else None,
        "recoveryWindow": {key: window[key] for key in ("earliest", "latest") if key in window} or None,
    }


def _instance(facts: ClusterFacts, one: Instance) -> Object:
    role = "primary" if one is facts.primary else one.member.role or "unknown"
    if role == "primary" and one is not facts.primary:
        role = "unknown"  # it has said so before it lost the lock
    notes = []
    if one.digest != facts.digest:
        notes.append("its pod will be restarted")
    if one.member.pending_restart:
        notes.append("it will be restarted for changed parameters")
    if one.lack is not None:
        notes.append(nodes.told(one.name, one.lack))
    still = stale_replica.told(facts, one)
    if still:
        notes.append(still)
    notes += [growth.message for growth in facts.growths if growth.claim == one.name]
    return {
        "name": one.name,
        "role": role,
        "ready": one.ready,
        "pod": one.pod_name or None,
        "state": one.member.replication or one.member.state or None,
        "timeline": one.member.timeline,
        "standsAt": stale_replica.entry(facts, one),
        "message": "; ".join(notes) or None,
    }


Judgement = tuple[bool | None, str, str]


def _ready(facts: ClusterFacts) -> Judgement:
    if facts.fault:
        return False, "Fault", facts.fault
    primary = facts.primary
    if primary is not None:
        return True, "HasPrimary", f"{primary.name} serves reads and writes"
    refused = _refused(facts)
    if refused:
        return False, refused.reason, refused.message
    if not facts.initialized:
        return False, "Creating", f"the first instance is being created{_stuck(facts)}"
    if lost_volume.is_all_lost(facts) and not facts.restoring:
        return False, lost_volume.REASON, lost_volume.message(facts)
    return False, "NoPrimary", _why_no_primary(facts)


def _refused(facts: ClusterFacts) -> Hindrance | None:
    """What its own Repository holds is in the way of a new cluster, or is not known yet."""
    chosen = None if facts.initialized else beginning.origin(facts)
    return chosen if isinstance(chosen, Hindrance) else None


def _data_source(facts: ClusterFacts, decision: ClusterDecision) -> Judgement | None:
    """None of a cluster that is no copy."""
    chosen = beginning.origin(facts)
    own = chosen is Origin.OWN or clone.said(facts.cluster) == clone.RECOVERING
    if facts.spec.data_source is None and not own:
        return None
    which = beginning.title(facts, Origin.OWN if own else chosen)
    if facts.initialized:
        came = beginning.came_to(facts)
        came = came and f"; {came}"
        if own:
            return True, clone.RECOVERED, f"it began with what its own Repository held of an earlier cluster{came}"
        return True, clone.CLONED, f"it was cloned from {which}{came}"
    at_work = clone.RECOVERING if own else clone.CLONING
    if facts.no_longer_allowed:
        return False, clone.FAILED, f"{beginning.doing(chosen)} {which}: {facts.no_longer_allowed}"
    failed = _failed_filling(facts)
    if failed is not None:
        reason = clone.RECOVERY_FAILED if own else clone.FAILED
        why = clone.failure(failed, own=facts.name if own else "")
        return False, reason, f"{beginning.doing(chosen)} {which}: {why}"
    begun = facts.instances or facts.filling or beginning.is_filled(facts) or isinstance(decision.action, Clone)
    problem = None if begun else beginning.hindrance(facts, chosen)
    return False, problem.reason if problem else at_work, decision.message


def _failed_filling(facts: ClusterFacts) -> Progress | None:
    """The recovery of the first instance's volume, where it has failed for good."""
    if facts.filling is None or facts.instances or beginning.is_filled(facts):
        return None
    found = progress.judge(facts.filling, facts.now)
    return found if found.stage is Stage.FAILED and not clone.may_end_better(found) else None


def _recovery(facts: ClusterFacts) -> Object | None:
    """How the recovery stands. Of one that has failed the last that was known of it stays, with the reason."""
    before: Object | None = (facts.cluster.get("status") or {}).get("recovery")
    if clone.said(facts.cluster) in clone.FAILURES:
        return before
    if facts.initialized or facts.filling is None or beginning.is_filled(facts):
        return None
    failed = _failed_filling(facts)
    if failed is not None:
        return (before or {}) | {"reason": failed.reason, "message": failed.message}
    return progress.shown(facts.filling.said) or before


def _why_no_primary(facts: ClusterFacts) -> str:
    if facts.store.paused:
        until = "the Restore has ended" if facts.restoring and facts.spec.autofail else "spec.autofail is true"
        return (
            "there is no primary, and autofail is off: the old primary returns within 30 s of its pod's start; "
            f"no replica takes over until {until}"
        )
    running = [one for one in facts.instances if one.pod is not None]
    if not running:
        return "there is no primary: no instance has a pod"
    said = "; ".join(f"{one.name}: {one.member.state or 'starting'}" for one in running)
    of_nodes = _of_nodes(facts)
    return f"there is no primary now ({said}){'; ' + of_nodes if of_nodes else _stuck(facts)}"


def _held(facts: ClusterFacts) -> pods.Held | None:
    """What keeps a pod of it from running, or from being there, where Kubernetes says so."""
    if facts.not_made:
        return pods.Held(KUBERNETES_REFUSES, facts.not_made)
    for one in facts.instances:
        if one.refused:
            return pods.Held(REFUSED, f"Kubernetes creates no pod of instance {one.name}: {one.refused}")
    filling = progress.judge(facts.filling, facts.now) if facts.filling is not None else None
    if filling is not None and filling.reason == progress.STUCK:
        return pods.Held(filling.reason, filling.message)
    return pods.held(one.pod for one in facts.instances if one.pod is not None)


def _stuck(facts: ClusterFacts) -> str:
    """The end of a sentence: why a pod does not start, where Kubernetes says so; else empty."""
    found = _held(facts)
    return f"; {found.message}" if found else ""


def _complete(facts: ClusterFacts, decision: ClusterDecision) -> Judgement:
    wanted = facts.spec.instances.replicas
    ready = sum(one.ready for one in facts.instances)
    silent = _of_nodes(facts)
    if silent:
        return False, lost_volume.REASON if lost_volume.lost(facts) else NODE, silent
    unready = ", ".join(one.name for one in facts.instances if not one.ready)
    counted = f"{ready} of {wanted} instances are ready; not ready: {unready}" if ready < wanted else ""
    held = _held(facts)
    if held is not None:
        doing = "" if decision.message == held.message else decision.message or counted
        return False, held.reason, f"{doing}; {held.message}" if doing else held.message
    still = [said for said in (stale_replica.told(facts, one) for one in facts.instances) if said]
    if still:
        return False, stale_replica.REASON, "; ".join(still)
    if decision.message:
        return False, "Working", decision.message
    if counted:
        return False, "NotReady", counted
    if facts.spec.synchronous and wanted > 1 and not facts.synchronous:
        said = "no replica is synchronous now: new commits are only on the primary"
        return False, "NotSynchronous", said
    if facts.growths:
        worst = next((one for one in facts.growths if one.reason not in claim_growth.UNDERWAY), facts.growths[0])
        return False, worst.reason, "; ".join(one.message for one in facts.growths)
    who = "the only instance matches" if wanted == 1 else f"all {wanted} instances match"
    return True, "AsSpecified", f"{who} the spec"


def _of_nodes(facts: ClusterFacts) -> str:
    """What instances' nodes do to them; empty where they do nothing."""
    return "; ".join(nodes.told(one.name, one.lack) for one in facts.instances if one.lack is not None)


def _autofail_word(facts: ClusterFacts) -> str:
    wanted_off, is_off = facts.restoring or not facts.spec.autofail, facts.store.paused
    if wanted_off == is_off:
        return "off" if is_off else "on"
    return "turning off" if wanted_off else "turning on"


def _autofail(facts: ClusterFacts) -> Judgement:
    word = _autofail_word(facts)
    if word == "off":
        why = "a Restore is running" if facts.restoring and facts.spec.autofail else "spec.autofail is false"
        return False, "Off", f"{why}: no replica takes over by itself"
    if word == "turning off":
        when = "while a Restore is running" if facts.restoring else "once all instances are ready"
        return True, "TurningOff", f"it is turned off {when}"
    if word == "turning on":
        return False, "TurningOn", "spec.autofail is true"
    replicas = [one for one in facts.instances if one is not facts.primary]
    others = [one for one in replicas if takeover.able(facts, one)]
    if facts.primary is not None and not others:
        return True, "NoReplica", "autofail is on, but no replica can take over"
    return True, "On", f"{len(others)} replica{'s' if len(others) != 1 else ''} can take over"


def _phase(facts: ClusterFacts, listed: list[Object]) -> str:
    if facts.fault or _clone_failed(listed) or beginning.is_refused(facts):
        return "Failed"
    if facts.primary is None:
        return "Down" if facts.initialized else "Creating"
    good = {one["type"] for one in listed if one["status"] == "True"}
    archiving = facts.repository is not None and (facts.repository.get("status") or {}).get("phase") == "Ready"
    if {"Ready", "Complete", "BackedUp"} <= good and archiving:
        return "Degraded" if facts.refused else "Ready"
    return (
        "Degraded" if (facts.cluster.get("status") or {}).get("phase") in {"Ready", "Degraded", "Down"} else "Creating"
    )


def _clone_failed(listed: list[Object]) -> bool:
    found = conditions.find(listed, clone.CONDITION)
    return found is not None and found["reason"] in clone.FAILURES


def _message(facts: ClusterFacts, listed: list[Object]) -> str:
    first = () if facts.has_backup else ("BackedUp",)  # what the Repository lacks is told after what the cluster does
    for kind in (clone.CONDITION, "Ready", *first, "Complete", "BackedUp"):
        found = conditions.find(listed, kind)
        if found is not None and (found["status"] != "True" or found["reason"] == backed_up.AWAY):
            return str(found["message"])
    return f"a newer rule refuses the spec: {facts.refused}" if facts.refused else "everything matches the spec"
