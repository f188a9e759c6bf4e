"""gather → plan → make a Backup or a RestoreDrill, write the status, clear the history."""

from __future__ import annotations

import asyncio
import dataclasses
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec
import structlog

from controller import admission, operations
from controller.context import Context
from controller.runtime import conditions, status
from controller.schedule import decide, kept
from controller.schedule.made import BACKUPS, Made
from pgwarden.api import duration, names
from pgwarden.api.kinds import ScheduleSpec
from pgwarden.api.objects import Object
from pgwarden.api.reading import is_going, moment
from pgwarden.kube import errors, paths
from pgwarden.kube.cache import Key
from pgwarden.schedule import cron, runs

log = structlog.get_logger()
KEPT_MISSED = 10  # entries of status.missed
NEVER = datetime.min.replace(tzinfo=UTC)
CLOCK_SKEW = timedelta(minutes=1)  # between the API server, which says when a run's object was made, and this


@dataclass(frozen=True)
class Held:
    """Why no run starts although one may be due. `reason` is for programs, `message` for people."""

    reason: str
    message: str
    again: float


class ScheduleController:
    """Of the schedules that make *made*."""

    def __init__(self, context: Context, made: Made = BACKUPS) -> None:
        self._context, self._made = context, made
        #: Up to when runs of a schedule (uid) were dealt with here: the cache may still show the status of before.
        self._dealt: dict[Key, tuple[str, datetime]] = {}
        #: What the rules have said, and uids and generations of schedule and Repository with which they have.
        self._accepted: dict[Key, tuple[tuple[object, ...], admission.Answer]] = {}

    async def reconcile(self, key: Key) -> float | None:
        context = self._context
        made, caches = self._made, context.caches
        obj = caches.ours[made.schedules].get(*key)
        if obj is None or is_going(obj):
            self._dealt.pop(key, None)
            self._accepted.pop(key, None)
            admission.forget(made.schedules, key)
            return None
        uid = obj["metadata"]["uid"]
        answer = await self._judged(key, obj)
        if not answer.go and answer.again is None:
            return None
        spec = msgspec.convert(obj["spec"], made.spec)
        calendar = cron.parse(spec.schedule)
        if isinstance(calendar, list):
            return None  # the rules have said so above
        next_run = runs.of(spec, calendar, uid).next_run
        now = context.clock()
        there = caches.labelled(caches.ours[made.plural], key[0], names.LABEL_SCHEDULE, names.short(key[1], 63))
        plan = decide.plan(
            next_run,
            max(_since(obj, there), self._dealt_with(key, uid)),
            now,
            suspended=spec.suspend,
            starting_deadline=spec.starting_deadline_seconds,
            busy_with=next((one["metadata"]["name"] for one in there if not operations.is_over(one)), ""),
            made=made,
        )
        held = None
        if answer.again is not None and not spec.suspend:
            held = _held(answer, plan)
            plan = decide.Plan(None, (), plan.upcoming)  # all is still owed
        plan, begun, held = await self._carry_out(obj, spec, plan, held)
        dealt = [*([plan.due] if plan.due else []), *(missed.time for missed in plan.missed)]
        if dealt:  # no later: a run that is due in a window by now comes at its end
            self._dealt[key] = uid, max(dealt)
        await self._write(obj, spec, plan, begun, there, next_run, now, answer.refused, held)
        await self._clear_history(key[0], spec, there)
        pauses = [held.again] if held else []
        if plan.upcoming:
            pauses.append(max(0.0, (plan.upcoming - context.clock()).total_seconds()))
        return min(pauses, default=None)

    async def _carry_out(
        self, obj: Object, spec: ScheduleSpec, plan: decide.Plan, held: Held | None
    ) -> tuple[decide.Plan, str, Held | None]:
        """Tell what was missed and start what is due: the plan as far as it was carried out, and the run's name."""
        begun = ""
        if not spec.suspend:  # what was asked for is no news: status.missed has it
            # Before the run that takes their place: once that is there, nobody looks for them again.
            await asyncio.gather(*(self._tell(obj, missed) for missed in plan.missed))
        if plan.due:
            begun, held = await self._start(obj, spec, plan.due)
        return (dataclasses.replace(plan, due=None) if held else plan), begun, held

    def _dealt_with(self, key: Key, uid: str) -> datetime:
        whose, until = self._dealt.get(key, ("", NEVER))
        return until if whose == uid else NEVER

    async def _judged(self, key: Key, obj: Object) -> admission.Answer:
        """The rules once for each generation: they cost more than all else of a look."""
        metadata = obj["metadata"]
        name = obj.get("spec", {}).get("repository")
        repository = self._context.caches.repositories.get(metadata["namespace"], name) if name else None
        found = repository["metadata"] if repository else {}
        of_it = (found.get("uid"), found.get("generation"), found.get("deletionTimestamp"))
        question = (metadata["uid"], metadata["generation"], *of_it)
        known = self._accepted.pop(key, None)
        if known is not None and known[0] == question:
            answer = known[1]
        else:
            answer = await admission.judge(self._context, self._made.schedules, obj)
        if answer.go:
            self._accepted[key] = question, answer
        return answer

    async def _tell(self, schedule: Object, missed: decide.Missed) -> None:
        text = f"the run scheduled for {conditions.timestamp(missed.time)} was skipped: {missed.why}"
        await self._context.recorder.warning(schedule, "RunMissed", text)

    async def _start(self, schedule: Object, spec: ScheduleSpec, due: datetime) -> tuple[str, Held | None]:
        """Make what the run due at *due* is. Its name follows from both, so that it cannot be made twice."""
        made, metadata = self._made, schedule["metadata"]
        body = made.render(schedule, spec, due)
        name = body["metadata"]["name"]
        try:
            await self._context.client.create(paths.of(made.plural, metadata["namespace"]), body)
        except errors.Conflict:
            log.info("what the run is to make already exists", kind=made.kind, name=name)
        except errors.Terminating:
            raise
        except errors.ApiError as error:  # no answer at all is the worker's to try again
            since = _since_reason(schedule, made.not_created)
            run = f"the run scheduled for {conditions.timestamp(due)}"
            message = f"{run} could not create its {made.kind}: {error.message}"
            return "", Held(made.not_created, message, admission.pause(since, self._context.clock()))
        else:
            await self._context.recorder.normal(schedule, made.created, f"created {made.kind} {name}")
        return name, None

    async def _write(
        self,
        obj: Object,
        spec: ScheduleSpec,
        plan: decide.Plan,
        begun: str,
        there: list[Object],
        next_run: decide.NextRun,
        now: datetime,
        refused: str,
        held: Held | None,
    ) -> None:
        before = obj.get("status") or {}
        missed = _listed(before.get("missed", []), plan.missed)
        active = [one["metadata"]["name"] for one in there if not operations.is_over(one)]
        if begun and begun not in active:
            active.append(begun)
        succeeded = [one for one in there if operations.phase(one) == "Completed"]
        times = [one["status"].get("completionTime", "") for one in succeeded] + [before.get("lastSuccessfulTime", "")]
        upcoming = [] if spec.suspend else _following(plan.upcoming, next_run, 3)
        generation = obj["metadata"]["generation"]
        ready, reason, message = _ready(spec, plan, held, runs.offset(spec.spread, obj["metadata"]["uid"]))
        listed = admission.refusal(before.get("conditions", []), refused, now=now, generation=generation)
        listed = conditions.put(listed, "Ready", ready, reason, message, now=now, generation=generation)
        retained = self._retained(obj, spec)
        if retained is None:
            listed = conditions.without(listed, kept.CONDITION)
        else:
            listed = conditions.put(listed, kept.CONDITION, *retained, now=now, generation=generation)
        after = before | {
            "observedGeneration": generation,
            "phase": _phase(spec, refused, held),
            "reason": admission.NO_LONGER_VALID if refused and ready else reason,
            "message": refused if refused and ready else message,
            **_last(before, there, plan, begun, self._made.last),
            "lastSuccessfulTime": max(times) or None,
            "nextScheduleTimes": [conditions.timestamp(t) for t in upcoming],
            "missed": missed,
            "active": sorted(active),
            "conditions": listed,
        }
        if await status.write(self._context.client, self._made.schedules, obj, after):
            await self._tell_trouble(obj, refused, held)
            if retained is not None and not retained[0] and _since_reason(obj, retained[1], kept.CONDITION) is None:
                await self._context.recorder.warning(obj, retained[1], retained[2])

    def _retained(self, obj: Object, spec: ScheduleSpec) -> tuple[bool, str, str] | None:
        if self._made is not BACKUPS:
            return None
        caches, namespace = self._context.caches, obj["metadata"]["namespace"]
        others = caches.of_repository(caches.schedules, namespace, spec.repository)
        return kept.verdict(obj, caches.repositories.get(namespace, spec.repository), others)

    async def _tell_trouble(self, before: Object, refused: str, held: Held | None) -> None:
        """An Event where it begins."""
        if held is not None and _since_reason(before, held.reason) is None:
            await self._context.recorder.warning(before, held.reason, held.message)
        if refused and _since_reason(before, admission.NO_LONGER_VALID, admission.REJECTED) is None:
            await self._context.recorder.warning(before, admission.REJECTED, refused)

    async def _clear_history(self, namespace: str, spec: ScheduleSpec, there: list[Object]) -> None:
        """Delete objects beyond the limits. Backup sets stay (retention expires those), and what drills have proven."""
        uids = {one["metadata"]["name"]: one["metadata"]["uid"] for one in there}
        for phase, limit in (("Completed", spec.successful_history_limit), ("Failed", spec.failed_history_limit)):
            ended = [
                (one["metadata"]["creationTimestamp"], one["metadata"]["name"])
                for one in there
                if operations.phase(one) == phase
            ]
            for name in decide.expendable(ended, limit):
                await self._context.client.delete(paths.of(self._made.plural, namespace, name), uid=uids[name])


