"""Every command of `kubectl pgwarden`, with the seed's flags under the seed's names."""

from __future__ import annotations

from pgwarden.cli import cluster_commands, drill_commands, repository_commands, restore_commands, schedule_commands
from pgwarden.cli.job_options import OPTIONS
from pgwarden.cli.shared_options import BACKUP_TYPE, DRY_RUN, NAME, OUTPUT, REPOSITORY, SOURCE, WAITING, YES
from pgwarden.cli.spec import Argument, Command, Option
from pgwarden.storages import REGISTER

#: Understood by every command, before or after its words.
GLOBAL = (
    Option(("-n", "--namespace"), "namespace; default is the context's", "NAME"),
    Option(("--kubeconfig",), "kubeconfig file; default is KUBECONFIG, then ~/.kube/config", "FILE"),
    Option(("--context",), "context of the kubeconfig; default is its current one", "NAME"),
    Option(("--ascii",), "draw with ASCII characters only", switch=True),
)
_LISTED = Option(("-o", "--output"), "print the resources", choices=("yaml", "json"))
_DRILLS = Option(
    ("-o", "--output"), "print the resources, or their checks as JUnit XML", choices=("text", "yaml", "json", "junit")
)
_MAKING = (NAME, DRY_RUN, OUTPUT)
_KNOWN = Option(("--repository",), "assume that this Repository exists; repeatable", "NAME", many=True, default=())
_OPERATOR = tuple(
    Option((f"--default-{storage.name}-{field}",), f"the chart's value {storage.name}.{field}", "TEXT")
    for storage in REGISTER
    for field in storage.defaults
)
_FILES = Argument("file", "files, directories, or - for standard input", "+")

_BACKUP = Command(
    ("backup",),
    "take a backup now",
    "pgwarden.cli.operate:backup",
    (REPOSITORY,),
    (
        Option(("--backup-opts",), 'pgBackRest options, such as "--type=full --repo1-retention-full=7"', "OPTIONS"),
        BACKUP_TYPE,
        *OPTIONS,
        SOURCE,
        *_MAKING,
        *WAITING,
    ),
    ('backup hippo --backup-opts="--type=full --repo1-retention-full=7" --wait',),
)


def _delete(word: str, summary: str, names: str, *options: Option) -> Command:
    return Command(
        ("delete", word),
        summary,
        "pgwarden.cli.delete:run",
        (Argument("name", f"names, as `show {word}` lists them", "+", names),),
        (
            YES,
            Option(("--dry-run",), "delete nothing; say what would be deleted", switch=True, default=False),
            *options,
        ),
        preset={"what": word},
    )


def _show(word: str, summary: str, names: str, *options: Option, listed: Option = _LISTED) -> Command:
    return Command(
        ("show", word),
        summary,
        "pgwarden.cli.show:run",
        (Argument("name", f"a Repository, or a single {word}; default is all", "?", names),),
        (listed, *options),
        preset={"what": word},
    )


def _show_one(word: str, summary: str, names: str, *options: Option) -> Command:
    return Command(
        ("show", word),
        summary,
        "pgwarden.cli.show:run",
        (Argument("name", "its name; default is all", "?", names),),
        (_LISTED, *options),
        preset={"what": word},
    )


COMMANDS = (
    repository_commands.DISCOVER,
    repository_commands.PROTECT,
    _BACKUP,
    restore_commands.RESTORE,
    restore_commands.UNDO,
    repository_commands.EXPIRE,
    repository_commands.CREATE,
    cluster_commands.CREATE,
    schedule_commands.CREATE,
    drill_commands.CREATE,
    drill_commands.CREATE_SCHEDULE,
    cluster_commands.CLONE,
    cluster_commands.UPDATE,
    schedule_commands.UPDATE,
    cluster_commands.SCALE,
    cluster_commands.DELETE,
    _delete("schedule", "delete schedules; their backups stay", "backupschedules"),
    _delete("drillschedule", "delete schedules of restore drills; what was proven stays", "restoredrillschedules"),
    _delete(
        "backup",
        "delete Backups; a running one is stopped, finished backup sets stay",
        "backups",
        Option(
            ("--expire-set",), "also expire the backup set and those that depend on it (deletionPolicy)", switch=True
        ),
    ),
    _show("backup", "list backups and draw what can be recovered", "repositories", *WAITING),
    _show_one("cluster", "list PostgresClusters with their instances", "postgresclusters", *WAITING),
    _show("schedule", "list schedules with their last and next runs", "repositories"),
    _show_one("repository", "list Repositories with their conditions", "repositories"),
    _show("drill", "list restore drills, what they proved and what failed", "repositories", *WAITING, listed=_DRILLS),
    _show("drillschedule", "list schedules of restore drills with their last and next runs", "repositories"),
    _show("restore", "list restores and how far they are", "repositories", *WAITING),
    Command(
        ("status",),
        "show what is protected, since when, and what is wrong; exit code 1 if anything is",
        "pgwarden.cli.status:run",
        (Argument("repository", "a Repository; default is all of the namespace", "?", "repositories"),),
        (
            Option(("-A", "--all-namespaces"), "look in all namespaces", switch=True),
            Option(("-o", "--output"), "output format", choices=("text", "json"), default="text"),
        ),
    ),
    drill_commands.REPORT,
    Command(
        ("dashboard",),
        "show every Repository, its past and its drills in a browser: a read-only page on 127.0.0.1",
        "pgwarden.dashboard.command:run",
        (),
        (
            Option(("-A", "--all-namespaces"), "look in all namespaces", switch=True),
            Option(("--port",), "port of 127.0.0.1; default is a free one", "PORT", number=True, default=0),
            Option(("--no-open",), "open no browser, only print the address", switch=True),
        ),
        ("dashboard -A",),
    ),
    Command(
        ("lint",),
        "check manifests offline by the webhook's own rules; exit code 1 if any is at fault",
        "pgwarden.cli.lint:run",
        (_FILES,),
        (
            Option(("--output", "-o"), "output format", choices=("text", "json", "sarif"), default="text"),
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
            Option(("--image",), "the image to inject; default is the chart's", "IMAGE"),
            _KNOWN,
        ),
        ("inject repository.yaml statefulset.yaml",),
    ),
    Command(
        ("completion",),
        "print a completion script",
        "pgwarden.cli.completion:script",
        (Argument("shell", "bash, zsh, fish; or kubectl, for an executable kubectl_complete-pgwarden on PATH"),),
        examples=("completion bash > ~/.local/share/bash-completion/completions/pgwarden",),
    ),
    Command(("version",), "print the version", "pgwarden.cli.main:version"),
)
#: What users of kubectl and other tools type → the command that does it here.
KNOWN_AS = {
    "get": "show",
    "list": "show",
    "ls": "show",
    "describe": "show",
    "info": "show",
    "add": "create",
    "edit": "update",
    "remove": "delete",
    "rm": "delete",
    "check": "status",
    "ui": "dashboard",
    "web": "dashboard",
    "find": "discover",
    "scan": "discover",
    "validate": "lint",
    "help": "--help",
}
