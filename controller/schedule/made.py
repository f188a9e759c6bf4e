"""What the runs of a schedule make: all in which one kind of schedule differs from the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from controller.schedule import render
from pgwarden.api.kinds import BackupScheduleSpec, RestoreDrillScheduleSpec, ScheduleSpec
from pgwarden.api.objects import Object
from pgwarden.api.registry import BY_NAME


@dataclass(frozen=True)
class Made:
    by: str  # the kind of schedule
    kind: str  # of what a run makes
    spec: type[ScheduleSpec]
    last: str  # the field of a schedule's status with the name of the newest
    created: str  # reasons
    not_created: str
    unfinished: str  # why a run is missed while what an earlier one has made goes on
    render: Callable[[Object, Any, datetime], Object]  # the schedule, its spec and when the run was due

    @property
    def schedules(self) -> str:
        return BY_NAME[self.by].plural

    @property
    def plural(self) -> str:
        return BY_NAME[self.kind].plural


BACKUPS = Made(
    by="BackupSchedule",
    kind="Backup",
    spec=BackupScheduleSpec,
    last="lastBackup",
    created="BackupCreated",
    not_created="BackupNotCreated",
    unfinished="PreviousBackupNotOver",
    render=render.backup,
)
DRILLS = Made(
    by="RestoreDrillSchedule",
    kind="RestoreDrill",
    spec=RestoreDrillScheduleSpec,
    last="lastDrill",
    created="DrillCreated",
    not_created="DrillNotCreated",
    unfinished="PreviousDrillNotOver",
    render=render.drill,
)
