"""Plans that somebody else has written, on a workload or in a status: nothing of others' changes, and all go on."""

from __future__ import annotations

import copy
import dataclasses
import json
from datetime import timedelta

import pytest

from controller.recovery import plan as plans
from controller.restore import gather, proof, steps_switch, workload
from controller.restore.facts import RestoreFacts
from pgwarden.api import names
from pgwarden.kube import errors
from tests.unit.controller import replicas
from tests.unit.controller.restore.fake_cluster import FACTS

#: What a namespace's user knows of the fake cluster, beside their own.
VICTIM = {"name": "pv-victim", "reclaim": "Delete"}
OLD = {"name": "pv-old", "reclaim": "Delete"}
PLAN = {
    "restore": "ghost", "restoreUid": "r-ghost", "repository": "hippo", "workloadKind": "Deployment",
    "workload": "mine", "replicas": 1, "claim": "loot", "claimUid": "x", "claimSpec": {},
    "newClaim": "ghost-restored", "facts": FACTS, "mounts": [], "oldVolume": VICTIM, "newVolume": OLD,
}  # fmt: skip
NESTED = "[" * 100_000
TEXTS = {
    "another namespace's volume": json.dumps(PLAN),
    "no volume to swap with": json.dumps(PLAN | {"newVolume": None}),
    "another workload": json.dumps(PLAN | {"workloadKind": "StatefulSet", "workload": "pg"}),
    "another's claims": json.dumps(PLAN | {"claim": "data-pg-0", "newClaim": "hippo-pgbackrest-repo"}),
    "nested deeply": NESTED,
    "nested deeply within": json.dumps(PLAN)[:-1] + f', "claimSpec": {{"a": {NESTED}',
    "a Restore of the name ..": json.dumps(PLAN | {"restore": ".."}),
    "a volume of the name .": json.dumps(PLAN | {"oldVolume": {"name": ".", "reclaim": "Delete"}}),
    "a name with a slash": json.dumps(PLAN | {"newClaim": "a/b"}),
    "a name of 200 kB": json.dumps(PLAN | {"repository": "a" * 200_000}),
    "no name": json.dumps(PLAN | {"workload": ""}),
    "another kind": json.dumps(PLAN | {"workloadKind": "Pod"}),
    "many replicas": json.dumps(PLAN | {"replicas": 1000}),
    "not a number": '{"restore": NaN}',
    "no JSON": "ghost",
    "nothing": "",
    "a surrogate": '{"restore": "\\ud800"}',
}
UNREADABLE = [name for name in TEXTS if name not in list(TEXTS)[:4]]


@pytest.fixture
def beside(cluster):
    """Another namespace with a bound claim, and in ours a Deployment of a user's that carries what it is given."""
    reference = {"namespace": "other", "name": "ledger", "uid": "u-ledger"}
    spec = {"persistentVolumeReclaimPolicy": "Retain", "claimRef": reference}
    cluster.add(
        "persistentvolumes", "", {"metadata": {"name": "pv-victim"}, "spec": spec, "status": {"phase": "Bound"}}
    )
    claim = {"metadata": {"name": "ledger"}, "spec": {"volumeName": "pv-victim"}, "status": {"phase": "Bound"}}
    cluster.add("persistentvolumeclaims", "other", claim)
    claim = {"metadata": {"name": "hippo-pgbackrest-repo"}, "spec": {}, "status": {"phase": "Bound"}}
    cluster.add("persistentvolumeclaims", "ns", claim)

    def carry(text, name="mine", **annotations):
        metadata = {"name": name, "annotations": {names.ANNOTATION_STOPPED_BY: text} | annotations}
        return cluster.add("deployments", "ns", {"metadata": metadata, "spec": {"replicas": 0, "template": {}}})

    return carry


def others(cluster):
    """All but Restores, what is made for them, and Events."""
    mine = {"restores", "backups", "jobs", "pods", "secrets", "events"}
    return {key: copy.deepcopy(value) for key, value in cluster.objects.items() if key[0] not in mine}


def refusals(cluster):
    return [(kind, name, message) for kind, name, message in cluster.told if "is not acted on" in message]


