"""pgBackRest's command lines. Lists of arguments; the two strings are those that PostgreSQL itself gives to a shell.

The `…_argv` begin after the program and end with the command; `command_line` puts the program and its
configuration in front.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence

from pgwarden.api import names
from pgwarden.api.kinds import RestoreTarget
from pgwarden.api.target import pgbackrest_time, rfc3339, whole_second
from pgwarden.pgbackrest import identity, standby
from pgwarden.pgbackrest.user_options import ParsedOptions

#: How long `info` waits for one answer of a storage. It is the probe of the condition Reachable.
PROBE_SECONDS = 8
#: Errors to stderr, and nothing else but what is asked for.
QUIET = ("--log-level-console=off", "--log-level-stderr=error")
_QUIETLY = (f"--io-timeout={PROBE_SECONDS}", *QUIET)
#: Of a set: pgBackRest chooses.
LATEST = "latest"


def command_line(argv: Sequence[str], program: str = names.PGBACKREST) -> list[str]:
    """*argv* as it is run where the agent's folders are."""
    return [program, f"--config={names.CONF_FILE}", f"--config-include-path={names.CONF_INCLUDE_DIR}", *argv]


def backup_argv(
    stanza: str, kind: str, repo: int, options: ParsedOptions, annotations: Mapping[str, str] | None = None
) -> list[str]:
    """*kind* is full, diff or incr; a type among *options* wins."""
    marks = [f"--annotation={key}={value}" for key, value in sorted((annotations or {}).items())]
    return [
        f"--stanza={stanza}",
        f"--repo={repo}",
        f"--type={options.type or kind}",
        *marks,
        *map(standby.argument, options.arguments),
        "backup",
    ]


def restore_argv(
    stanza: str,
    *,
    target: RestoreTarget | None = None,
    timeline: str = "",
    backup_set: str = "",
    repo: int | None = None,
    delta: bool = False,
    data_directory: str = "",
    options: ParsedOptions | None = None,
    role_arn: str = "",
    recovery_command: str = "",
) -> list[str]:
    """*data_directory* restores there instead of to the configured pg1-path, by a process that stands beside it.

    *recovery_command* is PostgreSQL's restore_command afterwards; by default that of a pod of this stanza.
    """
    argv = [f"--stanza={stanza}"]
    if repo is not None:
        argv.append(f"--repo={repo}")
    if data_directory:
        # With host.conf, pg1 is a pod far away: restore runs only where the data directory is.
        argv += [f"--pg1-path={data_directory}", "--reset-pg1-host"]
    if backup_set not in {"", LATEST}:  # given, pgBackRest takes its own default for a label
        argv.append(f"--set={backup_set}")
    if delta:
        argv.append("--delta")
    # Left alone, pgBackRest writes its own command line into postgresql.auto.conf, with this Job's --repo and
    # --pg1-path, which are wrong in the pod that PostgreSQL then starts in.
    # What is right there stays in that file, so it is guarded.
    argv.append(f"--recovery-option=restore_command={recovery_command or kept(restore_command(stanza, role_arn))}")
    argv += target_arguments(target, timeline)
    if options:
        argv += options.arguments
    return [*argv, "restore"]


def target_arguments(target: RestoreTarget | None, timeline: str = "") -> list[str]:
    """pgBackRest refuses --target-action where there is no target: recovery to the latest WAL promotes anyway."""
    follow = [f"--target-timeline={timeline}"] if timeline else []
    if target is None:
        return follow
    if target.immediate:
        return ["--type=immediate", "--target-action=promote"]
    for kind, value in (("time", target.time), ("lsn", target.lsn), ("xid", target.xid), ("name", target.name)):
        if value is not None:
            wanted = pgbackrest_time(value) if kind == "time" else value
            return [f"--type={kind}", f"--target={wanted}", "--target-action=promote", *follow]
    return follow


def info_argv(stanza: str, repo: int | None = None) -> list[str]:
    """Bounded: a storage that does not answer is asked again and again for io-timeout, a minute by default."""
    chosen = [f"--repo={repo}"] if repo is not None else []
    return [f"--stanza={stanza}", *chosen, "--output=json", *_QUIETLY, "info"]


def info_as_of_argv(stanza: str, repo: int, time: str) -> list[str]:
    """What the storage's bucket held at *time*, by the versions that it keeps."""
    return [f"--repo-target-time={_of_repo(time)}", *info_argv(stanza, repo)]


def as_of(repo: int, time: str) -> dict[str, str]:
    """Variables by which every pgBackRest in a pod reads that storage as it was at *time*: also the one that PostgreSQL
    calls for WAL, which no argument of a restore reaches.
    """
    return {"PGBACKREST_REPO": str(repo), "PGBACKREST_REPO_TARGET_TIME": _of_repo(time)}


def _of_repo(time: str) -> str:
    return pgbackrest_time(rfc3339(whole_second(time)))


def list_argv(folder: str, repo: int) -> list[str]:
    """The files in *folder* of the repository, as JSON: name → {type, size, time}."""
    return [f"--repo={repo}", "--output=json", *_QUIETLY, "repo-ls", folder]


