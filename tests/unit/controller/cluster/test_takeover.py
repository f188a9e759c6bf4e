"""A switchover that waits names each replica that may not take over, with the reason."""

from __future__ import annotations

import dataclasses

import pytest

from controller.cluster import instance as of_instances
from controller.cluster.decide import decide
from pgwarden.api.sizing import NOTHING
from tests.unit.controller.cluster.conftest import OLD, facts, instance, spec

SEGMENT = 16 * 1024**2
SYNCHRONOUS = {"spec": spec(replicas=3, synchronous=True), "position": 9 * SEGMENT}
NEITHER = ("hippo-2 is not synchronous yet", "hippo-3 is not synchronous yet")
LACKS = "is no replica that follows: by Patroni it is"
WAITS = "no replica is ready to take over from hippo-1: "


def old_primary():
    return instance(1, "primary", digest=OLD)


def away(number):
    return dataclasses.replace(instance(number), pod=None)


WHY = {
    "not synchronous": (
        (instance(2), instance(3)), SYNCHRONOUS, "; ".join(NEITHER),
    ),
    "behind": (
        (instance(2, replication="in archive recovery", position=6 * SEGMENT + 1), instance(3, position=8 * SEGMENT)),
        SYNCHRONOUS,
        f"{NEITHER[0]}, as it does not stream and it is 2 WAL segments behind; {NEITHER[1]}, as it is 1 WAL segment behind",
    ),
    "empty": (
        (instance(2, "uninitialized"), instance(3, state="start failed")), {},
        f'hippo-2 {LACKS} "uninitialized"; hippo-3 {LACKS} "start failed"',
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WHY)
def test_a_switchover_that_waits_says_what_for(case):
    replicas, given, why = WHY[case]
    found = decide(facts(old_primary(), *replicas, **given))
    assert found.action is None
    assert found.message == WAITS + why


def test_one_that_stands_still_is_named_with_where_and_since_when():
    since = "2026-11-23T11:57:00Z"
    known = {"instances": [{"name": "hippo-2", "pod": "hippo-2-pod", "standsAt": {"lsn": "0/6000000", "since": since}}]}
    still = instance(2, replication="in archive recovery", position=6 * SEGMENT)
    found = decide(facts(old_primary(), still, position=9 * SEGMENT, status=known, spec=spec(replicas=2)))
    assert found.message.startswith(
        f"{WAITS}hippo-2 does not follow: it has stood at WAL position 0/6000000 since {since}"
    )


def test_one_whose_pod_is_gone_is_named_before_the_cluster_is_made_smaller():
    found = decide(facts(away(1), instance(2, "primary"), spec=spec(replicas=1)))
    assert found.message == "no remaining instance is ready to take over from hippo-2: hippo-1 has no pod"


def test_one_whose_pod_kubernetes_refuses_is_named_with_its_words():
    words = 'pods "hippo-1-x" is forbidden: exceeded quota'
    condition = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": words}
    gone = away(1)
    gone.deployment["status"] = {"conditions": [condition]}
    fits = of_instances.resources(spec(), NOTHING)
    gone.deployment["spec"]["template"]["spec"] = {"containers": [{"resources": fits}]}
    found = decide(facts(gone, instance(2, "primary"), spec=spec(replicas=1)))
    assert found.message == f"no remaining instance is ready to take over from hippo-2: hippo-1 has no pod: {words}"
