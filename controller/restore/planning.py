"""Making the plan: what is read off the pod, its claim and its volume before anything is changed. Pure."""

from __future__ import annotations

from typing import Any

from controller import placement
from controller.pods import has_ended, postgres_facts
from controller.recovery import plan as plans
from controller.recovery import set_version
from controller.recovery.order import server_environment
from controller.recovery.plan import Plan, Volume
from controller.restore import volume_swap, workload
from controller.restore.facts import RestoreFacts, claims_of, owner
from controller.restore.verdict import SLOW, StepVerdict, fail, wait
from pgwarden.api import names, records
from pgwarden.api.kinds import PodFacts
from pgwarden.api.objects import Object
from pgwarden.api.reading import is_going
from pgwarden.contract import server_facts


def make(facts: RestoreFacts) -> Plan | StepVerdict:
    """The plan, or why there cannot be one (fail), or not yet (wait)."""
    pod, found = _source(facts)
    if pod is None:
        return found if isinstance(found, StepVerdict) else _no_pod(facts)
    known = postgres_facts(pod)
    name = pod["metadata"]["name"]
    if known is None:
        return wait(
            "PodNotInjected",
            f"pod {name} carries the label but pgwarden is not injected (the pod is older than the label or than "
            f"pgwarden); delete the pod: the new one is injected",
        )
    claim = claim_name(pod, known)
    if claim not in facts.claims:
        if claim:  # it may come: a StatefulSet makes it before the next pod
            text = f"claim {claim} of pod {name} does not exist; pgwarden waits for it"
            return wait("NoClaim", text, again=SLOW)
        what = f"a claim behind volume {known.data_volume}"
        return fail(
            "NoClaim", f"pod {name} does not have {what}; the data directory must be on a PersistentVolumeClaim"
        )
    return _from_pod(facts, pod, known, facts.claims[claim], found if isinstance(found, workload.Found) else None)


def _source(facts: RestoreFacts) -> tuple[Object | None, workload.Found | StepVerdict | None]:
    if not facts.spec.volume_claim:
        found = workload.find(facts)
        return (None, found) if isinstance(found, StepVerdict) else (found.pod, found)
    injected = [pod for pod in facts.labelled_pods() if postgres_facts(pod)]
    primary = (facts.repository or {}).get("status", {}).get("primary", "")
    injected.sort(key=lambda pod: (pod["metadata"]["name"] != primary, is_going(pod), pod["metadata"]["name"]))
    return (injected[0] if injected else None), None


def _no_pod(facts: RestoreFacts) -> StepVerdict:
    return wait(
        "NoPod",
        f"no pod with the label {names.LABEL_REPOSITORY}={facts.spec.repository} shows the data directory and its "
        f"volume; start one",
    )


def _from_pod(
    facts: RestoreFacts, pod: Object, known: PodFacts, claim: Object, found: workload.Found | None
) -> Plan | StepVerdict:
    mounts = _mounts(pod, known)
    problem = _problem(facts, pod, claim, mounts)
    if problem:
        return problem
    base = {
        "restore": facts.name,
        "restore_uid": facts.restore["metadata"]["uid"],
        "repository": facts.spec.repository,
        "order": records.order_of(facts.restore),
        "pod": pod["metadata"]["name"],
        "facts": known,
        "mounts": mounts,
    }
    template = found.workload["spec"]["template"] if found else {"spec": pod["spec"]}
    security = template.get("spec", {}).get("securityContext", {})
    base |= {
        "scheduling": placement.like(template.get("spec", {}), pod["spec"].get("nodeName", "")),
        "security": security,
        "own_volume": not _never_is_root(pod, known, security),
    } | _server(facts, pod, known)
    base |= plans.claim_parts(claim)
    base["new_spec"] = _new_spec(facts, base["claim_spec"])
    if found is None:
        return Plan(**base, new_claim=facts.spec.volume_claim)
    volume = facts.volumes.get(claim["spec"].get("volumeName", ""))
    if not volume_swap.is_bound(claim, volume) and not volume_swap.is_lost(claim, volume):
        return _not_bound(claim)
    return Plan(
        **base,
        workload_kind="Deployment" if found.kind == "Deployment" else "StatefulSet",
        workload=found.workload["metadata"]["name"],
        replicas=workload.replicas(found.workload) or 1,
        # Of one that is lost nothing is left to keep; its name says so to the steps that swap.
        old_volume=Volume(name=claim["spec"]["volumeName"], reclaim=volume_swap.policy(volume) if volume else ""),
        new_claim=names.restored_claim(facts.name),
        kept=names.free(names.kept_claim(claim["metadata"]["name"], facts.name), facts.claims),
        failed=names.free(names.failed_claim(claim["metadata"]["name"], facts.name), facts.claims),
        backup=names.free(names.restore_backup(facts.name), _backups(facts)),
    )


