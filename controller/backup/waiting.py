"""A Backup that waits: its status, an Event where it begins to or waits for something else, and the next look."""

from __future__ import annotations

from controller import operations, turns
from controller.context import Context
from controller.runtime import conditions, status
from pgwarden.api.objects import Object

POLL = 2.0  # seconds between looks while something that sends no event must come first
#: Their messages change all the time.
_COUNTING = frozenset({operations.BACKLOG})


class Waiting:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def put(
        self, backup: Object, reason: str, message: str, *, phase: str = "Pending", **more: str | None
    ) -> float:
        before = backup.get("status") or {}
        if (before.get("reason"), before.get("message")) != (reason, message):
            now, generation = self._context.clock(), backup["metadata"]["generation"]
            listed = conditions.put(
                before.get("conditions", []), "Completed", None, reason, message, now=now, generation=generation
            )
            after = before | {"phase": phase, "reason": reason, "message": message, "conditions": listed} | more
            await status.write(self._context.client, "backups", backup, after | {"observedGeneration": generation})
            if before.get("reason") != reason or reason not in _COUNTING:
                recorder = self._context.recorder
                tell = recorder.warning if reason in operations.WRONG else recorder.normal
                await tell(backup, reason, message)
        if phase != "Pending":
            return POLL
        return turns.pause(self._context.clock(), backup["metadata"]["creationTimestamp"], POLL)
