"""A PostgresCluster that begins as a copy: whether it can, how far it is, and how it has ended. Pure.

The condition `DataSource` remembers it: Cloned, Recovered and their failures are final.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

import msgspec

from controller.cluster.clone_needs import FAILED as LACKING
from controller.cluster.clone_script import FAILED_RECOVERY, FAILED_RESTORE
from controller.recovery import set_version, target
from controller.recovery.exit_codes import HOPELESS
from controller.recovery.hindrance import Hindrance, never, not_yet
from controller.runtime import conditions
from pgwarden.api.kinds import DataSource, RepositorySpec
from pgwarden.api.objects import Object
from pgwarden.contract.calls import NewestWal
from pgwarden.pgbackrest.info import Info
from pgwarden.pgbackrest.trouble import redact
from pgwarden.rules import data_source as rules

CONDITION = "DataSource"
CLONED, FAILED, CLONING = "Cloned", "CloneFailed", "Cloning"
#: The same of a cluster that begins with what its own Repository holds.
RECOVERED, RECOVERY_FAILED, RECOVERING = "Recovered", "RecoveryFailed", "Recovering"
DONE, FAILURES = frozenset({CLONED, RECOVERED}), frozenset({FAILED, RECOVERY_FAILED})
FINAL = DONE | FAILURES
#: So often a clone is tried where another try may end better; the kubelet's pauses between them are five minutes.
#: Counted in its pod: an attempt is none that was killed, or that found nobody at its source (pgBackRest's 049).
ATTEMPTS = 5
_SAID = re.compile(rf"({FAILED_RESTORE}|{FAILED_RECOVERY}|{LACKING})(?: (\d+))?(?: \((\d+)\))?: *(.*)", re.DOTALL)


@dataclass(frozen=True)
class Source:
    """The Repository that is copied, as it was just read. *error* is why it cannot be asked."""

    repository: Object | None = None
    info: Info | None = None
    error: str = ""
    newest_wal: NewestWal | None = None  # asked for where it is to be taken over


@dataclass(frozen=True)
class Attempt:
    """What the pod that makes the clone says of it."""

    number: int = 1
    message: str = ""  # why the last one failed, in pgBackRest's or PostgreSQL's own words
    hopeless: bool = False  # another one would end the same way
    failures: int = 0  # how many have failed, of those that count


def said(cluster: Object) -> str:
    """The reason of the condition; empty before anything has been judged."""
    found = conditions.find((cluster.get("status") or {}).get("conditions", []), CONDITION)
    return str(found["reason"]) if found else ""


def message(cluster: Object) -> str:
    found = conditions.find((cluster.get("status") or {}).get("conditions", []), CONDITION)
    return str(found["message"]) if found else ""


def title(wanted: DataSource, namespace: str) -> str:
    where = wanted.namespace or namespace
    return f"Repository {wanted.repository}" + (f" of namespace {where}" if where != namespace else "")


def hindrance(
    wanted: DataSource, namespace: str, source: Source, now: datetime, version: int | None = None
) -> Hindrance | None:
    """*version* is the major of PostgreSQL in the clone's image.

    Why the clone cannot be begun, looked at once more before anything is made; None where it can.
    """
    which = title(wanted, namespace)
    if source.repository is None:
        return not_yet("SourceMissing", f"{which} does not exist")
    if not rules.allows(source.repository, namespace):
        return not_yet("NotAllowed", f"{which} does not allow clones into namespace {namespace} (spec.cloneableFrom)")
    if source.info is None:
        return not_yet("SourceNotReachable", f"{which}: {source.error or 'its backups cannot be listed yet'}")
    spec = msgspec.convert(source.repository["spec"], RepositorySpec)
    problem = target.storage(wanted.as_restore(), spec, source.info, now)
    if isinstance(problem, Hindrance):
        said = never if problem.final else not_yet
        return said(problem.reason, f"{which}: {problem.message.replace('spec.', 'spec.dataSource.')}")
    other = set_version.of_source(wanted, spec, source.info, version)
    if other:
        return never("SetOfOtherVersion", f"{which}: {other}")
    return _not_archived(wanted, which, source.repository)


def _not_archived(wanted: DataSource, which: str, repository: Object) -> Hindrance | None:
    """Recovery to a moment ends at a transaction after it. The source is not asked to write one: it is waited for."""
    asked = wanted.as_restore()
    moment, latest = target.wanted_time(asked), target.archived_until(repository, asked)
    if moment is None or latest is None or moment <= latest:
        return None
    until = conditions.timestamp(latest)
    text = f"{which} has archived up to {until}, and the target is later; the clone starts when that WAL is archived"
    return not_yet("TargetNotArchived", text)


def progress(found: Attempt, what: str, instance: str) -> str:
    """*what* is what goes on, such as `cloning Repository rhino`."""
    if found.message:
        return f"{what}: attempt {found.number}; the last one ended: {found.message}"
    return f"{what}: instance {instance} restores and recovers"


def attempt(pod: Object | None) -> Attempt:
    """How far the pod of the first instance has come, by what its container left when it ended."""
    if pod is None or "deletionTimestamp" in pod["metadata"]:
        return Attempt()  # of an earlier cluster of this name, perhaps
    for status in pod.get("status", {}).get("containerStatuses", []):
        if status["name"] != "postgres":
            continue
        ended = status.get("state", {}).get("terminated") or status.get("lastState", {}).get("terminated") or {}
        match = _SAID.search(str(ended.get("message") or ""))
        number = int(status.get("restartCount", 0)) + 1
        if match is None and ended:
            return Attempt(number, f"its container ended ({ended.get('reason')}, exit code {ended.get('exitCode')})")
        if match is None:
            return Attempt(number)
        kind, code, failures, words = match.groups()
        if kind == LACKING:
            return Attempt(number, _lacking(redact(words).strip()), hopeless=True)
        # A FATAL error of recovery would occur again in the next attempt, except one of restore_command.
        final = int(code) in HOPELESS if code else "FATAL:" in words and "could not restore file" not in words
        text = f"{_name(kind)}: {redact(words).strip() or 'without a message'}"
        return Attempt(number, text, final, int(failures or 0))
    return Attempt()


def _lacking(words: str) -> str:
    return (
        f"nothing was copied, because the image lacks what the source has: {words}. Name an image in spec.image that "
        "has it; a library can also be left out (spec.parameters.shared_preload_libraries)"
    )


def _name(kind: str) -> str:
    return "pgbackrest restore failed" if kind == FAILED_RESTORE else "PostgreSQL did not recover"


def has_failed(found: Attempt) -> bool:
    return found.hopeless or found.failures >= ATTEMPTS
