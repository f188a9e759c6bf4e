"""A PostgresCluster that begins as a copy: whether it can, how far it is, and how it has ended. Pure.

The condition `DataSource` remembers it: Cloned, Recovered and their failures are final.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from controller.recovery import set_version, target
from controller.recovery.hindrance import Hindrance, never, not_yet
from controller.recovery.needs import LIBRARY_MISSING, LOCALE_MISSING
from controller.recovery.progress import FAILED_WITHOUT_REASON, Progress
from controller.runtime import conditions
from pgwarden import storages
from pgwarden.api.kinds import DataSource, RepositorySpec
from pgwarden.api.objects import Object
from pgwarden.contract.calls import NewestWal
from pgwarden.pgbackrest.info import Info
from pgwarden.rules import data_source as rules

CONDITION = "DataSource"
CLONED, FAILED, CLONING = "Cloned", "CloneFailed", "Cloning"
#: The same of a cluster that begins with what its own Repository holds.
RECOVERED, RECOVERY_FAILED, RECOVERING = "Recovered", "RecoveryFailed", "Recovering"
#: Of an Event of the source: it has taken back what allowed a clone that was under way.
ENDED = "CloneEnded"
AT_WORK = frozenset({CLONING, RECOVERING})
DONE, FAILURES = frozenset({CLONED, RECOVERED}), frozenset({FAILED, RECOVERY_FAILED})
FINAL = DONE | FAILURES
#: pgBackRest's HostConnectError, and that it was ended by a signal.
WAITED_FOR = frozenset({49, 63})
#: A source that has archived nothing for so long has archived all that it wrote before.
QUIET = timedelta(minutes=1)


#: A Restore's, in the engine's words.
_RESTORES_FIELD = re.compile(r"\bspec\.(?=(target|targetTimeline|set|storage)\b)")


@dataclass(frozen=True)
class Source:
    """The Repository that is copied, as it was just read. *error* is why it cannot be asked."""

    repository: Object | None = None
    info: Info | None = None
    error: str = ""
    newest_wal: NewestWal | None = None  # asked for where it is to be taken over
    restores: tuple[Object, ...] = ()  # of the Repository


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
    return _taken_back(wanted, which, source) or _not_archived(wanted, which, source.repository, now)


def no_longer_allowed(wanted: DataSource, namespace: str, repository: Object) -> str:
    """Why a clone that is under way ends, with what it was given; empty where it may go on."""
    if rules.allows(repository, namespace):
        return ""
    which = title(wanted, namespace)
    text = f"NotAllowed: {which} no longer allows clones into namespace {namespace} (spec.cloneableFrom)"
    return ". ".join([text, *_given(wanted, msgspec.convert(repository["spec"], RepositorySpec))])


def _given(wanted: DataSource, spec: RepositorySpec) -> Iterator[str]:
    """What a clone was given that is good for longer than its certificate."""
    for storage in storages.REGISTER:
        given = storage.name in spec.storages and wanted.storage in {"", storage.name}
        keys = storage.clone_keys(spec) or storage.keys(spec) if given else None
        if keys is not None:
            yield f"It had the keys of Secret {keys.secret} ({keys.field}): they stay valid until they are rotated"
    if spec.encryption:
        secret = f"Secret {spec.encryption.secret_ref.name} (spec.encryption.secretRef)"
        yield f"It had the passphrase of {secret}: that opens all backups that it can still reach, or has copied"


def _taken_back(wanted: DataSource, which: str, source: Source) -> Hindrance | None:
    """By a Restore that has ended since the clone was asked for: it would get another state than the one it names."""
    problem = target.taken_back(wanted.as_restore(), source.restores)
    return never("TimeTakenBack", f"{which}: the target's time {problem}") if problem else None


def _not_archived(wanted: DataSource, which: str, repository: Object, now: datetime) -> Hindrance | None:
    """Recovery to a moment ends at a transaction after it. The source is not asked to write one: it is waited for.

    The status ends with a whole second. Where a minute has brought no more WAL, all of that second is archived.
    """
    asked = wanted.as_restore()
    if asked.repo_target_time:
        return None
    moment, latest = target.wanted_time(asked), target.archived_until(repository, asked)
    if moment is None or latest is None or moment <= latest:
        return None
    if moment < latest + timedelta(seconds=1) and now - latest > QUIET:
        return None
    until = conditions.timestamp(latest)
    text = f"{which} has archived up to {until}, and the target is later; the clone starts when that WAL is archived"
    return not_yet("TargetNotArchived", text)


def may_end_better(found: Progress) -> bool:
    """Of a recovery whose Job has failed: whether another Job may end better, however often. What is wrong with the
    world is waited for: a source that does not answer, a pod that was killed or ran out of memory.
    """
    if found.reason != FAILED_WITHOUT_REASON:
        return False
    return found.result is None or found.result.exit_code in WAITED_FOR


def failure(found: Progress, *, own: str = "") -> str:
    """Why a recovery has failed for good, and the way out. *own* is the cluster's name where it was of its own
    Repository.
    """
    words = f"{found.reason}: {found.message}"
    if found.reason in {LOCALE_MISSING, LIBRARY_MISSING}:
        words += ". Name an image in spec.image that has it; a library can also be left out (spec.parameters)"
    if own:
        again = f"spec.dataSource: repository {own}, with an earlier target or another set"
        return f"{words}; the Repository is unchanged. Another PostgresCluster can begin with it ({again})"
    words = _RESTORES_FIELD.sub("spec.dataSource.", words)
    return f"{words}; the source is unchanged; delete this PostgresCluster and create another one"


def result(found: Progress) -> str:
    """Where a recovery has brought PostgreSQL, in a sentence."""
    if found.result is None:
        return "PostgreSQL recovered"
    text = f"PostgreSQL recovered to {found.result.reached or 'the end of the backup set'}"
    return text + (f"; {found.result.note}" if found.result.note else "")
