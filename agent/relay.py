"""WAL for the storage that answers, while another one is away.

pgBackRest's archive-push ends at the first segment that one storage did not take (2.60, `archivePushAsyncCallback`), so
PostgreSQL goes on offering that one, and the storage that answers gets no more than it. Here the segments that wait are
pushed into each storage that is not in trouble, by a configuration that knows no other. PostgreSQL keeps them all until
every storage has them; pgBackRest passes over what it finds there already.

Two must never write the same file at once: pgBackRest's own lock on archiving is held meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from agent import last_wal, log, one_storage, volume
from agent.calls import State
from agent.paths import Paths
from agent.pgbackrest import Runner
from pgwarden.api import names
from pgwarden.pgbackrest import commands, config
from pgwarden.pgbackrest.trouble import by_repo

#: Between two looks: while nothing is wrong; while a storage is away and nothing waits; while the lock is another's.
#: archive-push holds it for half a minute at a time then, and PostgreSQL leaves it free for a second between two tries.
QUIET_SECONDS, WATCH_SECONDS, LOCK_SECONDS = 2.0, 0.5, 0.1
#: How long the lock is kept, all told, until archive-push has its turn: it tries the lock at its start alone, and ends
#: with the error of before where it is held.
HELD_SECONDS = 30.0
#: How long it is left alone then at most. PostgreSQL tries three times in a row, and pauses for a minute.
TURN_SECONDS = 70.0
PUSH_SECONDS = 30.0
#: After a push that failed.
PAUSE_SECONDS = 15.0


class Relay:
    def __init__(self, state: State, paths: Paths, runner: Runner, data_directory: str) -> None:
        self._state = state
        self._paths = paths
        self._runner = runner
        self._data: Callable[[], str] = lambda: data_directory
        #: pgBackRest's number of a storage → what was pushed into it here and is still waiting.
        self._pushed: dict[int, set[str]] = {}
        #: Seconds for which the lock was held since archive-push had it, and until when it is archive-push's turn.
        self._held = 0.0
        self._turn = 0.0
        self._log = log.get("relay")

    def follow(self, data_directory: Callable[[], str]) -> None:
        """The server may turn out to have its data elsewhere."""
        self._data = data_directory

    @property
    def wal(self) -> Path:
        return Path(self._data(), "pg_wal")

    @property
    def works(self) -> bool:
        """Whether it would push: there are several storages, asynchronous archiving (which the lock is for), a pg_wal
        that is seen, and a PostgreSQL that archives. What a former primary has left is not for a replica to push.
        """
        text, data = self._conf(), self.wal.parent
        seen = (self.wal / "archive_status").is_dir()
        return len(config.repos(text)) > 1 and config.archives_async(text) and seen and not volume.follows(data)

    def holds(self, repo: int, wal: str) -> bool:
        """Whether storage *repo* has segment *wal*, which waits for another storage, and all that waits before it."""
        pushed = self._pushed.get(repo, set())
        return wal in pushed and all(name in pushed for name in self._ready() if name <= wal)

    async def push_last(self, repo: int, seconds: float) -> last_wal.Pushed:
        """What a PostgreSQL that does not run has left: into storage *repo*, or all (0)."""
        text = config.without_server(config.only(self._conf(), repo) if repo else self._conf())
        folder = one_storage.written(self._paths, "last", text)
        return await last_wal.push(
            self._runner, self._state.settings.stanza, self.wal, folder, self._paths.work, seconds
        )

    async def run(self) -> None:
        while True:
            try:
                pause = await self.look()
            except OSError as error:
                self._log.warning("cannot look for what waits", error=str(error))
                pause = PAUSE_SECONDS
            await asyncio.sleep(pause)

    async def look(self) -> float:
        """Push what waits, where a storage is in trouble and another one is not. The seconds until the next look."""
        well = self._well()
        if not well or not self.works:
            self._pushed.clear()
            return QUIET_SECONDS
        ready = self._ready()
        self._pushed = {repo: self._pushed.get(repo, set()) & set(ready) for repo in well}
        waiting = {repo: [name for name in ready if name not in self._pushed[repo]] for repo in well}
        if not any(waiting.values()):
            return WATCH_SECONDS
        with self._alone() as alone:
            if not alone:
                self._held = self._turn = 0.0
                return LOCK_SECONDS
            began = time.monotonic()
            if began < self._turn:
                return WATCH_SECONDS
            all_went = await self._push_each(waiting, began + HELD_SECONDS - self._held)
            self._held += time.monotonic() - began
            if self._held >= HELD_SECONDS:
                self._held, self._turn = 0.0, time.monotonic() + TURN_SECONDS
        return LOCK_SECONDS if all_went else PAUSE_SECONDS

    async def _push_each(self, waiting: dict[int, list[str]], deadline: float) -> bool:
        for repo, listed in waiting.items():
            if not await self._push_all(repo, listed, deadline):
                return False
        return True

    async def _push_all(self, repo: int, listed: Sequence[str], deadline: float) -> bool:
        folder = one_storage.folder(self._paths, repo)
        for name in listed:
            if time.monotonic() > deadline:
                break
            argv = commands.archive_push_argv(self._state.settings.stanza, str(self.wal / name), str(folder))
            result = await self._runner.run(argv, PUSH_SECONDS)
            if not result.ok:
                self._log.warning("cannot push what waits", repo=repo, file=name, error=result.error)
                return False
            self._pushed[repo].add(name)
            self._log.info("pushed what waits for another storage", repo=repo, file=name)
        return True

    def _well(self) -> list[int]:
        """The storages that archive-push has no complaint of; none where it has none at all, or names no storage."""
        text = self._state.archive_error()
        troubled = {number for number, _ in by_repo(text)} if text else set()
        if not troubled or 0 in troubled:
            return []
        return [number for number in config.repos(self._conf()) if number not in troubled]

    def _ready(self) -> list[str]:
        try:
            return last_wal.waits(self.wal)
        except OSError:
            return []

    def _conf(self) -> str:
        return one_storage.whole(self._paths)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[bool]:
        """pgBackRest's locks on archiving, one for each storage; False where it is at work itself."""
        folder, stanza = self._paths.work / Path(names.LOCK_DIR).name, self._state.settings.stanza
        with contextlib.ExitStack() as stack:
            try:
                held = all(
                    _lock(stack, folder / f"{stanza}-archive-{repo}.lock") for repo in config.repos(self._conf())
                )
            except OSError:
                held = False
            yield held


def _lock(stack: contextlib.ExitStack, path: Path) -> bool:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o640)
    stack.callback(os.close, descriptor)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    # pgBackRest removes its file when it lets go: this may be one that nobody looks at any more.
    return os.fstat(descriptor).st_ino == path.stat().st_ino
