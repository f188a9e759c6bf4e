"""The steps on the restored volume: Started, BackedUp. Pure."""

from __future__ import annotations

import re
from datetime import timedelta

from controller import pods
from controller.recovery.plan import Plan
from controller.restore import cluster_members, proof, render, volume_swap, workload
from controller.restore.facts import RestoreFacts, pods_of, without
from controller.restore.steps_switch import keep, running_pod
from controller.restore.verdict import (
    BACKUP_FAILED,
    POLL,
    SLOW,
    SOON,
    Create,
    Delete,
    StepVerdict,
    act,
    done,
    fail,
    settled,
    wait,
)
from pgwarden.api import names
from pgwarden.api.objects import Object
from pgwarden.api.reading import is_going
from pgwarden.api.reasons import REFUSED

#: PostgreSQL that fails this often does not start: the restored data is not what it can begin with.
RESTARTS = 3
_BY_HAND = "take a full backup by hand"
#: FATAL lines about one connection, not about the server.
_TO_CLIENTS = re.compile(r"database system is|not yet accepting|terminating connection|authentication|does not exist")


def started(facts: RestoreFacts) -> StepVerdict:
    """PostgreSQL takes writes on the restored volume; of a PostgresCluster as its primary."""
    plan = facts.planned
    found = facts.workload(plan.workload, plan.workload_kind)
    if found is None:
        text = f"{workload.title(plan)} was deleted; create it again: claim {plan.claim} has the restored volume"
        return wait("NoWorkload", text)
    if not workload.is_started(plan, found):
        return act(workload.start(plan, found), "Starting", f"scaling {workload.title(plan)} to {plan.replicas}")
    kept = keep(facts, plan)  # meanwhile
    if kept and kept.action:
        return act(kept.action, "Keeping", kept.message)
    pod = running_pod(facts)
    if pod is not None and facts.postgres.takes_writes:
        return kept or _finish(facts, plan, found, pod)
    broken = _crashes(pod, plan) if pod else ""
    if broken:
        return fail("StartFailed", broken)
    return _too_late(facts) or _waiting(facts, pod)


def _finish(facts: RestoreFacts, plan: Plan, found: Object, pod: Object) -> StepVerdict:
    if workload.is_marked(plan, found):
        settling = proof.settle(facts)
        if settling:
            return act(settling, "Started", "PostgreSQL takes writes: recording this on its volume")
        text = "PostgreSQL takes writes: from here on the Restore is not rolled back"
        return act(workload.unmark(plan, found), "Started", text)
    behind = cluster_members.serving(pod) if facts.members else None
    text = f"{workload.title(plan)} runs on the restored volume and takes writes"
    text += volume_swap.left_at_retain([plan.old_volume, plan.new_volume], facts.volumes)
    return behind or done("Started", text)


def _waiting(facts: RestoreFacts, pod: Object | None) -> StepVerdict:
    title = workload.title(facts.planned)
    if pod is None:
        return wait(_reason(facts), f"waiting for a pod of {title} with an IP address{_stuck(facts)}", again=SOON)
    if names.ANNOTATION_INJECTED not in pod["metadata"].get("annotations", {}):
        name = pod["metadata"]["name"]
        text = f"pgwarden was not injected into pod {name}, so it does not archive; delete the pod"
        return wait("PodNotInjected", text)
    why = facts.postgres.error or facts.agent_error or "it has not responded yet"
    return wait(_reason(facts), f"PostgreSQL is starting{_stuck(facts)}: {why}", again=SOON)


def _too_late(facts: RestoreFacts) -> StepVerdict | None:
    limit = timedelta(seconds=facts.spec.recovery_timeout_seconds)
    if facts.since("Swapped") < limit:
        return None
    seconds = f"{limit.total_seconds():g} s (spec.recoveryTimeoutSeconds)"
    title = workload.title(facts.planned)
    return fail("StartTimeout", f"{title} did not take writes on the restored volume within {seconds}{_stuck(facts)}")


def _held(facts: RestoreFacts) -> pods.Held | None:
    if facts.workload_refused:
        return pods.Held(REFUSED, f"Kubernetes creates none: {facts.workload_refused}")
    named = pods_of(facts.pods, facts.planned.workload_kind, facts.planned.workload)
    return pods.held(without(named, facts.strangers))


def _reason(facts: RestoreFacts) -> str:
    held = _held(facts)
    return held.reason if held else "Starting"


def _stuck(facts: RestoreFacts) -> str:
    held = _held(facts)
    return f": {held.message}" if held else ""


def _crashes(pod: Object, plan: Plan) -> str:
    """Why PostgreSQL does not start on the restored volume. A probe that kills it is none: it goes on starting."""
    for status in pod.get("status", {}).get("containerStatuses", []):
        if status["name"] != plan.facts.container:
            continue
        ended = status.get("state", {}).get("terminated") or status.get("lastState", {}).get("terminated") or {}
        said = str(ended.get("message") or "").strip()
        fatal = [line for line in said.splitlines() if "FATAL:" in line and not _TO_CLIENTS.search(line)]
        restarts, code = int(status.get("restartCount", 0)), ended.get("exitCode")
        if fatal and code:
            return f"PostgreSQL ended on the restored volume: {fatal[-1].strip()}"
        if restarts >= RESTARTS and code:
            last = f": {said[-500:]}" if said else "; see the log of the pod's previous container"
            return f"PostgreSQL ended {restarts} times on the restored volume, last with exit code {code}{last}"
    return ""


# --- BackedUp ----------------------------------------------------------------------------------------------------


def backed_up(facts: RestoreFacts) -> StepVerdict:
    """A new timeline begins with a full backup. Should that fail, the restore has not."""
    plan, backup = facts.planned, facts.backup
    name = plan.backup_after
    if backup is None:
        body = render.backup(plan, facts.spec, facts.namespace)
        return act(Create("backups", body), "Starting", f"creating Backup {name}", backup=name)
    if backup["metadata"]["creationTimestamp"] < facts.restore["metadata"]["creationTimestamp"]:
        return settled(BACKUP_FAILED, f"Backup {name} belongs to an earlier Restore of this name; {_BY_HAND}")
    status = backup.get("status", {})
    phase = status.get("phase", "")
    if phase == "Failed":
        return settled(BACKUP_FAILED, f"Backup {name} failed: {status.get('message', '')}; {_BY_HAND}")
    if phase != "Completed":
        waits = f": {status['message']}" if phase == "Pending" and status.get("message") else ""
        text = f"waiting for Backup {name} ({phase or 'Pending'}{waits})"
        return wait("Running", text, again=SLOW if phase else POLL, backup=name)
    kept = facts.claims.get(plan.kept_claim)
    ours = kept is not None and proof.is_kept(plan, kept) and not is_going(kept)
    if not facts.spec.keep_old_volume and kept is not None and ours:
        delete = Delete("persistentvolumeclaims", facts.namespace, plan.kept_claim, kept["metadata"]["uid"])
        return act(delete, "Removing", f"removing claim {plan.kept_claim} (keepOldVolume: false)", keptClaim=None)
    if facts.spec.reenable_autofail and facts.members:
        turned = cluster_members.turn_on(facts, facts.members)
        if turned:
            return turned
    return done("BackedUp", f"Backup {name} is completed", backup=name)
