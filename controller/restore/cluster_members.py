"""What a Restore in place asks of a PostgresCluster: autofail off, and no instance but the primary's. Pure.

The rest is as for anyone's workload: the primary's Deployment is one, with one claim. Its replicas are made again, from
the backup after the restore, when autofail is on again.
"""

from __future__ import annotations

from controller import patroni
from controller.pods import is_ready
from controller.recovery.plan import Plan
from controller.restore.facts import Members, RestoreFacts
from controller.restore.verdict import Delete, Merge, StepVerdict, act, fail, wait
from pgwarden.api import names
from pgwarden.api.objects import Object
from pgwarden.api.reading import is_going

KIND = "PostgresCluster"


def hold(facts: RestoreFacts, members: Members, plan: Plan) -> StepVerdict | None:
    """Before the primary stops: nobody may take over, and nobody may follow. None when that is so."""
    namespace, name = facts.namespace, members.name
    if members.primary not in {"", plan.workload}:
        text = f"{members.primary} is now the primary instead of {plan.workload}; create another Restore"
        return fail("PrimaryChanged", text)
    if members.cluster["spec"].get("autofail", True):
        off = Merge("postgresclusters", namespace, name, {"spec": {"autofail": False}})
        text = f"turning autofail of PostgresCluster {name} off; it stays off until you set spec.autofail to true again"
        return act(off, "AutofailOff", text)
    if not members.paused:
        return wait("AutofailOff", f"waiting for Patroni of PostgresCluster {name} to turn autofail off", again=1.0)
    return _without_replicas(facts, members, plan)


def release(facts: RestoreFacts, members: Members) -> StepVerdict | None:
    """While the primary is stopped: what Patroni has noted of another cluster than the restored one, and the lock.

    Patroni throws a primary out whose system identifier is not the one that it has noted (`initialize`). The lock goes
    because the restored primary would wait half a minute until it has expired.
    """
    end = facts.planned.recovered
    restored = end.system_identifier if end else ""
    change = patroni.begin_with(members.noted, restored, facts.planned.restore_uid) if restored else None
    if change:
        text = f"telling Patroni that the restored PostgreSQL cluster is {restored}"
        return act(_of_patroni(facts, members, *change), "Stopping", text)
    if not members.lock:
        return None
    body = {"metadata": {"annotations": {patroni.LEADER: None}}}
    return act(_of_patroni(facts, members, patroni.LEADER, body), "Stopping", "taking over Patroni's lock")


def take_back(facts: RestoreFacts, members: Members) -> StepVerdict | None:
    """Of a Restore that is undone, before the primary is started on its old volume: what `release` told Patroni."""
    change = patroni.go_back(members.noted, facts.planned.restore_uid)
    if change is None:
        return None
    return act(_of_patroni(facts, members, *change), "Starting", "telling Patroni which PostgreSQL cluster it was")


def _of_patroni(facts: RestoreFacts, members: Members, key: str, patch: Object) -> Merge:
    return Merge("configmaps", facts.namespace, names.patroni_object(members.name, key), patch)


def serving(pod: Object) -> StepVerdict | None:
    """After the start: whether the primary Service sends clients to *pod*, by what the Service selects. None: it does.

    Patroni labels as primary only who holds its lock, and Kubernetes sends clients only to who is ready.
    """
    name, role = pod["metadata"]["name"], pod["metadata"].get("labels", {}).get(names.LABEL_ROLE)
    if not is_ready(pod):
        return wait("Starting", f"waiting for pod {name} to be ready", again=1.0)
    if role != patroni.PRIMARY:
        said = f" (it has role {role})" if role else ""
        return wait("Starting", f"waiting for Patroni to make pod {name} the primary{said}", again=1.0)
    return None


def turn_on(facts: RestoreFacts, members: Members) -> StepVerdict | None:
    """What `reenableAutofail` asks for, after everything else."""
    if members.cluster["spec"].get("autofail", True):
        return None
    on = Merge("postgresclusters", facts.namespace, members.name, {"spec": {"autofail": True}})
    return act(on, "AutofailOn", f"turning autofail of PostgresCluster {members.name} on (reenableAutofail)")


def _without_replicas(facts: RestoreFacts, members: Members, plan: Plan) -> StepVerdict | None:
    for plural, kind, listed in (
        ("deployments", "Deployment", members.deployments),
        ("persistentvolumeclaims", "claim", members.claims),
    ):
        for one in listed:
            name = one["metadata"]["name"]
            if _instance(one) == plan.workload or is_going(one):
                continue
            delete = Delete(plural, facts.namespace, name, one["metadata"]["uid"])
            return act(delete, "RemovingReplicas", f"removing {kind} {name}: replicas cannot follow a restored primary")
    left = [pod for pod in facts.labelled_pods() if _instance(pod) not in {"", plan.workload}]
    if left:
        return wait("RemovingReplicas", f"waiting for pod {left[0]['metadata']['name']} to end", again=1.0)
    return None


def _instance(obj: Object) -> str:
    return str(obj["metadata"].get("labels", {}).get(names.LABEL_INSTANCE, ""))
