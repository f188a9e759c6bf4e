"""Plans that somebody else has written, on a workload or in a status: nothing of others' changes, and all go on."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings, strategies

from pgwarden.api import names
from pgwarden.api.kinds import RestoreSpec
from pgwarden.controller.restore import plan as plans
from pgwarden.controller.restore import proof, undo, workload
from pgwarden.controller.restore.decide import STEPS as JUDGES
from pgwarden.controller.restore.decide import decide
from pgwarden.controller.restore.facts import Facts
from pgwarden.controller.restore.plan import Ending, Plan, Volume
from pgwarden.controller.restore.verdict import Create, Delete, Merge
from pgwarden.kube import errors
from tests.unit.controller.restore.conftest import FACTS, SETTINGS
from tests.unit.controller.restore.conftest import START as NOW

STEPS = list(JUDGES)
SPEC = RestoreSpec(repository="hippo")

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


async def test_a_restore_of_version_0_1_is_sealed_when_it_is_seen_to_be_at_work(cluster, run):
    run.create()
    while cluster.objects["statefulsets", "ns", "pg"]["spec"]["replicas"]:
        cluster.kill_at = cluster.writes + 1
        await run.until_over(rounds=1)
    cluster.kill_at = 0
    del cluster.objects["statefulsets", "ns", "pg"]["metadata"]["annotations"][names.ANNOTATION_STOPPED_BY_SEAL]
    run.restart()
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
    found = cluster.condition("Swapped")
    assert found["reason"] == proof.REFUSED
    assert "PersistentVolume pv-old is not of this Restore's claims" in found["message"]
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


# --- any plan at all --------------------------------------------------------------------------------------------

NAMES = strategies.sampled_from(
    ["data-pg-0", "pg", "mine", "loot", "ghost", "ghost-restored", "victim", "ledger", "loot-before-ghost", "data-victim-db-0",
     "loot-failed-ghost", "hippo-pgbackrest-repo", "data-pg-0-before-ghost"]
)  # fmt: skip
VOLUMES = strategies.builds(
    Volume,
    name=strategies.sampled_from(["pv-a", "pv-b", "pv-c", "pv-d"]),
    reclaim=strategies.sampled_from(["Delete", "Retain", "Recycle", "x"]),
)
PLANS = strategies.builds(
    Plan,
    restore=strategies.just("ghost"), restore_uid=strategies.sampled_from(["r-1", "r-2"]), repository=strategies.just("hippo"),
    workload_kind=strategies.sampled_from(["StatefulSet", "Deployment"]), workload=NAMES, replicas=strategies.sampled_from([0, 1]),
    claim=NAMES, claim_uid=strategies.sampled_from(["u-1", "u-2", ""]), new_claim=NAMES, kept=NAMES | strategies.just(""),
    failed=NAMES | strategies.just(""), old_volume=VOLUMES | strategies.none(), new_volume=VOLUMES | strategies.none(),
    facts=strategies.just(msgspec.convert(FACTS, plans.PodFacts)), mounts=strategies.just([]),
    ending=strategies.none() | strategies.just(Ending(reason="Vanished", message="gone", step="")),
)  # fmt: skip
MARKS = strategies.fixed_dictionaries(
    {},
    optional={
        names.LABEL_RESTORE: strategies.just("ghost"),
        names.LABEL_COMPONENT: strategies.sampled_from(["restore", "copy"]),
        names.LABEL_KEPT_BY: strategies.just("ghost"),
    },
)


@strategies.composite
def situations(draw, settings_of):
    plan = draw(PLANS)
    claims = {}
    for name in draw(strategies.sets(NAMES, max_size=6)):
        noted = draw(
            strategies.sampled_from([{}, {names.ANNOTATION_RESTORE_UID: "r-1"}, {names.ANNOTATION_RESTORE_UID: "r-2"}])
        )
        metadata = {"name": name, "namespace": "ns", "uid": draw(strategies.sampled_from(["u-1", "u-2", "u-3"])),
                    "labels": draw(MARKS), "annotations": noted, "creationTimestamp": "2026-11-23T12:00:00Z"}  # fmt: skip
        volume = draw(strategies.sampled_from(["pv-a", "pv-b", "pv-c", ""]))
        claims[name] = {"metadata": metadata, "spec": {"volumeName": volume}, "status": {"phase": "Bound"}}
    volumes = {}
    for name in ("pv-a", "pv-b", "pv-c"):
        reference = draw(strategies.none() | strategies.fixed_dictionaries(
            {"namespace": strategies.sampled_from(["ns", "other"]), "name": NAMES}, optional={"uid": strategies.sampled_from(["u-1", "u-2"])}
        ))  # fmt: skip
        spec = {
            "persistentVolumeReclaimPolicy": draw(strategies.sampled_from(["Delete", "Retain"])),
            "claimRef": reference,
        }
        noted = draw(strategies.sampled_from([{}, {names.ANNOTATION_RECLAIM: "Recycle"}]))
        metadata = {"name": name, "uid": f"uid-{name}", "resourceVersion": "7", "annotations": noted}
        volumes[name] = {"metadata": metadata, "spec": spec, "status": {"phase": "Available"}}
    carrier = {"kind": plan.workload_kind, "metadata": {"name": plan.workload, "namespace": "ns", "uid": "w"},
               "spec": {"replicas": draw(strategies.sampled_from([0, 1]))}}  # fmt: skip
    if draw(strategies.booleans()):
        carrier["metadata"]["annotations"] = {names.ANNOTATION_STOPPED_BY: plan.dump()}
    job = draw(strategies.none() | strategies.sampled_from(["r-1", "r-2"]))
    restore = {"kind": "Restore", "metadata": {"name": "ghost", "namespace": "ns", "uid": plan.restore_uid, "generation": 1,
               "creationTimestamp": "2026-11-23T12:00:00Z"}, "spec": {"repository": "hippo"}, "status": {"conditions": [
                   {"type": step, "status": "True", "reason": "x", "message": "", "lastTransitionTime": "2026-11-23T12:00:00Z"}
                   for step in draw(strategies.sampled_from([[], STEPS[:3], STEPS[:4], STEPS[:5], STEPS[:8]]))]}}  # fmt: skip
    return Facts(
        now=draw(strategies.just(NOW)), settings=settings_of, restore=restore, spec=SPEC, plan=plan, workloads=(carrier,),
        claims=claims, volumes=volumes, info={"name": "hippo"},
        job=job and {"metadata": {"name": "ghost-restore-1", "uid": "j", "ownerReferences": [{"uid": job}]}},
    )  # fmt: skip


def wrong(facts, action):
    """What of *action* is another's."""
    plan, own = facts.plan, {facts.plan.claim, facts.plan.new_claim, facts.plan.kept_claim, facts.plan.failed_claim}
    match action:
        case Merge("persistentvolumes", _, name, body):
            volume = facts.volumes[name]
            reference = volume["spec"]["claimRef"] or {}
            wanted = body["spec"].get("claimRef") or reference
            policy = body["spec"].get("persistentVolumeReclaimPolicy", "Retain")
            noted = volume["metadata"]["annotations"].get(names.ANNOTATION_RECLAIM)
            return (
                reference.get("namespace") != "ns"
                or reference["name"] not in own
                or (wanted["namespace"], wanted["name"] in own) != ("ns", True)
                or policy not in {"Retain", noted}
                or body["metadata"]["resourceVersion"] != "7"
            )
        case Merge(("statefulsets" | "deployments") as plural, namespace, name, body):
            carrier = workload.PLURALS[plan.workload_kind], "ns", plan.workload, "w"
            return (plural, namespace, name, body["metadata"]["uid"]) != carrier
        case Merge("persistentvolumeclaims", namespace, name, _):
            return namespace != "ns" or name not in own
        case Create("persistentvolumeclaims", body):
            volume = facts.volumes.get(body["spec"].get("volumeName", ""))
            reference = volume and (volume["spec"]["claimRef"] or {})
            bad = volume is not None and (reference.get("namespace") != "ns" or reference["name"] not in own)
            return bad or body["metadata"]["name"] not in own
        case Delete("persistentvolumeclaims", namespace, name, uid):
            claim = facts.claims[name]
            labels, noted = claim["metadata"]["labels"], claim["metadata"]["annotations"]
            made = bool(noted) and (
                {names.LABEL_RESTORE, names.LABEL_KEPT_BY} & labels.keys() or plan.restore_uid in noted.values()
            )
            there = name == plan.claim and uid == plan.claim_uid
            planned = {one.name for one in (plan.old_volume, plan.new_volume) if one}
            held = claim["spec"]["volumeName"] in planned and (name == plan.claim or names.LABEL_KEPT_BY in labels)
            return namespace != "ns" or name not in own or not (made or there or held)
        case Delete("jobs", _, _, _):
            return facts.job["metadata"]["ownerReferences"][0]["uid"] != plan.restore_uid
    return isinstance(action, Delete)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(strategies.data())
def test_no_action_of_any_plan_is_upon_anothers_volume_claim_or_workload(data):
    facts = data.draw(situations(SETTINGS))
    for action in (decide(facts).action, undo.judge(facts).action):
        assert action is None or not wrong(facts, action), action
    begun = {**facts.restore, "metadata": facts.restore["metadata"] | {"uid": "r-next"}, "status": {}}
    found = decide(replace(facts, plan=None, restore=begun, operations=(begun,))).action
    assert found is None or not wrong(facts, found), found
