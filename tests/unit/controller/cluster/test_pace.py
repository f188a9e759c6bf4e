"""How often a PostgresCluster's controller does the same thing again, over hours in which it does not help."""

from __future__ import annotations

import copy
import dataclasses
import itertools
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from controller.cluster import render
from controller.cluster.actions import BackUp, ClusterDecision, Configure, Make, Switch
from controller.cluster.decide import decide
from controller.cluster.facts import ClusterFacts
from controller.cluster.reconcile import ClusterController
from pgwarden.api import numbered_backups
from tests.unit.controller.cluster.conftest import NOW, facts, instance, spec

HOURS, DAY, MINUTE = timedelta(hours=6), timedelta(days=1), timedelta(minutes=1)
KEY = ("ns", "hippo")


def given(backup: dict[str, Any]) -> dict[str, Any]:
    """As the API server has it."""
    backup["metadata"]["uid"] = f"uid-of-{backup['metadata']['name']}"
    return backup


class World:
    """A cluster of one whose first backup fails each time, by a clock that is moved by hand."""

    def __init__(self) -> None:
        self.now, self.backups = NOW, list[dict[str, Any]]()
        self.made: list[datetime] = []
        self.most, self.generation = 0, 3

    def facts(self) -> ClusterFacts:
        found = facts(instance(1, "primary"), spec=spec(replicas=1), listed=[], backups=copy.copy(self.backups))
        cluster = found.cluster | {
            "kind": "PostgresCluster",
            "metadata": found.cluster["metadata"] | {"generation": self.generation},
        }
        return dataclasses.replace(found, now=self.now, cluster=cluster)

    def drive(self, long: timedelta) -> None:
        end = self.now + long
        while self.now < end:
            found = self.facts()
            action = decide(found).action
            if action is not None:
                assert isinstance(action, BackUp)
                self.made.append(self.now)
                made = given(render.backup(found.cluster, action.name))
                ended = f"{self.now + timedelta(seconds=20):%Y-%m-%dT%H:%M:%SZ}"
                made["status"] = {"phase": "Failed", "completionTime": ended, "message": "no standby"}
                self.backups = [one for one in self.backups if one["metadata"]["name"] not in dict(action.expendable)]
                self.backups.append(made)
                self.most = max(self.most, len(self.backups))
            self.now += timedelta(seconds=3)


def test_a_first_backup_that_cannot_succeed_is_tried_less_and_less_often_and_few_of_them_stay():
    world = World()
    world.drive(DAY)
    assert 20 < len(world.made) <= 31
    assert world.most == 3
    said = decide(world.facts()).message
    assert f"has failed {len(world.made)} times; it is tried again at 2026-11-2" in said
    assert world.made[-1] - world.made[-2] >= timedelta(hours=1)
    newest = max(world.backups, key=lambda one: one["status"]["completionTime"])
    assert newest["metadata"]["name"] == f"hippo-first-{len(world.made)}"


def test_a_changed_cluster_has_its_first_backup_tried_again_within_a_minute():
    world = World()
    world.drive(DAY)
    tried, world.generation = len(world.made), 4
    world.drive(2 * MINUTE)
    assert len(world.made) > tried


def test_hundreds_of_failed_ones_of_before_go_a_few_at_a_time_and_nobody_elses():
    world = World()
    for number in range(1, 501):
        made = given(render.backup(world.facts().cluster, numbered_backups.first_backup("hippo", number)))
        made["status"] = {"phase": "Failed", "completionTime": "2026-11-23T01:00:00Z"}
        world.backups.append(made)
    mine = copy.deepcopy(world.backups[0])
    mine["metadata"] |= {"name": "hippo-first-700", "ownerReferences": []}
    world.backups.append(mine)
    action = decide(world.facts()).action
    old = [numbered_backups.first_backup("hippo", number) for number in range(1, 21)]
    assert action == BackUp("hippo-first-701", tuple((name, f"uid-of-{name}") for name in old))


@pytest.mark.parametrize("name", ["hippo-first-0", "hippo-first-01", "hippo-first-x", "hippo-first-", "hippo", "ape-first-2"])  # fmt: skip
def test_what_is_not_named_as_a_first_backup_is_none(name):
    assert numbered_backups.first_backup_attempt("hippo", name) == 0


SWITCH = ClusterDecision(Switch("hippo-1-pod", "hippo-2-pod"), "switching over")


def _restart(found: ClusterFacts) -> ClusterDecision:
    """Patroni wants a restart for ever, as its parameter can never hold."""
    return ClusterDecision(Make(1, f"{found.now:%Y-%m-%dT%H:%M:%SZ}"), "renewing")


LOOPS = {
    "a switchover that does not come about": (lambda _: SWITCH, 13, 5),
    "a restart that is always owed": (_restart, 13, 5),
    "a configuration that is taken back each time": (lambda _: ClusterDecision(Configure({"ttl": 30}), "c"), 370, 300),
    "an instance that is gone each time": (lambda _: ClusterDecision(Make(2), "making"), 370, 300),
}


@pytest.mark.parametrize("loop", LOOPS)
def test_what_does_not_help_is_done_seldom(loop):
    again, most, least = LOOPS[loop]
    controller, world = ClusterController(SimpleNamespace()), World()  # type: ignore[arg-type]
    done, said = [], ""
    while world.now < NOW + HOURS:
        found = world.facts()
        decision = controller._paced(KEY, found, again(found))
        if decision.action is not None:
            done.append(world.now)
        said = decision.message
        world.now += timedelta(seconds=3)
    assert least < len(done) <= most
    assert "again" in said
    if most < 20:
        assert min(later - earlier for earlier, later in itertools.pairwise(done)) >= MINUTE
        world.generation += 1  # the user has changed it
        assert controller._paced(KEY, world.facts(), again(world.facts())).action is not None


def test_the_first_time_and_the_next_thing_are_not_waited_for():
    controller, found = ClusterController(SimpleNamespace()), World().facts()  # type: ignore[arg-type]
    for decision in (
        SWITCH,
        _restart(found),
        ClusterDecision(Make(2), "m"),
        ClusterDecision(Switch("hippo-2-pod", "x"), "s"),
    ):
        assert controller._paced(KEY, found, decision) == decision
    assert controller._paced(KEY, found, SWITCH) == ClusterDecision(None, "switching over")
