"""What an agent knows: GET /status. The host's has `info`, the one beside PostgreSQL has the rest."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from pgwarden.contract.archive import Archive
from pgwarden.contract.recovery import Recovery
from pgwarden.contract.server_facts import ServerFacts
from pgwarden.contract.shape import Count, Shape, Time

Timeline = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]


class Server(Shape, frozen=True, kw_only=True):
    """`pgbackrest server`, the agent's child."""

    running: bool = False
    restarts: Count = 0


class Postgres(Shape, frozen=True, kw_only=True):
    reachable: bool = False
    error: str | None = None  # why it is not
    in_recovery: bool | None = None
    system_identifier: str | None = None
    server_version: str | None = None
    timeline: Timeline | None = None
    archive_mode: str | None = None
    archive_command: str | None = None
    pending_restart: bool | None = None
    last_replay_time: Time | None = None

    @property
    def takes_writes(self) -> bool:
        """Whether it answers, and says that its recovery is over."""
        return self.reachable and self.in_recovery is False


class Archiver(Shape, frozen=True, kw_only=True):
    """pg_stat_archiver."""

    archived_count: Count | None = None
    failed_count: Count | None = None
    last_archived_wal: str | None = None
    last_failed_wal: str | None = None
    last_archived_time: Time | None = None
    last_failed_time: Time | None = None


class Half(Shape, frozen=True, kw_only=True):
    """`archive` or `backup` of the stanza in a storage that is on a volume."""

    info: bool = False  # whether its info file is there
    copy: bool = False  # and the copy of that
    holds: bool = False  # whether a set, or WAL, lies in it


class Volume(Shape, frozen=True, kw_only=True):
    """The one that the local storage is on, as the repository host sees it. Bytes."""

    mounted: bool = False
    size: Count | None = None
    free: Count | None = None
    read_only: bool = False
    error: str | None = None  # what a small file written to it met, such as `ENOSPC: No space left on device`
    archive: Half | None = None
    backup: Half | None = None


class Status(Shape, frozen=True, kw_only=True):
    role: str = ""  # contract.environment.Role
    version: str = ""  # pgwarden's
    pgbackrest: str | None = None  # its version
    server: Server | None = None
    config_hash: str | None = None  # pgbackrest.config.source_digest of what it works with
    config_error: str | None = None
    archive_error: str | None = None  # archive-push's own words, for three minutes after it wrote them
    info: dict[str, Any] | None = None  # the stanza's element of `pgbackrest info`; see pgbackrest.info
    info_error: str | None = None
    volume: Volume | None = None
    archives: tuple[Archive, ...] | None = None  # of each storage that was listed
    postgres: Postgres | None = None
    archiver: Archiver | None = None
    facts: ServerFacts | None = None  # of the PostgreSQL beside it; some minutes or an hour old
    unarchived: Count | None = None  # segments that wait in pg_wal
    relays: bool | None = None  # whether WAL goes to the storage that answers while another does not
    recovery: Recovery | None = None  # of the agent in a recovery's pod
