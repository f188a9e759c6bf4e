"""What a step says: it is done, it waits, it wants one thing done, or the restore has failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from controller.recovery.hindrance import Hindrance
from controller.recovery.plan import Plan
from pgwarden.api.objects import Object
from pgwarden.contract.calls import Call, Reply

POLL = 2.0  # seconds between looks at what tells nobody that it has changed
SLOW = 10.0
SOON = 0.2  # while PostgreSQL is down

#: Reasons with which a step whose condition is False has been dealt with all the same.
NOT_NEEDED = "NotNeeded"
ARCHIVED_ONLY = "ArchivedOnly"
BACKUP_FAILED = "BackupFailed"
SETTLED = frozenset({NOT_NEEDED, ARCHIVED_ONLY, BACKUP_FAILED})


@dataclass(frozen=True)
class Create:
    plural: str
    body: Object


@dataclass(frozen=True)
class Merge:
    plural: str
    namespace: str
    name: str
    body: Object


@dataclass(frozen=True)
class Delete:
    plural: str
    namespace: str
    name: str
    uid: str


@dataclass(frozen=True)
class Dismiss:
    """Take a pod away whose containers have all ended. Its node does that too, a second later."""

    namespace: str
    name: str
    uid: str


@dataclass(frozen=True)
class Ask:
    """Ask the agent at *ip*; its answer is in the facts when the step is judged again."""

    ip: str
    call: Call[Reply]
    seconds: float


Action = Create | Merge | Delete | Dismiss | Ask


@dataclass(frozen=True)
class StepVerdict:
    kind: str  # done | wait | act | fail
    reason: str
    message: str
    action: Action | None = None
    plan: Plan | None = None  # the plan from now on, where it changes
    status: Mapping[str, Any] = field(default_factory=dict)  # further fields of the Restore's status
    settled: bool = False  # done, yet the condition is False and the reason in SETTLED
    again: float = POLL


def done(reason: str, message: str, *, plan: Plan | None = None, **status: Any) -> StepVerdict:
    return StepVerdict("done", reason, message, plan=plan, status=status)


def settled(reason: str, message: str, **status: Any) -> StepVerdict:
    return StepVerdict("done", reason, message, status=status, settled=True)


def not_needed(message: str) -> StepVerdict:
    return settled(NOT_NEEDED, message)


def wait(
    reason: str,
    message: str,
    *,
    plan: Plan | None = None,
    again: float = POLL,
    **status: Any,
) -> StepVerdict:
    return StepVerdict("wait", reason, message, plan=plan, status=status, again=again)


def hindered(by: Hindrance) -> StepVerdict:
    if by.final:
        return fail(by.reason, by.message)
    return wait(by.reason, by.message, again=SLOW if by.slow else POLL)


def act(action: Action, reason: str, message: str, **status: Any) -> StepVerdict:
    return StepVerdict("act", reason, message, action=action, status=status)


def fail(reason: str, message: str, **status: Any) -> StepVerdict:
    return StepVerdict("fail", reason, message, status=status)
