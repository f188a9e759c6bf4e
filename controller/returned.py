"""Backups and Restores that come back: records of what they did.

What was done leaves a mark on the object (ANNOTATION_DONE), which a dump, Velero or Argo CD bring back with it, and one
in the repository (annotations of the set that a Backup made, or that a Restore ended with) for manifests that come back
from Git. The decisions are pure; `Records` reads, writes and tells.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import NamedTuple

from controller import operations, owned, stanza_info
from controller.context import Context
from controller.recovery import plan as plans
from controller.runtime import conditions, status
from pgwarden.api import names, records
from pgwarden.api.objects import Object
from pgwarden.api.records import RECORD, UNFINISHED, Mark
from pgwarden.kube import paths
from pgwarden.pgbackrest.info import BackupSet, Info
from pgwarden.storages import explain

#: Seconds between two marks on objects that were over before there were marks: 20,000 of them are no storm.
PACE = 0.2
#: Seconds between looks at whether a record's set is in the repository, while that cannot be read.
LOOK = 60.0
#: A uid or an order, on its way into a command line.
_PLAIN = re.compile(r"[0-9A-Za-z.-]{1,64}")
#: A timeline, a WAL position, or a time.
_MOMENT = re.compile(r"[0-9A-FTZ:/-]{1,24}")
_UNREADABLE = "?"  # the uid where a mark cannot be read


class Held(NamedTuple):
    """Nothing more is done for the object now; looked at again after `again` seconds."""

    again: float | None = None


# --- pure --------------------------------------------------------------------------------------------------------


def returned(obj: Object) -> Mark | None:
    """By what *obj*, which is not over and is not at work, is a record; None where it is an order."""
    metadata = obj["metadata"]
    found = records.brought_back(obj)
    if found is not None:
        return found
    unknown = Mark(uid=_UNREADABLE, name=metadata["name"], phase="Running")
    if records.text_of(obj) and records.mark_of(obj) is None:
        return unknown
    # A status that was brought along: the plan names the Restore that it is of.
    plan = plans.load(obj.get("status", {}).get("plan")) if obj.get("kind") == "Restore" else None
    if plan is not None and plan.restore_uid != metadata["uid"]:
        return Mark(uid=plan.restore_uid, name=metadata["name"], phase="Running")
    return None


def status_of(obj: Object, mark: Mark, now: datetime) -> Object:
    """The status of the record *obj* of what *mark* tells."""
    before = obj.get("status") or {}
    own = mark.uid == obj["metadata"]["uid"]
    ended = mark.phase != "Running"
    reason = (mark.reason or mark.phase) if own else RECORD if ended else UNFINISHED
    message = mark.message if own else told(obj, mark)
    known = {key: getattr(mark, field) or None for key, field in zip(records.STATUS, _FIELDS, strict=True)}
    generation = obj["metadata"].get("generation", 1)
    phase = "Completed" if mark.phase == "Completed" else "Failed"
    after = before | {key: value for key, value in known.items() if value is not None}
    after |= {
        "observedGeneration": generation,
        "phase": phase,
        "reason": reason,
        "message": message,
        "completionTime": mark.completion_time or mark.start_time or conditions.timestamp(now),
        "plan": None,
        "step": None,
        "job": None,
    }
    if obj["kind"] == "Backup":
        listed = before.get("conditions", [])
        done = phase == "Completed"
        after["conditions"] = conditions.put(listed, "Completed", done, reason, message, now=now, generation=generation)
    return after


_FIELDS = (
    *("start_time", "completion_time", "type", "label", "storage", "repo"),
    *("set", "timeline", "recovered_to", "claim", "new_claim", "kept_claim", "backup"),
    *("timeline_before", "lsn_before", "stopped_time"),
)


def told(obj: Object, mark: Mark) -> str:
    """What was done, that it is not done again, and the way to do it again."""
    kind = obj["kind"]
    again = records.way(kind)
    if mark.uid == _UNREADABLE:
        again = (
            f"To run it, create a {kind} with another name, or delete this one and create it without that annotation"
        )
        return f"its annotation {names.ANNOTATION_DONE} cannot be read, so its result is unknown. {again}"
    by = f"an earlier {kind} of this name (uid {mark.uid})"
    if mark.phase == "Running":
        return f"a record: {by} had started, and its result is unknown. It is not run again. {again}"
    when = f" on {mark.completion_time}" if mark.completion_time else ""
    if mark.phase == "Failed":
        why = f": {mark.message}" if mark.message else ""
        return f"a record: {by} failed{when}{why.rstrip('.')}. It is not run again. {again}"
    return f"a record: {by} did this{when}{_result(mark)}. It is not run again. {again}"


def _result(mark: Mark) -> str:
    parts = [
        f"set {mark.label}" if mark.label else "",
        f"recovered to {mark.recovered_to}" if mark.recovered_to else "",
        f"the old data is in claim {mark.kept_claim}" if mark.kept_claim else "",
    ]
    said = ", ".join(filter(None, parts))
    return f" ({said})" if said else ""


def marks(backup: Object, *, sealed: bool) -> dict[str, str]:
    """What the set of *backup* carries in the repository, as pgBackRest's annotations.

    *sealed*: a Restore has made it. Who may create Backups can write what a Restore writes on one, and an undo would
    go back to where that says.
    """
    metadata = backup["metadata"]
    found = {
        names.PGBACKREST_ANNOTATION_UID: metadata["uid"],
        names.PGBACKREST_ANNOTATION_NAME: metadata["name"],
        names.PGBACKREST_ANNOTATION_ORDER: records.order_of(backup),
        names.PGBACKREST_ANNOTATION_REPOSITORY: f"{metadata['namespace']}/{backup['spec']['repository']}",
    }
    annotations, restore = metadata.get("annotations", {}), metadata.get("labels", {}).get(names.LABEL_RESTORE)
    order, uid = annotations.get(names.ANNOTATION_RESTORE_ORDER), annotations.get(names.ANNOTATION_RESTORE_UID)
    if sealed and restore and all(_PLAIN.fullmatch(one or "") for one in (order, uid)):
        found |= {
            names.PGBACKREST_ANNOTATION_RESTORE: restore,
            names.PGBACKREST_ANNOTATION_RESTORE_UID: uid,
            names.PGBACKREST_ANNOTATION_RESTORE_ORDER: order,
        }
        # What an undo goes by once the Restore is gone.
        for ours, its in (
            (names.ANNOTATION_TIMELINE_BEFORE, names.PGBACKREST_ANNOTATION_TIMELINE_BEFORE),
            (names.ANNOTATION_LSN_BEFORE, names.PGBACKREST_ANNOTATION_LSN_BEFORE),
            (names.ANNOTATION_STOPPED, names.PGBACKREST_ANNOTATION_STOPPED),
        ):
            if _MOMENT.fullmatch(annotations.get(ours) or ""):
                found[its] = annotations[ours]
    return found


def made_before(backup: Object, info: Info) -> BackupSet | None:
    """The newest set in *info* that a Backup of this name and spec has made: *backup* need not be done."""
    return _newest(backup, info, names.PGBACKREST_ANNOTATION_NAME, names.PGBACKREST_ANNOTATION_ORDER)


def ended_with(restore: Object, info: Info) -> BackupSet | None:
    """The newest set in *info* that a Restore of this name and spec has ended with."""
    return _newest(restore, info, names.PGBACKREST_ANNOTATION_RESTORE, names.PGBACKREST_ANNOTATION_RESTORE_ORDER)


def _newest(obj: Object, info: Info, name: str, order: str) -> BackupSet | None:
    found = [one for one in reversed(info.backups) if one.annotations.get(name) == obj["metadata"]["name"]]
    return next((one for one in found if records.was_done(obj, one.annotations.get(order, ""))), None)


def of_set(backup: Object, made: BackupSet, storages: tuple[str, ...]) -> Mark:
    """The mark of the Backup that has made *made*, which is the same as *backup*."""
    return Mark(
        uid=made.annotations.get(names.PGBACKREST_ANNOTATION_UID, "")[:64] or _UNREADABLE,
        name=backup["metadata"]["name"],
        order=made.annotations.get(names.PGBACKREST_ANNOTATION_ORDER, "")[:253],
        phase="Completed",
        reason="Completed",
        start_time=conditions.timestamp(made.start),
        completion_time=conditions.timestamp(made.stop),
        type=made.type if made.type in {"full", "diff", "incr"} else "",  # type: ignore[arg-type]
        label=made.label,
        storage=storages[made.repo - 1] if made.repo <= len(storages) else "",
        repo=made.repo,
    )


def is_of(backup: Object, made: BackupSet) -> bool:
    """Whether *made* is the set of *backup*, or of the one that it is a record of. No mark proves that."""
    by = made.annotations
    if by.get(names.PGBACKREST_ANNOTATION_UID) == backup["metadata"]["uid"]:
        return True
    same = by.get(names.PGBACKREST_ANNOTATION_NAME) == backup["metadata"]["name"]
    return same and records.repeats(records.order_of(backup), by.get(names.PGBACKREST_ANNOTATION_ORDER, ""))


def is_own(obj: Object) -> bool:
    """Whether *obj* itself has begun, by its mark: a status may have been brought along."""
    mark = records.mark_of(obj)
    return mark is not None and mark.uid == obj["metadata"]["uid"]


def needs_proof(backup: Object) -> bool:
    """Whether the label in its status may be another's word."""
    mark = records.mark_of(backup)
    return records.is_record(backup) or (mark is not None and mark.uid != backup["metadata"]["uid"])