@pytest.mark.parametrize("name", TEXTS)
async def test_a_forged_plan_is_refused_once_with_an_event_and_nothing_changes(cluster, run, beside, name):
    beside(TEXTS[name])
    before = others(cluster)
    for _ in range(3):
        assert await run.controller.orphans() == []
        assert await run.controller.reconcile(("ns", "ghost")) is None
    assert others(cluster) == before
    ((kind, carrier, message),) = refusals(cluster)
    assert (kind, carrier) == ("Deployment", "mine")
    assert message.startswith("annotation pgwarden.io/stopped-by is not acted on: ")
    assert "kubectl annotate deployment mine -n ns pgwarden.io/stopped-by-" in message
    assert len(message) < 1024


@pytest.mark.parametrize("name", TEXTS)
async def test_an_honest_restore_goes_on_beside_a_forged_plan(cluster, run, beside, name):
    beside(TEXTS[name])
    run.create()
    assert (await run.until_over())["phase"] == "Completed"
    assert cluster.serves() == "restored"
    assert cluster.objects["persistentvolumes", "", "pv-victim"]["spec"]["claimRef"]["name"] == "ledger"
    assert len(refusals(cluster)) == 1


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_is_no_plan_is_none(name):
    assert plans.load(TEXTS[name]) is None


async def half_way(run, cluster, name="first"):
    """A Restore that has stopped the workload, and is deleted."""
    run.create(name)
    while cluster.objects["statefulsets", "ns", "pg"]["spec"]["replicas"]:
        cluster.kill_at = cluster.writes + 1
        await run.until_over(name, rounds=1)
        assert cluster.writes < 60
    cluster.kill_at = 0
    del cluster.objects["restores", "ns", name]
    return cluster.objects["statefulsets", "ns", "pg"]


async def test_a_sealed_plan_is_no_use_on_another_workload_nor_changed_nor_on_the_next_of_its_name(
    cluster, run, beside
):
    marked = await half_way(run, cluster)
    noted = dict(marked["metadata"]["annotations"])
    text, seal = noted[names.ANNOTATION_STOPPED_BY], noted[names.ANNOTATION_STOPPED_BY_SEAL]
    beside(text, **{names.ANNOTATION_STOPPED_BY_SEAL: seal})
    changed = text.replace('"replicas":1', '"replicas":0')
    for metadata in ({"annotations": noted | {names.ANNOTATION_STOPPED_BY: changed}}, {"uid": "next"}):
        marked["metadata"] = {**marked["metadata"], "annotations": noted} | metadata
        assert await run.controller.orphans() == []
    marked["metadata"] |= {"uid": "uid-5", "annotations": noted}


async def test_a_plan_that_is_ours_is_undone_beside_one_that_is_not(cluster, run, beside):
    await half_way(run, cluster)
    for number, text in enumerate(TEXTS.values()):
        beside(text, name=f"a-{number}")
    run.restart()
    assert await run.controller.orphans() == [("ns", "first")]
    await run.until_over("first")
    assert cluster.serves() == "old"
    assert cluster.objects["statefulsets", "ns", "pg"]["spec"]["replicas"] == 1
    assert not cluster.objects["statefulsets", "ns", "pg"]["metadata"]["annotations"]


async def test_one_restore_that_cannot_be_seen_stops_none_of_the_others(cluster, run, monkeypatch):
    await half_way(run, cluster)
    find = cluster.find

    async def forbidden(path):
        if "/restores/" in path:
            raise errors.Invalid(403, "Forbidden", "not for you")
        return await find(path)

    monkeypatch.setattr(cluster, "find", forbidden)
    assert await run.controller.orphans() == [("ns", "first")]  # the worker asks again


async def test_of_namespaces_that_are_named_one_that_may_not_be_read_stops_none_of_the_others(
    cluster, run, monkeypatch
):
    await half_way(run, cluster)
    items, asked = cluster.items, []

    def named_alone(path, *args, **options):
        asked.append(path)
        if "/namespaces/ns/" not in path:
            raise errors.Invalid(403, "Forbidden", "not for you")
        return items(path, *args, **options)

    monkeypatch.setattr(cluster, "items", named_alone)
    context = run.controller._context
    monkeypatch.setattr(context, "settings", dataclasses.replace(context.settings, watch_namespaces=("gone", "ns")))
    assert await run.controller.orphans() == [("ns", "first")]
    assert asked[0] == "/apis/apps/v1/namespaces/gone/statefulsets"


