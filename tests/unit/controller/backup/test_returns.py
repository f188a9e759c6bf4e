"""A Backup that comes back: from a dump, from Git, under another name, forged. No second set is made, none is expired by it."""

from __future__ import annotations

import copy
from datetime import timedelta
from typing import Any

import pytest

from controller import operations, returned
from controller.agents import AgentError
from controller.backup.reconcile import BackupController
from controller.context import Caches, Context
from harness.patches import merged
from pgwarden.api import names, records
from pgwarden.contract.status import Status
from pgwarden.kube import errors
from pgwarden.kube.events import Recorder
from tests.unit.controller.restore.agents import info
from tests.unit.controller.restore.fake_cluster import SETTINGS, Cluster, Killed

Object = dict[str, Any]
WORD, DONE = names.ANNOTATION_RUN_AGAIN, names.ANNOTATION_DONE


class World(Cluster):
    """A Repository that is ready; each backup Job that is made ends well, and its set is in `info`, as it was told to be."""

    def __init__(self) -> None:
        super().__init__()
        self.sets: list[Object] = []
        self.silent = False
        ready = {"conditions": [{"type": "Ready", "status": "True"}], "primary": "pg-0"}
        spec = {"storageType": "local"}
        self.add(
            "repositories", "ns", {"kind": "Repository", "metadata": {"name": "hippo"}, "spec": spec, "status": ready}
        )
        self.run_host()
        self.restart()

    def restart(self) -> None:
        self.caches = Caches(self)
        agents: Any = self
        context = Context(self, self.caches, agents, Recorder(self, "c"), SETTINGS, clock=lambda: self.now)
        self.controller = BackupController(context)

    def _backups(self) -> None:
        """They are the controller's to end here."""

    def _jobs(self) -> None:
        for job in self.of("jobs"):
            if "status" not in job:
                job["status"] = {"conditions": [{"type": "Complete", "status": "True"}]}
                argv = job["spec"]["template"]["spec"]["containers"][0]["args"]
                told = [word.removeprefix("--annotation=").partition("=") for word in argv if "--annotation=" in word]
                label = f"20261123-1{len(self.sets) + 1}0000F"
                annotations = {key: value for key, _, value in told}
                self.sets.append(info()["backup"][0] | {"label": label, "annotation": annotations})

    async def host(self, _key: Any, _ip: str, _call: Any, **_: Any) -> Status:
        if self.silent:
            raise AgentError("the agent at 10.0.0.2 cannot be reached")
        return Status(info=info() | {"backup": self.sets}, info_error="")

    def make(self, name: str = "nightly", annotations: dict[str, str] | None = None, **spec: Any) -> Object:
        metadata = {"name": name} | ({"annotations": annotations} if annotations else {})
        body = {"apiVersion": names.API_VERSION, "kind": "Backup", "metadata": metadata}
        return self.add("backups", "ns", body | {"spec": {"repository": "hippo", "type": "full"} | spec})

    async def settled(self, name: str = "nightly", rounds: int = 20) -> Object:
        """As the queue would have it: looked at until there is nothing more to do."""
        for _ in range(rounds):
            self._sync()
            try:
                again = await self.controller.reconcile(("ns", name))
            except errors.Conflict:
                continue
            found = self.objects.get(("backups", "ns", name))
            if again is None and (found is None or operations.is_over(found)):
                break  # while it is not, each write of its status brings it here again
        return self.objects.get(("backups", "ns", name), {}).get("status", {})

    def _finalize(self) -> None:
        held = {k: o for k, o in self.objects.items() if k[0] == "backups" and o["metadata"].get("finalizers")}
        super()._finalize()
        self.objects |= held

    def _sync(self) -> None:
        for plural, cache in (("repositories", self.caches.repositories), ("backups", self.caches.backups),
                              ("pods", self.caches.own_pods), ("deployments", self.caches.deployments), ("restores", self.caches.restores)):  # fmt: skip
            for key in set(cache.items):
                cache._drop(cache.items[key])
            for one in self.of(plural):
                cache._put(copy.deepcopy(one))

    def gone(self, name: str = "nightly") -> Object:
        found = copy.deepcopy(self.objects.pop(("backups", "ns", name)))
        self.settle()
        return found

    def back(self, dump: Object, *, status: bool = False, **metadata: Any) -> Object:
        body = copy.deepcopy(dump)
        kept = {key: dump["metadata"][key] for key in ("name", "annotations", "labels") if key in dump["metadata"]}
        body["metadata"] = merged(kept, metadata)
        if not status:
            body.pop("status", None)
        return self.add("backups", "ns", body)


