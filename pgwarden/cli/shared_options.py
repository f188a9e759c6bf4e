"""Options that commands of several kinds take."""

from __future__ import annotations

from pgwarden.cli.spec import Option

YES = Option(("-y", "--yes"), "do not ask", switch=True)
#: Where a recovery begins and ends: of a Restore and of a clone.
RECOVERY_POINT = (
    Option(("--pitr-target",), "a point in time with its zone, such as 2026-11-23 10:00:00+00", "TIME", group="target"),
    Option(("--target-lsn",), "a WAL position, such as 0/3000060", "LSN", group="target"),
    Option(("--target-xid",), "a transaction id", "XID", group="target"),
    Option(("--target-name",), "a restore point made by pg_create_restore_point", "NAME", group="target"),
    Option(("--immediate",), "stop as soon as the backup is consistent", switch=True, group="target"),
    Option(("--target-timeline",), "latest, current or a number; default is latest", "TIMELINE"),
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
#: Where a new Repository keeps WAL and backups: of `protect`, `create repository`, `create cluster` and `clone`.
STORAGE = (
    Option(
        ("--pgbackrest-storage-type",),
        "where backups and WAL go: local, s3, or local,s3 for both; default is local",
        "TYPE",
        choices=("local", "s3", "local,s3"),
        known_as=("--storage", "--storage-type"),
    ),
    Option(("--pgbackrest-storage-class",), "StorageClass of the local storage; default is Kubernetes' own", "NAME"),
    Option(("--pgbackrest-pvc-size",), "size of the local storage's volume; default is 10Gi", "SIZE"),
    Option(("--pgbackrest-s3-bucket",), "the bucket; default is the chart's s3.bucket", "NAME"),
    Option(("--pgbackrest-s3-endpoint",), "host of the S3 service; default is the chart's s3.endpoint", "HOST"),
    Option(("--pgbackrest-s3-region",), "its region; default is the chart's s3.region", "REGION"),
    Option(("--pgbackrest-s3-path",), "folder in the bucket; default is one of its own", "PATH"),
    Option(
        ("--pgbackrest-s3-uri-style",),
        "path for MinIO, Ceph and most others; default is host, for AWS",
        choices=("host", "path"),
    ),
    Option(("--pgbackrest-s3-ca-secret",), "Secret whose ca.crt signed the service's certificate", "NAME"),
    Option(
        ("--pgbackrest-s3-key",),
        "access key (visible to other users of this machine; prefer --pgbackrest-s3-keys-from)",
        "KEY",
    ),
    Option(("--pgbackrest-s3-key-secret",), "secret key (equally visible); prompted for if omitted", "SECRET"),
    Option(
        ("--pgbackrest-s3-keys-from",),
        "file with both keys: AWS credentials, or two lines; - is standard input",
        "FILE",
    ),
    Option(("--pgbackrest-s3-secret",), "existing Secret with the keys s3-key and s3-key-secret", "NAME"),
    Option(("--show-keys",), "with --dry-run: print the Secret with the keys, too", switch=True),
)
S3_EXAMPLE = (
    " --pgbackrest-storage-type=local,s3 --pgbackrest-s3-bucket=backups"
    " --pgbackrest-s3-endpoint=s3.eu-central-1.amazonaws.com --pgbackrest-s3-region=eu-central-1"
    " --pgbackrest-s3-keys-from=$HOME/.aws/credentials"
)
