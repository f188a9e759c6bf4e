"""What a Repository protects, since when, and what is wrong. Pure: objects in, a judgement out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pgwarden.api import names, records
from pgwarden.api.objects import Object
from pgwarden.api.reading import condition as condition_of
from pgwarden.api.reading import found_condition, get, objects
from pgwarden.cli import missed_runs, protection_proof, protection_storages, protection_versions, protection_window
from pgwarden.cli.output import clock, count, moment, span
from pgwarden.cli.protection_cluster import NOT_REPORTED, cause_of, in_words, notes_of_cluster, of_cluster
from pgwarden.cli.protection_room import of_room
from pgwarden.cli.short_messages import described
from pgwarden.pgbackrest.user_options import parse_options
from pgwarden.rules import backup_sets, checks, retention
from pgwarden.rules.common import has_full_retention
from pgwarden.storages import NAMES

#: A due run is started within seconds; one that is this late has nobody to start it.
LATE = timedelta(minutes=5)
#: Longer without archived WAL deserves a note: few writes fill a segment slowly.
QUIET = timedelta(minutes=15)
_NEEDED = ("Ready", "Reachable", "Archiving")
#: Reasons of a phase that holds beside conditions which are True, or False for something else.
_REFUSED = frozenset({"PodRefused", "KubernetesRefuses"})
#: A condition that is wrong where it is False. Unknown it is until the storages' WAL has been listed.
_CONTINUOUS = "WALContinuous"


@dataclass(frozen=True)
class Protection:
    namespace: str
    repository: str
    since: datetime | None  # any moment from this one on can be recovered,
    until: datetime | None  # up to this one
    last: Object
    upcoming: datetime | None
    wrong: tuple[str, ...]
    notes: tuple[str, ...]
    storages: tuple[str, ...] = ()  # a line for each, where there are several
    cluster: str = ""  # its PostgresCluster in a few words, where pgwarden runs it
    foreign: bool = False  # what the storages hold is another cluster's
    proven: str = ""  # by the last restore drill that passed, in words
    proof: Object = field(default_factory=dict)  # the same as data

    @property
    def protected(self) -> bool:
        return self.since is not None and not self.wrong and not self.foreign


def judge(there: dict[str, list[Object]], now: datetime) -> list[Protection]:
    """*there* are all objects of our kinds by plural, as Session.everything reads them. A kind that is not in it could
    not be read: that there is none of it is not said.
    """
    around = _by_repository(there)
    found = [_of(one, around[_place(one)], now) for one in there.get("repositories", [])]
    known = {(one.namespace, one.repository) for one in found}
    bare = [one for one in there.get("postgresclusters", []) if "repositories" in there and _place(one) not in known]
    return [*found, *map(_without_repository, bare)]


class _Own(dict[str, list[Object]]):
    """What belongs to one Repository, by plural. A kind that could not be read is not in it, and has nothing."""

    def __missing__(self, plural: str) -> list[Object]:
        return []


def _by_repository(there: dict[str, list[Object]]) -> dict[tuple[str, str], _Own]:
    """All objects are looked through once, however many Repositories there are."""
    found = {_place(one): _Own({plural: [] for plural in there}) for one in there.get("repositories", [])}
    for plural, listed in there.items():
        for one in listed:
            namespace, name = _place(one)
            own = found.get((namespace, get(one, str, "spec", "repository") or name))
            if own is not None:
                own[plural].append(one)
    return found


def _place(obj: Object) -> tuple[str, str]:
    return str(obj["metadata"].get("namespace", "")), str(obj["metadata"]["name"])


def _without_repository(cluster: Object) -> Protection:
    namespace, name = _place(cluster)
    wrong = tuple(of_cluster(cluster)) or ("it has no Repository",)
    return Protection(namespace, name, None, None, {}, None, wrong, (), (), in_words(cluster))


def _of(repository: Object, there: dict[str, list[Object]], now: datetime) -> Protection:
    schedules, backups = _own(there["backupschedules"], repository), _own(there["backups"], repository)
    restores, drilling = _own(there["restores"], repository), _own(there.get("restoredrillschedules", []), repository)
    reach = protection_window.reach(repository)
    due = [time for one in schedules for text in _upcoming(one)[:1] if (time := moment(text))]
    cluster = next((one for one in there.get("postgresclusters", []) if _place(one) == _place(repository)), None)
    room = of_room(repository)
    told = cause_of(cluster) if cluster is not None else ""
    of_status = [*_of_status(repository, told), *protection_storages.wrong(repository)]
    wrong = [
        *of_status,
        *_of_phase(repository, of_status, told),
        *_of_backups(backups),
        *_of_restores(restores),
        *_of_schedules([*schedules, *drilling], now),
        *retention.told(repository, schedules),
        *checks.told(repository, schedules),
        *room.wrong,
        *protection_versions.wrong(repository),
        *protection_proof.wrong(repository),
    ]
    notes = [
        *_notes(schedules, backups, restores, planned="backupschedules" in there),
        *protection_storages.gone(backups),
        *protection_storages.notes(repository),
        *(_of_retention(repository, schedules, cluster) if "backupschedules" in there else ()),
        *room.notes,
        *protection_versions.notes(repository),
        *map(protection_window.told, reach.earlier),
    ]
    notes += _of_quiet(repository, reach.until, now)
    if cluster is None:
        notes += _of_label(repository)
    else:
        wrong = [*of_cluster(cluster), *wrong]
        notes += notes_of_cluster(cluster)
    return Protection(
        namespace=str(repository["metadata"].get("namespace", "")),
        repository=str(repository["metadata"]["name"]),
        since=reach.since,
        until=reach.until,
        last=get(repository, dict, "status", "lastBackup") or {},
        upcoming=min(due, default=None),
        wrong=tuple(dict.fromkeys(wrong)),
        notes=tuple(notes),
        storages=tuple(protection_storages.lines(repository)),
        cluster=in_words(cluster) if cluster is not None else "",
        proven=protection_proof.line(repository, now),
        proof=protection_proof.last(repository),
        foreign=_phase(repository) == "Failed" and condition_of(repository, "Rejected") != "True",
    )


def _own(listed: Iterable[Object], repository: Object) -> list[Object]:
    metadata = repository["metadata"]
    wanted = (metadata.get("namespace"), metadata["name"])
    return [obj for obj in listed if (obj["metadata"].get("namespace"), get(obj, str, "spec", "repository")) == wanted]


def _of_status(repository: Object, told: str) -> Iterator[str]:
    """Each cause once: a condition may have the message of another, or that of the cluster, which is *told*."""
    if not get(repository, dict, "status"):
        yield NOT_REPORTED
        return
    found = {str(one.get("type")): one for one in objects(repository, "status", "conditions")}
    if found.get("Rejected", {}).get("status") == "True":
        yield f"the Repository is rejected: {found['Rejected'].get('message')}"
    for kind in (*_NEEDED, _CONTINUOUS):
        condition = found.get(kind, {})
        if kind == _CONTINUOUS and condition.get("status") != "False":
            continue
        message = _without_advice(repository, str(condition.get("message") or "not known"))
        if condition.get("status") != "True" and message not in told:
            told += f"; {message}"
            yield f"{kind} is {condition.get('status') or 'Unknown'}: {described(repository, message)}"
    if not objects(repository, "status", "recoveryWindow"):
        yield "there is no finished backup: nothing can be recovered"
    for pod in objects(repository, "status", "pods"):
        if pod.get("injected") is False:
            yield (
                f"pod {pod.get('name')} is not injected: put the label {names.LABEL_REPOSITORY} on the pod template of "
                "its workload, or if it is there, delete the pod"
            )
        elif pod.get("message"):
            yield f"pod {pod.get('name')}: {described(repository, pod['message'])}"
    yield from _damaged(repository)


def _of_phase(repository: Object, said: list[str], told: str) -> Iterator[str]:
    """Why the Repository is not Ready, where neither *said* nor *told* by its cluster: that pods are refused no
    condition tells while a primary is there.
    """
    phase, reason = _phase(repository), get(repository, str, "status", "reason")
    message = get(repository, str, "status", "message") or "no reason is known"
    text = described(repository, message)
    known = message in told or any(text in one for one in said)
    if phase != "Ready" and not known and (reason in _REFUSED or not said):
        yield f"the Repository is {phase}: {text}"


def _of_label(repository: Object) -> list[str]:
    """What puts the label in its place. Nothing else tells that it is misspelt, or on the workload itself."""
    reasons = {one.get("reason") for one in objects(repository, "status", "conditions")}
    if "NoPrimary" not in reasons or objects(repository, "status", "pods"):
        return []
    name = repository["metadata"]["name"]
    command = f"kubectl pgwarden protect statefulset/NAME --repository={name}"
    return [f"the label must be on the pod template: `{command}` prints how"]


def _without_advice(repository: Object, message: str) -> str:
    """Conditions repeat what is wrong with a pod, and the pod has a line of its own."""
    for pod in objects(repository, "status", "pods"):
        if pod.get("injected") is False and pod.get("message"):
            message = message.replace(str(pod["message"]), "not injected")
    return message


def _damaged(repository: Object) -> Iterator[str]:
    labels, others = backup_sets.of(repository).damaged()
    for label in labels:
        yield f"backup set {label} has pages with invalid checksums: see the log of its Job"
    if others:
        have = "has" if others == 1 else "have"
        yield (
            f"{count(others, 'older backup set')} {have} pages with invalid checksums: "
            "run `pgbackrest info` in the repository host"
        )


def _of_backups(backups: list[Object]) -> Iterator[str]:
    last = _last_over(backups)
    if last is not None and _phase(last) == "Failed":
        yield f"the last Backup, {last['metadata']['name']}, failed: {described(last, _said(last))}"


def _of_restores(restores: list[Object]) -> Iterator[str]:
    last = _last_over(restores)
    if last is not None and _phase(last) == "Failed":
        step = get(last, str, "status", "step")
        at = f" at step {step}" if step else ""
        yield f"the last Restore, {last['metadata']['name']}, failed{at}: {described(last, _said(last))}"


def _of_schedules(schedules: list[Object], now: datetime) -> Iterator[str]:
    for one in schedules:
        name = f"{one['kind']} {one['metadata']['name']}"
        if _phase(one) == "Failed":
            yield f"{name} is rejected: {_condition_message(one)}"
            continue
        if _phase(one) == "Degraded":
            yield f"{name} still runs, but a rule now rejects it: {_condition_message(one)}"
        if get(one, bool, "spec", "suspend"):
            continue
        if _phase(one) == "Pending" and one.get("status"):
            yield f"{name} is waiting: {_said(one)}"
        due = moment(next(iter(_upcoming(one)), None))
        if due is not None and now - due > LATE:
            yield f"{name} is overdue since {clock(due)} ({span(now - due)}): is the controller running?"
        missed = objects(one, "status", "missed")
        newest = moment(missed[-1].get("time")) if missed else None
        started = moment(get(one, str, "status", "lastScheduleTime"))
        if newest is not None and (started is None or newest > started):
            why = missed_runs.in_words(missed[-1].get("reason"))
            yield f"{name} missed its run of {clock(newest)}: {why}"


def _notes(
    schedules: list[Object], backups: list[Object], restores: list[Object], *, planned: bool = True
) -> Iterator[str]:
    """*planned*: whether the schedules that there are are known."""
    for one in (*backups, *restores):
        if _phase(one) == "Running":
            yield f"{one['kind']} {one['metadata']['name']} is running: {_said(one)}"
    for one in schedules:
        if get(one, bool, "spec", "suspend"):
            yield f"BackupSchedule {one['metadata']['name']} is suspended"
    if not schedules and planned:
        yield "there is no BackupSchedule: backups are taken by hand only"


def _of_retention(repository: Object, schedules: list[Object], cluster: Object | None) -> Iterator[str]:
    given = [get(one, list, "spec", "options") for one in schedules]
    options = [parse_options(one, command="backup", storages=NAMES)[0] for one in given]
    if not any(has_full_retention(repository, one) for one in (None, *options)):
        field = "spec.retention.full" if cluster is None else "spec.repository.retention.full of the PostgresCluster"
        yield f"no retention is set, so backups are kept forever: set {field}"


def _of_quiet(repository: Object, until: datetime | None, now: datetime) -> Iterator[str]:
    archives = condition_of(repository, "Archiving") == "True"
    if until is not None and now - until > QUIET and archives:
        yield (
            f"no WAL was archived for {span(now - until)}: commits since then are on the data volume only; "
            "archive_timeout of PostgreSQL limits this"
        )


def _upcoming(schedule: Object) -> list[Any]:
    return get(schedule, list, "status", "nextScheduleTimes") or []


def _last_over(listed: list[Object]) -> Object | None:
    over = [obj for obj in listed if _phase(obj) in {"Completed", "Failed"} and not records.is_record(obj)]
    return max(over, key=lambda obj: get(obj, str, "status", "completionTime") or "", default=None)


def _phase(obj: Object) -> str:
    return get(obj, str, "status", "phase") or "Pending"


def _said(obj: Object) -> str:
    return get(obj, str, "status", "message") or get(obj, str, "status", "reason") or "no reason is known"


def _condition_message(obj: Object) -> str:
    rejected = found_condition(obj, "Rejected")
    return str(rejected.get("message")) if rejected else "its conditions say why"
