"""The status of a Repository out of its Facts. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from pgwarden.api import names
from pgwarden.controller.repository import decide, storages
from pgwarden.controller.repository.facts import Facts
from pgwarden.controller.runtime import conditions
from pgwarden.kube.client import Object
from pgwarden.pgbackrest.info import BackupSet, Info, recovery_window

LISTED_BACKUPS = 50  # the newest; all of them are in `pgbackrest info`


def status(facts: Facts, backup_names: Mapping[str, str]) -> Object:
    """*backup_names* maps the uid of a Backup object to its name."""
    before = facts.repository.get("status") or {}
    generation = facts.repository["metadata"]["generation"]
    listed = [one for one in before.get("conditions", []) if one["type"] != "Rejected"]
    for kind, judge in (
        ("Ready", decide.ready),
        ("Reachable", decide.reachable),
        ("StanzaCreated", decide.stanza),
        ("Archiving", decide.archiving),
    ):
        verdict = judge(facts)
        listed = conditions.put(
            listed, kind, verdict.status, verdict.reason, verdict.message, now=facts.now, generation=generation
        )
    after = before | {
        "observedGeneration": generation,
        "phase": decide.phase(facts),
        "conditions": listed,
        "stanza": names.stanza(facts.repository["metadata"]["name"]),
        "storages": storages.status(facts, foreign=decide.foreign_cluster(facts) is not None),
        "pods": [
            {
                "name": pod.name,
                "role": pod.role,
                "reachable": bool(pod.answer) and not pod.error,
                "injected": pod.facts is not None,
                "message": pod.problem,
            }
            for pod in facts.pods
        ],
        "primary": facts.primary.name if facts.primary else None,
        "activeOperation": facts.operation or None,
        "nextScheduledBackup": facts.next_scheduled or None,
    }
    return after | _of_primary(facts) | _of_repository(facts, before, backup_names)


def _of_primary(facts: Facts) -> Object:
    """Kept as they were while no primary answers: stale, but the best that is known."""
    if facts.primary is None:
        return {}
    return {
        "unarchivedWAL": facts.primary.answer.get("unarchived"),
        "systemIdentifier": facts.primary.postgres.get("systemIdentifier"),
        "postgresVersion": facts.primary.postgres.get("serverVersion"),
    }


def _of_repository(facts: Facts, before: Object, backup_names: Mapping[str, str]) -> Object:
    """What is in the storages. Of one that cannot be read now, what was known last."""
    if facts.info is None:
        return {}
    archiver = facts.primary.archiver if facts.primary else {}
    known = before.get("archive") or {}
    latest = _whole_seconds(archiver.get("lastArchivedTime")) or known.get("lastArchivedTime")
    named, archive = facts.spec.storages, facts.info.archive(1)
    gone = {storage.name for storage in storages.unreadable(facts)}
    listed = [_backup(one, named, backup_names) for one in facts.info.backups if one.repo <= len(named)]
    listed = sorted(listed + _kept(before, "backups", gone), key=lambda one: str(one["stopTime"]))
    newest = list(reversed(listed))[:LISTED_BACKUPS]
    last = newest[0] if newest else None
    stale = named[0] in gone
    return {
        "archive": {
            "min": known.get("min") if stale else archive and archive.min,
            "max": known.get("max") if stale else archive and archive.max,
            "lastArchivedWal": archiver.get("lastArchivedWal") or known.get("lastArchivedWal"),
            "lastArchivedTime": latest,
        },
        "recoveryWindow": sorted(
            [*_windows(facts, facts.info, latest or ""), *_kept(before, "recoveryWindow", gone)],
            key=lambda w: int(w["repo"]),
        ),
        "backups": newest,
        "lastBackup": {key: last[key] for key in ("label", "type", "stopTime")} if last else None,
    }


def _kept(before: Object, field: str, gone: set[str]) -> list[Object]:
    return [entry for entry in before.get(field) or [] if entry.get("storage") in gone]


def _windows(facts: Facts, info: Info, latest: str) -> list[Object]:
    named = facts.spec.storages
    return [
        {
            "storage": named[number - 1],
            "repo": number,
            "earliest": conditions.timestamp(earliest),
            "latest": max(latest, conditions.timestamp(earliest)),
        }
        for number, earliest in sorted(recovery_window(info).items())
        if number <= len(named)
    ]


def _backup(one: BackupSet, named: tuple[str, ...], backup_names: Mapping[str, str]) -> Object:
    listed: Object = {
        "label": one.label,
        "type": one.type,
        "storage": named[one.repo - 1],
        "repo": one.repo,
        "startTime": conditions.timestamp(one.start),
        "stopTime": conditions.timestamp(one.stop),
        "databaseSize": one.database_size,
        "backupSize": one.repository_delta,
        "walStart": one.wal_start,
        "walStop": one.wal_stop,
        "lsnStart": one.lsn_start,
        "lsnStop": one.lsn_stop,
        "error": one.error,
    }
    if one.prior:
        listed["prior"] = one.prior
    name = backup_names.get(one.annotations.get(names.PGBACKREST_ANNOTATION_UID, ""))
    return listed | {"backup": name} if name else listed


def _whole_seconds(time: str | None) -> str | None:
    """`2026-11-23T10:00:00.123456Z` without its fraction: rounded down, so that what is promised is there."""
    return f"{time[:19]}Z" if time else None