@pytest.fixture
def world() -> World:
    return World()


async def finished(world: World, **spec: Any) -> Object:
    world.make(**spec)
    assert (await world.settled())["reason"] == "Completed"
    await world.settled()
    return world.gone()


RETURNS = {
    "a dump, or Velero": {},
    "with its status": {"status": True},
    "its spec changed on the way": {"change": {"storage": "local"}},
    "its labels taken off": {"labels": None},
}


@pytest.mark.parametrize("how", RETURNS.values(), ids=RETURNS)
async def test_it_is_a_record_and_no_job_is_made(world, how):
    dump = await finished(world)
    how = dict(how)
    dump["spec"] |= how.pop("change", {})
    made = world.back(dump, **how)
    status = await world.settled()
    assert (status["phase"], status["label"], len(world.sets), world.of("jobs")) == (
        "Completed",
        "20261123-110000F",
        1,
        [],
    )
    assert records.mark_of(made).uid == dump["metadata"]["uid"]
    if "status" not in how:
        assert (status["reason"], status["type"], status["repo"]) == ("Record", "full", 1)
        assert f"(uid {dump['metadata']['uid']}) did this on" in status["message"]
        assert f"a new value in the annotation {WORD}" in status["message"]


ORDERS = {
    "the same manifest": ({}, {}, "Record"),
    "what is done at its deletion is another": ({}, {"deletionPolicy": "Delete"}, "Record"),
    "a default written out": ({}, {"options": []}, "Record"),
    "another type": ({}, {"type": "incr"}, "Completed"),
    "a word that is new": ({WORD: "monday"}, {}, "Completed"),
}


@pytest.mark.parametrize(("annotations", "spec", "reason"), ORDERS.values(), ids=ORDERS)
async def test_from_git_it_is_known_by_the_set_that_it_made(world, annotations, spec, reason):
    first = await finished(world)
    world.make(annotations=annotations, **spec)
    status = await world.settled()
    assert (status["phase"], status["reason"]) == ("Completed", reason)
    assert len(world.sets) == (1 if reason == "Record" else 2)
    if reason == "Record":
        await world.settled()
        assert records.mark_of(world.objects["backups", "ns", "nightly"]).uid == first["metadata"]["uid"]


async def test_once_its_set_has_expired_the_manifest_is_an_order_again(world):
    await finished(world)
    world.sets.clear()
    world.make()
    assert (await world.settled())["reason"] == "Completed"
    assert len(world.sets) == 1


async def test_the_word_counts_once_from_a_dump_and_from_git(world):
    await finished(world)
    world.make(annotations={WORD: "monday"})
    await world.settled()
    await world.settled()
    dump = world.gone()
    world.back(dump)
    assert (await world.settled())["reason"] == "Record"
    world.gone()
    world.make(annotations={WORD: "monday"})
    assert (await world.settled())["reason"] == "Record"
    assert len(world.sets) == 2


async def test_a_copy_under_another_name_is_an_order_of_its_own(world):
    world.back(await finished(world), name="another")
    assert (await world.settled("another"))["reason"] == "Completed"
    assert [one["annotation"]["pgwarden-name"] for one in world.sets] == ["nightly", "another"]


async def test_while_the_backups_cannot_be_listed_it_waits_and_says_so(world):
    await finished(world)
    world.make()
    world.silent = True
    status = await world.settled(rounds=3)
    assert (status["phase"], status["reason"]) == ("Pending", "RepositoryNotReachable")
    assert "cannot be reached" in status["message"]
    world.silent = False
    assert (await world.settled())["reason"] == "Record"


