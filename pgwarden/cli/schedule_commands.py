"""The commands about BackupSchedules, with the seed's flags under the seed's names."""

from __future__ import annotations

from pgwarden.cli.job_options import OPTIONS
from pgwarden.cli.shared_options import BACKUP_TYPE, DRY_RUN, NAME, OUTPUT, REPOSITORY, SOURCE
from pgwarden.cli.spec import Argument, Command, Option

_SCHEDULE_OPTS = Option(
    ("--schedule-opts",),
    'pgBackRest options, such as "--repo1-retention-full=21"',
    "OPTIONS",
    known_as=("--backup-opts", "--opts"),
)
SCHEDULE = Option(("--schedule",), 'cron expression, such as "0 1 * * *"', "CRON", required=True)
SUSPENDED = Option(("--suspend",), "create it suspended", switch=True)
SPREAD = Option(
    ("--spread",),
    "put each run off by up to this time, the same for each run of a schedule, such as 30m; for a fleet",
    "TIME",
    known_as=("--jitter",),
)


def zone(default: str) -> Option:
    return Option(
        ("--timezone",), f"IANA time zone of the expression{default}", "ZONE", known_as=("--time-zone", "--tz")
    )


_EXAMPLE = (
    'create schedule hippo --schedule="0 1 * * *" --schedule-type=pgbackrest --pgbackrest-backup-type=full'
    ' --schedule-opts="--repo1-retention-full=21"'
)

CREATE = Command(
    ("create", "schedule"),
    "take backups on a schedule",
    "pgwarden.cli.operate:create_schedule",
    (REPOSITORY,),
    (
        SCHEDULE,
        Option(
            ("--schedule-type",),
            "what is scheduled; pgbackrest is all there is",
            choices=("pgbackrest",),
            default="pgbackrest",
        ),
        BACKUP_TYPE,
        _SCHEDULE_OPTS,
        zone("; default is UTC"),
        SPREAD,
        SUSPENDED,
        *OPTIONS,
        *(SOURCE, NAME, DRY_RUN, OUTPUT),
    ),
    (_EXAMPLE, 'create schedule hippo --schedule="0 * * * *" --spread=30m --not-during="0 8 * * 1-5=10h"'),
)
UPDATE = Command(
    ("update", "schedule"),
    "change when a schedule's backups are taken, and how",
    "pgwarden.cli.schedule:update",
    (Argument("name", "the schedule, as `show schedule` lists it", names="backupschedules"),),
    (
        Option(("--schedule",), 'cron expression, such as "0 1 * * *"', "CRON"),
        zone(""),
        SPREAD,
        BACKUP_TYPE,
        _SCHEDULE_OPTS,
        Option(("--suspend",), "whether no new backups are created", choices=("true", "false")),
        *OPTIONS,
        *(DRY_RUN, OUTPUT),
    ),
    (
        'update schedule hippo-full --schedule="0 2 * * *" --deadline=7200',
        "update schedule hippo-full --suspend=true",
        "update schedule hippo-full --not-during=none --pod-annotation=sidecar.istio.io/inject-",
    ),
)
