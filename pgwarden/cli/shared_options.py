"""Options that commands of several kinds take."""

from __future__ import annotations

from pgwarden.cli.spec import Argument, Option
from pgwarden.storages import DEFAULT, NAMES, REGISTER, TYPES

#: Of a backup.
BACKUP_TYPE = Option(
    ("--pgbackrest-backup-type",),
    "type of backup; default is incr",
    choices=("full", "diff", "incr"),
    known_as=("--type", "--backup-type"),
)
YES = Option(("-y", "--yes"), "do not ask", switch=True)
#: Where a recovery begins and ends: of a Restore and of a clone.
RECOVERY_POINT = (
    Option(("--pitr-target",), "a point in time with its zone, such as 2026-11-23 10:00:00+00", "TIME", group="target"),
    Option(("--target-lsn",), "a WAL position, such as 0/3000060", "LSN", group="target"),
    Option(("--target-xid",), "a transaction id", "XID", group="target"),
    Option(("--target-name",), "a restore point made by pg_create_restore_point", "NAME", group="target"),
    Option(("--immediate",), "stop as soon as the backup is consistent", switch=True, group="target"),
    Option(("--target-timeline",), "latest, current or a number; default is latest", "TIMELINE"),
    Option(
        ("--repo-target-time",),
        "read storage s3 as it was then, past later deletions; its bucket must keep versions",
        "TIME",
    ),
    Option(("--set",), "backup set to start from, such as 20261123-010000F; default is the newest that fits", "LABEL"),
)
DRY_RUN = Option(
    ("--dry-run",),
    "print the resource and change nothing; =server has the API server check it",
    choices=("client", "server"),
    bare="client",
)
OUTPUT = Option(("-o", "--output"), "print the resource", choices=("yaml", "json", "name"))
TIMEOUT = Option(
    ("--timeout",), "with --wait: stop watching after this many seconds", "SECONDS", number=True, default=0
)
REPOSITORY = Argument("repository", "name of the Repository", names="repositories")
NAME = Option(("--name",), "name of the new resource; default is derived from the Repository's", "NAME")
#: Of what ends: Backups and Restores.
WAITING = (Option(("-w", "--wait"), "watch until it is over; Ctrl-C only stops watching", switch=True), TIMEOUT)
#: One storage of a Repository that is there.
SOURCE = Option(
    ("--pgbackrest-storage-type",),
    "which storage of the Repository; default is its first",
    choices=NAMES,
    known_as=("--storage", "--storage-type", "--repo"),
)
#: Where a new Repository keeps WAL and backups: of `protect`, `create repository`, `create cluster` and `clone`.
STORAGE = (
    Option(
        ("--pgbackrest-storage-type",),
        f"where backups and WAL go: {', '.join(NAMES)}, or {TYPES[-1]} for both; default is {DEFAULT}",
        "TYPE",
        choices=TYPES,
        known_as=("--storage", "--storage-type"),
    ),
    *(
        Option((one.text,), one.help, one.value, one.choices, hidden=one.hidden)
        for storage in REGISTER
        for one in storage.flags
    ),
    Option(("--show-keys",), "with --dry-run: print the Secret with the keys, too", switch=True),
)
S3_EXAMPLE = (
    " --pgbackrest-storage-type=local,s3 --pgbackrest-s3-bucket=backups"
    " --pgbackrest-s3-endpoint=s3.eu-central-1.amazonaws.com --pgbackrest-s3-region=eu-central-1"
    " --pgbackrest-s3-keys-from=$HOME/.aws/credentials"
)
