"""A Repository as the controller leaves it: `pgbackrest info` of any sets, read and reported by the code in production.

Every fixture that has `status.backups` is built here, so that no consumer is tested with what is never produced.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from controller.repository import report
from controller.repository.facts import PodView, RepositoryFacts
from pgwarden import storages
from pgwarden.api import names
from pgwarden.api.defaults import OperatorDefaults
from pgwarden.api.kinds import RepositorySpec
from pgwarden.contract.archive import Archive, Gap
from pgwarden.contract.status import Status
from pgwarden.pgbackrest.info import Info, parse_info

Object = dict[str, Any]
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SYSTEM = 7711430294125437854
_LETTERS = {"full": "F", "diff": "D", "incr": "I"}
KINDS = {letter: kind for kind, letter in _LETTERS.items()}
S3 = {"bucket": "b", "endpoint": "s3.example", "region": "r", "credentialsSecretRef": {"name": "keys"}}


@dataclass(frozen=True, kw_only=True)
class Set:
    """One backup set: `number` gives it its WAL; what it builds on is in `full` and `prior`."""

    kind: str
    stop: datetime
    number: int
    took: timedelta = timedelta(minutes=10)
    repo: int = 1
    timeline: int = 1
    full: str = ""
    prior: str = ""
    error: bool = False
    uid: str = ""

    @property
    def label(self) -> str:
        own = f"{self.stop - self.took:%Y%m%d-%H%M%S}{_LETTERS[self.kind]}"
        return own if self.kind == "full" else f"{self.full}_{own}"

    @property
    def lsn(self) -> str:
        """At which it is consistent: 60 bytes into its own segment of 16 MiB."""
        return f"{self.number // 256:X}/{self.number % 256 * 2**24 + 0x60:X}"

    @property
    def segment(self) -> str:
        return f"{self.timeline:08X}{self.number // 256:08X}{self.number % 256:08X}"

    @property
    def json(self) -> Object:
        return {
            "annotation": {names.PGBACKREST_ANNOTATION_UID: self.uid} if self.uid else None,
            "archive": {"start": self.segment, "stop": self.segment},
            "backrest": {"format": 5, "version": "2.60.0"},
            "database": {"id": 1, "repo-key": self.repo},
            "error": self.error,
            "info": {
                "delta": 23422072,
                "repository": {"delta": 2812904, "delta-map": 24768, "size-map": 24768},
                "size": 23422072,
            },
            "label": self.label,
            "lsn": {"start": self.lsn[:-2] + "28", "stop": self.lsn},
            "prior": self.prior or None,
            "reference": [self.full] if self.full else None,
            "timestamp": {"start": int((self.stop - self.took).timestamp()), "stop": int(self.stop.timestamp())},
            "type": self.kind,
        }


def chain(
    letters: str, *, last: datetime = NOW - timedelta(hours=1), every: timedelta = timedelta(hours=1), **more: Any
) -> list[Set]:
    """One set for each of *letters* (`FIID`), oldest first, *every* so often until *last*: each builds as pgBackRest
    has it, a diff on the full one, an incr on the one before.
    """
    made: list[Set] = []
    full = prior = ""
    first = more.pop("first", 3)
    for n, letter in enumerate(letters):
        stop = last - every * (len(letters) - 1 - n)
        on = {"F": "", "D": full, "I": prior}[letter]
        of = "" if letter == "F" else full
        one = Set(kind=KINDS[letter], stop=stop, number=first + n, full=of, prior=on, **more)
        full = one.label if letter == "F" else full
        prior = one.label
        made.append(one)
    return made


def document(sets: Iterable[Set], repos: int = 1, unreadable: Sequence[int] = (), newest: int = 0) -> list[Object]:
    """What `pgbackrest info --output=json` prints. *newest*: the timeline of the last segment in the archive."""
    listed = [one for one in sets if one.repo not in unreadable]
    first = min((one.number for one in listed), default=1)
    last = max((one.number for one in listed), default=1) + 1
    timelines = [one.timeline for one in listed] or [1]
    low, high = min(timelines), max(newest, *timelines)
    fine = [repo for repo in range(1, repos + 1) if repo not in unreadable]
    code = {repo: {"code": 99, "message": "[CryptoError] no"} if repo in unreadable else {"code": 0, "message": "ok"}
            for repo in range(1, repos + 1)}  # fmt: skip
    entry: Object = {
        "archive": [
            {"database": {"id": 1, "repo-key": repo}, "id": "17-1",
             "min": f"{low:08X}{first // 256:08X}{first % 256:08X}", "max": f"{high:08X}{last // 256:08X}{last % 256:08X}"}
            for repo in fine
        ],
        "backup": [one.json for one in listed],
        "cipher": "none",
        "db": [{"id": 1, "repo-key": repo, "system-id": SYSTEM, "version": "17"} for repo in fine],
        "name": "hippo",
        "repo": [{"cipher": "none", "key": repo, "status": status} for repo, status in code.items()],
        "status": {"code": 0 if fine else 99, "message": "ok"},
    }  # fmt: skip
    return [entry]


def facts(
    found: Info | None,
    storage_type: str = "local",
    *,
    before: Object | None = None,
    archived: datetime = NOW - timedelta(minutes=5),
    **spec: Any,
) -> RepositoryFacts:
    """Of a Repository whose primary archives, and has done so *archived*."""
    archiver = {"lastArchivedWal": "0" * 24, "lastArchivedTime": f"{archived:%Y-%m-%dT%H:%M:%SZ}"}
    postgres = {
        "reachable": True,
        "systemIdentifier": str(SYSTEM),
        "archiveMode": "on",
        "archiveCommand": "/pgwarden/x",
    }
    pod = PodView("db-0", "10.0.0.1", None, msgspec.convert({"postgres": postgres, "archiver": archiver}, Status))
    given = {"storageType": storage_type, "retention": {"full": 7}} | spec
    given |= {"s3": S3} if "s3" in storage_type else {}
    repository: Object = {
        "apiVersion": "pgwarden.io/v1alpha1",
        "kind": "Repository",
        "metadata": {"name": "hippo", "namespace": "ns", "generation": 1, "uid": "u-hippo"},
        "spec": given,
    }
    repository |= {"status": before} if before is not None else {}
    converted = msgspec.convert(given, RepositorySpec)
    return RepositoryFacts(
        repository, converted, NOW, (pod,), host_ready=True, info=found,
        places=storages.places(converted, OperatorDefaults(), "ns", "hippo"),
    )  # fmt: skip


def read(sets: Iterable[Set], storage_type: str = "local", **more: Any) -> Info:
    found = parse_info(document(sets, storage_type.count(",") + 1, **more), "hippo")
    assert found is not None
    return found


def repository(
    sets: Iterable[Set] = (),
    storage_type: str = "local",
    *,
    before: Object | None = None,
    archived: datetime = NOW - timedelta(minutes=5),
    gaps: Sequence[Gap] = (),
    **more: Any,
) -> Object:
    """Repository hippo in namespace ns with the status that the controller gives it. *gaps* are those of the first
    storage's WAL, *more* is for `document`.
    """
    given = facts(read(sets, storage_type, **more), storage_type, before=before, archived=archived)
    given = replace(given, archives=(Archive(repo=1, complete=True, gaps=tuple(gaps)),))
    return given.repository | {"status": stored(report.status(given, {}))}


def stored(status: Object) -> Object:
    """As the API server has it: through JSON, and without what is None at the top."""
    plain: Object = msgspec.json.decode(msgspec.json.encode(status))
    return {key: value for key, value in plain.items() if value is not None}


def without_facts(found: Object) -> Object:
    """*found* as a version without facts left it."""
    listed = [
        {key: value for key, value in one.items() if not key.startswith(("backupCount", "damaged", "earliest", "last"))}
        for one in found["status"]["storages"]
    ]
    status = {key: value for key, value in found["status"].items() if key != "backupCount"}
    return found | {"status": status | {"storages": listed}}
