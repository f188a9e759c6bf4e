"""`backup-standby=y` without a standby.

pgBackRest then ends the backup with [056] "unable to find standby cluster": after a Restore, which removes the
replicas, after a failover, and with a single instance always. With `prefer` it takes the standby where one answers,
exactly as with `y`, and else warns and takes the primary. So `y` is carried out as `prefer`, and the Backup says so.
"""

from __future__ import annotations

from collections.abc import Mapping

OPTION = "backup-standby"
_MUST, _MAY = "y", "prefer"
#: pgBackRest's own warning.
_NONE_FOUND = "unable to find a standby to perform the backup, using primary instead"
#: What a user is told before, and in the status of the Backup.
NOTE = f"--{OPTION}=y: while no standby answers, backups are taken from the primary"
FROM_PRIMARY = "no standby answered, so it was taken from the primary"


def settings(given: Mapping[str, str]) -> dict[str, str]:
    """*given* lines of pgbackrest.conf as they are carried out."""
    return {name: _MAY if (name, value) == (OPTION, _MUST) else value for name, value in given.items()}


def argument(given: str) -> str:
    """One argument of a command line as it is carried out."""
    return f"--{OPTION}={_MAY}" if given == f"--{OPTION}={_MUST}" else given


def is_required(given: Mapping[str, str]) -> bool:
    """Whether a user asks for a standby and nothing else."""
    return given.get(OPTION) == _MUST


def tells_of_none(line: str) -> bool:
    """Whether pgBackRest says in *line* of its log that it found none."""
    return _NONE_FOUND in line
