"""Agents of a fleet: the real agent's TLS door and its own code for every answer, above a pretended pgBackRest and
PostgreSQL. Each listens on the loopback address that its pod's status names.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web

from agent.calls import Repository, State
from agent.paths import Paths
from agent.pgbackrest import Result
from agent.postgres import Seen, _archiver, _postgres
from agent.server import KEEPALIVE_SECONDS, Certificates, application
from agent.sync import Syncer
from bench.fleet.objects import Member, label
from pgwarden.api import names
from pgwarden.contract.archive import Archive
from pgwarden.contract.environment import Role, Settings
from pgwarden.contract.server_facts import ArchiveTimeout, ServerFacts
from pgwarden.contract.status import Usage
from pgwarden.pgbackrest.commands import PROBE_SECONDS

Object = dict[str, Any]
SYSTEM = 7711430294125437854
SEGMENT = "00000001000000000000001F"
#: What pgBackRest 2.60 says of a storage that accepts connections and answers nothing (tests/unit/pgbackrest/data).
SILENT = "[FileReadError] timeout after 8000ms waiting for read from 's3.example:443'"
WELL, OUT, HANGS = "well", "out", "hangs"


class PretendedPgBackRest:
    """`state` is the storage's: it is well, says nothing until pgBackRest gives up, or holds `info` for ever."""

    def __init__(self, stanza: str, sets: dict[str, str], *, exists: bool, state: str = WELL) -> None:
        """*sets*: the label of each set, and the uid of the Backup that made it."""
        self._stanza, self._sets, self._exists, self.state = stanza, sets, exists, state

    async def run(self, args: Sequence[str], seconds: float | None, *_: object, **__: object) -> Result:
        if "stanza-create" in args:
            await asyncio.sleep(1.0)
            self._exists = True
            return Result(0, "", "", 1.0)
        if self.state == HANGS:
            await asyncio.sleep(seconds or 300.0)
            return Result(-15, "", "", seconds or 300.0, timed_out=True)
        if self.state == OUT:
            await asyncio.sleep(PROBE_SECONDS)
        return Result(0, json.dumps(self._info()), "", 0.1)

    def _info(self) -> list[Object]:
        code = {"code": 99, "message": SILENT} if self.state == OUT else {"code": 0, "message": "ok"}
        if not self._exists and self.state == WELL:
            code = {"code": 1, "message": "missing stanza path"}
        fine = code["code"] == 0
        database = {"id": 1, "repo-key": 1}
        lock = {"backup": {"held": False}, "restore": {"held": False}}
        return [
            {
                "archive": [{"database": database, "id": "17-1", "min": SEGMENT[:-2] + "01", "max": SEGMENT}]
                if fine
                else [],
                "backup": [self._set(n, *one) for n, one in enumerate(self._sets.items())] if fine else [],
                "cipher": "none",
                "db": [database | {"system-id": SYSTEM, "version": "17"}] if fine else [],
                "name": self._stanza,
                "repo": [{"cipher": "none", "key": 1, "status": code}],
                "status": code | {"lock": lock},
            }
        ]

    @staticmethod
    def _set(n: int, name: str, uid: str) -> Object:
        stop = int(datetime.strptime(name, "%Y%m%d-%H%M%SF").replace(tzinfo=UTC).timestamp()) + 600
        segment = f"0000000100000000000000{n + 2:02X}"
        return {
            "annotation": {names.PGBACKREST_ANNOTATION_UID: uid},
            "archive": {"start": segment, "stop": segment},
            "backrest": {"format": 5, "version": "2.60.0"},
            "database": {"id": 1, "repo-key": 1},
            "error": False,
            "info": {"delta": 23422072, "size": 23422072,
                     "repository": {"delta": 2812904, "delta-map": 24768, "size-map": 24768}},
            "label": name,
            "lsn": {"start": f"0/{n + 2:X}000028", "stop": f"0/{n + 2:X}000060"},
            "prior": None,
            "reference": None,
            "timestamp": {"start": stop - 600, "stop": stop},
            "type": "full",
        }  # fmt: skip


