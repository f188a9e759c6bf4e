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
from tests.unit.controller import beside

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
        self.asked: list[str] = []

    async def request(self, method: str, path: str, *, body: Any = None, params: Any = None, **_: Any) -> Any:
        if method == "GET":
            self.asked.append(path)
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
    """A context in which *deleted* is being deleted, beside *others*, which the caches show too unless they *lag*."""

    def build(deleted: dict, *others: dict, repo: dict | None = None, pods: tuple = (), lag: bool = False) -> Context:
        shown = {"backups": [deleted, *([] if lag else others)], "restores": []}
        found = Cache({("ns", "hippo"): repo} if repo else {})
        caches = SimpleNamespace(
            repositories=found, backups=Cache({("ns", "one"): deleted}), own_pods=None, labelled=lambda *_: list(pods),
            ours={plural: plural for plural in shown}, of_repository=lambda cache, *_: shown.get(cache) if isinstance(cache, str) else [deleted, *others],
            **dict.fromkeys(("postgres_pods", "deployments", "quotas", "limit_ranges", "jobs"), EMPTY),
        )  # fmt: skip
        client.there[paths.of("backups", "ns")] = {"items": [deleted, *others]}
        client.there[paths.of("restores", "ns")] = {"items": []}
        return Context(client, caches, None, Recorder(client, "c"), settings, clock=lambda: NOW)  # type: ignore[arg-type]

    return build


#: A cache of what there is none of.
EMPTY = SimpleNamespace(get=lambda *_: None, in_namespace=lambda _: iter(()))


#: Of the Job that expires the set of Backup `one`.
MADE = {"name": "one-expire", "namespace": "ns", "uid": "j", "ownerReferences": [{"uid": "u-one"}]}


def job(end: str, message: str = "") -> tuple[dict, dict]:
    """The Job that expires, and its pod."""
    ended = {"terminated": {"message": message, "finishedAt": "2026-11-23T12:01:00Z"}}
    pod = {"metadata": {"name": "p", "labels": {names.LABEL_COMPONENT: "expire"}, "ownerReferences": [{"uid": "j"}]}}
    pod["status"] = {"phase": "Succeeded", "containerStatuses": [{"state": ended}]}
    return {"metadata": MADE, "status": {"conditions": [{"type": end, "status": "True"}]}}, pod


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


@pytest.mark.parametrize("lag", [False, True])
async def test_while_the_cache_shows_anothers_turn_nothing_is_listed_and_where_it_lags_the_list_decides(
    client, world, lag
):
    other = backup("other", deleted=None, phase="Running")
    context = world(backup(), other, repo=repository(FULL), lag=lag)
    await expire.Expiry(context, backup()).look()
    assert client.jobs() == []
    assert (paths.of("backups", "ns") in client.asked) == lag


async def test_once_the_job_has_ended_the_object_goes_and_the_repository_tells_what_went(world, client):
    ended, pod = job("Complete", f'{{"ok":true,"expired":["{FULL}","{FULL}_20261123-110000I"]}}')
    client.there[paths.of("jobs", "ns", "one-expire")] = ended
    deleted = backup(reason="Expiring")
    assert await expire.Expiry(world(deleted, repo=repository(FULL), pods=(pod,)), deleted).look() is None
    assert client.released
    text = f"Backup one was deleted: expired {FULL}, {FULL}_20261123-110000I"
    assert client.events() == [("Repository", "SetExpired", text)]


async def test_of_each_backup_whose_set_went_with_it_is_said_so_at_once(world, client):
    deleted, on_it = backup(), f"{FULL}_20261123-110000I"
    others = [backup("on-it", deleted=None, label=on_it), backup("of-s3", deleted=None, label=on_it, repo=2)]
    ended, pod = job("Complete", f'{{"ok":true,"expired":["{FULL}","{on_it}"]}}')
    client.there[paths.of("jobs", "ns", "one-expire")] = ended
    context = world(deleted, *others, repo=repository(FULL, on_it), pods=(pod,))
    await expire.Expiry(context, deleted).look()
    (found,) = [body for method, path, body in client.sent if path == "ns/backups/on-it/status"]
    (condition,) = next(one["value"] for one in found if one["path"] == "/status/conditions")
    assert (condition["status"], condition["reason"]) == ("False", "Expired")
    assert condition["message"] == f"set {on_it} was expired with Backup one, which was deleted"
    assert "ns/backups/of-s3/status" not in {path for _, path, _ in client.sent}
    assert client.released


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
    told = [(one["reason"], one["type"]) for _, path, one in client.sent if path == "ns/events"]
    assert ("JobRefused", "Warning") in told
    younger = backup("younger", deleted=None, phase="Pending", reason="WaitingForTurn")
    younger["metadata"]["creationTimestamp"] = "2026-11-23T12:30:00Z"
    assert operations.may_run(younger, [deleted | {"status": status}, younger])


async def test_an_expiry_whose_job_gets_no_pod_says_why(world, client):
    deleted = backup(reason="Expiring", phase="Running")
    about = MADE | {"creationTimestamp": "2026-11-23T11:59:00Z"}
    client.there[paths.of("jobs", "ns", "one-expire")] = {"metadata": about, "status": {}}
    words = {"message": "exceeded quota: few", "lastTimestamp": "2026-11-23T11:59:30Z"}
    client.there[paths.of("events", "ns")] = {"items": [words]}
    assert await expire.Expiry(world(deleted, repo=repository(FULL)), deleted).look() == expire.POLL
    text = f"set {FULL} is being expired; Job one-expire: Kubernetes creates no pod of it: exceeded quota: few"
    assert (said(client, deleted)["reason"], said(client, deleted)["message"]) == ("Expiring", text)
    assert ("Backup", "JobWaits", text) in client.events()