def _not_bound(claim: Object) -> StepVerdict:
    name, phase = claim["metadata"]["name"], claim.get("status", {}).get("phase") or "unknown"
    return wait(
        "ClaimNotBound",
        f"claim {name} is not bound to a volume (phase {phase}), so there is none to replace; see kubectl describe pvc "
        f"{name}. To restore beside it, set spec.volumeClaim to the name of a new claim",
    )


def _server(facts: RestoreFacts, pod: Object, known: PodFacts) -> dict[str, Any]:
    """The PostgreSQL that recovers on the new volume: the workload's own, or the one that is asked for."""
    known_before = server_facts.of(facts.repository)
    chosen = set_version.chosen(facts.spec, facts.repo_spec, facts.stanza)
    major = set_version.major(facts.stanza, chosen)
    if major and major != known_before.major:  # what is known is of another server
        known_before = server_facts.ServerFacts()
    container: Object = next((one for one in pod["spec"]["containers"] if one["name"] == known.container), {})
    return {
        "image": facts.spec.image or str(container.get("image", "")),
        "image_pull_policy": "IfNotPresent" if facts.spec.image else str(container.get("imagePullPolicy", "")),
        "server_environment": server_environment(container),
        "bin_directory": "" if facts.spec.image else known_before.bin_dir or "",
        "preload": list(known_before.shared_preload_libraries),
    }


def _new_spec(facts: RestoreFacts, like: dict[str, Any]) -> dict[str, Any]:
    """*like* with what spec.newVolume says; what belongs to one class alone does not go with another."""
    wanted = facts.spec.new_volume
    if wanted is None:
        return {}
    made = dict(like)
    if wanted.storage_class_name and wanted.storage_class_name != like.get("storageClassName"):
        made = {key: value for key, value in made.items() if key not in {"volumeAttributesClassName", "selector"}}
        made["storageClassName"] = wanted.storage_class_name
    if wanted.size:
        made["resources"] = {"requests": {"storage": wanted.size}}
    return made


def _backups(facts: RestoreFacts) -> set[str]:
    return {one["metadata"]["name"] for one in facts.operations if one["kind"] == "Backup"}


def claim_name(pod: Object, known: PodFacts) -> str:
    """Of the claim behind the data directory; empty where there is none."""
    for volume in pod["spec"].get("volumes", []):
        if volume["name"] == known.data_volume:
            return str(volume.get("persistentVolumeClaim", {}).get("claimName", ""))
    return ""


def _mounts(pod: Object, known: PodFacts) -> list[dict[str, Any]]:
    for container in pod["spec"]["containers"]:
        if container["name"] == known.container:
            wanted = ("name", "mountPath", "subPath", "subPathExpr")
            mounts = [m for m in container.get("volumeMounts", []) if m["name"] == known.data_volume]
            return [{key: mount[key] for key in wanted if key in mount} for mount in mounts]
    return []


def _never_is_root(pod: Object, known: PodFacts, security: dict[str, Any]) -> bool:
    """Whether the pod starts as another user than root, and so has a volume that this user may write to.

    Where Pod Security is restricted it must, whether it names the user or its image does.
    """
    for container in pod["spec"]["containers"]:
        if container["name"] == known.container:
            in_force = security | (container.get("securityContext") or {})
            return bool(in_force.get("runAsUser") or in_force.get("runAsNonRoot"))
    return False


def _problem(facts: RestoreFacts, pod: Object, claim: Object, mounts: list[dict[str, Any]]) -> StepVerdict | None:
    name, pod_name = claim["metadata"]["name"], pod["metadata"]["name"]
    if claim["spec"].get("volumeMode") == "Block":
        return fail("BlockVolume", f"claim {name} is a block device; pgwarden restores only to file systems")
    if not mounts or any("subPathExpr" in mount for mount in mounts):
        return fail(
            "MountNotRepeatable",
            f"pod {pod_name} mounts its data volume by subPathExpr, which a Job cannot repeat; use subPath",
        )
    if is_going(claim):
        return wait("ClaimGoing", f"claim {name} is being deleted; pgwarden waits for a new one", again=SLOW)
    if facts.spec.volume_claim:
        return None
    if "ReadWriteOncePod" not in claim["spec"].get("accessModes", []):
        strangers = [p for p in facts.pods if owner(p) != owner(pod) and not has_ended(p)]
        others = [p for p in strangers if name in claims_of(p)]
        if others:
            text = f"pod {others[0]['metadata']['name']} also uses claim {name}, so it cannot be replaced"
            return wait("ClaimInUse", f"{text}; waiting for the pod to end, or delete it", again=SLOW)
    return None