class PretendedPostgres:
    """Idle since its last segment was archived; or, where it is *busy*, with one in each minute."""

    data_directory = "/var/lib/postgresql/data/pgdata"
    busy = False  # all of them

    async def look(self) -> Seen:
        count, last, at = 31, SEGMENT, datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
        if self.busy:
            at = datetime.fromtimestamp((time.time() + id(self) % 60) // 60 * 60, UTC)
            count = int(at.timestamp() // 60)
            last = f"00000001{count // 256 % 2**16:08X}000000{count % 256:02X}"
        row = {
            "in_recovery": False, "system_identifier": str(SYSTEM), "server_version": "17.2", "timeline": 1,
            "archive_mode": "on", "archive_command": "/pgwarden/tools/bin/archive-push %p", "pending_restart": False,
            "last_replay_time": None, "archived_count": count, "last_archived_wal": last,
            "last_archived_time": at, "failed_count": 0, "last_failed_wal": None,
            "last_failed_time": None,
        }  # fmt: skip
        facts = ServerFacts(
            version_num=170002, bin_dir="/usr/lib/postgresql/17/bin", data_checksums=True, block_size=8192,
            wal_segment_size=2**24, archive_timeout=ArchiveTimeout(seconds=60, set_by="pgwarden", own=60), libc="glibc",
            libc_version="2.36", config_file=f"{self.data_directory}/postgresql.conf", database_count=1,
        )  # fmt: skip
        usage = Usage(size=10 * 2**30, used=2 * 2**30, free=8 * 2**30)
        return Seen(_postgres(row), _archiver(row), 0, facts, usage)


class _Listed:
    """The archive has been listed, and lacks nothing."""

    segment_size = 0

    def told(self) -> tuple[Archive, ...]:
        return (Archive(repo=1, complete=True),)


class _Runs:
    running, restarts = True, 0


class Agent:
    """One agent, which opens its door as soon as it is given certificates."""

    def __init__(self, folder: Path, ip: str, role: Role, stanza: str, pgbackrest: PretendedPgBackRest | None) -> None:
        self._paths, self._ip = Paths.below(folder), ip
        conf_key = names.KEY_HOST_CONF if role is Role.REPOSITORY else names.KEY_POD_CONF
        self._syncer = Syncer(self._paths, conf_key)
        supervisor: Any = _Runs()
        self._state = State(Settings(role, stanza), supervisor, pgbackrest_version="2.60")
        if pgbackrest is None:
            postgres: Any = PretendedPostgres()
            app = application(self._state, postgres=postgres)
        else:
            runner: Any = pgbackrest
            repository = Repository(stanza, runner, None, self._paths)
            listed: Any = _Listed()
            repository.archives = listed
            app = application(self._state, repository=repository)
        self._runner = web.AppRunner(app, access_log=None, keepalive_timeout=KEEPALIVE_SECONDS, shutdown_timeout=2.0)
        self._certificates: Certificates | None = None

    async def given(self, files: dict[str, bytes]) -> None:
        """What the kubelet mounts is this now."""
        self._paths.source.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (self._paths.source / name).write_bytes(content)
        planned, _ = self._syncer.sync()
        if planned.missing:
            return
        self._state.digest = planned.digest
        if self._certificates is not None:
            self._certificates.reload()
            return
        self._certificates = Certificates(self._paths)
        await self._runner.setup()
        site = web.TCPSite(
            self._runner, self._ip, names.PORT_AGENT, ssl_context=self._certificates.listening, backlog=32
        )
        await site.start()

    async def close(self) -> None:
        await self._runner.cleanup()


class Pair:
    """The repository host's agent, and the one beside PostgreSQL."""

    def __init__(self, folder: Path, member: Member, uids: Sequence[str], *, exists: bool = True) -> None:
        stanza = names.stanza(member.name)
        sets = {label(n): uid for n, uid in enumerate(uids)}
        self.pgbackrest = PretendedPgBackRest(stanza, sets, exists=exists, state=HANGS if member.hangs else WELL)
        own = folder / member.name
        self.host = Agent(own / "host", member.host_ip, Role.REPOSITORY, stanza, self.pgbackrest)
        self.pod = Agent(own / "pod", member.pod_ip, Role.POSTGRES, stanza, None)
