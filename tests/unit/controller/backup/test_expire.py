"""A deleted Backup whose set is expired first: what each look does, and that nothing holds it for ever."""

from __future__ import annotations

import copy
from collections import Counter
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from controller import operations, returned
from controller.backup import expire
from controller.backup.reconcile import BackupController
from controller.context import Context
from controller.settings import Settings
from harness.patches import carried_out
from pgwarden.api import names
from pgwarden.kube import errors, paths
from pgwarden.kube.client import KubeClient
from pgwarden.kube.events import Recorder
from tests.unit.contract import produced

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
FULL = "20261123-100000F"
READY = [{"type": "Ready", "status": "True"}]


class Answers(KubeClient):
    """The API server's answers to the few requests of one look, and what it was asked to write."""

    def __init__(self) -> None:
        self.there: dict[str, Any] = {}
        self.terminating = False
        self.refuses: tuple[bool, ...] = ()  # dry runs of Jobs (True), real ones (False)
        self.conflicts = ""  # the end of the path where whatever is written is a Conflict
        self.sent: list[tuple[str, str, Any]] = []

    async def request(self, method: str, path: str, *, body: Any = None, params: Any = None, **_: Any) -> Any:
        if method == "GET":
            if path not in self.there:
                raise errors.NotFound(404, "NotFound", path)
            return copy.deepcopy(self.there[path])
        if method == "POST" and "/jobs" in path and self.terminating:
            raise errors.Terminating(403, "Forbidden", "is being terminated")
        if method == "POST" and "/jobs" in path and ((params or {}).get("dryRun") == "All") in self.refuses:
            raise errors.Invalid(403, "Forbidden", "exceeded quota: few")
        if (params or {}).get("dryRun") != "All":
            if self.conflicts and path.endswith(self.conflicts):
                raise errors.Conflict(409, "Conflict", path)
            self.sent.append((method, path.rpartition("/namespaces/")[2], body))
        return {"metadata": {"resourceVersion": "8"}} if method == "PATCH" else {}

    def jobs(self) -> list[Any]:
        return [body for method, path, body in self.sent if (method, path) == ("POST", "ns/jobs")]

    def events(self) -> list[tuple[str, str, str]]:
        found = [body for _, path, body in self.sent if path == "ns/events"]
        return [(one["involvedObject"]["kind"], one["reason"], one["message"]) for one in found]

    @property
    def released(self) -> bool:
        return ("PATCH", "ns/backups/one", []) in [
            (method, path, body["metadata"].get("finalizers", ""))
            for method, path, body in self.sent
            if isinstance(body, dict) and "metadata" in body
        ]


class Cache(dict):
    def get(self, namespace: str, name: str) -> Any:
        return super().get((namespace, name))


def backup(name: str = "one", *, deleted: datetime | None = NOW, **status: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "ns", "uid": f"u-{name}", "resourceVersion": "7", "generation": 1}
    metadata |= {"creationTimestamp": "2026-11-23T09:00:00Z"}
    if deleted is not None:
        metadata |= {"deletionTimestamp": deleted.isoformat(), "finalizers": [names.FINALIZER_EXPIRE]}
    known = {"phase": "Completed", "label": FULL, "repo": 1, "job": "one-backup", "reason": "Completed"}
    spec = {"repository": "hippo", "deletionPolicy": "Delete"}
    return {"kind": "Backup", "metadata": metadata, "spec": spec, "status": known | status}


def repository(*sets: str, **metadata: Any) -> dict[str, Any]:
    listed = [
        {"label": one, "repo": 1, "stopTime": one[-16:], "type": "full" if one[-1] == "F" else "incr"}
        for one in reversed(sets)
    ]
    about = {"name": "hippo", "namespace": "ns", "uid": "u-hippo"} | metadata
    spec = {"storageType": "local"}
    return {"kind": "Repository", "metadata": about, "spec": spec, "status": {"conditions": READY, "backups": listed}}


@pytest.fixture
def client() -> Answers:
    return Answers()


@pytest.fixture
def settings() -> Settings:
    return Settings.from_environment({"PGWARDEN_IMAGE": "pgwarden:test"})


