"""What an agent knows: GET /status. The host's has `info`, the one beside PostgreSQL has the rest."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

import msgspec
from msgspec.structs import replace

from pgwarden.contract.archive import Archive
from pgwarden.contract.backup_progress import BackupProgress
from pgwarden.contract.recovery import Recovery
from pgwarden.contract.server_facts import ServerFacts
from pgwarden.contract.shape import Count, Shape, Time

Timeline = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
Word = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z]{1,16}\Z")]
Short = Annotated[str, msgspec.Meta(pattern=r"^[ -~]{0,128}\Z")]
Sentence = Annotated[str, msgspec.Meta(pattern=r"^[ -~]{0,512}\Z")]
#: Of two paths and words; no control characters, as it goes into a condition.
Advice = Annotated[str, msgspec.Meta(pattern=r"^[^\x00-\x1f\x7f]{0,4096}\Z")]
#: It goes into configuration files, line by line.
AbsolutePath = Annotated[str, msgspec.Meta(pattern=r"^/[^\x00-\x1f\x7f]{0,1023}\Z")]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class Server(Shape, frozen=True, kw_only=True):
    """`pgbackrest server`, the agent's child."""

    running: bool = False
    restarts: Count = 0


class Postgres(Shape, frozen=True, kw_only=True):
    reachable: bool = False
    error: str | None = None  # why it is not
    too_old: bool | None = None  # it answers, and is of before the majors that are served: nothing is asked of it
    in_recovery: bool | None = None
    system_identifier: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,20}\Z")] | None = None
    server_version: Short | None = None
    timeline: Timeline | None = None
    archive_mode: str | None = None
    archive_command: str | None = None
    pending_restart: bool | None = None
    last_replay_time: Time | None = None
    advice: Advice | None = None  # what to write where it runs otherwise than was assumed

    @property
    def takes_writes(self) -> bool:
        """Whether it answers, and says that its recovery is over."""
        return self.reachable and self.in_recovery is False


class Place(Shape, frozen=True, kw_only=True):
    """Where the server is, by what it says itself."""

    data_directory: AbsolutePath
    port: Port
    socket_directory: AbsolutePath


class Archiver(Shape, frozen=True, kw_only=True):
    """pg_stat_archiver."""

    archived_count: Count | None = None
    failed_count: Count | None = None
    last_archived_wal: Short | None = None
    last_failed_wal: Short | None = None
    last_archived_time: Time | None = None
    last_failed_time: Time | None = None


class Half(Shape, frozen=True, kw_only=True):
    """`archive` or `backup` of the stanza in a storage that is on a volume."""

    info: bool = False  # whether its info file is there
    copy: bool = False  # and the copy of that
    holds: bool = False  # whether a set, or WAL, lies in it


class Usage(Shape, frozen=True, kw_only=True):
    """Of a file system, in bytes. What is neither used nor free is the superuser's."""

    size: Count | None = None
    used: Count | None = None
    free: Count | None = None

    @property
    def percent(self) -> float | None:
        """As `df` counts; None where it is not known."""
        used = self.used if self.used is not None else _less(self.size, self.free)
        if used is None or self.free is None or not used + self.free:
            return None
        return 100 * used / (used + self.free)


def _less(size: int | None, free: int | None) -> int | None:
    """What agents of before leave to be worked out."""
    return max(0, size - free) if size is not None and free is not None else None


class Volume(Usage, frozen=True, kw_only=True):
    """The one that the local storage is on, as the repository host sees it."""

    mounted: bool = False
    read_only: bool = False
    error: str | None = None  # what a small file written to it met, such as `ENOSPC: No space left on device`
    archive: Half | None = None
    backup: Half | None = None


class Immutable(Shape, frozen=True, kw_only=True):
    """What the bucket of a storage keeps of what is deleted."""

    repo: Count = 0  # pgBackRest's number of the storage
    versioning: Word = "Unknown"  # or Enabled, Suspended, Off
    lock_mode: Word | None = None  # of the default retention of its object lock: GOVERNANCE or COMPLIANCE
    lock_days: Count | None = None
    reason: Sentence | None = None  # why not all of that is known


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
    info_age: Count | None = None  # seconds since `info` was read; more than some 10 where the storage is slow
    volume: Volume | None = None
    archives: tuple[Archive, ...] | None = None  # of each storage that was listed
    immutable: tuple[Immutable, ...] | None = None  # of each storage in a bucket, once it was asked
    postgres: Postgres | None = None
    place: Place | None = None  # of PostgreSQL, where that is another than the webhook assumed
    archiver: Archiver | None = None
    facts: ServerFacts | None = None  # of the PostgreSQL beside it; some minutes or an hour old
    unarchived: Count | None = None  # segments that wait in pg_wal
    data: Usage | None = None  # the volume of the data directory
    wal: Usage | None = None  # that of pg_wal, where it is on another one that the agent sees
    relays: bool | None = None  # whether WAL goes to the storage that answers while another does not
    recovery: Recovery | None = None  # of the agent in a recovery's pod
    backup: BackupProgress | None = None  # of the agent in a backup's pod


#: Older than any `info` that a storage without delay gives. Of a younger one nobody asks how old it is.
SLOW_SECONDS = 30
#: Seconds by which times are told that grow: a text that changes at each look is news each time, and a status to write.
STEPS = (5, 10, 30, 60, 120, 240)


def at_least(seconds: float) -> int:
    """The last step that is over."""
    return max((step for step in STEPS if step <= seconds), default=0)


def told_age(seconds: float | None) -> int | None:
    """How old an `info` of so many seconds is said to be; None where that is not worth a word."""
    return at_least(seconds) if seconds is not None and seconds > SLOW_SECONDS else None


def tag(status: Status) -> str:
    """The same for two answers that say the same. Both sides make it: one that knows the answer need not read it."""
    told = replace(status, info_age=told_age(status.info_age))
    return hashlib.sha256(msgspec.json.encode(told)).hexdigest()
