"""One Backup: wait for its turn, run the Job, read what came of it."""

from __future__ import annotations

import msgspec
import structlog

from controller import admission, host_image, operations, pod_terms, returned, turns
from controller.backup import backlog, expire, hindrances, job_conflicts, render, report
from controller.backup.following import Following
from controller.backup.waiting import POLL, Waiting
from controller.context import Context
from controller.runtime import status
from controller.runtime.worker import NotYet
from pgwarden.api import names
from pgwarden.api.kinds import BackupSpec, RepositorySpec
from pgwarden.api.objects import Object
from pgwarden.api.reading import is_going
from pgwarden.contract import server_facts
from pgwarden.kube import errors, paths
from pgwarden.kube.cache import Key
from pgwarden.pgbackrest import commands
from pgwarden.pgbackrest.user_options import parse_options

log = structlog.get_logger()


class BackupController:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._records = returned.Records(context, "backups")
        self._waiting = Waiting(context)
        self._following = Following(context)

    async def reconcile(self, key: Key) -> float | None:
        backup = self._context.caches.backups.get(*key)
        if backup is None:
            return None
        if is_going(backup):
            return await expire.Expiry(self._context, backup).look() if expire.has_finalizer(backup) else None
        if await expire.keep_finalizer(self._context, backup):
            return None  # the change comes back as one more look
        held = await self._records.look(backup)
        if held is not None:
            if operations.is_over(backup):
                await self._following.clear(backup)
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
            return await self._waiting.put(backup, "NoRepository", message, phase=operations.phase(backup))
        job_name = names.backup_job(key[1])
        if operations.phase(backup) != "Running" and self._context.caches.jobs.get(key[0], job_name) is None:
            again = await self._wait_for_others(backup, spec, repository)  # asks nobody
            if again is not None:
                return again
        job = await self._context.client.find(paths.of("jobs", key[0], job_name))
        if job is None:
            return await self._begin(backup, spec, repository)
        if job_conflicts.is_strangers(job, backup):
            return await self._waiting.put(backup, *job_conflicts.in_the_way(job, backup))
        return await self._following.look(backup, spec, repository, job)

    async def _begin(self, backup: Object, spec: BackupSpec, repository: Object) -> float | None:
        namespace = backup["metadata"]["namespace"]
        if operations.phase(backup) == "Running":
            # The Job that the status speaks of has gone (deleted by hand, or expired): it is not known what it did.
            return await self._lost(backup, spec, repository)
        again = await self._wait_for_others(backup, spec, repository)
        if again is not None:
            return again
        async with self._context.lock(namespace, spec.repository):
            # Two that look at once decide alike; the lock covers the moment before the first is seen to run.
            listed = await turns.listed(self._context.client, namespace, spec.repository)
            if not operations.may_run(backup, listed):
                return await self._wait_for_turn(backup, listed)
            held = await self._done_before(backup, repository)
            if held is not None:
                return held
            return await self._start(backup, spec, repository)

    async def _wait_for_others(self, backup: Object, spec: BackupSpec, repository: Object) -> float | None:
        """By the caches: while they show that something is in the way, or that others go before, nothing is read. None:
        it may be its turn.
        """
        repo_spec = msgspec.convert(repository["spec"], RepositorySpec)
        waits = hindrances.find(backup, spec, repository, repo_spec, self._context.clock())
        if waits is not None:
            again = await self._waiting.put(backup, waits.reason, waits.message)
            return again if waits.again is None else max(POLL, waits.again)
        known = turns.known(self._context.caches, backup["metadata"]["namespace"], spec.repository)
        return None if operations.may_run(backup, known) else await self._wait_for_turn(backup, known)

    async def _wait_for_turn(self, backup: Object, listed: list[Object]) -> float:
        title, _ = operations.standing(backup, listed)
        return await self._waiting.put(
            backup, "WaitingForTurn", f"waiting for {title} to finish: only one operation runs on a stanza"
        )

    async def _done_before(self, backup: Object, repository: Object) -> float | None:
        """Whether it came back without its mark, from Git: then `info` has the set that it made. None: it is to run."""
        repo_spec = msgspec.convert(repository["spec"], RepositorySpec)
        repo = repo_spec.repo_number(backup["spec"].get("storage", ""))
        metadata = backup["metadata"]
        info = await returned.read_info(self._context, metadata["namespace"], repository["metadata"]["name"], repo)
        if isinstance(info, str):
            return await self._waiting.put(backup, "RepositoryNotReachable", f"the backups cannot be listed: {info}")
        made = returned.made_before(backup, info)
        if made is None:
            return None
        await self._records.become(backup, returned.of_set(backup, made, repo_spec.storages))
        return 0.0

    async def _start(self, backup: Object, spec: BackupSpec, repository: Object) -> float | None:
        repo_spec = msgspec.convert(repository["spec"], RepositorySpec)
        options, _ = parse_options(spec.options, command="backup", storages=repo_spec.storages)
        number = repo_spec.repo_number(spec.storage)
        marks = _marks(backup, repository, sealed=await self._is_of_a_restore(backup))
        longer = backlog.argument(spec, repository, repo_spec)
        options = msgspec.structs.replace(options, arguments=(*longer, *options.arguments))
        stanza = names.stanza(spec.repository, repo_spec.stanza)
        argv = commands.backup_argv(stanza, spec.type, number, options, marks)
        storage = spec.storage or repo_spec.storages[0]
        namespace = backup["metadata"]["namespace"]
        settings = host_image.settings(self._context, (namespace, spec.repository))
        terms = pod_terms.terms(self._context, namespace, spec.repository)
        job = render.job(backup, spec, repository, repo_spec, argv, settings, terms, storage=storage)
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

    async def _is_of_a_restore(self, backup: Object) -> bool:
        if names.ANNOTATION_RESTORE_SEAL not in backup["metadata"].get("annotations", {}):
            return False
        try:
            return (await self._context.sealing()).vouches(backup)
        except NotYet as error:  # a backup does not wait for a key
            log.warning("it is not known who made a Backup", name=backup["metadata"]["name"], error=str(error))
            return False

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
        return await self._waiting.put(backup, operations.JOB_REFUSED, why, job=None, startTime=None)

    async def _lost(self, backup: Object, spec: BackupSpec, repository: Object) -> float | None:
        """Running by the status, but no Job: begun a moment ago and not made, or gone."""
        starting = backup["status"].get("reason") == "JobStarting" and returned.is_own(backup)
        if starting:
            repo_spec = msgspec.convert(repository["spec"], RepositorySpec)
            proof = await report.find_set(self._context, backup, spec, repo_spec)
            if proof.found is None:
                return await self._start(backup, spec, repository)
        return await self._following.lost(backup, spec, repository)


def _marks(backup: Object, repository: Object, *, sealed: bool) -> dict[str, str]:
    """What the set carries: whose it is, and which server it was taken of."""
    server = server_facts.mark(repository)
    return returned.marks(backup, sealed=sealed) | ({names.PGBACKREST_ANNOTATION_SERVER: server} if server else {})
