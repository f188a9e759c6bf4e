"""The status of a Repository out of its facts. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from controller import admission
from controller.repository import decide, expiry, gaps, lost, renewal, room, segment, storages, tools
from controller.repository.facts import RepositoryFacts
from controller.runtime import conditions
from pgwarden.api import names, outside
from pgwarden.api.objects import Object
from pgwarden.api.postgres_majors import major_of
from pgwarden.api.reading import objects
from pgwarden.contract import last_drills, server_facts
from pgwarden.contract.status import Archiver
from pgwarden.pgbackrest.info import BackupSet, Info
from pgwarden.rules import backup_sets

LISTED_BACKUPS = backup_sets.LISTED
MOST_WINDOWS = 5  # of each storage
LONGEST_PROBLEM = 1024  # characters of what is wrong with a pod, which its agent says


def status(facts: RepositoryFacts, backup_names: Mapping[str, str]) -> Object:
    """*backup_names* maps the uid of a Backup object to its name."""
    before = facts.repository.get("status") or {}
    sets = _sets(facts, backup_names)
    foreign = decide.foreign_cluster(facts) is not None
    with_facts = _with_facts(storages.status(facts, foreign=foreign), before, sets)
    filled, offered = room.measured(facts), expiry.offer(facts)
    with_facts = [one | room.of_storage(filled, one["name"]) for one in with_facts]
    if offered is not None:
        with_facts = [
            one | {expiry.FIELD: offered.entry} if one["name"] == offered.storage else one for one in with_facts
        ]
    with_facts = [one | {gaps.FIELD: found} if (found := gaps.entry(facts, one["name"])) else one for one in with_facts]
    after = before | {
        "observedGeneration": facts.repository["metadata"]["generation"],
        "phase": decide.phase(facts),
        **dict(zip(("reason", "message"), decide.why(facts), strict=True)),
        "conditions": _conditions(facts, before),
        "stanza": facts.stanza,
        "storages": with_facts,
        "backupCount": _total(with_facts),
        "pods": _pods(facts, filled),
        "primary": facts.primary.name if facts.primary else None,
        "activeOperation": facts.operation or None,
        "nextScheduledBackup": facts.next_scheduled or None,
        tools.FIELD: tools.entry(facts.versions) or None,
        renewal.FIELD: renewal.entries(facts.repository, owed(facts), facts.backups, facts.now) or None,
        last_drills.FIELD: last_drills.of(facts.repository) or None,
        segment.FIELD: segment.kept(facts, archives=decide.archiving(facts).status is True),
    }
    return after | _of_primary(facts) | _of_server(facts, foreign=foreign) | _of_repository(facts, before, sets)


def _proven(facts: RepositoryFacts) -> last_drills.Proven:
    return last_drills.verdict(last_drills.of(facts.repository), facts.spec.storages)


_JUDGES = (
    ("Ready", decide.ready),
    ("Reachable", decide.reachable),
    ("Writable", decide.writable),
    ("Sized", decide.sized),
    ("HasRoom", decide.has_room),
    ("StanzaCreated", decide.stanza),
    ("Archiving", decide.archiving),
    ("WALContinuous", decide.continuous),
    ("SameVersion", decide.same_version),
    (last_drills.CONDITION, _proven),
)


def _conditions(facts: RepositoryFacts, before: Object) -> list[Object]:
    generation = facts.repository["metadata"]["generation"]
    listed = admission.refusal(before.get("conditions", []), facts.refused, now=facts.now, generation=generation)
    for kind, judge in _JUDGES:
        verdict = judge(facts)
        if verdict is None:
            listed = conditions.without(listed, kind)
            continue
        listed = conditions.put(
            listed, kind, verdict.status, verdict.reason, verdict.message, now=facts.now, generation=generation
        )
    return listed


def _pods(facts: RepositoryFacts, filled: Sequence[room.Filled]) -> list[Object]:
    return [
        {
            "name": pod.name,
            "role": pod.role,
            "reachable": pod.answer is not None and not pod.error,
            "injected": pod.facts is not None,
            "message": outside.printable(pod.problem)[:LONGEST_PROBLEM],
        }
        | _version_of(facts, pod.name)
        | room.of_pod(filled, pod.name)
        for pod in facts.pods
    ]


def owed(facts: RepositoryFacts) -> list[renewal.Debt]:
    """The full backups that are owed, with what was found in this look."""
    return renewal.standing(facts.repository.get("status") or {}, lost.debts(facts), lost.newest_full(facts))


def _version_of(facts: RepositoryFacts, pod: str) -> Object:
    told = facts.versions.spoken.get(pod)
    return {tools.VERSION: told} if told else {}


def _of_primary(facts: RepositoryFacts) -> Object:
    """Kept as they were while no primary answers: stale, but the best that is known."""
    if facts.primary is None:
        return {}
    return {
        "unarchivedWAL": facts.primary.unarchived,
        "systemIdentifier": facts.primary.postgres.system_identifier,
        "postgresVersion": facts.primary.postgres.server_version,
    }


def _of_server(facts: RepositoryFacts, *, foreign: bool) -> Object:
    """What a recovery will want to know. What was known last, while no primary tells, or another cluster's
    does; where the status has lost that, what the newest backup set says.
    """
    told = facts.primary and facts.primary.answer and facts.primary.answer.facts
    if told and not foreign:
        return {server_facts.FIELD: server_facts.entry(told)}
    if (facts.repository.get("status") or {}).get(server_facts.FIELD):
        return {}
    marks = (one.annotations.get(names.PGBACKREST_ANNOTATION_SERVER, "") for one in reversed(_backups(facts)))
    known = next(filter(None, map(server_facts.marked, filter(None, marks))), None)
    return {server_facts.FIELD: server_facts.entry(known)} if known else {}


def _backups(facts: RepositoryFacts) -> tuple[BackupSet, ...]:
    return facts.info.backups if facts.info else ()


def _sets(facts: RepositoryFacts, backup_names: Mapping[str, str]) -> dict[str, list[Object]]:
    """All sets of each storage that could be read, newest first: in full those that may be listed or named."""
    named, info = facts.spec.storages, facts.info
    found: dict[str, list[Object]] = {storage.name: [] for storage in storages.read(facts)}
    seen: set[tuple[int, str]] = set()
    for one in reversed(info.backups if info else ()):
        sets = found.get(named[one.repo - 1]) if one.repo <= len(named) else None
        if sets is None:
            continue
        in_full = len(sets) < LISTED_BACKUPS or (one.repo, one.type) not in seen
        sets.append(_backup(one, named, backup_names) | _version(one, info) if in_full else _brief(one))
        seen.add((one.repo, one.type))
    return found


def _with_facts(entries: list[Object], before: Object, sets: Mapping[str, list[Object]]) -> list[Object]:
    """`status.storages` with what is known of all sets; of a storage that cannot be read now, what was known last."""
    known = {str(one.get("name")): one for one in objects(before, "storages")}
    return [entry | _facts(sets.get(entry["name"]), known.get(entry["name"], {})) for entry in entries]


def _facts(sets: list[Object] | None, known: Object) -> Object:
    if sets is not None:
        return backup_sets.facts_of(sets)
    return {key: value for key, value in known.items() if key in backup_sets.FACTS}


def _total(entries: list[Object]) -> int | None:
    """None while no storage has been read."""
    counts = [entry["backupCount"] for entry in entries if "backupCount" in entry]
    return sum(counts) if counts else None


def _of_repository(facts: RepositoryFacts, before: Object, sets: Mapping[str, list[Object]]) -> Object:
    """What is in the storages. Of one that cannot be read now, what was known last."""
    if facts.info is None:
        return {}
    archiver = facts.primary.archiver if facts.primary else Archiver()
    known = before.get("archive") or {}
    latest = _whole_seconds(archiver.last_archived_time) or known.get("lastArchivedTime")
    named, archive = facts.spec.storages, facts.info.archive(1)
    gone = {name for name in named if name not in sets}
    listed = [entry for own in sets.values() for entry in own[:LISTED_BACKUPS]]
    newest = backup_sets.newest_first([*listed, *_kept(before, "backups", gone)])[:LISTED_BACKUPS]
    last = newest[0] if newest else None
    stale = named[0] in gone
    return {
        "archive": {
            "min": known.get("min") if stale else archive and archive.min,
            "max": known.get("max") if stale else archive and archive.max,
            "lastArchivedWal": archiver.last_archived_wal or known.get("lastArchivedWal"),
            "lastArchivedTime": latest,
        },
        "recoveryWindow": sorted(
            [*_windows(facts, facts.info, latest or "", gone), *_kept(before, "recoveryWindow", gone)],
            key=lambda w: int(w["repo"]),
        ),
        "backups": newest,
        "lastBackup": {key: last[key] for key in ("label", "type", "stopTime")} if last else None,
    }


def _kept(before: Object, field: str, gone: set[str]) -> list[Object]:
    return [entry for entry in before.get(field) or [] if entry.get("storage") in gone]


def _windows(facts: RepositoryFacts, info: Info, latest: str, gone: set[str]) -> list[Object]:
    """Of each storage, the newest first: a gap in its WAL parts it in two."""
    return [
        {
            "storage": name,
            "repo": number,
            "earliest": conditions.timestamp(window.earliest),
            "latest": gaps.latest(window, max(latest, _latest_in(facts, info, number))),
        }
        | ({"missing": window.gap.missing} if window.gap else {})
        for number, name in enumerate(facts.spec.storages, 1)
        if name not in gone
        for window in gaps.windows(info, number, gaps.known(facts, name))[:MOST_WINDOWS]
    ]


def _latest_in(facts: RepositoryFacts, info: Info, number: int) -> str:
    """What storage *number* itself shows: while another one is away, PostgreSQL's archiver tells of neither."""
    sets = [conditions.timestamp(one.stop) for one in info.backups if one.repo == number and not one.error]
    return max([*sets, storages.last_wal_time(facts, number)], default="")


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


def _version(one: BackupSet, info: Info | None) -> Object:
    """The major version of a set that is of another one than the stanza is today."""
    current = info.current(one.repo) if info else None
    major = major_of(info.version_of(one)) if info else None
    return {"postgresVersion": str(major)} if current and major and major != major_of(current.version) else {}


def _brief(one: BackupSet) -> Object:
    """What is counted and compared of a set: there may be thousands, at each look."""
    return {"type": one.type, "walStop": one.wal_stop, "lsnStop": one.lsn_stop, "error": one.error}


def _whole_seconds(time: str | None) -> str | None:
    """`2026-11-23T10:00:00.123456Z` without its fraction: rounded down, so that what is promised is there."""
    return f"{time[:19]}Z" if time else None
