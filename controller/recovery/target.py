"""Whether the storage can bring PostgreSQL to the target. Pure; asked before anything is touched."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TypeVar

import msgspec

from controller.recovery.hindrance import Hindrance, never, not_yet
from pgwarden import storages
from pgwarden.api import target as forms
from pgwarden.api.kinds import DataSource, RepositorySpec, RestoreSpec
from pgwarden.api.objects import Object
from pgwarden.api.quantity import parse_quantity, size
from pgwarden.pgbackrest.info import BackupSet, Info, recovery_window
from pgwarden.rules import taken_back as times_taken_back
from pgwarden.storages import explain

Asked = TypeVar("Asked", RestoreSpec, DataSource)
_SHOWN = 5  # backup sets in a message


def wanted_time(spec: RestoreSpec) -> datetime | None:
    """The target's moment, where it is one. The rules have seen that it has the form."""
    if spec.target is None or spec.target.time is None:
        return None
    return forms.parse_time(spec.target.time)


def of_its_storage(spec: Asked) -> Asked:
    """With the one storage that spec.repoTargetTime is about, where it names none."""
    return msgspec.structs.replace(spec, storage=storages.read_from(spec.storage, spec.repo_target_time))


def as_of(spec: RestoreSpec, repository: RepositorySpec) -> tuple[int, str] | None:
    """Number of the storage that is read as it was, and when; None where it is read as it is, or is not there."""
    wanted = of_its_storage(spec)
    if not wanted.repo_target_time or wanted.storage not in repository.storages:
        return None
    return repository.repo_number(wanted.storage), forms.rfc3339(forms.whole_second(wanted.repo_target_time))


def taken_back(spec: RestoreSpec, restores: Iterable[Object]) -> str:
    """Why the target's moment needs a timeline after *restores*; the end of a sentence, empty where it does not."""
    moment = wanted_time(spec)
    if spec.repo_target_time:  # as of then, what was taken back since is there
        return ""
    return "" if moment is None or spec.target_timeline else times_taken_back.problem(restores, moment)


def repo_number(spec: RestoreSpec, repository: RepositorySpec) -> int | None:
    """None where pgBackRest may choose among the storages."""
    return repository.repo_number(spec.storage) if spec.storage else None


def away(repository: RepositorySpec, info: Info | None) -> dict[str, str]:
    """The storages that could not be read, with the reason."""
    said = {name: info.trouble(number) for number, name in enumerate(repository.storages, 1)} if info else {}
    return {name: explain(text).sentence for name, text in said.items() if text is not None}


def storage(spec: RestoreSpec, repository: RepositorySpec, info: Info | None, now: datetime) -> str | Hindrance:
    """The storage to restore from. Or why there is none, or none yet: what a storage that cannot be read holds is not
    known. Of several one is always named: pgBackRest by itself takes "not there" of one for an answer while the one
    that has the WAL is away. Empty where there is but one, or where none reaches the target by itself.
    """
    gone = away(repository, info)
    problem = unreachable(spec, repository, info, now)
    if (problem and (not gone or problem.reason == "TargetInFuture")) or (spec.storage and spec.storage not in gone):
        return problem or spec.storage
    if not gone and len(repository.storages) == 1:
        return ""
    left = [] if spec.storage else [name for name in repository.storages if name not in gone]
    for name in left:
        if unreachable(msgspec.structs.replace(spec, storage=name), repository, info, now) is None:
            return name
    if not gone:
        return ""
    why = "; ".join(f"storage {name}: {gone[name]}" for name in ([spec.storage] if spec.storage else gone))
    if problem and left:
        why += f". Of what can be read: {problem.message}"
    return not_yet("StorageNotReadable", why)


def without(repository: RepositorySpec, info: Info | None, chosen: str) -> str:
    """Why WAL could not be fetched now: the storage *chosen*, or each one, cannot be read. Empty where it can."""
    gone = away(repository, info)
    wanted = [chosen] if chosen else list(repository.storages)
    return "; ".join(f"storage {name}: {gone[name]}" for name in wanted) if gone.keys() >= set(wanted) else ""


def unreachable(spec: RestoreSpec, repository: RepositorySpec, info: Info | None, now: datetime) -> Hindrance | None:
    """Why the target cannot be reached whatever is done, or None."""
    moment, repo = wanted_time(spec), repo_number(spec, repository)
    if moment is not None and moment > now:
        return never("TargetInFuture", f"spec.target.time: {_text(spec)} is in the future (now: {_at(now)})")
    sets = [one for one in info.backups if repo in {None, one.repo}] if info else []
    where = f"storage {spec.storage}" if spec.storage else "the Repository"
    if not sets and spec.repo_target_time:
        text = (
            f"spec.repoTargetTime: {where} held no backup at {spec.repo_target_time}, or its bucket keeps no versions"
        )
        return never("NoBackup", f"{text}; choose another time")
    if not sets:
        text = f"{where} holds no backup to restore from yet; take one with a Backup"
        return not_yet("NoBackup", text, slow=True)
    if spec.set and spec.set != "latest":
        chosen = [one for one in sets if one.label == spec.set]
        if not chosen:
            return never("NoSuchSet", f"spec.set: {spec.set} is not in {where}; available: {_labels(sets)}")
        sets = chosen
    return _no_timeline(spec, sets, info) or _too_early(spec, sets, info, moment)


