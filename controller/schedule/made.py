"""What the runs of a schedule make: all in which one kind of schedule differs from the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from controller.schedule import render
from pgwarden.api.kinds import BackupScheduleSpec, RestoreDrillScheduleSpec, ScheduleSpec
from pgwarden.api.objects import Object


@dataclass(frozen=True)
class Made:
    schedules: str  # plural of the schedules
    spec: type[ScheduleSpec]  # of these
    kind: str  # of what a run makes
    plural: str
    word: str  # for it, in a sentence
    last: str  # the field of a schedule's status with the name of the newest
    created: str  # reasons
    not_created: str
    render: Callable[[Object, Any, datetime], Object]  # the schedule, its spec and when the run was due


BACKUPS = Made(
    schedules="backupschedules",
    spec=BackupScheduleSpec,
    kind="Backup",
    plural="backups",
    word="Backup",
    last="lastBackup",
    created="BackupCreated",
    not_created="BackupNotCreated",
    render=render.backup,
)
DRILLS = Made(
    schedules="restoredrillschedules",
    spec=RestoreDrillScheduleSpec,
    kind="RestoreDrill",
    plural="restoredrills",
    word="RestoreDrill",
    last="lastDrill",
    created="DrillCreated",
    not_created="DrillNotCreated",
    render=render.drill,
)
