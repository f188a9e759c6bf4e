"""The status of a Repository out of its Facts. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from pgwarden.api import names
from pgwarden.controller.repository import decide, storages
from pgwarden.controller.repository.facts import Facts
from pgwarden.controller.runtime import conditions
from pgwarden.kube.client import Object
from pgwarden.pgbackrest.info import BackupSet, recovery_window

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
        "storages": storages.status(facts),
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
    if facts.info is None:
        return {}
    archiver = facts.primary.archiver if facts.primary else {}
    known = before.get("archive") or {}
    latest = _whole_seconds(archiver.get("lastArchivedTime")) or known.get("lastArchivedTime")
    newest = list(reversed(facts.info.backups))[:LISTED_BACKUPS]
    archive = facts.info.archive(1)
    named = facts.spec.storages
    window = recovery_window(facts.info)
    last = newest[0] if newest else None
    return {
        "archive": {
            "min": archive.min if archive else None,
            "max": archive.max if archive else None,
            "lastArchivedWal": archiver.get("lastArchivedWal") or known.get("lastArchivedWal"),
            "lastArchivedTime": latest,
        },
        "recoveryWindow": [
            {
                "storage": named[number - 1],
                "repo": number,
                "earliest": conditions.timestamp(earliest),
                "latest": max(latest or "", conditions.timestamp(earliest)),
            }
            for number, earliest in sorted(window.items())
            if number <= len(named)
        ],
        "backups": [_backup(one, named, backup_names) for one in newest if one.repo <= len(named)],
        "lastBackup": {"label": last.label, "type": last.type, "stopTime": conditions.timestamp(last.stop)}
        if last
        else None,
    }


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
    name = backup_names.get(one.annotations.get(names.PGBACKREST_ANNOTATION_UID, ""))
    return listed | {"backup": name} if name else listed


def _whole_seconds(time: str | None) -> str | None:
    """`2026-11-23T10:00:00.123456Z` without its fraction: rounded down, so that what is promised is there."""
    return f"{time[:19]}Z" if time else None
