"""The Backup, or the RestoreDrill, of one run of a schedule. Pure."""

from __future__ import annotations

from datetime import datetime

import msgspec

from controller.runtime import conditions
from pgwarden.api import names
from pgwarden.api.kinds import BackupScheduleSpec, BackupSpec, RestoreDrillScheduleSpec
from pgwarden.api.objects import Object


def backup(schedule: Object, spec: BackupScheduleSpec, due: datetime) -> Object:
    return _made("Backup", names.scheduled_backup(schedule["metadata"]["name"], due), schedule, due, _spec(spec))


def drill(schedule: Object, spec: RestoreDrillScheduleSpec, due: datetime) -> Object:
    found: Object = {"repository": spec.repository} | msgspec.to_builtins(spec.template)
    return _made("RestoreDrill", names.scheduled_drill(schedule["metadata"]["name"], due), schedule, due, found)


def _made(kind: str, name: str, schedule: Object, due: datetime, spec: Object) -> Object:
    """Its *name* follows from the schedule and the time that it is due, so that it cannot be made twice."""
    metadata = schedule["metadata"]
    return {
        "apiVersion": names.API_VERSION,
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": metadata["namespace"],
            "labels": {names.LABEL_SCHEDULE: names.short(metadata["name"], 63)},
            "annotations": {names.ANNOTATION_DUE: conditions.timestamp(due)},
        },
        "spec": spec,
    }


def _spec(spec: BackupScheduleSpec) -> Object:
    """What is as by default is left out."""
    zone = spec.time_zone
    wanted = BackupSpec(
        repository=spec.repository,
        type=spec.type,
        storage=spec.storage,
        options=spec.options,
        active_deadline_seconds=spec.active_deadline_seconds,
        # Should it wait for its turn until then, it does not begin in them either.
        not_during=[msgspec.structs.replace(one, time_zone=one.time_zone or zone) for one in spec.not_during],
        resources=spec.resources,
        pod_labels=spec.pod_labels,
        pod_annotations=spec.pod_annotations,
    )
    found: Object = msgspec.to_builtins(wanted)
    return {"type": spec.type, "storage": spec.storage, "options": spec.options} | found
