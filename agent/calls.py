"""What the two roles answer. No HTTP in here."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from agent import newest_wal, one_storage, spool
from agent.archives import Archives
from agent.immutable import Immutables
from agent.info_reader import InfoReader, Known, PastInfo
from agent.outcome import Seen
from agent.paths import Paths
from agent.pgbackrest import Result, Runner
from agent.repo_volume import RepoVolume
from agent.supervisor import Supervisor
from pgwarden import __version__
from pgwarden.contract.calls import NewestWal, Outcome
from pgwarden.contract.environment import Settings
from pgwarden.contract.status import Server, Status, Volume
from pgwarden.pgbackrest import commands, config, version
from pgwarden.pgbackrest.info import OTHER, InfoError, parse_info
from pgwarden.pgbackrest.trouble import by_repo

STANZA_CREATE_SECONDS = 300.0
EXPIRE_SECONDS = 1800.0
NEWEST_WAL_SECONDS = 30.0
#: Of stanza-create's output that is answered.
OUTPUT_CHARACTERS = 8192
#: An error of archive-push is told for so long after it was written; PostgreSQL pauses for one minute of it between
#: tries, and the relay leaves archive-push a turn within two.
REMEMBERED_SECONDS = 180.0


@dataclass
class State:
    """What both roles' status says."""

    settings: Settings
    supervisor: Supervisor | None  # of pgBackRest's server, where it is a child of this agent
    digest: str = ""
    pgbackrest_version: str = ""
    sync_error: str = ""
    spool: Path | None = None  # beside PostgreSQL
    _seen: tuple[float, str] = (0.0, "")
    _blamed: tuple[float, str] = (0.0, "")

    def archive_error(self) -> str:
        """archive-push's own words; where it has none, or they name no storage, what was found out without it."""
        own, (since, blamed) = self.own_error(), self._blamed
        names_one = bool(own) and all(number for number, _ in by_repo(own))
        return blamed if blamed and not names_one and time.monotonic() - since < REMEMBERED_SECONDS else own

    def blame(self, text: str) -> None:
        """*text* names the storages that hold archive-push up, as it would."""
        self._blamed = (time.monotonic(), text)

    def own_error(self) -> str:
        """Remembered, as pgBackRest clears it at each new try: else it would be seen by chance only. One that no try
        has written anew for as long tells nothing of today.
        """
        found, written = spool.archive_error(self.spool, self.settings.stanza) if self.spool else ("", 0.0)
        now = time.monotonic()
        if found:
            self._seen = (now - max(0.0, time.time() - written), found)
        seen, error = self._seen
        return error if now - seen < REMEMBERED_SECONDS else ""

    def status(self) -> Status:
        return Status(
            role=self.settings.role.value,
            version=__version__,
            pgbackrest=self.pgbackrest_version,
            server=self._server(),
            config_hash=self.digest,
            config_error=self.sync_error,
            archive_error=self.archive_error() if self.spool else None,
        )

    def _server(self) -> Server | None:
        one = self.supervisor
        return Server(running=one.running, restarts=one.restarts) if one else None


async def pgbackrest_version(runner: Runner) -> str:
    """Empty where it does not say."""
    try:
        result = await runner.run(["version"], 10)
    except OSError:
        return ""
    return version.told(result.stdout) if result.ok else ""


