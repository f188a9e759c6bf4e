"""The commands that create a Repository for a PostgreSQL that pgwarden does not run."""

from __future__ import annotations

from pgwarden.cli.shared_options import DRY_RUN, OUTPUT, S3_EXAMPLE, STORAGE, TIMEOUT
from pgwarden.cli.spec import Argument, Command, Option

_WAITING = (
    Option(("-w", "--wait"), "watch until its storage can be reached; Ctrl-C only stops watching", switch=True),
    TIMEOUT,
)

CREATE = Command(
    ("create", "repository"),
    "create a Repository, where WAL and backups are kept",
    "pgwarden.cli.protect:create_repository",
    (Argument("name", "name of the new Repository"),),
    (*STORAGE, DRY_RUN, OUTPUT, *_WAITING),
    ("create repository hippo --pgbackrest-pvc-size=50Gi", f"create repository hippo{S3_EXAMPLE}"),
)
PROTECT = Command(
    ("protect",),
    "create a Repository for a running PostgreSQL, and print the command that adds the label",
    "pgwarden.cli.protect:protect",
    (
        Argument(
            "workload", "statefulset/NAME or deployment/NAME that runs PostgreSQL; it is not changed", names="workloads"
        ),
    ),
    (
        Option(("--repository",), "name of the Repository; default is the workload's", "NAME"),
        *(*STORAGE, DRY_RUN, OUTPUT, *_WAITING),
    ),
    ("protect statefulset/postgres --repository=hippo --wait", f"protect statefulset/postgres{S3_EXAMPLE}"),
)
