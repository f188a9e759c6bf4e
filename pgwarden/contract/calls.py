"""What an agent can be asked, and what it answers with: the paths of its TLS door, for both sides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from pgwarden.contract.shape import Shape, Time
from pgwarden.contract.status import Status

#: All that is answered beside a status.
STATUS, STANZA_CREATE, FENCE, CLEAR_RECOVERY = "status", "stanza-create", "fence", "clear-recovery"
SET_ASIDE = "set-aside"
CHECKPOINT, RECOVERY_FINISH = "checkpoint", "recovery-finish"


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


Answer = TypeVar("Answer", bound=Shape)
Answer_co = TypeVar("Answer_co", bound=Shape, covariant=True)


@dataclass(frozen=True)
class Call(Generic[Answer_co]):
    path: str  # with its query
    answer: type[Answer_co]

    @property
    def name(self) -> str:
        return self.path.partition("?")[0]

    @property
    def method(self) -> str:
        """GET for a status, POST for everything else."""
        return "GET" if self.name == STATUS else "POST"


def status(*, refresh: bool = False) -> Call[Status]:
    """*refresh*: `info` is read anew; else it is ten seconds old at most."""
    return Call(f"{STATUS}?refresh=1" if refresh else STATUS, Status)


def stanza_create() -> Call[Outcome]:
    return Call(STANZA_CREATE, Outcome)


def set_aside() -> Call[Outcome]:
    """Move what is left of half a stanza on the local storage's volume to a folder beside it: `output` names it."""
    return Call(SET_ASIDE, Outcome)


def fence(seconds: float, *, repo: int = 0, every: float = 0) -> Call[Fenced]:
    """Archive all up to now, within *seconds*: into storage number *repo* (0: all). With *every* only a segment is
    closed, and none within so many seconds of the one before.
    """
    more = (f"&repo={repo}" if repo else "") + (f"&every={every:g}" if every else "")
    return Call(f"{FENCE}?timeout={seconds:g}{more}", Fenced)


def clear_recovery() -> Call[Outcome]:
    """Take a restore's target out of postgresql.auto.conf."""
    return Call(CLEAR_RECOVERY, Outcome)


def checkpoint() -> Call[Outcome]:
    """Of the PostgreSQL beside the agent: it stops sooner afterwards."""
    return Call(CHECKPOINT, Outcome)


def recovery_finish() -> Call[Outcome]:
    """Of a recovery that follows the archive: replay what is there by now, promote, and shut down."""
    return Call(RECOVERY_FINISH, Outcome)