class Repository:
    def __init__(
        self, stanza: str, runner: Runner, volume: RepoVolume | None = None, paths: Paths | None = None
    ) -> None:
        self._stanza = stanza
        self._repo_volume = volume
        self._paths = paths or Paths()
        self._runner = runner
        self._reader = InfoReader(stanza, runner, volume.complete if volume else None, self._numbers)
        self.past = PastInfo(stanza, runner)
        self.immutables = Immutables(self._paths)
        self._create_lock = asyncio.Lock()
        self._expire_lock = asyncio.Lock()
        self.archives = Archives(stanza, runner, self._places)

    def _numbers(self) -> list[int]:
        """pgBackRest's numbers of the storages."""
        return config.repos(one_storage.whole(self._paths))

    def _places(self) -> dict[int, str]:
        """The storages that could be read, each with the folder of the current cluster's WAL."""
        try:
            found = parse_info([self._reader.info], self._stanza) if self._reader.info else None
        except InfoError:
            found = None
        archives = [found.archive(repo.repo) for repo in found.repos if repo.code != OTHER] if found else []
        return {one.repo: one.id for one in archives if one is not None and one.min}

    async def info(self, *, refresh: bool = False) -> Known:
        """The stanza's element of `pgbackrest info`, ten seconds old or as old as a slow storage makes it."""
        return await self._reader.get(refresh=refresh)

    async def volume(self) -> Volume | None:
        """In a thread: a file system that is away may answer late."""
        return await asyncio.to_thread(self._repo_volume.look) if self._repo_volume else None

    async def newest_wal(self) -> NewestWal:
        """When WAL came last into any storage."""
        known = await self.info(refresh=True)
        if known.error:
            return NewestWal(error=known.error)
        found = NewestWal(ok=True)
        try:
            for repo, folder in newest_wal.folders(known.info or {}, self._stanza):
                listed = await self._runner.run(commands.list_argv(folder, repo), NEWEST_WAL_SECONDS)
                if not listed.ok:
                    return NewestWal(error=listed.error)
                found = newest_wal.later(found, newest_wal.of(listed.stdout))
        except (OSError, ValueError) as problem:
            return NewestWal(error=f"pgbackrest repo-ls: {problem}")
        return found

    async def stanza_create(self, repo: int = 0) -> Outcome:
        """In storage *repo* alone, or in all (0)."""
        try:
            folder = str(one_storage.folder(self._paths, repo)) if repo else ""
        except OSError as error:
            return Outcome(exit_code=-1, output=str(error))
        return await self._stanza_command(commands.stanza_create_argv(self._stanza, folder))

    async def stanza_upgrade(self) -> Outcome:
        return await self._stanza_command(commands.stanza_upgrade_argv(self._stanza))

    async def _stanza_command(self, argv: list[str]) -> Outcome:
        if self._create_lock.locked():  # who asks again has not waited for it: one more behind it would help nobody
            return Outcome(exit_code=-1, output=f"{argv[-1]} is already running")
        async with self._create_lock:
            try:
                result = await self._runner.run(argv, STANZA_CREATE_SECONDS)
            except OSError as error:
                return Outcome(exit_code=-1, output=str(error))
        self._reader.spoil()
        return Outcome(ok=result.ok, exit_code=result.exit_code, output=_shown(result))

    async def expire(self, repo: int, label: str, archives_of: int) -> Outcome:
        if self._expire_lock.locked():
            return Outcome(exit_code=-1, error="expire is already running")
        argv = commands.expire_argv(self._stanza, backup_set=label, repo=repo, archives_of=archives_of)
        async with self._expire_lock:
            seen = Seen()
            try:
                result = await self._runner.run(argv, EXPIRE_SECONDS, seen.line)
            except OSError as error:
                return Outcome(exit_code=-1, error=str(error))
        self._reader.spoil()
        gone, why = ", ".join(seen.expired), None if result.ok else result.error
        return Outcome(ok=result.ok, exit_code=result.exit_code, error=why, output=gone)

    async def set_aside(self) -> Outcome:
        """Not while stanza-create makes the other half."""
        if self._repo_volume is None:
            return Outcome(error="no storage is on a volume")
        async with self._create_lock:
            done = await asyncio.to_thread(self._repo_volume.set_aside, datetime.now(UTC))
        self._reader.spoil()
        return done


def _shown(result: Result) -> str:
    if result.timed_out:
        return result.error
    return result.output[-OUTPUT_CHARACTERS:]