def _held(answer: admission.Answer, plan: decide.Plan) -> Held:
    owed = "no run starts until this is resolved"
    if plan.due:
        owed = f"the run due {conditions.timestamp(plan.due)} starts once this is resolved"
    return Held(answer.reason, f"{answer.message}; {owed}", answer.again or admission.SOONEST)


def _ready(spec: ScheduleSpec, plan: decide.Plan, held: Held | None, moved: timedelta) -> tuple[bool, str, str]:
    if spec.suspend:
        return False, "Suspended", "spec.suspend is true: no runs start"
    if held is not None:
        return False, held.reason, held.message
    text = f"next run {_when(plan.upcoming)}"
    return True, "Scheduled", f"{text} ({duration.told(moved)} later by spec.spread)" if moved else text


def _phase(spec: ScheduleSpec, refused: str, held: Held | None) -> str:
    if spec.suspend:
        return "Suspended"
    if held is not None:
        return "Pending"
    return "Degraded" if refused else "Active"


def _since_reason(schedule: Object, reason: str, kind: str = "Ready") -> str | None:
    """Since when its condition *kind* has not been otherwise, where *reason* is its reason now."""
    found = conditions.find((schedule.get("status") or {}).get("conditions", []), kind)
    return str(found["lastTransitionTime"]) if found is not None and found["reason"] == reason else None