def _no_timeline(spec: RestoreSpec, sets: list[BackupSet], info: Info | None) -> Hindrance | None:
    wanted = forms.timeline_number(spec.target_timeline)
    if wanted is None:
        return None
    begun = [timeline for one in sets if (timeline := forms.timeline_of_segment(one.wal_stop))]
    repos = {one.repo for one in sets}
    archives = [one.max for one in info.archives if one.repo in repos] if info else []
    newest = max([*begun, *filter(None, map(forms.timeline_of_segment, archives))], default=0)
    what = f"spec.targetTimeline: {spec.target_timeline}"
    if newest and wanted > newest:
        return never("NoSuchTimeline", f"{what} has no WAL; the newest timeline is {newest} (latest)")
    if begun and wanted < min(begun):
        return never(
            "NoSuchTimeline", f"{what} is before {min(begun)}, the timeline of the backups; recovery cannot go back"
        )
    return None


def beyond(spec: RestoreSpec, archived: str) -> Hindrance | None:
    """Whether the target is a WAL position after *archived*, the one up to which PostgreSQL has just archived all."""
    wanted = spec.target.lsn if spec.target else None
    try:
        if not wanted or not archived or forms.parse_lsn(wanted) <= forms.parse_lsn(archived):
            return None
    except forms.TargetError:
        return None
    return never("TargetNotReachable", f"spec.target.lsn: {wanted} is not written yet (PostgreSQL is at {archived})")


def _too_early(
    spec: RestoreSpec, sets: list[BackupSet], info: Info | None, moment: datetime | None
) -> Hindrance | None:
    window = recovery_window(info) if info and not spec.set else {}
    stops = [window[one.repo] for one in sets if one.repo in window] or [one.stop for one in sets]
    if moment is not None and moment < min(stops):
        return never(
            "TargetTooEarly",
            f"spec.target.time: {_text(spec)} is before the end of "
            f"{f'backup {spec.set}' if spec.set else 'the oldest backup'}; "
            f"the earliest reachable time is {_at(min(stops))}",
        )
    if spec.target is not None and spec.target.lsn:
        known = [one.lsn_stop for one in sets if one.lsn_stop]
        first = min(known, key=forms.parse_lsn, default="")
        if first and forms.parse_lsn(spec.target.lsn) < forms.parse_lsn(first):
            return never(
                "TargetTooEarly",
                f"spec.target.lsn: {spec.target.lsn} is before the end of the oldest backup; "
                f"the earliest reachable is {first}",
            )
    return None


def too_small(spec: RestoreSpec, repository: RepositorySpec, info: Info | None) -> Hindrance | None:
    """Whether spec.newVolume is smaller than the data of the smallest set that may be restored."""
    wanted = parse_quantity(spec.new_volume.size) if spec.new_volume and spec.new_volume.size else None
    repo = repo_number(spec, repository)
    sets = (
        [one for one in info.backups if repo in {None, one.repo} and spec.set in {"", "latest", one.label}]
        if info
        else []
    )
    if wanted is None or not sets or wanted >= (smallest := min(one.database_size for one in sets)):
        return None
    data = f"{size(smallest)} of data ({smallest} B)"
    text = f"spec.newVolume.size: {spec.new_volume and spec.new_volume.size} is less than the {data}"
    return never("VolumeTooSmall", text)


def archived_until(repository: Object | None, spec: RestoreSpec) -> datetime | None:
    """The newest moment that the Repository controller knows to be archived, in the storage that is restored from."""
    status = (repository or {}).get("status", {})
    windows: Iterable[Object] = status.get("recoveryWindow") or []
    latest = [w["latest"] for w in windows if w.get("latest") and spec.storage in {"", w.get("storage")}]
    moments = [forms.parse_time(text) for text in latest]
    return max(moments, default=None)


def _labels(sets: list[BackupSet]) -> str:
    labels = list(dict.fromkeys(one.label for one in reversed(sets)))
    more = f" and {len(labels) - _SHOWN} more" if len(labels) > _SHOWN else ""
    return ", ".join(labels[:_SHOWN]) + more


def _text(spec: RestoreSpec) -> str:
    return str(spec.target.time) if spec.target else ""


def _at(moment: datetime) -> str:
    return forms.rfc3339(moment.replace(microsecond=0))
