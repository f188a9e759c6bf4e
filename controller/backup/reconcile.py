"""One Backup: wait for its turn, run the Job, read what came of it."""

from __future__ import annotations

import msgspec
import structlog

from controller import admission, jobs, operations, returned, storage_state, turns
from controller.backup import expire, job_conflicts, render, report
from controller.context import Context
from controller.runtime import conditions, status
from pgwarden.api import names
from pgwarden.api.kinds import BackupSpec, RepositorySpec
from pgwarden.api.objects import Object
from pgwarden.contract import server_facts
from pgwarden.kube import errors, paths
from pgwarden.kube.cache import Key
from pgwarden.pgbackrest import commands
from pgwarden.pgbackrest.user_options import parse_options

log = structlog.get_logger()
POLL = 2.0  # seconds between looks while something that sends no event must come first


class BackupController:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._records = returned.Records(context, "backups")

    async def reconcile(self, key: Key) -> float | None:
        backup = self._context.caches.backups.get(*key)
        if backup is None:
            return None
        if "deletionTimestamp" in backup["metadata"]:
            return await expire.Expiry(self._context, backup).look() if expire.has_finalizer(backup) else None
        if await expire.keep_finalizer(self._context, backup):
            return None  # the change comes back as one more look
        held = await self._records.look(backup)
        if held is not None:
            return held.again
        answer = await admission.judge(self._context, "backups", backup)
        if not answer.go:
            return answer.again
        spec = msgspec.convert(backup["spec"], BackupSpec)
        repository = self._context.caches.repositories.get(key[0], spec.repository)
        if repository is None:  # and it runs: else the rules would have said so
            message = (
                f"there is no Repository {spec.repository} in {key[0]}; the Job's result is read once there is one"
            )
            return await self._wait(backup, "NoRepository", message, phase=operations.phase(backup))
        job = await self._context.client.find(paths.of("jobs", key[0], names.backup_job(key[1])))
        if job is None:
            return await self._begin(backup, spec, repository)
        if job_conflicts.is_strangers(job, backup):
            return await self._wait(backup, *job_conflicts.in_the_way(job, backup))
        if not jobs.finished(job):
            return await self._running(backup, job)
        return await self._finish(backup, spec, repository, job)

    async def _begin(self, backup: Object, spec: BackupSpec, repository: Object) -> float | None:
        namespace = backup["metadata"]["namespace"]
        if operations.phase(backup) == "Running":
            # The Job that the status speaks of has gone (deleted by hand, or expired): it is not known what it did.
            return await self._lost(backup, spec, repository)
        repo_spec = msgspec.convert(repository["spec"], RepositorySpec)
        hindrance = storage_state.hindrance(repository, spec.storage or repo_spec.storages[0])
        if hindrance:
            return await self._wait(backup, operations.NOT_READY, hindrance)
        if not (repository.get("status") or {}).get("primary"):
            return await self._wait(
                backup, "NoPrimary", f"no PostgreSQL primary of Repository {spec.repository} responds"
            )
        # By the cache first: while it shows that others go before, nothing is read.
        known = turns.known(self._context.caches, namespace, spec.repository)
        if not operations.may_run(backup, known):
            return await self._wait_for_turn(backup, known)
        async with self._context.lock(namespace, spec.repository):
            # Two that look at once decide alike; the lock covers the moment before the first is seen to run.
            listed = await turns.listed(self._context.client, namespace, spec.repository)
            if not operations.may_run(backup, listed):
                return await self._wait_for_turn(backup, listed)
            held = await self._done_before(backup, repository)
            if held is not None:
                return held
            return await self._start(backup, spec, repository)

    async def _wait_for_turn(self, backup: Object, listed: list[Object]) -> float:
        title, _ = operations.standing(backup, listed)
        return await self._wait(
            backup, "WaitingForTurn", f"waiting for {title} to finish: only one operation runs on a stanza"
        )

    async def _done_before(self, backup: Object, repository: Object) -> float | None:
        """Whether it came back without its mark, from Git: then `info` has the set that it made. None: it is to run."""
        repo_spec = msgspec.convert(repository["spec"], RepositorySpec)
        repo = repo_spec.repo_number(backup["spec"].get("storage", ""))
        metadata = backup["metadata"]
        info = await returned.read_info(self._context, metadata["namespace"], repository["metadata"]["name"], repo)
        if isinstance(info, str):
            return await self._wait(backup, "RepositoryNotReachable", f"the backups cannot be listed: {info}")
        made = returned.made_before(backup, info)
        if made is None:
            return None
        await self._records.become(backup, returned.of_set(backup, made, repo_spec.storages))
        return 0.0

    async def _start(self, backup: Object, spec: BackupSpec, repository: Object) -> float | None:
        repo_spec = msgspec.convert(repository["spec"], RepositorySpec)
        options, _ = parse_options(spec.options, command="backup", storages=repo_spec.storages)
        number = repo_spec.repo_number(spec.storage)
        marks = _marks(backup, repository)
        argv = commands.backup_argv(names.stanza(spec.repository), spec.type, number, options, marks)
        storage = spec.storage or repo_spec.storages[0]
        job = render.job(backup, spec, repository, repo_spec, argv, self._context.settings, storage=storage)
        # A quota or a policy may refuse it: better to know that before anything says that it runs.
        refused = await self._make(job, dry=True)
        if refused:
            return await self._refused(backup, refused)
        backup = await self._records.begin(backup)
        # The status goes first: should we die between the two, the next look finds JobStarting and starts it again.
        after = report.started(backup, spec, repo_spec, self._context.clock())
        await status.write(self._context.client, "backups", backup, after)
        refused = await self._make(job)
        if refused:
            return await self._refused(backup | {"status": {k: v for k, v in after.items() if v is not None}}, refused)
        started = f"started Job {job['metadata']['name']}: {' '.join(argv)}"
        await self._context.recorder.normal(backup, "Started", started)
        return None

    async def _make(self, job: Object, *, dry: bool = False) -> str:
        """Why the API server does not take *job*; empty where it does, or has it already."""
        client, path = self._context.client, paths.of("jobs", job["metadata"]["namespace"])
        try:
            if dry:
                await client.request("POST", path, body=job, params={"dryRun": "All"})
            else:
                await client.create(path, job)
        except errors.Conflict:
            log.info("the Job already exists", job=job["metadata"]["name"])
        except errors.Terminating:
            raise
        except errors.Invalid as refused:
            return job_conflicts.refused(refused)
        return ""

    async def _refused(self, backup: Object, why: str) -> float:
        """No Job was created: the Backup has not started, whatever its status says, and blocks no other operation."""
        return await self._wait(backup, operations.JOB_REFUSED, why, job=None, startTime=None)

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
        proof = await self._find_set(backup, spec, repo_spec)
        found = proof.found
        if jobs.finished(job) == "Complete" and found is None:
            # `info` is the proof. It is read again until it shows the set; the Job's own word alone is not enough.
            late = self._context.clock() - jobs.completed(job, self._context.clock()) > report.LONGEST_READING
            if not (late and proof.was_read):
                text = "the Job has ended; looking up its backup set"
                text += (
                    "" if proof.was_read else ", but `pgbackrest info` cannot be read; this blocks no other operation"
                )
                return await self._wait(backup, operations.READING, text, phase="Running")
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
        proof = await self._find_set(backup, spec, repo_spec)
        starting = backup["status"].get("reason") == "JobStarting" and returned.is_own(backup)
        if proof.found is None and starting:
            return await self._start(backup, spec, repository)
        if proof.found is None and not proof.was_read:
            job = backup["status"].get("job")
            text = f"Job {job} was deleted; its set is looked up once `pgbackrest info` can be read"
            return await self._wait(backup, operations.READING, text, phase="Running")
        after = report.without_job(backup, spec, repo_spec, proof.found, self._context.clock())
        await status.write(self._context.client, "backups", backup, after)
        await self._context.recorder.warning(backup, after["reason"], after["message"])
        return None

    async def _find_set(self, backup: Object, spec: BackupSpec, repo_spec: RepositorySpec) -> report.Proof:
        return await report.find_set(self._context, backup, spec, repo_spec)

    async def _wait(
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
            await self._context.recorder.normal(backup, reason, message)
        if phase != "Pending":
            return POLL
        return turns.pause(self._context.clock(), backup["metadata"]["creationTimestamp"], POLL)


def _marks(backup: Object, repository: Object) -> dict[str, str]:
    """What the set carries: whose it is, and which server it was taken of."""
    server = server_facts.mark(repository)
    return returned.marks(backup) | ({names.PGBACKREST_ANNOTATION_SERVER: server} if server else {})