async def test_a_restore_of_version_0_1_is_sealed_when_it_is_seen_to_be_at_work(cluster, run):
    run.create()
    while cluster.objects["statefulsets", "ns", "pg"]["spec"]["replicas"]:
        cluster.kill_at = cluster.writes + 1
        await run.until_over(rounds=1)
    cluster.kill_at = 0
    del cluster.objects["statefulsets", "ns", "pg"]["metadata"]["annotations"][names.ANNOTATION_STOPPED_BY_SEAL]
    run.restart()
    assert await run.controller.orphans() == []
    run.agents.recovers = False
    await run.until_over(rounds=10)
    del cluster.objects["restores", "ns", "back"]
    assert await run.controller.orphans() == [("ns", "back")]
    await run.until_over()
    assert cluster.serves() == "old"
    assert refusals(cluster) == []


async def test_what_version_0_1_has_left_is_refused_and_loses_nothing(cluster, run):
    marked = await half_way(run, cluster)
    del marked["metadata"]["annotations"][names.ANNOTATION_STOPPED_BY_SEAL]
    before = others(cluster)
    run.restart()
    assert await run.controller.reconcile(("ns", "first")) is None
    assert others(cluster) == before
    assert len(refusals(cluster)) == 1


async def test_a_volume_that_is_given_to_another_claim_halfway_is_left_alone(cluster, run):
    """By the plan in the status, which is ours: what was proven when it was made need not be true any more."""
    run.create()
    while cluster.objects["statefulsets", "ns", "pg"]["spec"]["replicas"]:
        cluster.kill_at = cluster.writes + 1
        await run.until_over(rounds=1)
    cluster.kill_at = 0
    given_away = {"namespace": "other", "name": "ledger", "uid": "u"}
    cluster.objects["persistentvolumes", "", "pv-old"]["spec"]["claimRef"] = given_away
    for _ in range(5):
        again = await run.controller.reconcile(("ns", "back"))
        cluster.now += timedelta(seconds=again or 1)
    assert cluster.objects["persistentvolumes", "", "pv-old"]["spec"]["claimRef"] == given_away
    found = cluster.condition("Started")
    assert found["reason"] == proof.REFUSED
    assert "PersistentVolume pv-old does not belong to this Restore's claims" in found["message"]
    assert again >= 2


async def test_a_change_that_changes_nothing_is_not_tried_again_at_once(cluster, run, monkeypatch):
    """Whatever undoes what we do: the API server is asked a few times a second at the most."""
    write = cluster._write

    def stubborn(method, plural, *rest):
        return {} if plural == "persistentvolumes" else write(method, plural, *rest)

    monkeypatch.setattr(cluster, "_write", stubborn)
    run.create()
    await run.until_over(rounds=15)
    written = cluster.writes
    assert await run.controller.reconcile(("ns", "back")) >= 2
    assert cluster.writes - written <= 2


async def test_what_is_waited_for_in_vain_is_looked_at_more_and_more_seldom(cluster, run, monkeypatch):
    """As a claim is whose volume is never free: it was looked at twice a second, with ten requests each, for ever."""
    monkeypatch.setattr(cluster, "_bind", lambda: None)
    run.create()
    while cluster.objects["statefulsets", "ns", "pg"]["spec"]["replicas"]:
        await run.until_over(rounds=1)
        for claim in cluster.of("persistentvolumeclaims"):  # the first binding alone
            if not claim["spec"].get("volumeName"):
                type(cluster)._bind(cluster)
    waits = [await run.controller.reconcile(("ns", "back")) for _ in range(300)]
    assert cluster.restore()["status"]["step"] == "Swapped"
    assert waits[-1] == 10.0
    assert sum(waits) > 600


async def test_a_volume_that_has_changed_since_it_was_looked_at_is_not_changed(cluster, run):
    seen = []
    write = cluster._write

    def watching(method, plural, namespace, name, sub, body):
        if plural == "persistentvolumes":
            seen.append((body["metadata"]["uid"], body["metadata"]["resourceVersion"]))
        return write(method, plural, namespace, name, sub, body)

    cluster._write = watching
    run.create()
    assert (await run.until_over())["phase"] == "Completed"
    there = {(o["metadata"]["uid"], o["metadata"]["resourceVersion"]) for o in cluster.of("persistentvolumes")}
    assert set(seen) == there