async def test_a_record_needs_no_repository_and_tells_of_its_set_once_that_can_be_read(world):
    dump = await finished(world)
    world.silent = True
    world.back(dump)
    status = await world.settled(rounds=2)
    assert (status["reason"], available(status)) == ("Record", "Unknown")
    world.silent = False
    assert available(await world.settled()) == "True"
    world.gone()
    world.sets.clear()
    world.back(dump)
    assert available(await world.settled()) == "False"


def available(status: Object) -> str:
    return next(one["status"] for one in status["conditions"] if one["type"] == "Available")


async def test_a_status_that_was_brought_along_does_not_say_that_a_set_is_there_which_is_not(world):
    dump = await finished(world)
    world.sets.clear()
    world.now += timedelta(hours=1)
    world.back(dump, status=True)
    assert available(dump["status"]) == "True"
    assert available(await world.settled()) == "False"


def test_what_users_write_on_a_backup_gets_into_no_command_line():
    metadata = {"name": "b", "namespace": "ns", "uid": "u", "labels": {names.LABEL_RESTORE: "r"}}
    backup = {"kind": "Backup", "metadata": metadata, "spec": {"repository": "hippo"}}
    metadata["annotations"] = {names.ANNOTATION_RESTORE_ORDER: "ab.cd", names.ANNOTATION_RESTORE_UID: "u\nx"}
    expected = ["pgwarden-name", "pgwarden-order", "pgwarden-repository", "pgwarden-uid"]
    assert sorted(returned.marks(backup, sealed=True)) == expected
    metadata["annotations"][names.ANNOTATION_RESTORE_UID] = "u"
    assert "pgwarden-restore" in returned.marks(backup, sealed=True)
    assert sorted(returned.marks(backup, sealed=False)) == expected


async def test_one_that_had_begun_is_not_begun_again(world):
    world.make()
    world.kill_at = 0
    await world.settled(rounds=1)
    dump = world.gone()
    world.sets.clear()
    assert records.mark_of(dump).phase == "Running"
    for brought in (False, True):
        world.back(dump, status=brought)
        status = await world.settled()
        assert (status["phase"], status["reason"], world.of("jobs")) == ("Failed", "RecordUnfinished", [])
        world.gone()


async def test_the_controllers_death_between_mark_and_job_costs_nothing(world):
    """The mark comes first: by it the Backup knows that it was itself that began."""
    total = 0
    for before in (True, False):
        for n in range(1, 10):
            world.__init__()
            world.kill_at, world.kill_before = n, before
            world.make()
            while not (world.objects["backups", "ns", "nightly"].get("status") or {}).get("completionTime"):
                try:
                    await world.settled()
                except Killed:
                    world.restart()
            assert world.objects["backups", "ns", "nightly"]["status"]["reason"] == "Completed"
            assert len(world.sets) == 1
            total += 1
    assert total == 18


