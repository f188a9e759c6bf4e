"""Every command of `kubectl pgwarden`, with the seed's flags under the seed's names."""

from __future__ import annotations

from pgwarden.cli import cluster_commands
from pgwarden.cli.shared_options import RECOVERY_POINT, YES
from pgwarden.cli.spec import Argument, Command, Option

TYPES = ("full", "diff", "incr")
STORAGES = ("local", "s3")

#: Understood by every command, before or after its words.
GLOBAL = (
    Option(("-n", "--namespace"), "namespace; default is the context's", "NAME"),
    Option(("--kubeconfig",), "kubeconfig file; default is KUBECONFIG, then ~/.kube/config", "FILE"),
    Option(("--context",), "context of the kubeconfig; default is its current one", "NAME"),
    Option(("--ascii",), "draw with plain characters", switch=True),
)
_REPOSITORY = Argument("repository", "name of the Repository", names="repositories")
_STORAGE = Option(
    ("--pgbackrest-storage-type",), "which storage of the Repository; default is its first", choices=STORAGES
)
_NAME = Option(("--name",), "name of the new resource; default is made from the Repository's", "NAME")
_DRY_RUN = Option(
    ("--dry-run",),
    "create nothing and print the resource; `server` has the cluster check it too",
    choices=("client", "server"),
    bare="client",
)
_RESOURCE_OUTPUT = Option(("-o", "--output"), "print the resource itself", choices=("yaml", "json", "name"))
_OUTPUT = Option(("-o", "--output"), "print the resources themselves", choices=("yaml", "json"))
_WAITING = (
    Option(("-w", "--wait"), "show progress until it is over; Ctrl-C leaves it running", switch=True),
    Option(("--timeout",), "with --wait: give up looking after this many seconds", "SECONDS", number=True, default=0),
)
_TYPE = Option(("--pgbackrest-backup-type",), "type of backup; default is incr", choices=TYPES)
_MAKING = (_NAME, _DRY_RUN, _RESOURCE_OUTPUT)
_KNOWN = Option(
    ("--repository",), "take it that this Repository is in the cluster; repeatable", "NAME", many=True, default=()
)
_OPERATOR = tuple(
    Option((f"--default-s3-{name}",), f"the chart's value s3.{name}", "TEXT")
    for name in ("bucket", "endpoint", "region")
)
_FILES = Argument("file", "files, folders, or - for standard input", "+")

_CREATE_EXAMPLE = (
    'create schedule hippo --schedule="0 1 * * *" --schedule-type=pgbackrest --pgbackrest-backup-type=full'
    ' --schedule-opts="--repo1-retention-full=21"'
)

_BACKUP = Command(
    ("backup",),
    "back up now",
    "pgwarden.cli.operate:backup",
    (_REPOSITORY,),
    (
        Option(("--backup-opts",), 'options of pgBackRest, such as "--type=full --repo1-retention-full=7"', "OPTIONS"),
        _TYPE,
        _STORAGE,
        *_MAKING,
        *_WAITING,
    ),
    ('backup hippo --backup-opts="--type=full --repo1-retention-full=7" --wait',),
)
_RESTORE = Command(
    ("restore",),
    "put PostgreSQL back, to the latest WAL or to a point; destructive, so it asks",
    "pgwarden.cli.operate:restore",
    (_REPOSITORY,),
    (
        *RECOVERY_POINT,
        Option(("--backup-opts",), "options of pgBackRest, such as --db-include=NAME", "OPTIONS"),
        Option(("--volume-claim",), "restore into a new PersistentVolumeClaim and touch nothing else", "NAME"),
        Option(("--delete-old-volume",), "do not keep the volume that is replaced", switch=True),
        _STORAGE,
        YES,
        *_MAKING,
        *_WAITING,
    ),
    ('restore hippo --pitr-target="2026-11-23 10:00:00+00"', "restore hippo --volume-claim=look-at-this"),
)
_CREATE_SCHEDULE = Command(
    ("create", "schedule"),
    "back up regularly",
    "pgwarden.cli.operate:create_schedule",
    (_REPOSITORY,),
    (
        Option(("--schedule",), 'cron expression, such as "0 1 * * *"', "CRON", required=True),
        Option(("--schedule-type",), "what is scheduled", choices=("pgbackrest",), default="pgbackrest"),
        _TYPE,
        Option(("--schedule-opts",), 'options of pgBackRest, such as "--repo1-retention-full=21"', "OPTIONS"),
        Option(("--timezone",), "IANA time zone of the expression; default is UTC", "ZONE"),
        Option(("--suspend",), "create it suspended", switch=True),
        _STORAGE,
        *_MAKING,
    ),
    (_CREATE_EXAMPLE,),
)