@pytest.fixture
def world(client: Answers, settings: Settings):
    """A context in which *deleted* is being deleted, beside *others*."""

    def build(deleted: dict, *others: dict, repo: dict | None = None, pods: tuple = ()) -> Context:
        found = Cache({("ns", "hippo"): repo} if repo else {})
        caches = SimpleNamespace(
            repositories=found, backups=Cache({("ns", "one"): deleted}), own_pods=None, labelled=lambda *_: list(pods)
        )
        client.there[paths.of("backups", "ns")] = {"items": [deleted, *others]}
        client.there[paths.of("restores", "ns")] = {"items": []}
        return Context(client, caches, None, Recorder(client, "c"), settings, clock=lambda: NOW)  # type: ignore[arg-type]

    return build


def job(end: str, message: str = "") -> tuple[dict, dict]:
    """The Job that expires, and its pod."""
    ended = {"terminated": {"message": message, "finishedAt": "2026-11-23T12:01:00Z"}}
    pod = {"metadata": {"name": "p", "labels": {names.LABEL_COMPONENT: "expire"}}}
    pod["status"] = {"phase": "Succeeded", "containerStatuses": [{"state": ended}]}
    return {"metadata": {"name": "one-expire"}, "status": {"conditions": [{"type": end, "status": "True"}]}}, pod


async def test_its_set_is_expired_by_a_job_of_its_own_and_what_builds_on_it_is_said(world, client):
    deleted = backup()
    context = world(deleted, repo=repository(FULL, f"{FULL}_20261123-110000I", "20261123-120000F"))
    assert await expire.Expiry(context, deleted).look() == expire.POLL
    (made,) = client.jobs()
    assert made["metadata"]["name"] == "one-expire"
    assert made["spec"]["template"]["spec"]["containers"][0]["args"] == [
        *["expire", "--", "--stanza=hippo", "--repo=1", f"--set={FULL}", "expire"]
    ]
    assert made["spec"]["template"]["metadata"]["labels"][names.LABEL_COMPONENT] == "expire"
    assert not client.released
    told = f"expires set {FULL}, with the sets that depend on it: {FULL}_20261123-110000I"
    assert ("Backup", "Expiring", told) in client.events()


async def test_a_status_that_changed_meanwhile_is_no_job_that_is_there_already(world, client):
    """It is looked at again, rather than an Event written of a Job that nobody has made."""
    deleted = backup()
    client.conflicts = "/status"
    with pytest.raises(errors.Conflict):
        await expire.Expiry(world(deleted, repo=repository(FULL)), deleted).look()
    assert client.events() == []
    assert client.jobs() == []


async def test_a_job_that_is_there_already_is_followed(world, client):
    deleted = backup()
    client.conflicts = "/jobs"
    assert await expire.Expiry(world(deleted, repo=repository(FULL)), deleted).look() == expire.POLL
    assert ("Backup", "Expiring", f"expires set {FULL}") in client.events()


async def test_it_waits_for_its_turn_and_says_for_whom(world, client):
    deleted = backup()
    running = backup("two", deleted=None, phase="Running")
    context = world(deleted, running, repo=repository(FULL))
    assert await expire.Expiry(context, deleted).look() == expire.POLL
    assert client.jobs() == []
    (changes,) = [body for _, path, body in client.sent if path == "ns/backups/one/status"]
    status = carried_out(deleted, changes)["status"]
    assert status["reason"] == "WaitingForTurn"
    assert "waiting for Backup two to finish" in status["message"]


async def test_once_the_job_has_ended_the_object_goes_and_the_repository_tells_what_went(world, client):
    ended, pod = job("Complete", f'{{"ok":true,"expired":["{FULL}","{FULL}_20261123-110000I"]}}')
    client.there[paths.of("jobs", "ns", "one-expire")] = ended
    deleted = backup(reason="Expiring")
    assert await expire.Expiry(world(deleted, repo=repository(FULL), pods=(pod,)), deleted).look() is None
    assert client.released
    text = f"Backup one was deleted: expired {FULL}, {FULL}_20261123-110000I"
    assert client.events() == [("Repository", "SetExpired", text)]


async def test_where_pgbackrest_refuses_the_object_goes_and_the_repository_tells_why_the_set_stays(world, client):
    ended, pod = job("Failed", '{"ok":false,"error":"ERROR: [075]: full backup cannot be expired"}')
    client.there[paths.of("jobs", "ns", "one-expire")] = ended
    deleted = backup(reason="Expiring")
    assert await expire.Expiry(world(deleted, repo=repository(FULL), pods=(pod,)), deleted).look() is None
    assert client.released
    ((kind, reason, message),) = client.events()
    assert (kind, reason) == ("Repository", "SetKept")
    assert "its set 20261123-100000F is kept: ERROR: [075]: full backup cannot be expired" in message


