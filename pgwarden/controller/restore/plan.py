"""What a Restore was going to change, as it was before: by this it resumes, and by this it is undone.

It is in the Restore's status (`plan`), and on the stopped workload as ANNOTATION_STOPPED_BY, so that a Restore that has
vanished can be undone as well.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from pgwarden.api import names
from pgwarden.api.kinds import Model, PodFacts
from pgwarden.kube.client import Object

#: Annotations of a claim that the cluster's own controllers write about its binding.
_BINDING = ("pv.kubernetes.io/", "volume.kubernetes.io/", "volume.beta.kubernetes.io/storage-provisioner")


class Volume(Model, frozen=True, kw_only=True):
    """A PersistentVolume and the reclaim policy it had."""

    name: str
    reclaim: str


class Ending(Model, frozen=True, kw_only=True):
    """The restore has failed, and is being taken back."""

    reason: str
    message: str
    step: str


class Plan(Model, frozen=True, kw_only=True):
    restore: str
    restore_uid: str
    repository: str
    order: str = ""  # api.records.order_of the Restore
    #: Empty where a Restore writes into a claim of its own (spec.volumeClaim).
    workload_kind: str = ""
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
    last_replay: str = ""
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


def load(text: str | None) -> Plan | None:
    """None where there is none, or none that this version wrote."""
    if not text:
        return None
    try:
        return msgspec.json.decode(text, type=Plan)
    except msgspec.MsgspecError:
        return None


def of_restore(restore: Object) -> Plan | None:
    found = load(restore.get("status", {}).get("plan"))
    return found if found and found.restore_uid == restore["metadata"]["uid"] else None


def of_workload(workload: Object | None) -> Plan | None:
    """The plan of the Restore that has stopped *workload*."""
    if workload is None:
        return None
    return load(workload["metadata"].get("annotations", {}).get(names.ANNOTATION_STOPPED_BY))


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
