"""The local storage's volume: what keeps the host from it, when a spare one answers, and what is lost on it."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from controller import pods
from controller.repository import decide, due, lost, report, volume
from controller.repository.volume import VolumeView
from pgwarden.api import names
from pgwarden.contract.status import Half, Volume
from pgwarden.kube import paths
from pgwarden.pgbackrest.trouble import Trouble
from tests.unit.controller.repository.conftest import BOTH, LOCAL
from tests.unit.controller.test_repository_storages import facts, info, told

NOW = facts().now
WHOLE, NOTHING, REST = Half(info=True, copy=True, holds=True), Half(), Half(holds=True)
COPY = Half(copy=True, holds=True)


def claim(phase: str = "Bound", **metadata: Any) -> dict[str, Any]:
    about = {"name": "hippo-pgbackrest-repo", "namespace": "ns"} | metadata
    return {"metadata": about, "spec": {"volumeName": "pvc-1"}, "status": {"phase": phase}}


def node(ready: str = "True") -> dict[str, Any]:
    return {"metadata": {"name": "n1"}, "status": {"conditions": [{"type": "Ready", "status": ready}]}}


def host(minutes: float = 0, ready: str = "False", component: str = "host", **spec: Any) -> dict[str, Any]:
    """A pod of the host, that ready (or not) since so many minutes."""
    since = f"{NOW - timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}"
    about = {"name": f"{component}-0", "labels": {names.LABEL_COMPONENT: component}, "creationTimestamp": since}
    conditions = [{"type": "Ready", "status": ready, "lastTransitionTime": since}]
    return {"metadata": about, "spec": spec, "status": {"conditions": conditions}}


VOLUME = {"metadata": {"name": "pvc-1"}, "spec": {}}


@pytest.mark.parametrize(
    ("view", "reason"),
    [
        (VolumeView(claim(), VOLUME, "n1", node()), None),
        (VolumeView(claim("Pending"), None), "VolumeLost"),
        (VolumeView(claim("Lost"), None), "VolumeLost"),
        (VolumeView(claim(), None), "VolumeLost"),
        (VolumeView(claim(), VOLUME, "n1", None), "NodeLost"),
        (VolumeView(claim(), VOLUME, "n1", node("Unknown")), "NodeNotReady"),
        (VolumeView(claim(deletionTimestamp="2026-11-23T00:00:00Z"), VOLUME), "ClaimTerminating"),
    ],
    ids=["all well", "its volume gone", "Lost", "bound to none", "no node", "node not ready", "deleted"],
)
def test_what_keeps_the_host_from_its_volume_is_told_apart(view, reason):
    found = volume.lost(view, [])
    assert (found.reason if found else None) == reason
    if reason in {"VolumeLost", "NodeLost", "NodeNotReady"}:
        assert "kubectl delete pvc hippo-pgbackrest-repo" in found.sentence


def test_a_claim_that_is_deleted_names_the_pod_that_still_holds_it():
    view = VolumeView(claim(deletionTimestamp="2026-11-23T00:00:00Z"), VOLUME)
    found = volume.lost(view, [host(nodeName="n1")])
    assert found is not None
    assert "pod host-0 still holds its volume: the backups on it go with the pod" in found.sentence


def test_a_claim_that_is_deleted_under_a_host_that_answers_is_told_before_anything_is_lost():
    going = claim(deletionTimestamp="2026-11-23T00:00:00Z")
    given = facts(info({}), "local", claim=going)
    status, reason, message = told("Reachable", given)
    assert (status, reason) == ("True", "ClaimTerminating")
    assert "the backups on it go with the pod" in message
    assert decide.phase(given) == "Degraded"
    assert decide.why(given)[1] != "the repository takes WAL and backups"


def test_a_pod_that_cannot_be_scheduled_is_named_once_it_has_been_waited_for():
    pending = host(5)
    pending["status"]["conditions"].append({"type": "PodScheduled", "status": "False", "message": "no node matches"})
    found = volume.away(VolumeView(claim(), VOLUME), [pending])
    assert found.reason == "StorageAway"
    assert (
        "volume pvc-1 of claim hippo-pgbackrest-repo is not mounted: pod host-0 cannot be scheduled" in found.sentence
    )
    unbound = claim("Pending")
    unbound["spec"] = {}
    assert volume.away(VolumeView(unbound), [pending]).reason == "ClaimPending"


def test_a_pod_that_kubernetes_refuses_is_not_put_down_to_the_claim_that_waits_for_it():
    unbound = claim("Pending")
    unbound["spec"] = {}
    told_ = pods.refused({"status": {"conditions": [FAILURE]}})
    found = volume.away(VolumeView(unbound), [], told_)
    assert found.reason == "PodRefused"
    assert found.sentence == f"Kubernetes creates no pod of the repository host: {FAILURE['message']}"
    assert volume.away(VolumeView(unbound), [host(5)], told_).reason == "ClaimPending"


FAILURE = {"type": "ReplicaFailure", "status": "True", "message": "failed quota: q: must specify limits.cpu"}
TROUBLE = Trouble("VolumeLost", "it is lost")


@pytest.mark.parametrize(
    ("hosts", "trouble", "since", "wanted"),
    [
        ([host(9, "True")], TROUBLE, "", False),
        ([host(1)], None, "", False),
        ([host(3)], None, "", True),
        ([host(1)], TROUBLE, "", True),
        ([host(1), host(1, "True", "spare")], None, "", True),
        ([host(1, "True"), host(9, "True", "spare")], None, "", False),
        ([], None, "2026-11-22T23:59:00Z", False),
        ([], None, "2026-11-22T23:50:00Z", True),
        ([], None, "", False),
    ],
    ids=[
        "ready", "just starting", "late", "its volume lost", "the spare one answers already", "ready again",
        "no pod for a minute", "no pod for long", "a new Repository",
    ],
)  # fmt: skip
def test_a_spare_host_is_wanted_while_the_volume_keeps_the_host_away(hosts, trouble, since, wanted):
    assert volume.is_spare_wanted(hosts, trouble, since, NOW) is wanted


def test_a_volume_that_is_away_is_told_of_its_storage_alone_and_the_other_one_can_be_used():
    away = Trouble("VolumeLost", "volume pvc-1 of claim c no longer exists")
    given = facts(info({"code": 99, "message": "not mounted"}, {}), answer={"relays": True}, away=away)
    assert told("Reachable", given) == (
        "False",
        "VolumeLost",
        "storage local: volume pvc-1 of claim c no longer exists; storage s3 responds",
    )
    entries = {one["name"]: one["ready"] for one in report.status(given, {})["storages"]}
    assert entries == {"local": False, "s3": True}
    assert not due.wants_stanza(given)


def test_a_lone_local_storage_says_what_keeps_its_host_away():
    given = facts(None, "local", host_ready=False, away=Trouble("NodeLost", "node n1 no longer exists"))
    assert told("Reachable", given) == ("False", "NodeLost", "storage local: node n1 no longer exists")


def job(uid: str, owner: str, ended: str = "Complete") -> dict[str, Any]:
    about = {"name": f"job-{uid}", "uid": uid, "ownerReferences": [{"uid": owner}]}
    return {"metadata": about, "status": {"conditions": [{"type": ended, "status": "True"}] if ended else []}}


def pod_of(uid: str, phase: str = "Succeeded", claim: str = "hippo-pgbackrest-repo") -> dict[str, Any]:
    volumes = [{"name": "conf", "configMap": {}}, {"name": "repo", "persistentVolumeClaim": {"claimName": claim}}]
    about = {"name": f"pod-{uid}", "ownerReferences": [{"uid": uid}]}
    return {"metadata": about, "spec": {"volumes": volumes}, "status": {"phase": phase}}


@pytest.mark.parametrize(
    ("pod", "of", "over", "goes"),
    [
        (pod_of("j"), job("j", "b"), ("b",), True),
        (pod_of("j", "Failed"), job("j", "b", "Failed"), ("b",), True),
        (pod_of("j"), job("j", "b"), (), False),
        (pod_of("j", "Running"), job("j", "b", ""), ("b",), False),
        (pod_of("j", "Failed"), job("j", "b", ""), ("b",), False),
        (pod_of("j", claim="other"), job("j", "b"), ("b",), False),
        (pod_of("another"), job("j", "b"), ("b",), False),
        (pod_of("j"), job("j", "nobody"), ("b",), False),
    ],
    ids=[
        "complete",
        "failed",
        "its Backup is not over",
        "runs",
        "tries again",
        "another claim",
        "another's pod",
        "a stranger's Job",
    ],
)
def test_a_claim_that_is_deleted_is_held_by_no_job_that_is_over(pod, of, over, goes):
    assert volume.spent("hippo-pgbackrest-repo", [pod], [of], over) == ([of] if goes else [])


# --- what is on it --------------------------------------------------------------------------------------------------


def on(archive: Half = WHOLE, backup: Half = WHOLE, free: int = 2**30, **more: Any) -> Volume:
    return Volume(mounted=True, size=2**30, free=free, archive=archive, backup=backup, **more)


@pytest.mark.parametrize(
    ("archive", "backup", "is_half"),
    [
        (WHOLE, WHOLE, False),
        (COPY, WHOLE, False),
        (NOTHING, NOTHING, False),
        (WHOLE, NOTHING, True),
        (NOTHING, WHOLE, True),
        (REST, WHOLE, True),
        (REST, NOTHING, True),
        (REST, REST, True),
    ],
    ids=["whole", "a copy is enough", "empty", "no backup", "no archive", "no archive.info", "WAL alone", "no info"],
)
def test_a_stanza_that_stanza_create_would_refuse_is_set_aside(archive, backup, is_half):
    given = facts(info({"code": 1, "message": "missing stanza path"}), "local", volume=on(archive, backup))
    assert (lost.half(given) is not None) is is_half
    assert lost.wants_set_aside(given) is is_half
    if is_half:
        assert told("StanzaCreated", given)[1] == "RepositoryHalfLost"
        assert not lost.wants_set_aside(dataclasses.replace(given, operation="Backup nightly"))
        assert not lost.wants_set_aside(dataclasses.replace(given, pods=()))
        assert not lost.wants_set_aside(dataclasses.replace(given, volume=on(archive, backup, free=0)))
        other = given.repository | {"status": {"systemIdentifier": "7"}}
        assert not lost.wants_set_aside(dataclasses.replace(given, repository=other))


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (on(), None),
        (on(read_only=True), "RepositoryReadOnly"),
        (on(error="EROFS: Read-only file system"), "RepositoryReadOnly"),
        (on(error="ENOSPC: No space left on device"), "RepositoryFull"),
        (on(free=2**20), "RepositoryFull"),
        (on(error="EIO: Input/output error"), "RepositoryNotWritable"),
    ],
    ids=["writable", "read-only", "refuses to write", "out of space", "almost", "broken"],
)
def test_a_volume_that_cannot_be_written_to_is_told_as_what_it_is(seen, reason):
    given = facts(info({}), "local", volume=seen)
    assert told("Writable", given)[1] == (reason or "VolumeWritable")
    assert told("Ready", given)[1] == (reason or "Ready")
    assert told("Reachable", given)[0] == "True"
    assert bool(lost.hindrances(given, [])) is bool(reason)


def test_no_stanza_is_made_on_a_full_volume_and_the_room_is_what_is_told():
    """stanza-create would leave half a file, which keeps the next one from its work."""
    missing = info({"code": 1, "message": "missing stanza path"})
    full = facts(missing, "local", volume=on(NOTHING, NOTHING, free=0))
    assert not due.wants_stanza(full)
    assert told("StanzaCreated", full)[1] == told("Ready", full)[1] == "RepositoryFull"
    assert due.wants_stanza(dataclasses.replace(full, volume=on(NOTHING, NOTHING)))


def test_a_storage_without_a_volume_has_no_such_condition():
    listed = report.status(facts(info({}), "s3"), {})["conditions"]
    assert "Writable" not in {one["type"] for one in listed}


def held(count: int) -> dict[str, Any]:
    storages = [{"name": "local", "repo": 1, "backupCount": count, "backupCounts": {"full": count}}]
    return {
        "metadata": facts().repository["metadata"],
        "spec": {"storageType": "local"},
        "status": {"storages": storages},
    }


@pytest.mark.parametrize(
    ("before", "repo", "owed"),
    [
        (2, {"code": 1, "message": "missing stanza path"}, 1),
        (2, {"code": 99, "message": "[HostConnectError] away"}, 0),
        (0, {"code": 1, "message": "missing stanza path"}, 0),
    ],
    ids=["emptied", "not readable", "never had one"],
)
def test_a_storage_that_held_backups_and_holds_none_owes_a_full_one(before, repo, owed):
    given = facts(info(repo), "local", repository=held(before))
    after = report.status(given, {})
    found = after["fullBackupOwed"] or []
    assert len(found) == owed
    if owed:
        assert (found[0]["storage"], found[0]["reason"]) == ("local", "BackupsLost")
        later = dataclasses.replace(
            given, repository=given.repository | {"status": after}, now=NOW + timedelta(hours=1)
        )
        assert report.status(later, {})["fullBackupOwed"] == found, "it is remembered"


def test_numbers_of_another_storage_type_are_believed_by_nobody():
    """s3 became local,s3, and the host still calls s3 its first: that is no backup in local."""
    given = facts(info({}), "local,s3", repository=held(2))
    assert lost.newest_full(given) == {}
    assert report.status(given, {})["storages"][0].get("backupCount") == 2, "as it was known"


def test_the_contract_keeps_what_the_agent_says_of_its_volume():
    assert msgspec.convert(msgspec.to_builtins(on(REST)), Volume) == on(REST)


@pytest.mark.parametrize(
    ("before", "newest", "latest"),
    [
        ({}, "B" * 24, ""),
        ({"lastWal": "A" * 24}, "B" * 24, "2026-11-22T23:59:45Z"),
        ({"lastWal": "B" * 24, "lastWalTime": "2026-11-20T00:00:00Z"}, "B" * 24, "2026-11-20T00:00:00Z"),
        ({"lastWal": "B" * 24}, "B" * 24, ""),
    ],
    ids=["seen for the first time", "a new one", "the same", "the same, of before there was a time"],
)
def test_while_a_storage_is_away_the_other_one_tells_itself_how_far_it_can_be_recovered_to(before, newest, latest):
    repository = {
        "metadata": facts().repository["metadata"],
        "spec": {"storageType": "local,s3"},
        "status": {"storages": [{"name": "s3", "repo": 2} | before]},
    }
    away = Trouble("VolumeLost", "it is lost")
    given = facts(info({"code": 99, "message": "away"}, {"max": newest}), repository=repository, away=away)
    entry = next(one for one in report.status(given, {})["storages"] if one["name"] == "s3")
    assert entry.get("lastWalTime", "") == latest


CLAIM = paths.of("persistentvolumeclaims", "ns", "hippo-pgbackrest-repo")


def bound(world: Any, storage_class: str = "fast") -> None:
    """The claim that the Repository has made gets its volume."""
    made = world.store.objects[CLAIM]
    made["spec"]["storageClassName"] = storage_class
    made["status"] = {"phase": "Bound", "capacity": dict(made["spec"]["resources"]["requests"])}


def grown(world: Any) -> str:
    return world.store.objects[CLAIM]["spec"]["resources"]["requests"]["storage"]


def condition_reasons(world: Any) -> list[str]:
    return [one["reason"] for one in world.store.events if one["message"].startswith("Sized:")]


async def test_a_larger_size_is_asked_of_the_claim_and_told_until_the_volume_has_it(make):
    world = make(LOCAL)
    await world.look()
    bound(world)
    expanding = {"metadata": {"name": "fast"}, "provisioner": "csi.example", "allowVolumeExpansion": True}
    world.store.put(paths.of("storageclasses", "", "fast"), expanding)
    await world.look()
    assert world.condition("Sized")["reason"] == "AsSpecified"
    world.repository(LOCAL | {"local": {"size": "2Gi"}})
    world.store.objects[paths.of("pods", "ns", "host")]["status"]["conditions"][0]["status"] = "False"
    await world.look()
    assert grown(world) == "2Gi"
    said = world.condition("Sized")
    assert (said["status"], said["reason"]) == ("False", "Expanding")
    assert said["message"] == (
        "claim hippo-pgbackrest-repo grows from 1Gi to 2Gi: asked for, and driver csi.example has not begun yet"
    )
    bound(world)
    await world.look()
    assert world.condition("Sized")["status"] == "True"
    assert condition_reasons(world) == ["AsSpecified", "Expanding", "AsSpecified"]
    assert {one["type"] for one in world.store.events if one["message"].startswith("Sized:")} == {"Normal"}


async def test_a_class_that_cannot_expand_is_named_in_the_condition_and_by_a_warning(make):
    world = make(LOCAL)
    await world.look()
    bound(world, "local-path")
    world.store.put(paths.of("storageclasses", "", "local-path"), {"metadata": {"name": "local-path"}})
    world.store.refuses[CLAIM] = "only dynamically provisioned pvc can be resized"
    world.repository(LOCAL | {"local": {"size": "2Gi"}})
    for _ in range(3):
        await world.look()
    said = world.condition("Sized")
    assert (said["status"], said["reason"]) == ("False", "ClaimNotExpanded")
    assert "claim hippo-pgbackrest-repo has 1Gi, not 2Gi: storage class local-path does not allow" in said["message"]
    assert world.condition("Writable")["reason"] != "ClaimNotExpanded"
    (event,) = (one for one in world.store.events if one["reason"] == "ClaimNotExpanded")
    assert event["type"] == "Warning"


async def test_a_repository_without_a_volume_has_no_size(make):
    world = make({key: value for key, value in BOTH.items() if key != "local"} | {"storageType": "s3"})
    world.secret()
    await world.look()
    assert "Sized" not in {one["type"] for one in world.status["conditions"]}
