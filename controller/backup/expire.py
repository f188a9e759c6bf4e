"""A deleted Backup with deletionPolicy Delete: its set is expired by a Job, in its turn, and then the object may go.

The finalizer never holds a namespace up for ever: it comes off where the namespace or the Repository is going, where
pgBackRest refuses, and in any case after an hour. What then stays in the repository, an Event says.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
import structlog

from controller import (
    failed_create,
    finalizers,
    host_image,
    jobs,
    operations,
    pod_terms,
    returned,
    set_gone,
    storage_state,
    turns,
)
from controller.backup import job_conflicts, own_pods, progress, render, report
from controller.context import Context
from controller.runtime import status
from pgwarden.api import names
from pgwarden.api.kinds import BackupSpec, RepositorySpec
from pgwarden.api.objects import Object
from pgwarden.api.reading import is_going
from pgwarden.kube import errors, paths
from pgwarden.pgbackrest import commands
from pgwarden.rules.dependents import dependents, may_have_more, set_in, set_of

log = structlog.get_logger()
POLL = 2.0  # seconds between looks, at first
LONGEST = timedelta(hours=1)  # from the deletion on; then the set stays


def has_finalizer(backup: Object) -> bool:
    return finalizers.has(backup, names.FINALIZER_EXPIRE)


def wants_finalizer(backup: Object) -> bool:
    """Of one that is over without a set there is nothing to expire."""
    may_have_set = not operations.is_over(backup) or bool(set_of(backup)[0])
    return backup["spec"].get("deletionPolicy") == "Delete" and may_have_set


async def keep_finalizer(context: Context, backup: Object) -> bool:
    """Put the finalizer on, or take it off, as spec.deletionPolicy has it. True where that was to be done."""
    if has_finalizer(backup) == wants_finalizer(backup):
        return False
    await _set_finalizer(context, backup, there=wants_finalizer(backup))
    return True


async def _set_finalizer(context: Context, backup: Object, *, there: bool) -> None:
    metadata = backup["metadata"]
    change = finalizers.change(backup, names.FINALIZER_EXPIRE, there=there)
    await context.client.merge(paths.of("backups", metadata["namespace"], metadata["name"]), change)


class Expiry:
    """One deleted Backup. `look()` does what is next and returns when to look again; None once the object may go."""

    def __init__(self, context: Context, backup: Object) -> None:
        self._context = context
        self._backup = backup
        self._namespace = backup["metadata"]["namespace"]
        self._spec = msgspec.convert(backup["spec"], BackupSpec)
        self._repository = context.caches.repositories.get(self._namespace, self._spec.repository)

    async def look(self) -> float | None:
        if self._spec.deletion_policy != "Delete":
            return await self._release()
        repository = self._repository
        if repository is None or is_going(repository):
            return await self._release("SetKept", "its Repository was deleted")
        late = self._context.clock() - _deleted(self._backup) > LONGEST
        if not late and await self._still_stopping():
            return await self._wait(
                "StoppingJob", "its set will be expired after its Job and the Job's pods have ended"
            )
        found, job = await self._set(repository), await self._context.client.find(self._job_path())
        if found is None and job is None and not late:
            text = "its set is looked up once `pgbackrest info` can be read"
            return await self._wait("RepositoryNotReachable", text)
        label, repo = found or ("its set", 0)
        if not label or repo is None:
            return await self._release()
        if job is not None and job_conflicts.is_strangers(job, self._backup, may_be_orphan=False):
            reason, why = job_conflicts.in_the_way(job, self._backup, goes=True)
            if late:
                return await self._release("SetKept", why)
            return await self._wait(reason, f"its set will be expired; {why}")
        if job is not None:
            return await self._follow(repository, job, found or ("its set", 0), late=late)
        if late:
            return await self._release("SetKept", f"it could not be expired within {LONGEST}")
        return await self._begin(repository, label, repo)

    async def _still_stopping(self) -> bool:
        """Whether the backup's own Job, or a pod of it, is still there. It is stopped first."""
        name = self._backup["metadata"]["name"]
        path = paths.of("jobs", self._namespace, names.backup_job(name))
        job = await self._context.client.find(path)
        if job is not None and not job_conflicts.is_strangers(job, self._backup) and not jobs.finished(job):
            if not is_going(job):
                await self._context.client.delete(path, uid=job["metadata"]["uid"])
            return True
        pods = own_pods.of(self._context.caches, self._backup, own_pods.BACKUP)
        return any(pod.get("status", {}).get("phase") in {"Pending", "Running"} for pod in pods)

    async def _set(self, repository: Object) -> tuple[str, int | None] | None:
        """Of one that was deleted before it was over, what `info` has by its uid; None where that was not read."""
        label, repo = set_in(repository, self._backup)
        if label or not self._backup.get("status", {}).get("job"):
            return label, repo
        spec = msgspec.convert(repository["spec"], RepositorySpec)
        proof = await report.find_set(self._context, self._backup, self._spec, spec)
        if proof.found is not None:
            return proof.found.label, proof.found.repo
        return ("", None) if proof.was_read else None

    def _job_path(self) -> str:
        return paths.of("jobs", self._namespace, names.expire_job(self._backup["metadata"]["name"]))

    async def _begin(self, repository: Object, label: str, repo: int) -> float | None:
        spec = msgspec.convert(repository["spec"], RepositorySpec)
        stanza = names.stanza(self._spec.repository, spec.stanza)
        argv = commands.expire_argv(stanza, backup_set=label, repo=repo)
        storage = "".join(spec.storages[repo - 1 : repo])
        terms = pod_terms.terms(self._context, self._namespace, self._spec.repository)
        settings = host_image.settings(self._context, (self._namespace, self._spec.repository))
        job = render.expire_job(self._backup, repository, spec, argv, settings, terms, storage=storage)
        path = paths.of("jobs", self._namespace)
        more = _with_it(repository, label, repo)
        try:
            # A namespace that is going takes no Job any more: better to know that before waiting for anything.
            await self._context.client.request("POST", path, body=job, params={"dryRun": "All"})
            waits = storage_state.hindrance(repository, storage)
            if waits:
                return await self._wait(operations.NOT_READY, f"its set will be expired; {waits}")
            waits = self._turn(turns.known(self._context.caches, self._namespace, self._spec.repository))
            if waits:  # by the caches: nothing is read yet
                return await self._wait("WaitingForTurn", waits)
            proof = await self._proof(label, repo)
            if isinstance(proof, str):
                return await self._wait("RepositoryNotReachable", f"its set will be expired; {proof}")
            if not proof:
                return await self._release("SetKept", "the set was not created by a Backup with this name and spec")
            async with self._context.lock(self._namespace, self._spec.repository):
                waits = self._turn(await turns.listed(self._context.client, self._namespace, self._spec.repository))
                if waits:
                    return await self._wait("WaitingForTurn", waits)
                await self._write(operations.EXPIRING, f"set {label} is being expired{more}")
                await self._create(path, job)
        except errors.Terminating:
            return await self._release("SetKept", "the namespace is being deleted")
        except errors.Invalid as refused:
            return await self._wait(
                operations.JOB_REFUSED, f"its set will be expired; {job_conflicts.refused(refused)}"
            )
        await self._context.recorder.normal(self._backup, "Expiring", f"expires set {label}{more}")
        return POLL

    async def _create(self, path: str, job: Object) -> None:
        try:
            await self._context.client.create(path, job)
        except errors.Conflict:
            log.info("the Job already exists", job=job["metadata"]["name"])

    async def _proof(self, label: str, repo: int) -> bool | str:
        """Whether set *label* is this Backup's, where only a mark says so; why that is not known yet."""
        if not returned.needs_proof(self._backup):
            return True
        info = await returned.read_info(self._context, self._namespace, self._spec.repository, repo)
        if isinstance(info, str):
            return f"the backups cannot be listed: {info}"
        made = info.backup(label, repo)
        return made is not None and returned.is_of(self._backup, made)

    def _turn(self, listed: list[Object]) -> str:
        """For what it waits, of those; empty where it is its turn."""
        if operations.may_run(self._backup, listed):
            return ""
        title, _ = operations.standing(self._backup, listed)
        return f"its set will be expired; waiting for {title} to finish: only one operation runs on a stanza"

    async def _follow(
        self, repository: Object, job: Object, found: tuple[str, int | None], *, late: bool
    ) -> float | None:
        label, repo = found
        pods, now = self._pods(job), self._context.clock()
        end = jobs.end(job, pods, now)
        if not end.state:
            return await self._go_on(job, pods, end, label, late=late)
        result = jobs.result(pods, job)
        if end.state == jobs.FAILED:
            return await self._release("SetKept", (result and result.error) or jobs.failure(job))
        gone, name = (result and result.expired) or [label], self._backup["metadata"]["name"]
        await set_gone.tell_expired(
            self._context, repository, gone, repo or 0, f"with Backup {name}, which was deleted"
        )
        text = f"Backup {name} was deleted: expired {', '.join(gone)}"
        await self._context.recorder.normal(repository, "SetExpired", text)
        return await self._release()

    async def _go_on(self, job: Object, pods: list[Object], end: jobs.End, label: str, *, late: bool) -> float | None:
        """What runs is let run. What cannot start would hold others up: it is taken back, and tried until late."""
        if end.kept is not None and not is_going(end.kept):
            await self._delete("pods", end.kept)
        if is_going(job):
            return POLL
        now = self._context.clock()
        refused = await failed_create.of_job(self._context.client, job, pods, now)
        why = progress.stuck(job, pods, now, refused)
        if not why:
            await self._tell(label, *progress.running(job, pods, None, "", now, refused))
            return POLL
        await self._delete("jobs", job)
        if late:
            return await self._release("SetKept", f"no pod of its Job could start: {why}")
        return await self._wait(operations.JOB_STUCK, f"its set will be expired; no pod of its Job could start: {why}")

    async def _tell(self, label: str, reason: str, why: str) -> None:
        """Why the Job's pod does not start, where Kubernetes says so."""
        text = f"set {label} is being expired; {why}"
        if reason == progress.WAITS and await self._write(operations.EXPIRING, text):
            await self._context.recorder.warning(self._backup, reason, text)

    def _pods(self, job: Object) -> list[Object]:
        """Of the Job that expires."""
        return own_pods.of(self._context.caches, self._backup, own_pods.EXPIRE, job)

    async def _delete(self, plural: str, obj: Object) -> None:
        metadata = obj["metadata"]
        await self._context.client.delete(paths.of(plural, self._namespace, metadata["name"]), uid=metadata["uid"])

    async def _wait(self, reason: str, message: str) -> float:
        if await self._write(reason, message):
            recorder = self._context.recorder
            tell = recorder.warning if reason in operations.WRONG else recorder.normal
            await tell(self._backup, reason, message)
        return turns.pause(self._context.clock(), self._backup["metadata"]["deletionTimestamp"], POLL)

    async def _write(self, reason: str, message: str) -> bool:
        before = self._backup.get("status") or {}
        after = before | {"reason": reason, "message": message}
        changed = await status.write(self._context.client, "backups", self._backup, after)
        self._backup = self._backup | {"status": after}
        return changed

    async def _release(self, reason: str = "", why: str = "") -> float | None:
        """Take the finalizer off. With a *reason* the set stays, and the Repository's Events say why."""
        label, _ = set_of(self._backup)
        if reason and (label or (self._backup.get("status") or {}).get("job")):
            stays = f"its set {label} is kept" if label else "any set that it created is kept"
            text = f"Backup {self._backup['metadata']['name']} was deleted, {stays}: {why}"
            await self._context.recorder.warning(self._repository or self._backup, reason, text)
        await _set_finalizer(self._context, self._backup, there=False)
        return None


def _with_it(repository: Object, label: str, repo: int) -> str:
    with_it = dependents(repository, label, repo)
    if may_have_more(repository, label, repo):
        with_it.append("possibly others that the Repository does not list")
    return f", with the sets that depend on it: {', '.join(with_it)}" if with_it else ""


def _deleted(backup: Object) -> datetime:
    return datetime.fromisoformat(backup["metadata"]["deletionTimestamp"])
