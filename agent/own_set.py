"""Whether the set of a backup is in its repository already, by the annotation that pgwarden has each backup write.

A backup is complete before old ones are expired, and its pod may be killed, or its expiry be refused, right then. What
is there is not copied once more.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.pgbackrest import Runner
from pgwarden.api import names
from pgwarden.pgbackrest import commands
from pgwarden.pgbackrest.info import BackupSet, InfoError, parse_info

#: `info` waits PROBE_SECONDS for each answer of a storage.
INFO_SECONDS = 120.0


class LookError(Exception):
    """What is in the repository cannot be read."""


class OwnSet:
    """*args* are those of the backup: whose set it is, in which storage of which stanza, is among them."""

    def __init__(self, runner: Runner, args: Sequence[str]) -> None:
        self._runner = runner
        said = [word.removeprefix("--annotation=") for word in args if word.startswith("--annotation=")]
        self._uid = _value(said, f"{names.PGBACKREST_ANNOTATION_UID}=")
        self._stanza = _value(args, "--stanza=")
        self._repo = _value(args, "--repo=")

    async def find(self) -> BackupSet | None:
        """None also where *args* do not say whose it is. LookError: it is not known."""
        if not (self._uid and self._stanza and self._repo.isdecimal()):
            return None
        done = await self._runner.run(commands.info_argv(self._stanza, int(self._repo)), INFO_SECONDS)
        if not done.ok:
            raise LookError(done.error)
        try:
            info = parse_info(done.stdout, self._stanza)
        except InfoError as error:
            raise LookError(str(error)) from error
        if info is None:
            return None
        trouble = info.trouble(int(self._repo))
        if trouble:
            raise LookError(trouble)
        return info.annotated(names.PGBACKREST_ANNOTATION_UID, self._uid)


def _value(words: Sequence[str], prefix: str) -> str:
    return next((word.removeprefix(prefix) for word in words if word.startswith(prefix)), "")
