"""The workload that runs PostgreSQL, behind what a restore needs of it: a StatefulSet or a Deployment. Pure.

Another kind needs the same four: find it, what stops it, what starts it, whether it stands as planned.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from controller.recovery import plan as plans
from controller.recovery.plan import Plan
from controller.restore.facts import Members, RestoreFacts, claims_of, owner, pods_of
from controller.restore.verdict import Merge, StepVerdict, fail, wait
from pgwarden.api import names
from pgwarden.api.objects import Object

PLURALS = {"StatefulSet": "statefulsets", "Deployment": "deployments"}
_KINDS = " or ".join(PLURALS)


@dataclass(frozen=True)
class Found:
    workload: Object
    pod: Object

    @property
    def kind(self) -> str:
        return _key(self.workload)[0]


def title(plan: Plan) -> str:
    return f"{plan.workload_kind} {plan.workload}"


def replicas(workload: Object) -> int:
    return int(workload["spec"].get("replicas", 1))


def find(facts: RestoreFacts) -> Found | StepVerdict:
    """The one workload of the Repository's pods and its one pod, or why a restore in place cannot begin."""
    if facts.unproven:
        return wait(
            "PodNotProven",
            f"pod {min(facts.unproven)} carries the label {names.LABEL_REPOSITORY}={facts.spec.repository}, but was "
            f"not created from its owner's pod template with that label; put the label into the pod template, or "
            f"delete the pod",
        )
    if facts.members is not None:
        return _primary(facts, facts.members)
    pods = facts.labelled_pods()
    owners = {owner(pod) for pod in pods}
    strangers = sorted(pod["metadata"]["name"] for pod in pods if owner(pod)[0] not in PLURALS)
    if strangers:
        kind, name = next(o for o in sorted(owners) if o[0] not in PLURALS)
        by = f"{kind} {name}" if kind else "nothing"
        return fail(
            "WorkloadNotSupported",
            f"pod {strangers[0]} belongs to {by}; a restore in place needs a {_KINDS}. "
            f"Set spec.volumeClaim to restore into a claim of its own",
        )
    candidates = owners or {_key(w) for w in facts.workloads if _is_meant(w, facts)}
    if not candidates:
        return wait(
            "NoWorkload",
            f"no pod and no {_KINDS} has the label {names.LABEL_REPOSITORY}={facts.spec.repository} in this namespace; "
            f"create it, or label its pod template",
        )
    if len(candidates) > 1:
        return fail(
            "SeveralWorkloads",
            f"{len(candidates)} workloads carry the label {names.LABEL_REPOSITORY}={facts.spec.repository}: "
            f"{', '.join(sorted(name for _, name in candidates))}. Only one can be restored in place; remove the "
            f"label from the others",
        )
    wanted = candidates.pop()
    workload = next((one for one in facts.workloads if _key(one) == wanted), None)
    if workload is None:
        return wait("NoWorkload", f"the pods' {wanted[0]} does not exist")
    return _single(facts, workload)


def _primary(facts: RestoreFacts, members: Members) -> Found | StepVerdict:
    """Of a PostgresCluster: the primary's Deployment, also where it is down; the replicas are not restored."""
    workload = next((one for one in members.deployments if one["metadata"]["name"] == members.primary), None)
    if workload is None:
        return wait("NoPrimary", f"PostgresCluster {members.name} has no primary")
    return _single(facts, {"kind": "Deployment"} | workload)


def _key(workload: Object) -> tuple[str, str]:
    return workload.get("kind", "StatefulSet"), workload["metadata"]["name"]


def _is_meant(workload: Object, facts: RestoreFacts) -> bool:
    template = workload["spec"].get("template", {}).get("metadata", {})
    return bool(template.get("labels", {}).get(names.LABEL_REPOSITORY) == facts.spec.repository)


def _single(facts: RestoreFacts, workload: Object) -> Found | StepVerdict:
    (kind, name), count = _key(workload), replicas(workload)
    if count > 1:
        return fail(
            "SeveralReplicas",
            f"{kind} {name} has {count} replicas; a restore in place replaces one volume. Scale it to 1, restore, "
            f"and let the others start from empty claims",
        )
    pods = pods_of(facts.labelled_pods(), kind, name)
    if not pods:
        return wait(
            "NoPod",
            f"{kind} {name} has no pod that shows the data directory and its volume; scale it to 1 (the pod need not "
            f"become ready)",
        )
    if len(pods) > 1:
        return wait("SeveralPods", f"{kind} {name} still has {len(pods)} pods")
    return Found(workload, pods[0])


