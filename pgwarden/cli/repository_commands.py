"""The commands that create a Repository for a PostgreSQL that pgwarden does not run."""

from __future__ import annotations

from pgwarden.cli.pod_flags import FLAGS
from pgwarden.cli.shared_options import DRY_RUN, OUTPUT, REPOSITORY, S3_EXAMPLE, STORAGE, TIMEOUT, YES
from pgwarden.cli.spec import Argument, Command, Option
from pgwarden.storages import REGISTER

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
#: Of a Repository that `discover` prints: no keys, and nothing that is only about creating it.
_OF_A_REPOSITORY = {flag.text for storage in REGISTER for flag in storage.flags if flag.field}
_PRINTED = tuple(one for one in STORAGE if one.flags[0] in {STORAGE[0].flags[0], *_OF_A_REPOSITORY})
DISCOVER = Command(
    ("discover",),
    "find every PostgreSQL: protected, or what would protect it; -o yaml prints that for Git",
    "pgwarden.cli.discover:run",
    (),
    (
        Option(("-A", "--all-namespaces"), "look in all namespaces that you may read", switch=True),
        Option(
            ("-o", "--output"),
            "a table, Repositories and labels to apply (yaml), or what was found (json)",
            choices=("text", "yaml", "json"),
            default="text",
        ),
        *_PRINTED,
    ),
    ("discover -A", f"discover -o yaml{S3_EXAMPLE.partition(' --pgbackrest-s3-keys')[0]} > protect.yaml"),
    preset={one.dest: one.default for one in (*STORAGE, *FLAGS) if one not in _PRINTED} | {"dry_run": ""},
)
