"""What an agent can be asked, and what it answers with: the paths of its TLS door, for both sides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

import msgspec

from pgwarden.contract.archive import Segment
from pgwarden.contract.roles import Roles
from pgwarden.contract.shape import Shape, Time
from pgwarden.contract.status import Status

#: All that is answered beside a status.
STATUS, FENCE = "status", "fence"
STANZA_CREATE, STANZA_UPGRADE, SET_ASIDE = "stanza-create", "stanza-upgrade", "set-aside"
CHECKPOINT, RECOVERY_FINISH = "checkpoint", "recovery-finish"
ARCHIVE_TIMEOUT = "archive-timeout"
NEWEST_WAL = "newest-wal"
INFO_AS_OF = "info-as-of"
EXPIRE = "expire"
ROLES, BRING_BACK = "roles", "bring-back"
MOST_SEGMENTS = 64


class Reply(Shape, frozen=True, kw_only=True):
    ok: bool = False
    error: str | None = None


class Outcome(Reply, frozen=True, kw_only=True):
    exit_code: int | None = None
    output: str | None = None  # the end of what pgBackRest printed


class Tablespace(Shape, frozen=True, kw_only=True):
    name: str
    location: str  # empty or relative: in the data directory


class Fenced(Reply, frozen=True, kw_only=True):
    """Each moment up to *time* can be a target once *ok*. *tablespaces* besides the two in the data directory."""

    wal: str | None = None
    lsn: str | None = None
    time: Time | None = None
    tablespaces: tuple[Tablespace, ...] | None = None
    unreached: bool = False  # PostgreSQL does not answer
    last: str | None = None  # of such a PostgreSQL: the segment up to which all is archived now
    wal_directory: str | None = None  # where pg_wal is not in the data directory; see server_facts


class Segments(Shape, frozen=True, kw_only=True):
    segments: Annotated[tuple[Segment, ...], msgspec.Meta(max_length=MOST_SEGMENTS)] = ()


class NewestWal(Reply, frozen=True, kw_only=True):
    """*time* is when the newest WAL came into the repository, by its storage's clock; None where it holds none."""

    wal: str | None = None
    time: Time | None = None


class InfoAsOf(Reply, frozen=True, kw_only=True):
    """*info* is the stanza's element of `pgbackrest info`; None where there was none then."""

    info: dict[str, Any] | None = None


Answer = TypeVar("Answer", bound=Shape)
Answer_co = TypeVar("Answer_co", bound=Shape, covariant=True)


@dataclass(frozen=True)
class Call(Generic[Answer_co]):
    path: str  # with its query
    answer: type[Answer_co]
    body: Shape | None = None  # beside the path, as JSON
    unless: str = ""  # contract.status.tag of an answer that need not be given again

    @property
    def name(self) -> str:
        return self.path.partition("?")[0]

    @property
    def method(self) -> str:
        """GET for a status, POST for everything else."""
        return "GET" if self.name == STATUS else "POST"


def status(*, refresh: bool = False, segment_size: int = 0, unless: str = "") -> Call[Status]:
    """*refresh*: `info` is read anew; else it is ten seconds old at most. *segment_size*: bytes of a WAL segment.
    *unless*: an answer of this tag is not given again.
    """
    asked = ["refresh=1"] * refresh + [f"segment-size={segment_size}"] * bool(segment_size)
    return Call("?".join([STATUS, "&".join(asked)] if asked else [STATUS]), Status, unless=unless)


def stanza_create(repo: int = 0) -> Call[Outcome]:
    """In storage number *repo* alone, for the others are away; or in all (0)."""
    return Call(f"{STANZA_CREATE}?repo={repo}" if repo else STANZA_CREATE, Outcome)


def set_aside() -> Call[Outcome]:
    """Move what is left of half a stanza on the local storage's volume to a folder beside it: `output` names it."""
    return Call(SET_ASIDE, Outcome)


def expire(repo: int, label: str, archives_of: int) -> Call[Outcome]:
    """In storage number *repo*: the full backup *label* goes with all that build on it, and the WAL before the so many
    full ones that are the newest. `output` names the sets that went.
    """
    return Call(f"{EXPIRE}?repo={repo}&set={label}&archives-of={archives_of}", Outcome)


def stanza_upgrade() -> Call[Outcome]:
    """The stanza becomes that of the PostgreSQL beside the pods' agents, of whichever version and identifier it is: who
    asks has seen to it that this is meant.
    """
    return Call(STANZA_UPGRADE, Outcome)


def fence(seconds: float, *, repo: int = 0, every: float = 0) -> Call[Fenced]:
    """Archive all up to now, within *seconds*: into storage number *repo* (0: all). With *every* only a segment is
    closed, and none within so many seconds of the one before.
    """
    more = (f"&repo={repo}" if repo else "") + (f"&every={every:g}" if every else "")
    return Call(f"{FENCE}?timeout={seconds:g}{more}", Fenced)


def archive_timeout(seconds: int) -> Call[Outcome]:
    """Set it where nobody else has, or take back (0) what was set; `output` says what was done, if anything."""
    return Call(f"{ARCHIVE_TIMEOUT}?seconds={seconds}", Outcome)


def checkpoint() -> Call[Outcome]:
    """Of the PostgreSQL beside the agent: it stops sooner afterwards."""
    return Call(CHECKPOINT, Outcome)


def roles(wanted: Roles) -> Call[Outcome]:
    """Of a primary: its roles have these passwords and rights afterwards. `output` says what was changed."""
    return Call(ROLES, Outcome, wanted)


def bring_back(wanted: Segments) -> Call[Outcome]:
    """Archive those of them that are complete in pg_wal beside the agent; `output` names them."""
    return Call(BRING_BACK, Outcome, wanted)


def info_as_of(repo: int, time: str) -> Call[InfoAsOf]:
    """Of a repository host: what storage number *repo* held at *time*, RFC 3339 in UTC."""
    return Call(f"{INFO_AS_OF}?repo={repo}&time={time}", InfoAsOf)


def recovery_finish() -> Call[Outcome]:
    """Of a recovery that follows the archive: replay what is there by now, promote, and shut down."""
    return Call(RECOVERY_FINISH, Outcome)


def newest_wal() -> Call[NewestWal]:
    """Of a repository host: when WAL came last, of whichever storage."""
    return Call(NEWEST_WAL, NewestWal)