# --- reading, writing, telling -----------------------------------------------------------------------------------


async def read_info(context: Context, namespace: str, repository: str, repo: int = 0) -> Info | str:
    """`pgbackrest info`, or why it cannot be read, for people; with *repo*, of that storage.

    It is some seconds old at most, and has each set that a Completed Backup has told of: that was read there too.
    """
    info = await stanza_info.read(context, namespace, repository)
    if isinstance(info, str):
        return info
    trouble = info.trouble(repo) if repo else None
    return explain(trouble).sentence if trouble else info


class Records:
    """Of one kind (*plural*)."""

    def __init__(self, context: Context, plural: str) -> None:
        self._context = context
        self._plural = plural
        self._slots: dict[str, float] = {}
        self._next = 0.0

    async def look(self, obj: Object) -> Held | None:
        """Keep the mark of *obj*, and make it a record where it came back. None: it is to be worked on."""
        mark, uid = records.mark_of(obj), obj["metadata"]["uid"]
        own = mark is not None and mark.uid == uid
        if operations.is_over(obj):
            return await self._over(obj, mark)
        if mark is not None and own and mark.phase == "Running":
            return None
        if await self._is_at_work(obj):
            await self._put(obj, records.begun(obj))
            return Held(0.0)
        if mark is not None and own:
            # Over by the mark: the status was lost. One that had not begun may be judged again.
            return await self.become(obj, mark) if mark.began else None
        found = returned(obj)
        return await self.become(obj, found) if found is not None else None

    async def begin(self, obj: Object) -> Object:
        """Mark *obj* before anything is done for it; returns it as it is then."""
        mark = records.mark_of(obj)
        if mark is not None and (mark.uid, mark.phase) == (obj["metadata"]["uid"], "Running"):
            return obj
        return await self._put(obj, records.begun(obj))

    async def become(self, obj: Object, mark: Mark) -> Held:
        """Make *obj* the record of what *mark* tells."""
        plain = not records.text_of(obj)
        if plain and mark.uid != _UNREADABLE:
            obj = await self._put(obj, mark)
        after = status_of(obj, mark, self._context.clock())
        if self._plural == "backups":
            after = await self._with_available(obj, after)
        await status.write(self._context.client, self._plural, obj, after)
        recorder = self._context.recorder
        # Who made it from its plain manifest may have meant an order.
        tell = recorder.warning if plain or after["reason"] == UNFINISHED else recorder.normal
        await tell(obj, after["reason"], after["message"])
        return Held(LOOK if _is_open(after) else None)

    async def _over(self, obj: Object, mark: Mark | None) -> Held:
        metadata = obj["metadata"]
        if mark is not None and mark.uid != metadata["uid"] and mark.name == metadata["name"]:
            return await self._look_for_set(obj)
        if mark is not None and mark.phase == operations.phase(obj):
            return Held()
        # One of its own that had begun is told apart at once; those from before there were marks have time.
        wait = self._pace(metadata["uid"]) if not records.text_of(obj) else 0.0
        if wait > 0:
            return Held(wait)
        await self._put(obj, records.ended(obj))
        return Held()

    def _pace(self, uid: str) -> float:
        """Seconds until it is this one's turn to be marked."""
        now = self._context.clock().timestamp()
        if uid not in self._slots:
            self._slots[uid] = max(self._next, now)
            self._next = self._slots[uid] + PACE
        wait = self._slots[uid] - now
        if wait <= 0:
            del self._slots[uid]
        return wait

    async def _is_at_work(self, obj: Object) -> bool:
        """Whether this very object has begun, whatever its mark says: that is never cut off half way."""
        if operations.phase(obj) != "Running":
            return False
        if self._plural == "restores":
            return plans.of_restore(obj) is not None
        metadata = obj["metadata"]
        job = await self._context.client.find(
            paths.of("jobs", metadata["namespace"], names.backup_job(metadata["name"]))
        )
        return job is not None and owned.is_owned(job, metadata["uid"])

    async def _put(self, obj: Object, mark: Mark) -> Object:
        metadata = obj["metadata"]
        change = {
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
            "annotations": {names.ANNOTATION_DONE: mark.dump()},
        }
        path = paths.of(self._plural, metadata["namespace"], metadata["name"])
        found = await self._context.client.merge(path, {"metadata": change})
        version = found["metadata"]["resourceVersion"]
        annotations = metadata.get("annotations", {}) | change["annotations"]
        return obj | {"metadata": metadata | {"resourceVersion": version, "annotations": annotations}}

    async def _with_available(self, backup: Object, after: Object) -> Object:
        """Condition Available, by what `info` shows now; Unknown where it cannot be read."""
        label, repo = after.get("label"), after.get("repo") or 0
        if not label:
            return after
        metadata = backup["metadata"]
        info = await read_info(self._context, metadata["namespace"], backup["spec"]["repository"], repo)
        made = None if isinstance(info, str) else info.backup(label, repo or None)
        if isinstance(info, str):
            said: tuple[bool | None, str, str] = (None, "NotRead", f"unknown whether set {label} exists: {info}")
        elif made is not None and is_of(backup, made):
            said = True, "InRepository", f"set {label} is in the repository"
        else:
            said = False, "NotInRepository", f"the repository has no set {label} of this Backup"
        listed = conditions.put(
            after.get("conditions", []),
            "Available",
            *said,
            now=self._context.clock(),
            generation=metadata.get("generation", 1),
        )
        return after | {"conditions": listed}

    async def _look_for_set(self, backup: Object) -> Held:
        """Of a record whose set could not be looked for when it became one, or whose status was brought along."""
        before = backup["status"]
        if self._plural != "backups" or not (_is_open(before) or _was_brought(backup)):
            return Held()
        after = await self._with_available(backup, before)
        await status.write(self._context.client, self._plural, backup, after)
        return Held(LOOK if _is_open(after) else None)


def _is_open(after: Object) -> bool:
    found = conditions.find(after.get("conditions", []), "Available")
    return found is not None and found["status"] == "Unknown"


def _was_brought(backup: Object) -> bool:
    """Whether its condition Available is older than itself."""
    found = conditions.find(backup["status"].get("conditions", []), "Available")
    return found is not None and str(found["lastTransitionTime"]) < str(backup["metadata"]["creationTimestamp"])
