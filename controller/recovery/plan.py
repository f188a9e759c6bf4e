"""What a Restore was going to change, as it was before: by this it resumes, and by this it is undone.

It is in the Restore's status (`plan`), and on the stopped workload as ANNOTATION_STOPPED_BY, so that a Restore that has
vanished can be undone as well.
"""

from __future__ import annotations

import json
import re
from typing import Any, Literal

import msgspec

from pgwarden.api import names, outside
from pgwarden.api.kinds import Model, PodFacts
from pgwarden.api.objects import Object

#: Annotations of a claim that the cluster's own controllers write about its binding.
#: Bytes of a plan. It holds what a claim is made like, and all annotations of an object have 256 KiB together.
MOST = 256 * 1024
_UID = re.compile(r"[-0-9A-Za-z]{1,64}")
_BINDING = ("pv.kubernetes.io/", "volume.kubernetes.io/", "volume.beta.kubernetes.io/storage-provisioner")


WorkloadKind = Literal["", "StatefulSet", "Deployment"]


class Volume(Model, frozen=True, kw_only=True):
    """A PersistentVolume and the reclaim policy it had: to be told, and never to be given back by this alone."""

    name: str
    reclaim: str


class Recovered(Model, frozen=True, kw_only=True):
    """How the recovery on the new volume has ended."""

    timeline: int = 0
    reached: str = ""
    segment: str = ""
    segments: int = 0
    copy_seconds: float = 0.0
    replay_seconds: float = 0.0
    system_identifier: str = ""
    note: str = ""


class Ending(Model, frozen=True, kw_only=True):
    """The restore has failed, and is being taken back."""

    reason: str
    message: str
    step: str


class Undone(Model, frozen=True, kw_only=True):
    """What an undo brings back: found in Validated, as the other Restore and sets may go meanwhile."""

    restore: str
    set: str
    timeline: int
    stopped: str = ""  # RFC 3339
    lsn: str = ""


class Plan(Model, frozen=True, kw_only=True):
    restore: str
    restore_uid: str
    repository: str
    order: str = ""  # api.records.order_of the Restore
    #: Empty where a Restore writes into a claim of its own (spec.volumeClaim).
    workload_kind: WorkloadKind = ""
    workload: str = ""
    replicas: int = 0
    pod: str = ""  # the pod that all this was read from
    claim: str = ""
    claim_uid: str = ""
    claim_spec: dict[str, Any] = msgspec.field(default_factory=dict)
    #: The restored volume's claim, where it is not to be like the old one.
    new_spec: dict[str, Any] = msgspec.field(default_factory=dict)
    claim_labels: dict[str, str] = msgspec.field(default_factory=dict)
    claim_annotations: dict[str, str] = msgspec.field(default_factory=dict)
    claim_owners: list[dict[str, Any]] = msgspec.field(default_factory=list)
    old_volume: Volume | None = None
    new_claim: str
    #: Chosen free: what an earlier Restore of this name has kept is not in the way. Empty in plans of version 0.1.
    kept: str = ""
    failed: str = ""
    backup: str = ""
    #: The storage that is restored from; empty where pgBackRest may choose, and in plans of version 0.1.
    storage: str = ""
    new_volume: Volume | None = None  # known when the Job has bound it
    facts: PodFacts
    mounts: list[dict[str, Any]]  # of the data volume, in the PostgreSQL container
    scheduling: dict[str, Any] = msgspec.field(
        default_factory=dict
    )  # nodeSelector, affinity, tolerations … of the Job's pod
    security: dict[str, Any] = msgspec.field(default_factory=dict)  # the pod's own securityContext
    own_volume: bool = False  # whether root must give the new volume to PostgreSQL's user first
    tablespaces: list[str] = msgspec.field(default_factory=list)  # their folders, on the data volume
    #: The server that recovers. `image` is empty in plans of before recovery had a Job of its own.
    image: str = ""
    image_pull_policy: str = ""
    server_environment: list[dict[str, str]] = msgspec.field(default_factory=list)
    bin_directory: str = ""
    preload: list[str] = msgspec.field(default_factory=list)
    recovered: Recovered | None = None
    undone: Undone | None = None
    #: The timeline and WAL position that PostgreSQL was on, and when it was stopped: what an undo of this goes by.
    timeline_before: int = 0
    lsn_before: str = ""
    stopped: str = ""
    ending: Ending | None = None

    @property
    def in_place(self) -> bool:
        return bool(self.workload)

    @property
    def restored_spec(self) -> dict[str, Any]:
        return self.new_spec or self.claim_spec

    @property
    def kept_claim(self) -> str:
        return self.kept or names.kept_claim(self.claim, self.restore)

    @property
    def failed_claim(self) -> str:
        """The claim under which a volume is kept that was restored, and on which recovery failed."""
        return self.failed or names.failed_claim(self.claim, self.restore)

    @property
    def backup_after(self) -> str:
        return self.backup or names.restore_backup(self.restore)

    def dump(self) -> str:
        return msgspec.json.encode(self).decode()