RELEASED = {
    "the policy was changed back": ({"spec": "Retain"}, repository(FULL), False),
    "the Repository is gone": ({}, None, False),
    "the Repository goes": ({}, repository(FULL, deletionTimestamp="2026-11-23T12:00:00Z"), False),
    "the namespace goes": ({}, repository(FULL), True),
    "the namespace goes, the Repository being out of order": ({}, repository() | {"status": {}}, True),
    "it never began": ({"label": None, "repo": None, "job": None, "phase": "Pending"}, repository(FULL), False),
    "an hour has passed": ({"deleted": NOW - timedelta(hours=1, seconds=1)}, repository(FULL), False),
}


@pytest.mark.parametrize(("changes", "repo", "terminating"), RELEASED.values(), ids=RELEASED)
async def test_it_is_let_go_where_nothing_can_or_need_be_expired(world, client, changes, repo, terminating):
    client.terminating = terminating
    changes = dict(changes)
    policy, when = changes.pop("spec", "Delete"), changes.pop("deleted", NOW)
    deleted = backup(deleted=when, **changes)
    deleted["spec"]["deletionPolicy"] = policy
    assert await expire.Expiry(world(deleted, repo=repo), deleted).look() is None
    assert client.released
    assert client.jobs() == []


async def test_a_repository_that_is_not_ready_is_waited_for(world, client):
    deleted = backup()
    assert await expire.Expiry(world(deleted, repo=repository() | {"status": {}}), deleted).look() == expire.POLL
    assert (client.released, client.jobs()) == (False, [])


async def test_a_backup_that_runs_is_stopped_first(world, client):
    client.there[paths.of("jobs", "ns", "one-backup")] = {"metadata": {"uid": "j"}, "status": {}}
    deleted = backup(phase="Running", label=None, repo=None)
    assert await expire.Expiry(world(deleted, repo=repository(FULL)), deleted).look() == expire.POLL
    assert client.sent[0][:2] == ("DELETE", "ns/jobs/one-backup")
    assert client.jobs() == []
    assert said(client, deleted)["reason"] == "StoppingJob"


def said(client: Answers, deleted: dict[str, Any]) -> dict[str, Any]:
    """The status of *deleted* after all that was written of it."""
    for _, path, changes in client.sent:
        if path == "ns/backups/one/status":
            deleted = carried_out(deleted, changes)
    return deleted["status"]


@pytest.mark.parametrize("refuses", [(True, False), (False,)], ids=["the dry run", "the job itself"])
async def test_an_expiry_whose_job_is_refused_says_why_and_holds_nobody_up(world, client, refuses):
    client.refuses = refuses
    deleted = backup()
    assert await expire.Expiry(world(deleted, repo=repository(FULL)), deleted).look() == expire.POLL
    status = said(client, deleted)
    assert status["reason"] == "JobRefused"
    assert status["message"] == "its set will be expired; Kubernetes refuses the Job: exceeded quota: few"
    younger = backup("younger", deleted=None, phase="Pending", reason="WaitingForTurn")
    younger["metadata"]["creationTimestamp"] = "2026-11-23T12:30:00Z"
    assert operations.may_run(younger, [deleted | {"status": status}, younger])


async def test_a_pod_that_never_ends_holds_the_object_for_an_hour_and_no_longer(world, client):
    labels = {names.LABEL_COMPONENT: "backup"}
    stuck = {"metadata": {"name": "p", "labels": labels}, "status": {"phase": "Running"}}
    for long, goes in ((timedelta(minutes=59), False), (timedelta(minutes=61), True)):
        deleted = backup(deleted=NOW - long)
        await expire.Expiry(world(deleted, repo=repository(FULL), pods=(stuck,)), deleted).look()
        assert client.released is goes
    assert [reason for _, reason, _ in client.events()] == ["StoppingJob", "SetKept"]


FINALIZERS = {
    "put on with Delete": ("Delete", [], "Completed", FULL, [names.FINALIZER_EXPIRE]),
    "taken off with Retain": ("Retain", [names.FINALIZER_EXPIRE, "other"], "Completed", FULL, ["other"]),
    "another's is kept": ("Delete", ["other"], "", None, ["other", names.FINALIZER_EXPIRE]),
    "of no use where no set was made": ("Delete", [names.FINALIZER_EXPIRE], "Failed", None, []),
}