FORGED = {
    "another's label": {"uid": "uid-of-another", "label": "20261123-110000F", "repo": 1},
    "another's label, and its uid": {"uid": None, "label": "20261123-110000F", "repo": 1},
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
async def test_a_forged_mark_expires_nobodys_set(world, forged):
    owner = await finished(world)
    mark = records.Mark(name="mine", phase="Completed", **(forged | {"uid": forged["uid"] or owner["metadata"]["uid"]}))
    world.make("mine", annotations={DONE: mark.dump()}, deletionPolicy="Delete")
    status = await world.settled("mine")
    assert (status["reason"], available(status)) == ("Record", "False")
    world.objects["backups", "ns", "mine"]["metadata"]["deletionTimestamp"] = world._time()
    await world.settled("mine")
    assert (("backups", "ns", "mine") in world.objects, world.of("jobs")) == (False, [])
    assert any("its set 20261123-110000F is kept: the set was not created" in text for _, _, text in world.told)


async def test_a_record_of_its_own_set_expires_it_by_its_policy(world):
    world.back(await finished(world, deletionPolicy="Delete"))
    await world.settled()
    world.objects["backups", "ns", "nightly"]["metadata"]["deletionTimestamp"] = world._time()
    world._sync()
    await world.controller.reconcile(("ns", "nightly"))
    (job,) = world.of("jobs")
    assert "--set=20261123-110000F" in job["spec"]["template"]["spec"]["containers"][0]["args"]


async def test_what_was_over_before_there_were_marks_is_marked_slowly(world):
    for n in range(20):
        world.make(f"old-{n}")["status"] = {"phase": "Completed", "reason": "Completed", "label": f"L{n}", "repo": 1}
    world._sync()
    waits = sorted([await world.controller.reconcile(("ns", f"old-{n}")) or 0.0 for n in range(20)])
    assert sum(DONE in one["metadata"].get("annotations", {}) for one in world.of("backups")) == 1
    assert waits == pytest.approx([n * returned.PACE for n in range(20)])


async def test_another_objects_job_of_the_name_is_waited_for(world):
    world.make()
    await world.settled(rounds=1)
    (job,) = copy.deepcopy(world.of("jobs"))
    world.gone()
    world.sets.clear()
    made = world.make()
    world.objects["jobs", "ns", job["metadata"]["name"]] = job
    world._collect = lambda: None
    status = await world.settled(rounds=2)
    assert (status["phase"], status["reason"]) == ("Pending", "JobGoing")
    del world._collect, world.objects["jobs", "ns", job["metadata"]["name"]]
    assert (await world.settled())["reason"] == "Completed"
    assert world.sets[-1]["annotation"]["pgwarden-uid"] == made["metadata"]["uid"]


# --- a Job that the API server does not take ---------------------------------------------------------------------

QUOTA = 'jobs.batch "first-backup" is forbidden: exceeded quota: few, requested: count/jobs.batch=1'


class Refusing(World):
    """A quota refuses Jobs: `always`, only `dry` runs pass, or `never`."""

    refuses = "always"

    async def request(self, method: str, path: str, *, params: Any = None, **more: Any) -> Any:
        if method == "POST" and path.endswith("/jobs"):
            dry = (params or {}).get("dryRun") == "All"
            if self.refuses == "always" or (self.refuses == "real" and not dry):
                raise errors.Invalid(403, "Forbidden", QUOTA)
        return await super().request(method, path, params=params, **more)


@pytest.mark.parametrize("refuses", ["always", "real"])
async def test_a_backup_whose_job_is_refused_says_why_and_holds_nobody_up_until_it_is_taken(refuses):
    world = Refusing()
    world.refuses = refuses
    world.make("first")
    status = await world.settled("first", rounds=5)
    assert (status["phase"], status["reason"]) == ("Pending", "JobRefused")
    assert status["message"] == f"Kubernetes refuses the Job: {QUOTA}"
    assert "job" not in status
    assert "startTime" not in status
    assert "JobRefused" in world.warned
    first = {"kind": "Backup"} | world.objects["backups", "ns", "first"]
    younger = {"kind": "Backup", "metadata": first["metadata"] | {"name": "second", "uid": "u-second"}, "status": {}}
    assert operations.may_run(younger, [first, younger])
    if refuses == "always":
        assert records.mark_of(first) is None
    world.refuses = "never"
    assert (await world.settled("first"))["reason"] == "Completed"
    assert len(world.sets) == 1


async def test_one_that_said_that_it_starts_and_whose_job_is_refused_then_says_why():
    """Begun by a version that did not ask first, or killed between the two."""
    world = Refusing()
    world.refuses = "never"
    world.make("first")
    world.kill_at, world.kill_before = 3, True  # mark, status, Job
    with pytest.raises(Killed):
        await world.settled("first")
    world.kill_at, world.refuses = 0, "always"
    before = world.objects["backups", "ns", "first"].get("status", {})
    assert before.get("reason") == "JobStarting"
    status = await world.settled("first", rounds=3)
    assert (status["phase"], status["reason"]) == ("Pending", "JobRefused")
