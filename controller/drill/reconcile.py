"""One RestoreDrill: restore into a claim of its own, check, delete what was made."""

from __future__ import annotations

import contextlib
from datetime import datetime, timedelta
from typing import Any

import msgspec

from controller import admission, finalizers, jobs, operations, owned, pod_terms, turns
from controller.context import Context
from controller.drill import cleaning, proof, render, report
from controller.drill import status as said
from controller.recovery import plan as plans
from controller.runtime import conditions, status
from pgwarden.api import names
from pgwarden.api.kinds import RepositorySpec, RestoreDrillSpec
from pgwarden.api.objects import Object
from pgwarden.api.reading import is_going
from pgwarden.kube import errors, paths
from pgwarden.kube.cache import Key

POLL, LONGEST_POLL = 2.0, 15.0  # seconds between two looks at its Restore and its Job
_PLURAL = "restoredrills"


class DrillController:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def reconcile(self, key: Key) -> float | None:
        drill = self._context.caches.ours[_PLURAL].get(*key)
        if drill is None:
            return None
        kept = finalizers.has(drill, names.FINALIZER_DRILL)
        if is_going(drill) or operations.is_over(drill):
            if not kept:
                return None
            if not await cleaning.clean(self._context, drill):
                return cleaning.SOON
            await cleaning.set_finalizer(self._context, drill, there=False)
            return None
        answer = await admission.judge(self._context, _PLURAL, drill)
        if not answer.go:
            return answer.again
        if not kept:
            await cleaning.set_finalizer(self._context, drill, there=True)
            return None  # the change comes back as one more look
        return await self._go_on(drill, render.spec_of(drill))

    async def _go_on(self, drill: Object, spec: RestoreDrillSpec) -> float | None:
        namespace, name = drill["metadata"]["namespace"], names.drill(drill["metadata"]["name"])
        if self._is_late(drill, spec):
            text = f"it took longer than {spec.active_deadline_seconds} s (spec.activeDeadlineSeconds)"
            return await self._say(drill, "Failed", "DeadlineExceeded", text)
        restore = await self._context.client.find(paths.of("restores", namespace, name))
        if restore is None:
            return await self._begin(drill, spec)
        if not proof.is_real(drill, restore):
            return await self._say(drill, "Failed", "RestoreExists", f"a Restore {name} exists that is another's")
        found = restore.get("status") or {}
        more = said.of_restore(restore) | {"restoreUID": restore["metadata"]["uid"]}
        text, reason = str(found.get("message") or ""), str(found.get("reason") or "Restoring")
        match operations.phase(restore):
            case "Failed":
                return await self._say(drill, "Failed", reason, text, **more)
            case "Completed":
                return await self._check(drill, spec, restore, more)
            case phase:
                return await self._say(drill, phase, reason, text or f"Restore {name} begins", **more)

    def _is_late(self, drill: Object, spec: RestoreDrillSpec) -> bool:
        since = (drill.get("status") or {}).get("startTime")
        limit = timedelta(seconds=spec.active_deadline_seconds)
        return bool(since) and self._context.clock() - datetime.fromisoformat(str(since)) > limit

    async def _begin(self, drill: Object, spec: RestoreDrillSpec) -> float | None:
        if (drill.get("status") or {}).get("restoreUID"):
            return await self._say(drill, "Failed", "RestoreGone", "the Restore that was made for it was deleted")
        made = render.restore(drill, spec)
        try:
            await self._context.client.create(paths.of("restores", drill["metadata"]["namespace"]), made)
        except errors.Conflict:
            return POLL  # it was made a moment ago
        name, now = made["metadata"]["name"], conditions.timestamp(self._context.clock())
        return await self._say(drill, "Pending", "Restoring", f"Restore {name} begins", startTime=now)

    async def _check(self, drill: Object, spec: RestoreDrillSpec, restore: Object, more: Object) -> float | None:
        namespace, name = drill["metadata"]["namespace"], names.drill_checks(drill["metadata"]["name"])
        job = await self._context.client.find(paths.of("jobs", namespace, name))
        if job is None:
            return await self._start(drill, spec, restore, more)
        if not owned.is_owned(job, drill["metadata"]["uid"]):
            return await self._say(drill, "Failed", "JobExists", f"a Job {name} exists that is another's", **more)
        caches = self._context.caches
        pods = caches.labelled(
            caches.own_pods, namespace, names.LABEL_OWNER_REPOSITORY, names.short(spec.repository, 63)
        )
        end = jobs.end(job, [one for one in pods if owned.is_owned(one, job["metadata"]["uid"])], self._context.clock())
        if not end.state:
            return await self._say(drill, "Running", "Checking", f"Job {name} checks what was restored", **more)
        result = report.of(job, pods, render.CONTAINER)
        phase, reason, text = said.judged(result)
        begun = datetime.fromisoformat(job["metadata"]["creationTimestamp"])
        seconds = more.get("seconds", {}) | {"checks": int(((end.at or self._context.clock()) - begun).total_seconds())}
        shown = more | {"seconds": seconds, "checks": [one.shown() for one in result.checks]}
        return await self._say(drill, phase, reason, text, **shown)

    async def _start(self, drill: Object, spec: RestoreDrillSpec, restore: Object, more: Object) -> float | None:
        namespace = drill["metadata"]["namespace"]
        plan = plans.of_restore(restore)
        repository = self._context.caches.repositories.get(namespace, spec.repository)
        if plan is None or repository is None:
            text = f"there is no Repository {spec.repository}, or its Restore has no plan that can be read"
            return await self._say(drill, "Failed", "PlanUnreadable", text, **more)
        repo_spec = msgspec.convert(repository["spec"], RepositorySpec)
        terms = pod_terms.terms(self._context, namespace, spec.repository)
        try:
            if self._context.settings.network_policies:
                await self._create("networkpolicies", render.policy(drill))
            await self._create("jobs", render.job(drill, spec, plan, repo_spec, terms.asks))
        except errors.Invalid as refused:
            return await self._say(drill, "Running", operations.JOB_REFUSED, str(refused), **more)
        return await self._say(drill, "Running", "Checking", "PostgreSQL starts on what was restored", **more)

    async def _create(self, plural: str, body: Object) -> None:
        with contextlib.suppress(errors.Conflict):  # made before this controller was restarted
            await self._context.client.create(paths.of(plural, body["metadata"]["namespace"]), body)

    async def _say(self, drill: Object, phase: str, reason: str, message: str, **more: Any) -> float | None:
        before = (drill.get("status") or {}).get("reason")
        after = said.put(drill, phase, reason, message, self._context.clock(), **more)
        if phase in operations.TERMINAL:
            await proof.record(self._context, drill, after)
        await status.write(self._context.client, _PLURAL, drill, after)
        if before != reason:
            tell = self._context.recorder.warning if phase == "Failed" else self._context.recorder.normal
            await tell(drill | {"kind": "RestoreDrill", "apiVersion": names.API_VERSION}, reason, message)
        now, began = self._context.clock(), str(after.get("startTime") or "")
        return None if phase in operations.TERMINAL else min(LONGEST_POLL, turns.pause(now, began, POLL))