def _listed(before: list[Object], missed: tuple[decide.Missed, ...]) -> list[Object]:
    """status.missed: the newest. Of runs that a suspension passed over the last alone, so that the others stay."""
    found = [*before, *({"time": conditions.timestamp(m.time), "reason": m.reason} for m in missed)]
    over = [one for one in found if one["reason"] == "Suspended"][:-1]
    return [one for one in found if one not in over][-KEPT_MISSED:]


def _since(obj: Object, there: list[Object]) -> datetime:
    """The last run that was dealt with: started, or missed and said so; else the creation.

    What a run has made speaks for it even where the controller died before it could write the status.
    """
    known = obj.get("status") or {}
    times = [obj["metadata"]["creationTimestamp"], known.get("lastScheduleTime") or ""]
    times += [missed["time"] for missed in known.get("missed", [])]
    times += [_due(one) for one in there]
    return datetime.fromisoformat(max(times)).astimezone(UTC)


def _due(made: Object) -> str:
    """When the run that *made* is was due; empty where it does not say, or names a time that was yet to come."""
    metadata = made["metadata"]
    due = moment((metadata.get("annotations") or {}).get(names.ANNOTATION_DUE))
    if due is None or due > datetime.fromisoformat(metadata["creationTimestamp"]) + CLOCK_SKEW:
        return ""
    return due.isoformat(timespec="seconds").replace("+00:00", "Z")


def _last(before: Object, there: list[Object], plan: decide.Plan, begun: str, field: str) -> Object:
    """lastScheduleTime and *field*, the name: of the run just started, or of the latest that is known."""
    if plan.due:
        return {"lastScheduleTime": conditions.timestamp(plan.due), field: begun}
    newest = max(there, key=_due, default=None)
    if newest is not None and _due(newest) > (before.get("lastScheduleTime") or ""):
        return {"lastScheduleTime": _due(newest), field: newest["metadata"]["name"]}
    return {"lastScheduleTime": before.get("lastScheduleTime"), field: before.get(field)}


def _following(first: datetime | None, next_run: decide.NextRun, count: int) -> list[datetime]:
    found: list[datetime] = []
    while first is not None and len(found) < count:
        found.append(first)
        first = next_run(first + timedelta(0))
    return found


def _when(time: datetime | None) -> str:
    return conditions.timestamp(time) if time else "never"