def list_archive_argv(stanza: str, repo: int, path: str) -> list[str]:
    """Files and folders at *path* in the archive of *stanza*, with their times."""
    return [f"--repo={repo}", "--output=json", *_QUIETLY, "repo-ls", f"archive/{stanza}/{path}"]


def get_archive_argv(stanza: str, repo: int, path: str) -> list[str]:
    """The content of one file there, decrypted."""
    return [f"--repo={repo}", *_QUIETLY, "repo-get", f"archive/{stanza}/{path}"]


def stanza_create_argv(stanza: str, folder: str = "") -> list[str]:
    """It has no option for one storage of several: the configuration in *folder* names that one alone."""
    return [*(_conf_in(folder) if folder else []), f"--stanza={stanza}", "stanza-create"]


def stanza_upgrade_argv(stanza: str) -> list[str]:
    return [f"--stanza={stanza}", "stanza-upgrade"]


def archive_push_argv(stanza: str, file: str, folder: str) -> list[str]:
    """Push *file* itself and at once, by the configuration in *folder*."""
    return [*_conf_in(folder), f"--stanza={stanza}", "--no-archive-async", *QUIET, "archive-push", file]


def archive_get_argv(stanza: str, file: str, target: str) -> list[str]:
    """Fetch *file* of the archive to *target*, at once; it ends with 1 where there is none."""
    return [f"--stanza={stanza}", "--no-archive-async", *QUIET, "archive-get", file, target]


def _conf_in(folder: str) -> list[str]:
    return [f"--config={folder}/pgbackrest.conf", f"--config-include-path={folder}/conf.d"]


def expire_argv(
    stanza: str, *, backup_set: str = "", repo: int | None = None, archives_of: int | None = None
) -> list[str]:
    """*backup_set* removes that set and what depends on it; without it, what retention no longer covers.

    With *archives_of*, all WAL goes that is older than the so many newest full backups: else it may stay for years, as
    pgBackRest removes none before there are as many as retention keeps.
    """
    chosen = [f"--repo={repo}"] if repo is not None else []
    removed = [f"--set={backup_set}"] if backup_set else []
    kept = [f"--repo{repo}-retention-archive={archives_of}", f"--repo{repo}-retention-archive-type=full"]
    return [f"--stanza={stanza}", *chosen, *removed, *(kept if archives_of is not None else []), "expire"]


def archive_command(stanza: str, role_arn: str = "") -> str:
    """PostgreSQL replaces %p by a path relative to its data directory and runs the whole by a shell.

    With a role (web identity) the shell sets what pgBackRest reads from its environment: PostgreSQL's own, and what a
    cloud's webhook may have put there, stay as they are.
    """
    return _for_postgres(stanza, role_arn, "archive-push", '"%p"')


def restore_command(stanza: str, role_arn: str = "", data_directory: str = "") -> str:
    """*data_directory* is where the server that calls it works, if not in the configured pg1-path."""
    where = [f"--pg1-path={data_directory}"] if data_directory else []
    return _for_postgres(stanza, role_arn, *where, "archive-get", "%f", '"%p"')


def kept(command: str) -> str:
    """One of these two as it stays with the data (ALTER SYSTEM, a restore) when the pod is no longer injected, and
    nobody is there to reset it. Then there is no folder of tools. WAL counts as archived, so that it does not fill the
    volume. A standby finds nothing to restore: a missing program would end its start. But a recovery that ends in
    writes ends PostgreSQL instead: what is in the archive alone would be missing, and nobody would be told.
    """
    if " archive-push " in command:
        return f"[ ! -d {names.TOOLS_DIR} ] || {command}"
    return f"[ -d {names.TOOLS_DIR} ] || [ -f standby.signal ] || exit 126; [ -d {names.TOOLS_DIR} ] && {command}"


def clone_restore_command(stanza: str) -> str:
    """While a clone recovers: the WAL of its source, by a configuration of its own."""
    argv = [names.PGBACKREST_ARCHIVE, f"--config={names.CLONE_CONF_FILE}", f"--stanza={stanza}", "archive-get"]
    return " ".join([*argv, "%f", '"%p"'])


def is_for_postgres(command: str) -> bool:
    """Whether *command* is one of these two, for whatever stanza."""
    return _OURS.match(command) is not None


_TOOLS = re.escape(names.TOOLS_DIR)
_KEPT = rf"(?:\[ -d {_TOOLS} \] \|\| \[ -f standby\.signal \] \|\| exit 126; )?\[ (?:! )?-d {_TOOLS} \] (?:\|\||&&) "
_OURS = re.compile(rf"(?:{_KEPT})?(?:{identity.ROLE}=\S+ {identity.TOKEN}=\S+ )?{re.escape(names.PGBACKREST_ARCHIVE)} ")


def _for_postgres(stanza: str, role_arn: str, *command: str) -> str:
    variables = [f"{name}={shlex.quote(value)}" for name, value in identity.environment(role_arn).items()]
    argv = command_line([f"--stanza={stanza}"], names.PGBACKREST_ARCHIVE)
    return " ".join([*variables, *argv, *command])
