"""A Backup whose Job there is, or was: said how far it is, its end told, and what is left of it taken away."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from controller import failed_create, jobs, operations, owned
from controller.agents import AgentError
from controller.backup import own_pods, progress, render, report
from controller.backup.waiting import POLL, Waiting
from controller.context import Context
from controller.pods import has_ended, out_of_memory
from controller.runtime import conditions, status
from pgwarden.api import names
from pgwarden.api.kinds import BackupSpec, RepositorySpec
from pgwarden.api.objects import Object
from pgwarden.api.reading import is_going, moment
from pgwarden.contract import calls
from pgwarden.contract.backup_progress import BackupProgress
from pgwarden.kube import paths

LOOK = 10.0  # seconds between looks while the Job is at it
ASK_SECONDS = 3.0  # for an answer of the agent in its pod, which can be done without
#: status.reason of one whose Job was taken back because it could not start, until nothing of it is left.
TAKEN_BACK = "JobTakenBack"


class Following:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._waiting = Waiting(context)

    async def look(self, backup: Object, spec: BackupSpec, repository: Object, job: Object) -> float | None:
        """What is next for one that has its Job."""
        pods, now = self.pods(backup, job), self._context.clock()
        if _is_being_ended(backup, job, pods):
            return POLL
        end = jobs.end(job, pods, now)
        if end.state:
            return await self._finish(backup, spec, repository, job, end)
        if end.kept is not None:
            return POLL if is_going(end.kept) else await self._end_pod(backup, job, end.kept)
        refused = await failed_create.of_job(self._context.client, job, pods, now)
        why = progress.stuck(job, pods, now, refused, progress.pod_ended(backup))
        if why:
            return await self._take_back(backup, job, why, progress.patience(refused))
        said = await self._said(backup, spec, pods)
        timeouts = progress.timeouts(spec, msgspec.convert(repository["spec"], RepositorySpec))
        why = progress.stood_still(said, now, timeouts)
        if why:
            return await self._end_still(backup, job, pods, why)
        return await self._running(backup, spec, job, pods, said, refused)

    def pods(self, backup: Object, job: Object | None = None) -> list[Object]:
        return own_pods.of(self._context.caches, backup, own_pods.BACKUP, job)

    async def clear(self, backup: Object) -> None:
        """Of one that is over: a Job that something beside our container keeps going is no use any more."""
        metadata = backup["metadata"]
        job = self._context.caches.jobs.get(metadata["namespace"], names.backup_job(metadata["name"]))
        if job is None or jobs.finished(job) or is_going(job) or not owned.is_owned(job, metadata["uid"]):
            return
        if any(jobs.is_kept(job, pod, self._context.clock()) for pod in self.pods(backup, job)):
            await self._delete("jobs", job)

    # --- while it is at it -------------------------------------------------------------------------------------------

    async def _running(
        self,
        backup: Object,
        spec: BackupSpec,
        job: Object,
        pods: list[Object],
        said: BackupProgress | None,
        refused: str,
    ) -> float:
        """Say how far it is, why its pod does not start, where Kubernetes says so, and which attempt it is."""
        before, last, retries = backup.get("status") or {}, "", jobs.retries(job)
        if jobs.tried(job):
            last = _last_failure(before, progress.failure(progress.result(backup, job, pods)))
            last = report.with_killed(last, self._out_of_memory(backup, spec, job, pods))
        reason, message = progress.running(job, pods, said, last, self._context.clock(), refused)
        if before.get("message") != message or (before.get("retries") or 0) != retries:
            wanted = before | {"phase": "Running", "reason": reason, "message": message, "retries": retries or None}
            await status.write(self._context.client, "backups", backup, wanted | ({"lastError": last} if last else {}))
            if before.get("reason") != reason and reason != progress.RUNS:
                await self._context.recorder.warning(backup, reason, message)
        return LOOK if pods else POLL

    def _out_of_memory(self, backup: Object, spec: BackupSpec, job: Object, own: list[Object]) -> str:
        """Which container was: of the Job's own pods, or of PostgreSQL's, where its processes read and compress.

        What to raise is said of ours alone.
        """
        caches, namespace = self._context.caches, backup["metadata"]["namespace"]
        since = moment((backup.get("status") or {}).get("startTime"))
        labelled = caches.labelled(caches.postgres_pods, namespace, names.LABEL_REPOSITORY, spec.repository)
        field = "spec.resources of this Backup" if spec.resources else "the Repository's spec.resources"
        for found, ours, where in (
            (own, jobs.own_containers(job), field),
            (labelled, {names.CONTAINER_SIDECAR}, "the Repository's spec.sidecarResources"),
        ):
            killed = out_of_memory(found, since)
            if killed is not None and killed.container in ours:
                return f"{killed.message}: raise limits.memory in {where}, or lower process-max or compress-level"
            if killed is not None:
                return killed.message
        return ""

    async def _said(self, backup: Object, spec: BackupSpec, pods: list[Object]) -> BackupProgress | None:
        """What the agent in its pod answers; None where it gives no answer: its Job and pods tell then."""
        for pod in pods:
            address = pod.get("status", {}).get("podIP")
            if address and not has_ended(pod) and not is_going(pod):
                key, call = (backup["metadata"]["namespace"], spec.repository), calls.status()
                try:
                    found = await self._context.agents.host(key, address, call, seconds=ASK_SECONDS)
                except AgentError:
                    return None
                return found.backup
        return None

    async def _end_pod(self, backup: Object, job: Object, pod: Object) -> float:
        """It has failed, and something that is not ours keeps it: Kubernetes makes the next one once it has gone."""
        why, beside = progress.failure(jobs.result([pod], job)), ", ".join(jobs.beside(job, pod))
        message = f"Job {job['metadata']['name']} runs again: {why} (container {beside} kept the pod)"
        return await self._end_pods(backup, [pod], why, progress.RETRIES, message)

    async def _end_still(self, backup: Object, job: Object, pods: list[Object], why: str) -> float:
        """It holds the stanza and does nothing: that was a try. Kubernetes makes the next pod, if there is one left."""
        number, of = jobs.tried(job) + 1, render.RETRIES + 1
        message = f"attempt {number} of {of} of Job {job['metadata']['name']} is ended: {why}"
        alive = [pod for pod in pods if not has_ended(pod) and not is_going(pod)]
        return await self._end_pods(backup, alive, why, progress.STOOD_STILL, message)

    async def _end_pods(self, backup: Object, pods: list[Object], why: str, reason: str, message: str) -> float:
        """*why* is written first: of a pod that is ended here nothing is left to read."""
        ended = {"lastError": why, "podEndedTime": conditions.timestamp(self._context.clock())}
        wanted = (backup.get("status") or {}) | {"phase": "Running", "reason": reason, "message": message} | ended
        if await status.write(self._context.client, "backups", backup, wanted):
            await self._context.recorder.warning(backup, reason, message)
        for pod in pods:
            await self._delete("pods", pod)
        return POLL

    # --- a Job that cannot start -------------------------------------------------------------------------------------

    async def _take_back(self, backup: Object, job: Object, why: str, patience: timedelta) -> float:
        """Others wait for the stanza. Until nothing of the Job is left it is still held: a pod may start meanwhile."""
        minutes = patience.total_seconds() / 60
        message = f"no pod of Job {job['metadata']['name']} has started within {minutes:g} minutes: {why}"
        before = backup.get("status") or {}
        after = before | {"phase": "Running", "reason": TAKEN_BACK, "message": message}
        await status.write(self._context.client, "backups", backup, after)
        await self._delete("jobs", job)
        return POLL

    async def _put_back(self, backup: Object) -> float:
        after = report.taken_back(backup, str(backup["status"].get("message") or ""), self._context.clock())
        await status.write(self._context.client, "backups", backup, after)
        await self._context.recorder.warning(backup, operations.JOB_STUCK, after["message"])
        return POLL

    # --- the end -----------------------------------------------------------------------------------------------------

    async def _finish(
        self, backup: Object, spec: BackupSpec, repository: Object, job: Object, end: jobs.End
    ) -> float | None:
        now, repo_spec = self._context.clock(), msgspec.convert(repository["spec"], RepositorySpec)
        proof = await report.find_set(self._context, backup, spec, repo_spec)
        if proof.found is None:
            # `info` is the proof. It is read again until it shows the set; the Job's own word alone is not enough, nor
            # is its failure: what failed may be what came after the set.
            waits = report.reading(job, end, was_read=proof.was_read, now=now)
            if waits:
                return await self._waiting.put(backup, operations.READING, waits, phase="Running")
        pods = self.pods(backup, job)
        result, killed = progress.result(backup, job, pods), self._out_of_memory(backup, spec, job, pods)
        after = report.ended(backup, spec, repo_spec, job, end, result, proof.found, now, killed)
        after["retries"] = jobs.retries(job) or None
        await status.write(self._context.client, "backups", backup, after)
        await self._tell(backup, repository, after)
        if end.kept is not None:
            await self._delete("jobs", job)
        return None

    async def lost(self, backup: Object, spec: BackupSpec, repository: Object) -> float | None:
        """Running by the status, but no Job: it was taken back, or deleted. `info` decides."""
        repo_spec = msgspec.convert(repository["spec"], RepositorySpec)
        before = backup["status"]
        taken_back = before.get("reason") == TAKEN_BACK
        if taken_back and any(not has_ended(pod) for pod in self.pods(backup)):
            return POLL
        proof = await report.find_set(self._context, backup, spec, repo_spec)
        if proof.found is None and taken_back:
            return await self._put_back(backup)
        if proof.found is None and not proof.was_read:
            text = f"Job {before.get('job')} was deleted; its set is looked up once `pgbackrest info` can be read"
            return await self._waiting.put(backup, operations.READING, text, phase="Running")
        after = report.without_job(backup, spec, repo_spec, proof.found, self._context.clock())
        await status.write(self._context.client, "backups", backup, after)
        await self._context.recorder.warning(backup, after["reason"], after["message"])
        return None

    async def _tell(self, backup: Object, repository: Object, after: Object) -> None:
        recorder, reason, message = self._context.recorder, after["reason"], after["message"]
        if reason == "Completed":
            await recorder.normal(backup, reason, message)
            return
        reason = reason if after["phase"] == "Completed" else "BackupFailed"
        await recorder.warning(backup, reason, message)
        await recorder.warning(repository, reason, f"Backup {backup['metadata']['name']}: {message}")

    async def _delete(self, plural: str, obj: Object) -> None:
        metadata = obj["metadata"]
        path = paths.of(plural, metadata["namespace"], metadata["name"])
        await self._context.client.delete(path, uid=metadata["uid"])


def _is_being_ended(backup: Object, job: Object, pods: list[Object]) -> bool:
    """Whether what was ended here is still there: what it says of itself counts for nothing any more."""
    reason = (backup.get("status") or {}).get("reason")
    if reason == TAKEN_BACK:
        return is_going(job)
    alive = [pod for pod in pods if not has_ended(pod)]
    return reason == progress.STOOD_STILL and bool(alive) and all(map(is_going, alive))


def _last_failure(before: Object, said: str) -> str:
    """Why the last pod failed: by what it left; else, where the pod is gone, by what was noted of it."""
    noted = str(before.get("lastError") or "")
    return noted if noted and said == progress.KILLED else said
