"""The commands that create a Repository for a PostgreSQL that pgwarden does not run."""

from __future__ import annotations

from pgwarden.cli.pod_flags import FLAGS
from pgwarden.cli.shared_options import DRY_RUN, OUTPUT, REPOSITORY, S3_EXAMPLE, STORAGE, TIMEOUT, YES
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
    (*STORAGE, *FLAGS, DRY_RUN, OUTPUT, *_WAITING),
    ("create repository hippo --pgbackrest-pvc-size=50Gi", f"create repository hippo{S3_EXAMPLE}"),
)
EXPIRE = Command(
    ("expire",),
    "make room on a full volume: expire the oldest full backup with all that build on it",
    "pgwarden.cli.expire:run",
    (REPOSITORY,),
    (
        Option(("--set",), "another full backup than the oldest, such as 20261123-010000F", "LABEL"),
        YES,
        Option(("--dry-run",), "expire nothing; say what would be expired", switch=True, default=False),
    ),
    ("expire hippo --dry-run",),
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
        *(*STORAGE, *FLAGS, DRY_RUN, OUTPUT, *_WAITING),
    ),
    ("protect statefulset/postgres --repository=hippo --wait", f"protect statefulset/postgres{S3_EXAMPLE}"),
)
