"""The commands about RestoreDrills and RestoreDrillSchedules, and the report of what they have proven."""

from __future__ import annotations

from dataclasses import replace

from pgwarden.cli.schedule_commands import SCHEDULE, SPREAD, SUSPENDED, zone
from pgwarden.cli.shared_options import DRY_RUN, NAME, OUTPUT, RECOVERY_POINT, REPOSITORY, SOURCE, WAITING
from pgwarden.cli.spec import Argument, Command, Option

#: Of those of a restore the ones that a drill takes.
_POINT = tuple(option for option in RECOVERY_POINT if option.dest != "repo_target_time")
_DRILL = (
    Option(
        ("--check",),
        'SQL that must be true of what is restored, such as "orders=SELECT count(*) > 0 FROM orders"; repeatable',
        "NAME=SQL",
        many=True,
    ),
    Option(
        ("--expect",),
        "what the check of that name must print, instead of t; repeatable",
        "NAME=OUTPUT",
        many=True,
    ),
    *_POINT,
    replace(SOURCE, help="which storage to restore from; default is the first that reaches the target"),
    Option(("--storage-class",), "StorageClass of the drill's volume; default is that of PostgreSQL's", "NAME"),
    Option(("--pvc-size",), "size of the drill's volume; default is that of PostgreSQL's", "SIZE"),
    Option(
        ("--deadline",),
        "seconds after which a drill fails and is cleaned up; default is 21600",
        "SECONDS",
        number=True,
        default=None,
        known_as=("--active-deadline", "--active-deadline-seconds", "--deadline-seconds"),
    ),
)
_ROWS = '--check "orders=SELECT count(*) > 0 FROM orders"'

CREATE = Command(
    ("create", "drill"),
    "restore into a volume of its own, check it and delete it again; nothing else is touched",
    "pgwarden.cli.operate:create_drill",
    (REPOSITORY,),
    (*_DRILL, NAME, DRY_RUN, OUTPUT, *WAITING),
    (f"create drill hippo {_ROWS} --wait",),
)
CREATE_SCHEDULE = Command(
    ("create", "drillschedule"),
    "drill on a schedule",
    "pgwarden.cli.operate:create_drill_schedule",
    (REPOSITORY,),
    (SCHEDULE, zone("; default is UTC"), SPREAD, SUSPENDED, *_DRILL, NAME, DRY_RUN, OUTPUT),
    (f'create drillschedule hippo --schedule="0 4 * * 0" --timezone=Europe/Berlin --spread=2h {_ROWS}',),
)
REPORT = Command(
    ("report",),
    "print what restore drills have proven in a month, as Markdown, for auditors",
    "pgwarden.cli.proof_report:run",
    (Argument("repository", "a Repository; default is all of the namespace", "?", "repositories"),),
    (
        Option(("--month",), "such as 2026-11; default is the current month (UTC)", "YYYY-MM"),
        Option(("-A", "--all-namespaces"), "look in all namespaces", switch=True),
    ),
    ("report --month=2026-11 > restores-2026-11.md",),
)