@pytest.mark.parametrize(("policy", "there", "phase", "label", "wanted"), FINALIZERS.values(), ids=FINALIZERS)
async def test_the_finalizer_follows_the_policy(world, client, policy, there, phase, label, wanted):
    kept = backup(deleted=None, phase=phase, label=label)
    kept["metadata"]["finalizers"] = there
    kept["spec"]["deletionPolicy"] = policy
    await BackupController(world(kept, repo=repository(FULL))).reconcile(("ns", "one"))
    ((method, path, body),) = client.sent
    assert (method, path) == ("PATCH", "ns/backups/one")
    assert body["metadata"] == {"uid": "u-one", "resourceVersion": "7", "finalizers": wanted}


# --- what waiting costs the API server ---------------------------------------------------------------------------

HOUR = timedelta(hours=1)


async def _for(long: timedelta, context, look) -> tuple[int, list[float]]:
    """Look as often as is asked for; how often that was, and the pauses."""
    now, pauses = NOW, []
    context.clock = lambda: now
    while now < NOW + long:
        again = await look()
        if again is None:
            break
        pauses.append(again)
        now += timedelta(seconds=again)
    return len(pauses), pauses


@pytest.fixture
def counted(client, monkeypatch):
    """Requests by method and kind of object, dry runs among them."""
    asked, request = Counter(), client.request

    async def counting(method, path, **more):
        plural = path.rpartition("/namespaces/")[2].split("/")[1]
        asked[f"{method} {plural}" + (" list" if path == paths.of(plural, "ns") and method == "GET" else "")] += 1
        return await request(method, path, **more)

    monkeypatch.setattr(client, "request", counting)
    return asked


async def test_a_backup_that_waits_for_its_turn_lists_nothing_and_looks_less_and_less_often(
    world, client, counted, monkeypatch
):
    mine = backup(deleted=None, phase="Pending", label="", job="", reason="") | {"apiVersion": names.API_VERSION}
    mine["spec"] = {"repository": "hippo"}
    mine["metadata"]["creationTimestamp"] = NOW.isoformat()
    other = backup("other", deleted=None, phase="Running")
    ready = repository()
    ready["status"] |= {"primary": "db-0", "conditions": READY}
    context = world(mine, repo=ready)
    context.caches.backups[("ns", "other")] = other
    context.caches.ours = {"backups": context.caches.backups, "restores": None}
    context.caches.of_repository = lambda cache, *_: list(cache.values()) if cache is not None else []
    looks, pauses = await _for(HOUR, context, lambda: BackupController(context).reconcile(("ns", "one")))
    assert counted["GET backups list"] == counted["GET restores list"] == 0
    assert 100 < looks < 180
    assert pauses[0] == 2.0
    assert max(pauses) == 30.0
    del context.caches.backups[("ns", "other")]

    async def no_sets(*_):
        return produced.read([])

    monkeypatch.setattr(returned, "read_info", no_sets)
    await BackupController(context).reconcile(("ns", "one"))
    assert len(client.jobs()) == 1


async def test_the_expiry_of_a_set_that_has_to_wait_asks_seldom_whether_a_job_could_be_made(world, client, counted):
    mine, other = backup(), backup("other", deleted=None, phase="Running")
    context = world(mine, other, repo=repository(FULL))
    looks, pauses = await _for(2 * HOUR, context, lambda: expire.Expiry(context, mine).look())
    assert counted["POST jobs"] == looks
    assert 100 < looks < 180
    assert max(pauses) == 30.0
    assert client.released


async def test_a_job_that_is_being_stopped_is_told_so_once(world, client, counted):
    mine = backup()
    going = {"metadata": {"name": "one-backup", "uid": "j", "ownerReferences": [{"uid": "u-one"}]}, "status": {}}
    client.there[paths.of("jobs", "ns", names.backup_job("one"))] = going
    context = world(mine, repo=repository(FULL))
    assert await expire.Expiry(context, mine).look() == 2.0
    going["metadata"]["deletionTimestamp"] = "2026-11-23T12:00:00Z"
    for _ in range(100):
        await expire.Expiry(context, mine).look()
    assert counted["DELETE jobs"] == 1
