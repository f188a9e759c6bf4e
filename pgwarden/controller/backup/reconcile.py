"""One Backup: wait for its turn, run the Job, read what came of it."""

from __future__ import annotations

import msgspec
import structlog

from pgwarden.api import names
from pgwarden.api.kinds import BackupSpec, RepositorySpec
from pgwarden.api.options import parse_options
from pgwarden.controller import admission, jobs, operations
from pgwarden.controller.backup import expire, render, report, turn
from pgwarden.controller.context import Context
from pgwarden.controller.runtime import conditions, status
from pgwarden.kube import errors, paths
from pgwarden.kube.cache import Key
from pgwarden.kube.client import Object
from pgwarden.pgbackrest import commands
from pgwarden.pgbackrest.info import BackupSet

log = structlog.get_logger()
POLL = 2.0  # seconds between looks while something that sends no event must come first


class BackupController:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def reconcile(self, key: Key) -> float | None:
        backup = self._context.caches.backups.get(*key)
        if backup is None:
            return None
        if "deletionTimestamp" in backup["metadata"]:
            return await expire.Expiry(self._context, backup).look() if expire.has_finalizer(backup) else None
        if await expire.keep_finalizer(self._context, backup):
            return None  # the change comes back as one more look
        if operations.is_over(backup):
            return None
        if not await admission.accepted(self._context, "backups", backup):
            return None
        spec = msgspec.convert(backup["spec"], BackupSpec)
        repository = self._context.caches.repositories.get(key[0], spec.repository)
        if repository is None:
            return await self._wait(backup, "NoRepository", f"there is no Repository {spec.repository} in {key[0]}")
        job = await self._context.client.find(paths.of("jobs", key[0], names.backup_job(key[1])))
        if job is None:
            return await self._begin(backup, spec, repository)
        if turn.is_strangers(job, backup):
            why = f"there is a Job {names.backup_job(key[1])} that is not this Backup's; delete it if nobody needs it"
            return await self._wait(backup, "JobInTheWay", f"{why}, or take another name")
        if not jobs.finished(job):
            return await self._running(backup, job)
        return await self._finish(backup, spec, repository, job)

    async def _begin(self, backup: Object, spec: BackupSpec, repository: Object) -> float | None:
        namespace = backup["metadata"]["namespace"]
        if operations.phase(backup) == "Running":
            # The Job that the status speaks of has gone (deleted by hand, or expired): it is not known what it did.
            return await self._lost(backup, spec, repository)
        if not conditions.is_true(repository, "Ready"):
            found = conditions.find((repository.get("status") or {}).get("conditions", []), "Ready")
            return await self._wait(
                backup, "RepositoryNotReady", found["message"] if found else "Repository is not ready yet"
            )
        if not (repository.get("status") or {}).get("primary"):
            return await self._wait(
                backup, "NoPrimary", f"no PostgreSQL primary of Repository {spec.repository} answers"
            )
        async with self._context.lock(namespace, spec.repository):
            # Two that look at once decide alike; the lock covers the moment before the first is seen to run.
            listed = await turn.listed(self._context.client, namespace, spec.repository)
            if not operations.may_run(backup, listed):
                held_by = operations.holder(listed)
                title = operations.title(held_by) if held_by else "another operation"
                return await self._wait(
                    backup, "WaitingForTurn", f"waits until {title} is over: one at a time on a stanza"
                )
            await self._start(backup, spec, repository)
        return None

    async def _start(self, backup: Object, spec: BackupSpec, repository: Object) -> None:
        name, namespace = backup["metadata"]["name"], backup["metadata"]["namespace"]
        repo_spec = msgspec.convert(repository["spec"], RepositorySpec)
        options, _ = parse_options(spec.options, command="backup", storages=repo_spec.storages)
        marks = {names.PGBACKREST_ANNOTATION_UID: backup["metadata"]["uid"]}
        number = repo_spec.repo_number(spec.storage)
        argv = commands.backup_argv(names.stanza(spec.repository), spec.type, number, options, marks)
        # The status goes first: should we die between the two, the next look finds JobStarting and starts it again.
        now = self._context.clock()
        after = report.started(backup, spec, repo_spec, now)
        await status.write(self._context.client, "backups", backup, after)
        job = render.job(backup, spec, repository, repo_spec, argv, self._context.settings)
        try:
            await self._context.client.create(paths.of("jobs", namespace), job)
        except errors.Conflict:
            log.info("the Job is there already", job=job["metadata"]["name"])
        await self._context.recorder.normal(
            backup, "Started", f"started Job {names.backup_job(name)}: {' '.join(argv)}"
        )

    async def _running(self, backup: Object, job: Object) -> float | None:
        """Say why the Job's pod does not start, where Kubernetes says so, and which attempt it is."""
        caches = self._context.caches
        label = names.short(backup["metadata"]["name"], 63)
        pods = caches.labelled(caches.own_pods, backup["metadata"]["namespace"], names.LABEL_BACKUP, label)
        before = backup.get("status") or {}
        reason, message = report.running(job, pods)
        if before.get("message") != message:
            wanted = before | {"phase": "Running", "reason": reason, "message": message}
            await status.write(self._context.client, "backups", backup, wanted)
            if reason != "JobRuns":
                await self._context.recorder.warning(backup, reason, message)
        return 10.0

    async def _finish(self, backup: Object, spec: BackupSpec, repository: Object, job: Object) -> float | None:
        caches = self._context.caches
        label = names.short(backup["metadata"]["name"], 63)
        pods = caches.labelled(caches.own_pods, backup["metadata"]["namespace"], names.LABEL_BACKUP, label)
        result = jobs.result(pods)
        repo_spec = msgspec.convert(repository["spec"], RepositorySpec)
        found = await self._find_set(backup, spec, repo_spec)
        if jobs.finished(job) == "Complete" and found is None:
            # `info` is the proof. It is read again until it shows the set; the Job's own word alone is not enough.
            return await self._wait(
                backup, "ReadingInfo", "the Job has ended; its backup set is looked for", phase="Running"
            )
        after = report.ended(backup, spec, repo_spec, job, result, found, self._context.clock())
        await status.write(self._context.client, "backups", backup, after)
        if after["phase"] == "Completed":
            await self._context.recorder.normal(backup, "Completed", after["message"])
        else:
            await self._context.recorder.warning(backup, "BackupFailed", after["message"])
            await self._context.recorder.warning(
                repository, "BackupFailed", f"Backup {backup['metadata']['name']}: {after['message']}"
            )
        return None

    async def _lost(self, backup: Object, spec: BackupSpec, repository: Object) -> float | None:
        """Running by the status, but no Job: begun a moment ago and not made, or deleted. `info` decides."""
        repo_spec = msgspec.convert(repository["spec"], RepositorySpec)
        found = await self._find_set(backup, spec, repo_spec)
        if found is None and (backup["status"].get("reason") == "JobStarting"):
            await self._start(backup, spec, repository)
            return None
        after = report.without_job(backup, spec, repo_spec, found, self._context.clock())
        await status.write(self._context.client, "backups", backup, after)
        await self._context.recorder.warning(backup, after["reason"], after["message"])
        return None

    async def _find_set(self, backup: Object, spec: BackupSpec, repo_spec: RepositorySpec) -> BackupSet | None:
        return await report.find_set(self._context, backup, spec, repo_spec)

    async def _wait(self, backup: Object, reason: str, message: str, *, phase: str = "Pending") -> float:
        before = backup.get("status") or {}
        if (before.get("reason"), before.get("message")) != (reason, message):
            now, generation = self._context.clock(), backup["metadata"]["generation"]
            listed = conditions.put(
                before.get("conditions", []), "Completed", None, reason, message, now=now, generation=generation
            )
            after = before | {"phase": phase, "reason": reason, "message": message, "conditions": listed}
            await status.write(self._context.client, "backups", backup, after | {"observedGeneration": generation})
            await self._context.recorder.normal(backup, reason, message)
        return POLL