def _run_by(kind, name, uid, claim, **labels):
    owner = {"kind": kind, "name": name, "uid": uid, "controller": True}
    metadata = {"name": "forged", "labels": {names.LABEL_REPOSITORY: "hippo"} | labels, "ownerReferences": [owner]}
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]
    return {"metadata": metadata, "spec": {"volumes": volumes}}


@pytest.mark.parametrize(
    ("pod", "proven"),
    [
        (_run_by("StatefulSet", "victim-db", "v", "data-victim-db-0"), True),
        (_run_by("StatefulSet", "victim-db", "other", "data-victim-db-0"), False),
        (_run_by("ReplicaSet", "web-7f6", "any", "web", **{"pod-template-hash": "7f6"}), True),
        (_run_by("ReplicaSet", "web-7f6", "any", "ledger", **{"pod-template-hash": "7f6"}), False),
        (_run_by("ReplicaSet", "shop-7f6", "any", "shop", **{"pod-template-hash": "7f6"}), False),
        (_run_by("Job", "nightly", "any", "shop"), True),
    ],
    ids=[
        "the set's",
        "of another uid",
        "the Deployment's",
        "on another claim",
        "of one that is not meant",
        "of another kind",
    ],
)
def test_a_pod_shows_the_workload_only_where_that_runs_it(pod, proven):
    def deployment(name, **labels):
        volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": name}}]
        template = {"metadata": {"labels": labels}, "spec": {"volumes": volumes}}
        return {"kind": "Deployment", "metadata": {"name": name, "uid": name}, "spec": {"template": template}}

    found = [
        {"kind": "StatefulSet", "metadata": {"name": "victim-db", "uid": "v"}, "spec": {}},
        deployment("web", **{names.LABEL_REPOSITORY: "hippo"}),
        deployment("shop"),
    ]
    assert workload.unproven([pod], found, "hippo") == (frozenset() if proven else {"forged"})


async def test_a_pod_that_names_anothers_stateful_set_stops_nobody(cluster, run):
    """Whoever may make pods and Restores, and no more."""
    cluster.add("pods", "ns", _run_by("StatefulSet", "pg", "not its uid", "data-pg-0"))
    run.create()
    await run.until_over(rounds=3)
    status = cluster.restore()["status"]
    assert (status["phase"], status["reason"]) == ("Pending", "PodNotProven")
    assert "pod forged" in status["message"]
    assert not any("statefulsets" in line for line in cluster.log)


WORKLOADS = {
    "StatefulSet": {"kind": "StatefulSet", "name": "pg", "uid": "w", "controller": True},
    "Deployment": replicas.by("pg")[0],
}


@pytest.mark.parametrize("kind", WORKLOADS)
async def test_after_the_start_a_pod_that_only_names_the_workload_is_not_the_one_that_recovered(
    run, cluster, settings, kind
):
    """Its agent, which may have a certificate of the Repository's, would say that all rows are back."""
    by = WORKLOADS[kind]
    about = {"name": "pg", "namespace": "ns", "uid": "w"}
    cluster.objects["replicasets", "ns", "pg-5d"] = replicas.replica_set({"metadata": about})

    def pod(name: str, **owner: str):
        labels = {names.LABEL_REPOSITORY: "hippo", "pod-template-hash": "5d"}
        metadata = {"name": name, "namespace": "ns", "labels": labels, "ownerReferences": [by | owner]}
        return {"metadata": metadata, "spec": {}, "status": {"podIP": "10.0.0.7"}}

    pods = [pod("forged", uid="not its uid"), pod("real")]
    text = json.dumps(PLAN | {"restore": "back", "workloadKind": kind, "workload": "pg"})
    noted = {"annotations": {names.ANNOTATION_STOPPED_BY: text}}
    plan = plans.of_workload({"kind": kind, "metadata": about | noted})
    reader = gather._Reader(run.controller._context, "ns")
    strangers = await reader.strangers(plan, [{"kind": kind, "metadata": about}], pods)
    assert strangers == {"forged"}
    facts = RestoreFacts(
        now=None, settings=settings, restore={}, spec=None, plan=plan, pods=tuple(pods), strangers=strangers
    )
    assert steps_switch.running_pod(facts)["metadata"]["name"] == "real"
