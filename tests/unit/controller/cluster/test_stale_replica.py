"""Replicas that do not follow: not counted on, told, and made anew where what they lack has expired."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from controller.cluster import decide, report, stale_replica
from controller.cluster.actions import Remove, Switch
from controller.cluster.facts import ClusterFacts
from controller.runtime import conditions

from .conftest import NOW, OLD, facts, instance, spec

SEGMENT = 16 * 1024 * 1024
#: Where the replica stands, and the primary.
BEHIND, AHEAD = 5 * SEGMENT + 100, 40 * SEGMENT


def standing(
    minutes: float,
    *,
    oldest: int = 20,
    replication: str = "",
    position: int = BEHIND,
    pod: str = "",
    other: str = "",
    **given: Any,
) -> ClusterFacts:
    """The second of two has stood still for *minutes*, and the archive begins at segment *oldest*."""
    since = conditions.timestamp(NOW - timedelta(minutes=minutes))
    known = {"name": "hippo-2", "pod": pod or "hippo-2-pod", "standsAt": {"lsn": "0/5000064", "since": since}}
    replica = instance(2, state="in archive recovery", replication=replication, position=position)
    given = {"spec": spec(replicas=2), "status": {"instances": [known]}, "position": AHEAD} | given
    made = facts(given.pop("primary", instance(1, "primary")), replica, **given)
    if other:
        made.repository["status"]["storages"] = [{"name": "local"}, {"name": "s3", "earliestLsn": other}]
    made.repository["status"]["archive"] = {"min": f"0000000100000000{oldest:08X}", "max": f"0000000100000000{39:08X}"}
    return made


def said(found: ClusterFacts) -> dict[str, tuple[str, str, str]]:
    status = report.status(found, decide.decide(found))
    return {one["type"]: (one["status"], one["reason"], one["message"]) for one in status["conditions"]}


@pytest.mark.parametrize("other", ["", "0/6000000"], ids=["in the only storage", "in both"])
def test_what_it_lacks_has_expired_so_it_is_made_anew(other: str):
    decision = decide.decide(standing(4, other=other))
    assert isinstance(decision.action, Remove)
    assert decision.action.instance.name == "hippo-2"
    assert "It needs WAL segment 000000010000000000000005, which has expired: removing it" in decision.message


@pytest.mark.parametrize(
    "given",
    [
        {"minutes": 2},
        {"minutes": 60, "oldest": 5},
        {"minutes": 60, "other": "0/5000000"},
        {"minutes": 60, "replication": "streaming"},
        {"minutes": 60, "position": BEHIND + 1},
        {"minutes": 60, "position": AHEAD},
        {"minutes": 60, "pod": "hippo-2-before"},
        {"minutes": 60, "paused": True, "spec": spec(replicas=2, autofail=False)},
        {"minutes": 60, "primary": instance(1, "primary", ready=False)},
        {"minutes": 60, "listed": []},
    ],
    ids=[
        "a moment", "in the archive", "in the other storage", "streams", "gets on", "is not behind", "another pod", "autofail off",
        "no primary", "no backup",
    ],
)  # fmt: skip
def test_it_is_kept_otherwise(given: dict[str, Any]):
    assert not isinstance(decide.decide(standing(**given)).action, Remove)


def test_one_that_stands_still_is_told_and_not_counted_on():
    listed = said(standing(2, oldest=1))
    assert listed["Autofail"][:2] == ("True", "NoReplica")
    assert listed["Complete"][:2] == ("False", "NotFollowing")
    assert "it has stood at WAL position 0/5000064 since 2026-11-23T11:58:00Z" in listed["Complete"][2]
    assert listed["Complete"][2].endswith("kubectl delete pvc hippo-2")


def test_one_that_gets_on_is_counted_on():
    listed = said(standing(60, position=BEHIND + 1))
    assert listed["Autofail"][:2] == ("True", "On")
    assert listed["Complete"][0] == "True"


def test_nobody_is_switched_over_to_one_that_stands_still():
    old = standing(2, primary=instance(1, "primary", digest=OLD))
    assert not isinstance(decide.decide(old).action, Switch)
    moving = standing(2, primary=instance(1, "primary", digest=OLD), position=BEHIND + 1)
    assert isinstance(decide.decide(moving).action, Switch)


def test_how_long_it_stands_is_remembered_and_begins_anew_where_it_moves():
    found = standing(2)
    assert stale_replica.entry(found, found.instances[1]) == {"lsn": "0/5000064", "since": "2026-11-23T11:58:00Z"}
    moved = standing(2, position=BEHIND + 1)
    assert stale_replica.entry(moved, moved.instances[1]) == {"lsn": "0/5000065", "since": "2026-11-23T12:00:00Z"}
    assert stale_replica.entry(found, found.instances[0]) is None


def test_where_one_that_gets_on_stands_is_noted_a_few_times_a_minute():
    noted = {"lsn": "0/5000064", "since": "2026-11-23T11:59:51Z"}
    seconds = 9 / 60
    moved = standing(seconds, position=BEHIND + 1)
    assert stale_replica.entry(moved, moved.instances[1]) == noted
    assert not stale_replica.stands_still(moved, moved.instances[1])
    back = standing(seconds, position=BEHIND - 1)
    assert stale_replica.entry(back, back.instances[1]) == {"lsn": "0/5000063", "since": "2026-11-23T12:00:00Z"}
    stands = standing(seconds)
    assert stale_replica.entry(stands, stands.instances[1]) == noted
