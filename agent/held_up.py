"""Which storage holds archive-push up, where archive-push does not say it.

A storage that answers a byte at a time, or headers without an end, keeps it for ever, for its io-timeout begins anew
with each byte. The lock on archiving is its own meanwhile, so that the relay cannot push into the other storage. One
that answers without an end takes its memory, and leaves no word of which storage it was.

So where WAL waits and nothing goes on, each storage is asked for a little, with an end in time and in memory. If one
answers and one does not, that is told as archive-push's own error would be, and pgbackrest-archive in PostgreSQL's
container is asked to end what is held up (images/adopter.c). A storage that is slow answers that little.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from agent import last_wal, log, one_storage, spool
from agent.calls import State
from agent.paths import Paths
from agent.pgbackrest import Runner
from agent.relay import Relay
from pgwarden.api import names
from pgwarden.pgbackrest import commands, config
from pgwarden.pgbackrest.trouble import by_repo

LOOK_SECONDS = 5.0
#: Nothing was pushed, and no error written, for so long: then it is looked for. That a storage is away archive-push
#: says within twice its io-timeout.
STILL_SECONDS = 3.0 * config.ARCHIVE_IO_SECONDS
#: After all storages have answered: what is slow has its time.
LONGEST_SECONDS = 300.0
ASK_SECONDS = 15.0


class HeldUp:
    def __init__(self, state: State, paths: Paths, runner: Runner, relay: Relay) -> None:
        self._state = state
        self._paths = paths
        self._runner = runner
        self._relay = relay
        self._token: tuple[str, int] | None = None
        self._since, self._patience = 0.0, STILL_SECONDS
        self._log = log.get("held-up")

    async def run(self) -> None:
        while True:
            try:
                await self.look(time.monotonic())
            except OSError as error:
                self._log.warning("cannot look at what archive-push does", error=str(error))
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self, now: float) -> None:
        token = self._waits() if self._relay.works else None
        if token is None or token != self._token:
            self._token, self._since, self._patience = token, now, STILL_SECONDS
            return
        if now - self._since < self._patience:
            return
        troubled, well = await self._ask_each()
        self._since = now
        if not troubled or not well:
            self._patience = min(2 * self._patience, LONGEST_SECONDS)
            self._log.info("WAL waits, and no storage alone is why", errors=troubled, next_look=self._patience)
            return
        self._patience = STILL_SECONDS
        self._state.blame("\n".join(f"repo{number}: {error}" for number, error in troubled.items()))
        _touch(self._paths.work / Path(names.GIVE_UP).name)
        self._log.warning("archive-push is held up, and ended", errors=troubled, well=well)

    def _waits(self) -> tuple[str, int] | None:
        """What changes as archive-push goes on; None where nothing waits, or it says itself what is wrong."""
        waiting = last_wal.waits(self._relay.wal)
        said, _ = spool.archive_error(self._spool, self._state.settings.stanza)
        if not waiting or (said and _names_storages(said)):
            return None
        if not _names_storages(self._state.own_error()):
            return waiting[0], 0  # each try writes it anew
        return waiting[0], (self._spool / "archive" / self._state.settings.stanza / "out").stat().st_mtime_ns

    async def _ask_each(self) -> tuple[dict[int, str], list[int]]:
        """Why a storage does not say what is in the stanza's folder, and those that do."""
        stanza, repos = self._state.settings.stanza, config.repos(one_storage.whole(self._paths))
        # The repository host's server lets in nobody who names no stanza.
        argv = [[f"--stanza={stanza}", *commands.list_argv(f"archive/{stanza}", repo)] for repo in repos]
        results = await asyncio.gather(*(self._runner.run(one, ASK_SECONDS) for one in argv))
        found = dict(zip(repos, results, strict=True))
        troubled = {repo: result.error.strip() for repo, result in found.items() if not result.ok}
        return troubled, [repo for repo in repos if repo not in troubled]

    @property
    def _spool(self) -> Path:
        return self._paths.work / Path(names.SPOOL_DIR).name


def _touch(path: Path) -> None:
    """The folder is PostgreSQL's container's, too: whatever else lies there is not written to."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o640)
    try:
        os.utime(descriptor)
    finally:
        os.close(descriptor)


def _names_storages(error: str) -> bool:
    return not error or all(number for number, _ in by_repo(error))
