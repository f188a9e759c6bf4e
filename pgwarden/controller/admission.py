"""The same rules as at admission, once more: a webhook that was bypassed changes nothing."""

from __future__ import annotations

from pgwarden.api import faults, rules
from pgwarden.controller.context import CacheLookup, Context
from pgwarden.controller.runtime import conditions, status
from pgwarden.kube.client import Object


async def accepted(context: Context, plural: str, obj: Object) -> bool:
    """Whether *obj* keeps every rule. Where not: condition Rejected and phase Failed, with the webhook's own text."""
    before = obj.get("status") or {}
    generation = obj["metadata"]["generation"]
    if before.get("phase") in {"Completed", "Running"}:
        # Decided when it began. What has become of the world since (a window that moved on) must not stop it halfway.
        return True
    verdict = rules.validate(
        obj,
        old=None,
        lookup=CacheLookup(context.caches),
        now=context.clock(),
        defaults=context.settings.defaults,
        standing=True,
    )
    rejected = conditions.find(before.get("conditions", []), "Rejected")
    if not verdict.faults:
        if rejected is not None and rejected["status"] == "True":
            listed = [one for one in before["conditions"] if one["type"] != "Rejected"]
            phase = "Creating" if plural == "postgresclusters" else "Pending"  # each kind's first one
            await status.write(context.client, plural, obj, before | {"conditions": listed, "phase": phase})
        return True
    message = faults.summary(verdict.faults)
    if rejected is not None and rejected["message"] == message:
        return False
    now = context.clock()
    after = before | {
        "observedGeneration": generation,
        "phase": "Failed",
        "conditions": conditions.put(
            before.get("conditions", []), "Rejected", True, "InvalidSpec", message, now=now, generation=generation
        ),
    }
    await status.write(context.client, plural, obj, after)
    await context.recorder.warning(obj, "Rejected", message)
    return False
