"""Any plan at all, in any situation: no action is upon another's volume, claim or workload."""

from __future__ import annotations

from dataclasses import replace

import msgspec
from hypothesis import HealthCheck, given, settings, strategies

from controller.recovery import plan as plans
from controller.recovery.plan import Ending, Plan, Volume
from controller.restore import undo, workload
from controller.restore.decide import decide
from controller.restore.facts import RestoreFacts
from controller.restore.steps import STEPS
from controller.restore.verdict import Create, Delete, Merge
from pgwarden.api import names
from pgwarden.api.kinds import RestoreSpec
from tests.unit.controller.restore.fake_cluster import FACTS, SETTINGS
from tests.unit.controller.restore.fake_cluster import START as NOW

ORDER = list(STEPS)
SPEC = RestoreSpec(repository="hippo")
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
                   for step in draw(strategies.sampled_from([[], ORDER[:3], ORDER[:4], ORDER[:5], ORDER[:8]]))]}}  # fmt: skip
    return RestoreFacts(
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
            wanted = body.get("spec", {}).get("claimRef") or reference
            policy = body.get("spec", {}).get("persistentVolumeReclaimPolicy", "Retain")
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


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(strategies.data())
def test_no_action_of_any_plan_is_upon_anothers_volume_claim_or_workload(data):
    facts = data.draw(situations(SETTINGS))
    for action in (decide(facts).action, undo.judge(facts).action):
        assert action is None or not wrong(facts, action), action
    begun = {**facts.restore, "metadata": facts.restore["metadata"] | {"uid": "r-next"}, "status": {}}
    found = decide(replace(facts, plan=None, restore=begun, operations=(begun,))).action
    assert found is None or not wrong(facts, found), found
