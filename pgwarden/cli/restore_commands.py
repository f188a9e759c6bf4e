"""restore and undo, with the seed's flags under the seed's names."""

from __future__ import annotations

from dataclasses import replace

from pgwarden.cli.shared_options import DRY_RUN, NAME, OUTPUT, RECOVERY_POINT, REPOSITORY, SOURCE, WAITING, YES
from pgwarden.cli.spec import Argument, Command, Option

_OPTIONS = Option(
    ("--backup-opts",),
    "pgBackRest options, such as --process-max=4",
    "OPTIONS",
    known_as=("--restore-opts", "--opts"),
)
_PLAN = Option(
    ("--plan",), "change nothing; print what it would do, take and lose (-o json|yaml: for programs)", switch=True
)
_SOURCE = replace(SOURCE, help="which storage to restore from; default is the first that reaches the target")
#: What a Restore in place may be told, whichever point it goes to.
_IN_PLACE = (
    Option(("--delete-old-volume",), "delete the replaced volume when the restore has succeeded", switch=True),
    Option(
        ("--reenable-autofail",), "turn a PostgresCluster's autofail on again after the restore's backup", switch=True
    ),
    Option(("--storage-class",), "StorageClass of the new volume; default is the old one's", "NAME"),
    Option(("--pvc-size",), "size of the new volume; default is the old one's", "SIZE"),
    Option(
        ("--recovery-timeout",),
        "seconds that the recovery may stand still before the restore fails; default is 3600",
        "SECONDS",
        number=True,
        default=None,
    ),
)
_MAKING = (YES, _PLAN, NAME, DRY_RUN, OUTPUT, *WAITING)

RESTORE = Command(
    ("restore",),
    "restore PostgreSQL to the latest WAL or to a target; shows what is lost and asks",
    "pgwarden.cli.restore:restore",
    (REPOSITORY,),
    (
        *RECOVERY_POINT,
        _OPTIONS,
        Option(("--volume-claim",), "restore into a new PersistentVolumeClaim; change nothing that exists", "NAME"),
        Option(
            ("--image",),
            "with --volume-claim: whose PostgreSQL recovers, such as one of an older major; default is the workload's",
            "IMAGE",
        ),
        *_IN_PLACE,
        _SOURCE,
        *_MAKING,
    ),
    (
        'restore hippo --pitr-target="2026-11-23 10:00:00+00"',
        'restore hippo --pitr-target="2026-11-23 10:00:00+00" --plan',
        "restore hippo --volume-claim=look-at-this",
    ),
)
UNDO = Command(
    ("undo",),
    "bring back the state from just before a restore; shows what is lost and asks",
    "pgwarden.cli.restore:undo",
    (Argument("restore", "name of the Restore; its object may be gone", names="restores"),),
    (
        Option(("--repository",), "its Repository; default is found by the Restore or its Backup", "NAME"),
        _OPTIONS,
        *_IN_PLACE,
        _SOURCE,
        *_MAKING,
    ),
    ("undo hippo-20261123-100000", "undo hippo-20261123-100000 --plan"),
)
