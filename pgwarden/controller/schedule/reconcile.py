"""gather → plan → make a Backup, write the status, clear the history."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import structlog

from pgwarden.api import cron, names
from pgwarden.api.kinds import BackupScheduleSpec
from pgwarden.controller import admission, operations
from pgwarden.controller.context import Context
from pgwarden.controller.runtime import conditions, status
from pgwarden.controller.schedule import decide
from pgwarden.kube import errors, paths
from pgwarden.kube.cache import Key
from pgwarden.kube.client import Object

log = structlog.get_logger()
KEPT_MISSED = 10  # entries of status.missed
NEVER = datetime.min.replace(tzinfo=UTC)


class ScheduleController:
    def __init__(self, context: Context) -> None:
        self._context = context
        #: Up to when runs of a schedule (uid) were dealt with here: the cache may still show the status of before.
        self._dealt: dict[Key, tuple[str, datetime]] = {}
        #: A schedule's uid, and generations of it and of its Repository, with which the rules were kept.
        self._accepted: dict[Key, tuple[str, int, int]] = {}

    async def reconcile(self, key: Key) -> float | None:
        context = self._context
        obj = context.caches.schedules.get(*key)
        if obj is None or "deletionTimestamp" in obj["metadata"]:
            self._dealt.pop(key, None)
            self._accepted.pop(key, None)
            return None
        uid = obj["metadata"]["uid"]
        if not await self._is_accepted(key, obj):
            return None
        spec = msgspec.convert(obj["spec"], BackupScheduleSpec)
        now = context.clock()
        zone = ZoneInfo(spec.time_zone)
        calendar = cron.parse(spec.schedule)
        if isinstance(calendar, list):
            return None  # the rules have said so above

        def next_run(after: datetime) -> datetime | None:
            return calendar.next_run(after, zone)

        backups = context.caches.labelled(context.caches.backups, key[0], names.LABEL_SCHEDULE, names.short(key[1], 63))
        busy = next((b["metadata"]["name"] for b in backups if not operations.is_over(b)), "")
        plan = decide.plan(
            next_run,
            max(_since(obj, backups), self._dealt_with(key, uid)),
            now,
            suspended=spec.suspend,
            starting_deadline=spec.starting_deadline_seconds,
            busy_with=busy,
        )
        if not spec.suspend:  # what was asked for is no news: status.missed has it
            # Before the run that takes their place: once that is there, nobody looks for them again.
            await asyncio.gather(*(self._tell(obj, missed) for missed in plan.missed))
        made = await self._start(obj, spec, plan.due) if plan.due else ""
        if plan.due or plan.missed:
            self._dealt[key] = uid, now
        await self._write(obj, spec, plan, made, backups, next_run, now)
        await self._clear_history(key[0], spec, backups)
        return max(0.0, (plan.upcoming - context.clock()).total_seconds()) if plan.upcoming else None

    def _dealt_with(self, key: Key, uid: str) -> datetime:
        whose, until = self._dealt.get(key, ("", NEVER))
        return until if whose == uid else NEVER

    async def _is_accepted(self, key: Key, obj: Object) -> bool:
        """The rules once for each generation: they cost more than all else of a look."""
        metadata = obj["metadata"]
        name = obj.get("spec", {}).get("repository")
        repository = self._context.caches.repositories.get(metadata["namespace"], name) if name else None
        judged = (metadata["uid"], metadata["generation"], repository["metadata"]["generation"] if repository else 0)
        if self._accepted.get(key) == judged:
            return True
        if not await admission.accepted(self._context, "backupschedules", obj):
            self._accepted.pop(key, None)
            return False
        self._accepted[key] = judged
        return True

    async def _tell(self, schedule: Object, missed: decide.Missed) -> None:
        text = f"the run due {conditions.timestamp(missed.time)} was not started: {missed.why}"
        await self._context.recorder.warning(schedule, "RunMissed", text)

    async def _start(self, schedule: Object, spec: BackupScheduleSpec, due: datetime) -> str:
        """Make the Backup of the run due at *due*. Its name follows from both, so that it cannot be made twice."""
        metadata = schedule["metadata"]
        name = names.scheduled_backup(metadata["name"], due)
        body: Object = {
            "apiVersion": names.API_VERSION,
            "kind": "Backup",
            "metadata": {
                "name": name,
                "namespace": metadata["namespace"],
                "labels": {names.LABEL_SCHEDULE: names.short(metadata["name"], 63)},
                "annotations": {names.ANNOTATION_DUE: conditions.timestamp(due)},
            },
            "spec": {
                "repository": spec.repository,
                "type": spec.type,
                "storage": spec.storage,
                "options": spec.options,
            },
        }
        try:
            await self._context.client.create(paths.of("backups", metadata["namespace"]), body)
        except errors.Conflict:
            log.info("the run's Backup is there already", backup=name)
        else:
            await self._context.recorder.normal(schedule, "BackupCreated", f"created Backup {name}")
        return name

    async def _write(
        self,
        obj: Object,
        spec: BackupScheduleSpec,
        plan: decide.Plan,
        made: str,
        backups: list[Object],
        next_run: decide.NextRun,
        now: datetime,
    ) -> None:
        before = obj.get("status") or {}
        missed = _listed(before.get("missed", []), plan.missed)
        active = [b["metadata"]["name"] for b in backups if not operations.is_over(b)]
        if made and made not in active:
            active.append(made)
        succeeded = [b for b in backups if operations.phase(b) == "Completed"]
        times = [b["status"].get("completionTime", "") for b in succeeded] + [before.get("lastSuccessfulTime", "")]
        upcoming = [] if spec.suspend else _following(plan.upcoming, next_run, 3)
        after = before | {
            "observedGeneration": obj["metadata"]["generation"],
            "phase": "Suspended" if spec.suspend else "Active",
            **_last(before, backups, plan, made),
            "lastSuccessfulTime": max(times) or None,
            "nextScheduleTimes": [conditions.timestamp(t) for t in upcoming],
            "missed": missed,
            "active": sorted(active),
            "conditions": conditions.put(
                before.get("conditions", []),
                "Ready",
                not spec.suspend,
                "Suspended" if spec.suspend else "Scheduled",
                "spec.suspend is true: no run is started" if spec.suspend else f"next run {_when(plan.upcoming)}",
                now=now,
                generation=obj["metadata"]["generation"],
            ),
        }
        await status.write(self._context.client, "backupschedules", obj, after)

    async def _clear_history(self, namespace: str, spec: BackupScheduleSpec, backups: list[Object]) -> None:
        """Delete Backup objects beyond the limits. The backup sets stay: retention, not history, expires those."""
        uids = {b["metadata"]["name"]: b["metadata"]["uid"] for b in backups}
        for phase, limit in (("Completed", spec.successful_history_limit), ("Failed", spec.failed_history_limit)):
            ended = [
                (b["metadata"]["creationTimestamp"], b["metadata"]["name"])
                for b in backups
                if operations.phase(b) == phase
            ]
            for name in decide.expendable(ended, limit):
                await self._context.client.delete(paths.of("backups", namespace, name), uid=uids[name])


def _listed(before: list[Object], missed: tuple[decide.Missed, ...]) -> list[Object]:
    """status.missed: the newest. Of runs that a suspension passed over the last alone, so that the others stay."""
    found = [*before, *({"time": conditions.timestamp(m.time), "reason": m.reason} for m in missed)]
    over = [one for one in found if one["reason"] == "Suspended"][:-1]
    return [one for one in found if one not in over][-KEPT_MISSED:]


def _since(obj: Object, backups: list[Object]) -> datetime:
    """The last run that was dealt with: started, or missed and said so; else the creation.

    A Backup speaks for its run even where the controller died before it could write the status.
    """
    known = obj.get("status") or {}
    times = [obj["metadata"]["creationTimestamp"], known.get("lastScheduleTime") or ""]
    times += [missed["time"] for missed in known.get("missed", [])]
    times += [_due(backup) for backup in backups]
    return datetime.fromisoformat(max(times)).astimezone(UTC)


def _due(backup: Object) -> str:
    return str(backup["metadata"].get("annotations", {}).get(names.ANNOTATION_DUE, ""))


def _last(before: Object, backups: list[Object], plan: decide.Plan, made: str) -> Object:
    """lastScheduleTime and lastBackup: of the run just started, or of the latest that is known."""
    if plan.due:
        return {"lastScheduleTime": conditions.timestamp(plan.due), "lastBackup": made}
    newest = max(backups, key=_due, default=None)
    if newest is not None and _due(newest) > (before.get("lastScheduleTime") or ""):
        return {"lastScheduleTime": _due(newest), "lastBackup": newest["metadata"]["name"]}
    return {"lastScheduleTime": before.get("lastScheduleTime"), "lastBackup": before.get("lastBackup")}


def _following(first: datetime | None, next_run: decide.NextRun, count: int) -> list[datetime]:
    found: list[datetime] = []
    while first is not None and len(found) < count:
        found.append(first)
        first = next_run(first + timedelta(0))
    return found


def _when(time: datetime | None) -> str:
    return conditions.timestamp(time) if time else "never"
