"""One RestoreDrill: restore into a claim of its own, check, delete what was made."""

from __future__ import annotations

import contextlib
import secrets
from datetime import datetime, timedelta
from typing import Any

import msgspec

from controller import admission, failed_create, finalizers, jobs, operations, owned, pod_terms, pods, turns
from controller.context import Context
from controller.drill import cleaning, moment, proof, render, report
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
KEPT_POLL = 3600.0  # at most, at what is kept of one that failed
_SEEDS = 2**53  # as many as JSON's numbers hold
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
            until, now = cleaning.kept_until(drill), self._context.clock()
            if until is not None and now < until and await cleaning.keep(self._context, drill, until):
                return min((until - now).total_seconds(), KEPT_POLL)
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
            if was := str((drill.get("status") or {}).get("message") or ""):
                text += f"; it was at: {was}"
            return await self._say(drill, "Failed", "DeadlineExceeded", text)
        restore = await self._context.client.find(paths.of("restores", namespace, name))
        if restore is None:
            return await self._begin(drill, spec)
        if not proof.is_real(drill, restore):
            return await self._say(drill, "Failed", "RestoreExists", f"a Restore {name} exists that is another's")
        found = restore.get("status") or {}
        more = said.of_restore(restore, spec, self._context.caches.repositories.get(namespace, spec.repository))
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
        now = conditions.timestamp(self._context.clock())
        since = str((drill.get("status") or {}).get("startTime") or now)
        drawn = self._drawn(drill, spec) if spec.is_random else None
        if spec.is_random and drawn is None:
            text = f"Repository {spec.repository} knows of no recovery window yet, in which a moment could be drawn"
            return await self._say(drill, "Pending", "NoWindow", text, startTime=since)
        made = render.restore(drill, spec, drawn)
        try:
            await self._context.client.create(paths.of("restores", drill["metadata"]["namespace"]), made)
        except errors.Conflict:
            return POLL  # it was made a moment ago
        except errors.Invalid as refused:  # by what the Repository has learned since, or by a quota or a policy
            return await self._say(drill, "Pending", "RestoreRefused", refused.message, startTime=since)
        name = made["metadata"]["name"]
        return await self._say(drill, "Pending", "Restoring", f"Restore {name} begins", startTime=since)

    def _drawn(self, drill: Object, spec: RestoreDrillSpec) -> datetime | None:
        """The moment of a random target. What is drawn is kept in the Restore."""
        namespace, caches = drill["metadata"]["namespace"], self._context.caches
        repository = caches.repositories.get(namespace, spec.repository)
        if repository is None:
            return None
        restores = caches.of_repository(caches.ours["restores"], namespace, spec.repository)
        seed = secrets.randbelow(_SEEDS) if spec.seed is None else spec.seed
        return moment.draw(seed, repository, restores, spec)

    async def _check(self, drill: Object, spec: RestoreDrillSpec, restore: Object, more: Object) -> float | None:
        namespace, name = drill["metadata"]["namespace"], names.drill_checks(drill["metadata"]["name"])
        job = await self._context.client.find(paths.of("jobs", namespace, name))
        if job is None:
            return await self._start(drill, spec, restore, more)
        if not owned.is_owned(job, drill["metadata"]["uid"]):
            return await self._say(drill, "Failed", "JobExists", f"a Job {name} exists that is another's", **more)
        own = [one for one in self._pods(drill, spec) if owned.is_owned(one, job["metadata"]["uid"])]
        end = jobs.end(job, own, self._context.clock())
        if not end.state:
            if end.kept is not None:  # by what is not ours: Kubernetes makes another once it has gone
                metadata = end.kept["metadata"]
                await self._context.client.delete(paths.of("pods", namespace, metadata["name"]), uid=metadata["uid"])
            refused = await failed_create.of_job(self._context.client, job, own, self._context.clock())
            return await self._say(drill, "Running", *said.checking(job, own, refused), **more)
        result = report.of(job, own)
        if not result.whole:  # a cache may not show yet how the pod has ended
            own = [one async for one in self._context.client.items(paths.of("pods", namespace), _of(drill))]
            result = report.of(job, own)
        phase, reason, text = said.judged(result, own)
        seconds = more.get("seconds", {}) | dict(result.seconds)
        shown = more | {"seconds": seconds, "checks": [one.shown() for one in result.checks]}
        return await self._say(drill, phase, reason, text, **shown)

    def _pods(self, drill: Object, spec: RestoreDrillSpec) -> list[Object]:
        """Those with the checks, of any Job."""
        caches, metadata = self._context.caches, drill["metadata"]
        of_it = names.short(spec.repository, 63)
        listed = caches.labelled(caches.own_pods, metadata["namespace"], names.LABEL_OWNER_REPOSITORY, of_it)
        return [one for one in listed if render.labels(drill).items() <= (one["metadata"].get("labels") or {}).items()]

    async def _start(self, drill: Object, spec: RestoreDrillSpec, restore: Object, more: Object) -> float | None:
        namespace = drill["metadata"]["namespace"]
        if not all(map(pods.has_ended, self._pods(drill, spec))):
            text = "a pod with the checks goes, whose Job was deleted; another one follows"
            return await self._say(drill, "Running", "Checking", text, **more)
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


def _of(drill: Object) -> dict[str, str]:
    """The query for the pods with its checks."""
    return {"labelSelector": ",".join(f"{key}={value}" for key, value in render.labels(drill).items())}
