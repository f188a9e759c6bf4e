"""The register of our kinds. Every list of kinds follows from it: a new kind is an entry here.

Rules (pgwarden/rules) and controllers (controller/manager) attach to a kind by its name; both refuse to start while a
kind has none. The chart's lists and the CRDs are compared with it by tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from pgwarden.api import names
from pgwarden.api.kinds import (
    BackupScheduleSpec,
    BackupSpec,
    Model,
    PostgresClusterSpec,
    RepositorySpec,
    RestoreDrillScheduleSpec,
    RestoreDrillSpec,
    RestoreSpec,
)


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    plural: str
    short_name: str  # for kubectl
    word: str  # on our command line: `show cluster`
    spec: type[Model]
    #: It is done once and ends. The others stand: they are followed for as long as they exist.
    is_operation: bool = False
    #: It makes others when they are due, by spec.schedule. It owns none of them.
    is_schedule: bool = False
    #: It takes no turn of its own on a stanza: what works for it takes one.
    without_turn: bool = False
    #: Its spec.repository names a Repository of its namespace, and caches are indexed by that.
    names_repository: bool = False
    #: The webhook watches it, because the rules of other objects look it up. The controller watches every kind.
    read_by_webhook: bool = False
    #: The webhook is asked before one is deleted.
    guards_deletion: bool = False
    #: The label with its name on the Jobs and pods that are made for it.
    label: str = ""
    #: Labels of its objects that the controller looks it up by.
    indexed_labels: tuple[str, ...] = ()
    #: The condition that says that it waits.
    waiting_condition: str = "Ready"
    #: Status fields beside the conditions that say why it waits or was refused.
    explained_in: tuple[str, ...] = ()


KINDS: tuple[Kind, ...] = (
    Kind(
        name="Repository",
        plural="repositories",
        short_name="pgrepo",
        word="repository",
        spec=RepositorySpec,
        read_by_webhook=True,
        guards_deletion=True,
    ),
    Kind(
        name="Backup",
        plural="backups",
        short_name="pgb",
        word="backup",
        spec=BackupSpec,
        is_operation=True,
        names_repository=True,
        read_by_webhook=True,
        guards_deletion=True,
        label=names.LABEL_BACKUP,
        indexed_labels=(names.LABEL_SCHEDULE,),
        waiting_condition="Completed",
        explained_in=("reason", "message"),
    ),
    Kind(
        name="BackupSchedule",
        plural="backupschedules",
        short_name="pgbs",
        word="schedule",
        spec=BackupScheduleSpec,
        is_schedule=True,
        names_repository=True,
        read_by_webhook=True,
        explained_in=("reason", "message"),
    ),
    Kind(
        name="Restore",
        plural="restores",
        short_name="pgr",
        word="restore",
        spec=RestoreSpec,
        is_operation=True,
        names_repository=True,
        read_by_webhook=True,
        label=names.LABEL_RESTORE,
        waiting_condition="Validated",
        explained_in=("reason", "message"),
    ),
    Kind(
        name="RestoreDrill",
        plural="restoredrills",
        short_name="pgdrill",
        word="drill",
        spec=RestoreDrillSpec,
        is_operation=True,
        without_turn=True,
        names_repository=True,
        label=names.LABEL_DRILL,
        indexed_labels=(names.LABEL_SCHEDULE,),
        waiting_condition="Completed",
        explained_in=("reason", "message"),
    ),
    Kind(
        name="RestoreDrillSchedule",
        plural="restoredrillschedules",
        short_name="pgds",
        word="drillschedule",
        spec=RestoreDrillScheduleSpec,
        is_schedule=True,
        names_repository=True,
        explained_in=("reason", "message"),
    ),
    Kind(
        name="PostgresCluster",
        plural="postgresclusters",
        short_name="pgc",
        word="cluster",
        spec=PostgresClusterSpec,
        guards_deletion=True,
        explained_in=("message",),
    ),
)
BY_NAME: Mapping[str, Kind] = MappingProxyType({kind.name: kind for kind in KINDS})
BY_PLURAL: Mapping[str, Kind] = MappingProxyType({kind.plural: kind for kind in KINDS})
BY_WORD: Mapping[str, Kind] = MappingProxyType({kind.word: kind for kind in KINDS})
#: Those that take turns on a stanza.
OPERATIONS: tuple[Kind, ...] = tuple(kind for kind in KINDS if kind.is_operation and not kind.without_turn)


def attached(what: str, found: Mapping[str, object]) -> None:
    """ValueError unless *found* has one entry for every kind, by name."""
    absent, unknown = set(BY_NAME) - set(found), set(found) - set(BY_NAME)
    if absent or unknown:
        raise ValueError(f"{what}: kinds without any: {sorted(absent)}; unknown kinds: {sorted(unknown)}")