def _delete(word: str, summary: str, names: str, *options: Option) -> Command:
    return Command(
        ("delete", word),
        summary,
        "pgwarden.cli.delete:run",
        (Argument("name", f"names, as `show {word}` lists them", "+", names),),
        (YES, Option(("--dry-run",), "delete nothing and say what would go", switch=True, default=False), *options),
        preset={"what": word},
    )


def _show(word: str, summary: str, names: str, *options: Option) -> Command:
    return Command(
        ("show", word),
        summary,
        "pgwarden.cli.show:run",
        (Argument("name", "a Repository, or one of them by its name; default is all", "?", names),),
        (_OUTPUT, *options),
        preset={"what": word},
    )


COMMANDS = (
    _BACKUP,
    _RESTORE,
    cluster_commands.CREATE,
    cluster_commands.CLONE,
    _CREATE_SCHEDULE,
    cluster_commands.UPDATE,
    cluster_commands.SCALE,
    cluster_commands.DELETE,
    _delete("schedule", "end schedules; their backups stay", "backupschedules"),
    _delete(
        "backup",
        "remove Backup resources; a running one is stopped, finished backup sets stay",
        "backups",
        Option(("--expire-set",), "expire its backup set too, and what builds on it (deletionPolicy)", switch=True),
    ),
    _show("backup", "backups, and a picture of what can be recovered", "repositories", *_WAITING),
    Command(
        ("show", "cluster"),
        "PostgresClusters, their instances and what is wrong",
        "pgwarden.cli.show:run",
        (Argument("name", "one of them by its name; default is all", "?", "postgresclusters"),),
        (_OUTPUT, *_WAITING),
        preset={"what": "cluster"},
    ),
    _show("schedule", "schedules, with their last and next runs", "repositories"),
    _show("repository", "Repositories and their conditions", "repositories"),
    _show("restore", "restores and where they are", "repositories", *_WAITING),
    Command(
        ("status",),
        "what is protected, since when, what is wrong; exit code 1 when something is",
        "pgwarden.cli.status:run",
        (Argument("repository", "a Repository; default is all of the namespace", "?", "repositories"),),
        (
            Option(("-A", "--all-namespaces"), "of all namespaces", switch=True),
            Option(("-o", "--output"), "form of the answer", choices=("text", "json"), default="text"),
        ),
    ),
    Command(
        ("lint",),
        "check manifests offline, by the webhook's own rules; exit code 1 when there are faults",
        "pgwarden.cli.lint:run",
        (_FILES,),
        (
            Option(("--output", "-o"), "form of the findings", choices=("text", "json", "sarif"), default="text"),
            _KNOWN,
            *_OPERATOR,
        ),
        ("lint k8s/", "lint --output sarif k8s/ > pgwarden.sarif", "lint - < rendered.yaml"),
    ),
    Command(
        ("inject",),
        "show offline what the webhook would do to labelled pods",
        "pgwarden.cli.inject:run",
        (_FILES,),
        (
            Option(
                ("-o", "--output"),
                "a unified diff, or all documents as injected",
                choices=("diff", "yaml"),
                default="diff",
            ),
            Option(("--image",), "the image that is injected", "IMAGE"),
            _KNOWN,
        ),
        ("inject repository.yaml statefulset.yaml",),
    ),
    Command(
        ("completion",),
        "print the completion script of a shell",
        "pgwarden.cli.completion:script",
        (Argument("shell", "bash, zsh, fish; or kubectl, for a file named kubectl_complete-pgwarden on PATH"),),
        examples=("completion bash > ~/.local/share/bash-completion/completions/pgwarden",),
    ),
    Command(("version",), "print the version", "pgwarden.cli.main:version"),
)
