"""The steps after PostgreSQL was started on the restored volume: Recovered, BackedUp. Pure."""

from __future__ import annotations

import re
from datetime import timedelta

import msgspec

from controller.recovery.plan import Plan
from controller.restore import cluster_members, proof, render, workload
from controller.restore.facts import RestoreFacts
from controller.restore.steps_switch import running_pod
from controller.restore.verdict import (
    BACKUP_FAILED,
    POLL,
    SLOW,
    Ask,
    Create,
    Delete,
    StepVerdict,
    act,
    done,
    fail,
    settled,
    wait,
)
from pgwarden.api.objects import Object
from pgwarden.contract import calls
from pgwarden.contract.status import Postgres

#: PostgreSQL that ends this often does not recover: the restored data, or the target, is not what it can begin with.
RESTARTS = 3
CLEAR_SECONDS = 45
_BY_HAND = "take a full backup by hand"
#: FATAL lines about one connection, not about the server.
_TO_CLIENTS = re.compile(r"database system is|not yet accepting|terminating connection|authentication|does not exist")


def recovered(facts: RestoreFacts) -> StepVerdict:
    plan, pod = facts.planned, running_pod(facts)
    if pod is not None:
        broken = _crashes(pod, plan)
        if broken:
            return fail("RecoveryFailed", broken)
    postgres = facts.postgres
    if postgres.takes_writes:
        return _finish(facts, plan, pod, postgres)
    seen = postgres.last_replay_time or plan.last_replay
    late = _too_late(facts, seen)
    if late:
        return late
    plan = msgspec.structs.replace(plan, last_replay=seen or "")
    if postgres.in_recovery:
        return wait("Recovering", f"PostgreSQL replays WAL{f', now at {seen}' if seen else ''}", plan=plan, again=1.0)
    why = postgres.error or facts.agent_error or "it has not responded yet"
    return wait("Recovering", f"PostgreSQL is starting: {why}", plan=plan, again=1.0)


def _finish(facts: RestoreFacts, plan: Plan, pod: Object | None, postgres: Postgres) -> StepVerdict:
    answer = facts.cleared
    if answer is None and pod is not None:
        call = Ask(pod["status"]["podIP"], calls.clear_recovery(), CLEAR_SECONDS)
        return act(call, "Recovered", "removing the recovery target from PostgreSQL's configuration")
    found = facts.workload(plan.workload, plan.workload_kind)
    if found is not None and workload.is_marked(plan, found):
        settling = proof.settle(facts)
        if settling:
            return act(settling, "Recovered", "PostgreSQL has recovered: recording this on its volume")
        text = "PostgreSQL has recovered: from here on the Restore is not rolled back"
        return act(workload.unmark(plan, found), "Recovered", text)
    reached = postgres.last_replay_time or plan.last_replay or "the end of the backup set"
    timeline = postgres.timeline
    error = answer.error if answer else None
    left = "" if answer and answer.ok else f"; its recovery settings could not be removed: {error}"
    text = f"PostgreSQL recovered to {reached} and is on timeline {timeline}{left}"
    return done("Recovered", text, timeline=timeline, recoveredTo=reached)


def _too_late(facts: RestoreFacts, seen: str) -> StepVerdict | None:
    limit = timedelta(seconds=facts.spec.recovery_timeout_seconds)
    if facts.since("Started") < limit:
        return None
    where = f"; it replayed up to {seen}" if seen else ""
    seconds = f"{limit.total_seconds():g} s (recoveryTimeoutSeconds)"
    return fail("RecoveryTimeout", f"PostgreSQL did not recover within {seconds}{where}")


def _crashes(pod: Object, plan: Plan) -> str:
    for status in pod.get("status", {}).get("containerStatuses", []):
        if status["name"] != plan.facts.container:
            continue
        ended = status.get("state", {}).get("terminated") or status.get("lastState", {}).get("terminated") or {}
        said = str(ended.get("message") or "").strip()
        fatal = [line for line in said.splitlines() if "FATAL:" in line and not _TO_CLIENTS.search(line)]
        restarts = int(status.get("restartCount", 0))
        if fatal and ended.get("exitCode"):
            return f"PostgreSQL ended during recovery: {fatal[-1].strip()}"
        if restarts >= RESTARTS:
            last = f": {said[-500:]}" if said else "; see the log of the pod's previous container"
            code = ended.get("exitCode")
            return f"PostgreSQL ended {restarts} times during recovery, last with exit code {code}{last}"
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
    ours = kept is not None and proof.is_kept(plan, kept) and "deletionTimestamp" not in kept["metadata"]
    if not facts.spec.keep_old_volume and kept is not None and ours:
        delete = Delete("persistentvolumeclaims", facts.namespace, plan.kept_claim, kept["metadata"]["uid"])
        return act(delete, "Removing", f"removing claim {plan.kept_claim} (keepOldVolume: false)", keptClaim=None)
    if facts.spec.reenable_autofail and facts.members:
        turned = cluster_members.turn_on(facts, facts.members)
        if turned:
            return turned
    return done("BackedUp", f"Backup {name} is completed", backup=name)