def load(text: object) -> Plan | None:
    """None where there is none, or none that this version could have written."""
    found = outside.decode(text, Plan, most=MOST)
    return found if found is not None and _is_sound(found) else None


def _is_sound(plan: Plan) -> bool:
    """Whether names are names: each becomes a path at the API server."""
    volumes = [volume.name for volume in (plan.old_volume, plan.new_volume) if volume]
    required = [plan.restore, plan.repository, plan.new_claim, *volumes]
    required += [plan.workload, plan.claim] if plan.in_place or plan.workload_kind else []
    optional = [one for one in (plan.pod, plan.claim, plan.kept, plan.failed, plan.backup) if one]
    if not all(map(names.is_object_name, required + optional)) or not _UID.fullmatch(plan.restore_uid):
        return False
    return not plan.in_place or (bool(plan.workload_kind) and plan.replicas in {0, 1})


def claims(plan: Plan) -> set[str]:
    """The claims that are the plan's own. Those that are made for a Restore have names made for that one."""
    if not plan.in_place:
        return {plan.new_claim}
    made = {
        plan.new_claim: names.restored_claim(plan.restore),
        plan.kept_claim: names.kept_claim(plan.claim, plan.restore),
        plan.failed_claim: names.failed_claim(plan.claim, plan.restore),
    }
    return {plan.claim} | {name for name, of in made.items() if names.is_free_form(name, of)}


def of_restore(restore: Object) -> Plan | None:
    found, metadata = load(restore.get("status", {}).get("plan")), restore["metadata"]
    return found if found and (found.restore_uid, found.restore) == (metadata["uid"], metadata["name"]) else None


def text_of(workload: Object) -> str | None:
    """What is written on *workload* as the plan of the Restore that has stopped it, by whomever."""
    found: str | None = workload["metadata"].get("annotations", {}).get(names.ANNOTATION_STOPPED_BY)
    return found


def of_workload(workload: Object | None) -> Plan | None:
    """The plan written on *workload*, where it speaks of that one. Whether we wrote it, its seal says (seal.py)."""
    found = load(text_of(workload)) if workload else None
    if workload is None or found is None or found.workload != workload["metadata"]["name"]:
        return None
    return found if workload.get("kind", found.workload_kind) == found.workload_kind else None


def claim_parts(claim: Object) -> dict[str, Any]:
    """What of *claim* makes another one like it: the fields of Plan."""
    metadata = claim["metadata"]
    wanted = ("accessModes", "resources", "storageClassName", "volumeMode", "volumeAttributesClassName", "selector")
    annotations = metadata.get("annotations", {})
    return {
        "claim": metadata["name"],
        "claim_uid": metadata["uid"],
        "claim_spec": {key: claim["spec"][key] for key in wanted if key in claim["spec"]},
        "claim_labels": dict(metadata.get("labels", {})),
        "claim_annotations": {k: v for k, v in annotations.items() if not k.startswith(_BINDING)},
        "claim_owners": json.loads(json.dumps(metadata.get("ownerReferences", []))),
    }