async def test_a_pod_that_never_ends_holds_the_object_for_an_hour_and_no_longer(world, client):
    about = {"name": "p", "labels": {names.LABEL_COMPONENT: "backup"}, "ownerReferences": [beside.BY]}
    stuck = {"metadata": about, "status": {"phase": "Running"}}
    for long, goes in ((timedelta(minutes=59), False), (timedelta(minutes=61), True)):
        deleted = backup(deleted=NOW - long)
        await expire.Expiry(world(deleted, repo=repository(FULL), pods=(stuck,)), deleted).look()
        assert client.released is goes
    assert [reason for _, reason, _ in client.events()] == ["StoppingJob", "SetKept"]


STRANGERS = {
    "nobody's": ([], "JobInTheWay", "there is a Job one-expire that does not belong to this Backup; delete it if it is unused"),
    "an earlier Backup's": (
        [{"kind": "Backup", "name": "one", "uid": "before"}], "JobGoing", "waiting for Job one-expire of an earlier Backup to be deleted",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("owners", "reason", "why"), STRANGERS.values(), ids=STRANGERS)
async def test_a_job_of_that_name_that_is_a_strangers_has_expired_nothing(world, client, owners, reason, why):
    ended, pod = job("Complete", f'{{"ok":true,"expired":["{FULL}"]}}')
    client.there[paths.of("jobs", "ns", "one-expire")] = ended | {"metadata": MADE | {"ownerReferences": owners}}
    deleted = backup(reason="Expiring")
    assert await expire.Expiry(world(deleted, repo=repository(FULL), pods=(pod,)), deleted).look() == expire.POLL
    status = said(client, deleted)
    assert (status["reason"], status["message"]) == (reason, f"its set will be expired; {why}")
    assert client.events() == [("Backup", reason, status["message"])]
    assert not client.released
    late = backup(reason="Expiring", deleted=NOW - timedelta(minutes=61))
    await expire.Expiry(world(late, repo=repository(FULL), pods=(pod,)), late).look()
    assert client.released
    assert client.events()[-1] == ("Repository", "SetKept", f"Backup one was deleted, its set {FULL} is kept: {why}")
    assert not [path for method, path, _ in client.sent if method == "DELETE"]


async def test_a_pod_that_only_carries_the_labels_of_a_backups_job_is_not_waited_for(world, client):
    about = {"name": "p", "labels": {names.LABEL_COMPONENT: "backup"}, "ownerReferences": []}
    stranger = {"metadata": about, "status": {"phase": "Running"}}
    deleted = backup()
    await expire.Expiry(world(deleted, repo=repository(FULL), pods=(stranger,)), deleted).look()
    assert [one["metadata"]["name"] for one in client.jobs()] == ["one-expire"]


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


# --- a Job beside a proxy, and one that cannot start ---------------------------------------------------------------


def expiring(**more: Any) -> dict[str, Any]:
    found = beside.job(**more)
    found["metadata"]["name"] = "one-expire"
    return found


EXPIRES = {"labels": {names.LABEL_COMPONENT: "expire"}}


async def test_a_proxy_that_never_ends_does_not_hold_a_deleted_backup(world, client):
    pod = beside.pod(0, {"ok": True, "expired": [FULL]}, **EXPIRES)
    client.there[paths.of("jobs", "ns", "one-expire")] = expiring()
    deleted = backup(reason="Expiring")
    assert await expire.Expiry(world(deleted, repo=repository(FULL), pods=(pod,)), deleted).look() is None
    assert client.released
    assert client.events() == [("Repository", "SetExpired", f"Backup one was deleted: expired {FULL}")]


async def test_a_pod_that_failed_to_expire_beside_a_proxy_makes_way_for_the_next(world, client):
    pod = beside.pod(1, {"ok": False, "error": "e"}, **EXPIRES)
    client.there[paths.of("jobs", "ns", "one-expire")] = expiring()
    deleted = backup(reason="Expiring")
    assert await expire.Expiry(world(deleted, repo=repository(FULL), pods=(pod,)), deleted).look() == expire.POLL
    assert ("DELETE", "ns/pods/one-backup-x") in [(method, path) for method, path, _ in client.sent]
    assert not client.released


@pytest.mark.parametrize(("hours", "runs", "released"), [(3, True, False), (3, False, True), (0.5, False, False)])
async def test_an_expiry_that_runs_is_let_run_and_one_that_cannot_start_is_taken_back(
    world, client, hours, runs, released
):
    pods = (beside.pod(None, **EXPIRES),) if runs else ()
    client.there[paths.of("jobs", "ns", "one-expire")] = expiring()
    deleted = backup(reason="Expiring", deleted=NOW - timedelta(hours=hours))
    await expire.Expiry(world(deleted, repo=repository(FULL), pods=pods), deleted).look()
    gone = ("DELETE", "ns/jobs/one-expire") in [(method, path) for method, path, _ in client.sent]
    assert (gone, client.released) == (not runs, released)
    if not runs and not released:
        assert said(client, deleted)["reason"] == operations.JOB_STUCK


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
    assert counted["GET backups list"] == counted["GET restores list"] == counted["GET jobs"] == 0
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