def stopped_by_vanished(facts: RestoreFacts) -> Plan | None:
    """The plan of a Restore that has stopped the Repository's workload and does not exist any more."""
    return left_by_vanished(facts.workloads, facts.spec.repository, facts.operations)


def left_by_vanished(workloads: Iterable[Object], repository: str, operations: Iterable[Object]) -> Plan | None:
    there = {o["metadata"]["uid"] for o in operations}  # one that is over has put everything right itself
    for workload in workloads:
        left = plans.of_workload(workload)
        if left and left.repository == repository and left.restore_uid not in there:
            return left
    return None


def unproven(pods: Iterable[Object], workloads: Iterable[Object], repository: str) -> frozenset[str]:
    """The Repository's pods that are not run by the workload that they name: anybody may write an owner on a pod.

    A StatefulSet's has its uid; a Deployment's template has the Repository's label, and all of the pod's claims.
    """
    known, found = {_key(one): one for one in workloads}, set()
    for pod in pods:
        labelled = (pod["metadata"].get("labels") or {}).get(names.LABEL_REPOSITORY) == repository
        kind, _ = by = owner(pod)
        if not labelled or by not in known:
            continue
        one = known[by]
        uids = {reference.get("uid") for reference in pod["metadata"]["ownerReferences"] if reference.get("controller")}
        template = one["spec"].get("template", {}).get("metadata", {}).get("labels") or {}
        by_template = template.get(names.LABEL_REPOSITORY) == repository and all(uses(one, c) for c in claims_of(pod))
        if not (one["metadata"]["uid"] in uids if kind == "StatefulSet" else by_template):
            found.add(str(pod["metadata"]["name"]))
    return frozenset(found)


def uses(workload: Object, claim: str) -> bool:
    """Whether *claim* is one that the workload's own pods have, by its template."""
    spec, name = workload["spec"], workload["metadata"]["name"]
    volumes = spec.get("template", {}).get("spec", {}).get("volumes") or []
    mounted = {(volume.get("persistentVolumeClaim") or {}).get("claimName") for volume in volumes}
    first = (spec.get("ordinals") or {}).get("start", 0)
    made = {f"{one['metadata']['name']}-{name}-{first}" for one in spec.get("volumeClaimTemplates") or []}
    return claim in mounted | made


def mark(plan: Plan, workload: Object) -> Merge:
    """The plan on the workload, before anything of the user's is changed: it is undone by that, should we vanish."""
    return _patch(plan, workload, plan.dump(), None)


def unmark(plan: Plan, workload: Object) -> Merge:
    return _patch(plan, workload, None, None)


def stop(plan: Plan, workload: Object) -> Merge:
    """One patch: the reason and the stop cannot be seen apart."""
    return _patch(plan, workload, plan.dump(), 0)


def start(plan: Plan, workload: Object) -> Merge:
    """The mark stays: until PostgreSQL has recovered on the restored volume, or until the undoing is noted."""
    return _patch(plan, workload, plan.dump(), plan.replicas)


def _patch(plan: Plan, workload: Object, annotation: str | None, count: int | None) -> Merge:
    metadata = {"uid": workload["metadata"]["uid"], "annotations": {names.ANNOTATION_STOPPED_BY: annotation}}
    body: Object = {"metadata": metadata} | ({} if count is None else {"spec": {"replicas": count}})
    return Merge(PLURALS[plan.workload_kind], workload["metadata"]["namespace"], plan.workload, body)


def is_marked(plan: Plan, workload: Object) -> bool:
    """Whether this very Restore is at work on it."""
    by = plans.of_workload(workload)
    return by is not None and by.restore_uid == plan.restore_uid


def is_stopped(plan: Plan, workload: Object) -> bool:
    """Whether it is scaled to zero by this very Restore."""
    return is_marked(plan, workload) and replicas(workload) == 0


def is_started(plan: Plan, workload: Object) -> bool:
    return replicas(workload) == plan.replicas
