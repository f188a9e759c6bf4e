"""What a RestoreDrill makes: a Restore into a new claim, the Job with the checks, its pod's NetworkPolicy. Pure."""

from __future__ import annotations

import shlex
from datetime import datetime
from pathlib import Path

import msgspec

from controller import pod_parts
from controller.recovery.plan import Plan
from pgwarden.api import names
from pgwarden.api.kinds import RepositorySpec, RestoreDrillSpec
from pgwarden.api.objects import Object
from pgwarden.api.sizing import NOTHING, Asks
from pgwarden.api.target import rfc3339
from pgwarden.contract import environment
from pgwarden.rules.drill import ALWAYS

SCRIPT = (Path(__file__).parent / "checks.sh").read_text("utf-8")
CONTAINER = "postgres"
RETRIES = 3  # of a pod that was killed
GRACE_SECONDS = 5  # what a server leaves that is killed here, the next one recovers
_TMP = "/tmp"  # noqa: S108  an emptyDir of the pod's own
_SECURITY = ("fsGroup", "fsGroupChangePolicy", "supplementalGroups", "supplementalGroupsPolicy", "seLinuxOptions")


def labels(drill: Object) -> dict[str, str]:
    mine = {names.LABEL_DRILL: drill["metadata"]["name"]}
    return pod_parts.labels(drill["spec"]["repository"], names.COMPONENT_DRILL, **mine)


def restore(drill: Object, spec: RestoreDrillSpec, drawn: datetime | None = None) -> Object:
    """*drawn*: the moment of a random target."""
    name = names.drill(drill["metadata"]["name"])
    wanted = {key: drill["spec"][key] for key in _SHARED if key in drill["spec"]}
    if drawn is not None:
        wanted["target"] = {"time": rfc3339(drawn)}
    if spec.databases:
        wanted["options"] = [shlex.quote(f"--db-include={database}") for database in spec.databases]
    return {
        "apiVersion": names.API_VERSION,
        "kind": "Restore",
        "metadata": _metadata(drill, name)
        # Another drill of the same name and spec is another restore.
        | {"annotations": {names.ANNOTATION_RUN_AGAIN: drill["metadata"]["uid"]}},
        "spec": wanted | {"repository": spec.repository, "volumeClaim": name},
    }


_SHARED = ("target", "targetTimeline", "set", "storage", "newVolume")


def _metadata(drill: Object, name: str) -> Object:
    return {
        "name": name,
        "namespace": drill["metadata"]["namespace"],
        "labels": labels(drill),
        "ownerReferences": [pod_parts.owner(drill | {"kind": "RestoreDrill"})],
    }


def policy(drill: Object) -> Object:
    """Nobody reaches the pod, and it reaches nobody."""
    selected = {names.LABEL_DRILL: drill["metadata"]["name"], names.LABEL_COMPONENT: names.COMPONENT_DRILL}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": _metadata(drill, names.drill_checks(drill["metadata"]["name"])),
        "spec": {"podSelector": {"matchLabels": selected}, "policyTypes": ["Ingress", "Egress"]},
    }


def job(drill: Object, spec: RestoreDrillSpec, plan: Plan, repo_spec: RepositorySpec, asks: Asks = NOTHING) -> Object:
    """A pod that was killed is followed by another, once it has ended: two servers on one volume would spoil it."""
    metadata = _metadata(drill, names.drill_checks(drill["metadata"]["name"]))
    user = {"runAsNonRoot": True, "runAsUser": plan.facts.run_as_user, "runAsGroup": plan.facts.run_as_group}
    container: Object = {
        "name": CONTAINER,
        "image": plan.image,
        "command": ["/bin/sh", "-c", SCRIPT],
        "env": [
            *map(dict, plan.server_environment),
            *pod_parts.variables(_variables(spec, plan)),
            *environment.by_reference(plan.facts, environment.USER, called="DRILL_USER"),
        ],
        "resources": pod_parts.resources(_sized(repo_spec, spec), asks),
        "securityContext": pod_parts.container_security() | user,
        "volumeMounts": [
            *(dict(mount) | {"name": "data"} for mount in plan.mounts),
            {"name": names.VOLUME_TMP, "mountPath": _TMP},
        ],
    }
    if plan.image_pull_policy:
        container["imagePullPolicy"] = plan.image_pull_policy
    pod: Object = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "containers": [container],
        "volumes": [
            {"name": "data", "persistentVolumeClaim": {"claimName": plan.new_claim}},
            {"name": names.VOLUME_TMP, "emptyDir": {}},
        ],
        "securityContext": {key: value for key, value in plan.security.items() if key in _SECURITY}
        | user
        | {"seccompProfile": {"type": "RuntimeDefault"}},
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {
            "backoffLimit": RETRIES,
            "podReplacementPolicy": "Failed",
            "template": {"metadata": {"labels": labels(drill)}, "spec": pod | dict(plan.scheduling)},
        },
    }


def _sized(repo_spec: RepositorySpec, spec: RestoreDrillSpec) -> RepositorySpec:
    """The drill's own size goes before the Repository's."""
    return msgspec.structs.replace(repo_spec, resources=spec.resources) if spec.resources else repo_spec


def _variables(spec: RestoreDrillSpec, plan: Plan) -> dict[str, str]:
    restored = (*spec.databases, *ALWAYS)
    database = plan.facts.database if not spec.databases or plan.facts.database in restored else spec.databases[0]
    found = {
        "DRILL_DATA": plan.facts.data_directory,
        "DRILL_BIN": plan.bin_directory,
        "DRILL_USER": plan.facts.user,
        "DRILL_DATABASE": database,
        "DRILL_DATABASES": "\n".join(spec.databases),
        "DRILL_PRELOAD": ",".join(plan.preload),
        "DRILL_CHECKS": str(len(spec.checks)),
    }
    for number, check in enumerate(spec.checks):
        found |= {
            f"DRILL_{number}_NAME": check.name,
            f"DRILL_{number}_SQL": check.sql,
            f"DRILL_{number}_EXPECT": "t" if check.expect is None else check.expect,
            f"DRILL_{number}_MIN": _bound(check.min),
            f"DRILL_{number}_MAX": _bound(check.max),
            f"DRILL_{number}_DATABASE": check.database or database,
            f"DRILL_{number}_TIMEOUT": str(check.timeout_seconds),
        }
    if not plan.facts.user:  # it comes by reference
        del found["DRILL_USER"]
    # Kubernetes would put other variables where $(NAME) is.
    return {name: value.replace("$", "$$") for name, value in found.items()}


def _bound(value: int | str | None) -> str:
    return "" if value is None else str(value)


def spec_of(drill: Object) -> RestoreDrillSpec:
    return msgspec.convert(drill["spec"], RestoreDrillSpec)
