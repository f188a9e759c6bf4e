"""A release with another pgBackRest, from the first look after `helm upgrade` until each pod has started anew."""

from __future__ import annotations

import copy
from datetime import timedelta
from typing import Any

import pytest

from controller import host_image
from controller.agents import AgentError
from controller.context import Context
from controller.repository.tools import Tools
from pgwarden.api import names
from pgwarden.contract import calls, programs
from pgwarden.kube import paths
from pgwarden.kube.events import Recorder
from tests.unit.controller.repository.conftest import LOCAL

OLD, NEW = Tools("pgwarden:1", "2.59"), Tools("pgwarden:2", "2.60")
HOST = paths.of("deployments", "ns", names.host("hippo"))


def image(world: Any) -> str:
    return str(world.store.objects[HOST]["spec"]["template"]["spec"]["containers"][0]["image"])


def upgraded(world: Any) -> None:
    world.release = NEW
    world.begin()


async def wait(world: Any) -> None:
    """Two looks: the answers of one are known to the next."""
    for _ in range(2):
        world.now += timedelta(seconds=await world.look())


def restarted(world: Any, name: str, ip: str) -> None:
    """The StatefulSet's next pod of that name is another object, which the webhook has injected anew."""
    world.store.objects.pop(paths.of("pods", "ns", name))
    world.postgres_pod(name, ip, NEW)


@pytest.fixture
async def world(make) -> Any:
    """A Repository of before that is well, with a primary of before."""
    found = make(LOCAL)
    found.release = OLD
    found.begin()
    found.postgres_pod("db-0", "10.0.0.1", OLD)
    found.host_pod(OLD)
    await found.drive(timedelta(minutes=3))
    assert found.condition("SameVersion")["status"] == "True"
    return found


async def test_the_host_stays_as_it_is_from_the_first_look_after_an_upgrade(world):
    upgraded(world)
    before = world.store.objects[HOST]["metadata"]["resourceVersion"]
    await world.look()
    assert image(world) == OLD.image
    assert world.store.objects[HOST]["metadata"]["resourceVersion"] == before
    said = world.condition("SameVersion")
    assert (said["status"], said["reason"]) == ("False", "PodsOwedRestart")
    assert "restart pod db-0 (primary, pgBackRest 2.59): " in said["message"]


def of_before(world: Any, *, annotated: bool) -> dict:
    """The pod template of the host, as another release has made it and the API server has filled it in."""
    host = copy.deepcopy(world.store.objects[HOST])
    container = host["spec"]["template"]["spec"]["containers"][0]
    container["livenessProbe"] |= {"failureThreshold": 4, "successThreshold": 1}
    container["command"] = ["earlier"]
    if not annotated:
        del host["metadata"]["annotations"][names.ANNOTATION_MADE_FOR]
    world.store.put(HOST, host)
    return dict(host["spec"]["template"])


@pytest.mark.parametrize("annotated", [True, False], ids=["by its annotation", "of 0.1.0, which has none"])
async def test_a_host_that_keeps_its_image_keeps_its_template_until_it_is_renewed(world, annotated):
    before = of_before(world, annotated=annotated)
    upgraded(world)
    await wait(world)
    assert world.store.objects[HOST]["spec"]["template"] == before
    restarted(world, "db-0", "10.0.0.2")
    await wait(world)
    renewed = world.store.objects[HOST]["spec"]["template"]["spec"]["containers"][0]
    assert renewed["livenessProbe"]["failureThreshold"] == 10
    assert renewed["command"] == programs.AGENT


async def test_a_changed_spec_reaches_a_host_that_keeps_its_image(world):
    of_before(world, annotated=True)
    upgraded(world)
    await wait(world)
    path = paths.of("repositories", "ns", "hippo")
    changed = copy.deepcopy(world.store.objects[path])
    changed["spec"]["resources"] = {"limits": {"memory": "3Gi"}}
    changed["metadata"]["generation"] += 1
    world.store.put(path, changed)
    await wait(world)
    both = world.store.objects[HOST]["spec"]["template"]["spec"]["containers"]
    assert [one["image"] for one in both] == [OLD.image] * 2
    assert [one["resources"]["limits"]["memory"] for one in both] == ["2304Mi", "768Mi"]


async def test_a_host_whose_image_knows_no_server_apart_gets_none_with_a_changed_spec(world):
    host = copy.deepcopy(world.store.objects[HOST])
    del host["spec"]["template"]["spec"]["containers"][1]
    world.store.objects.pop(HOST)
    world.store.put(HOST, host)
    upgraded(world)
    path = paths.of("repositories", "ns", "hippo")
    changed = copy.deepcopy(world.store.objects[path])
    changed["spec"]["resources"] = {"limits": {"memory": "3Gi"}}
    changed["metadata"]["generation"] += 1
    world.store.put(path, changed)
    await wait(world)
    (only,) = world.store.objects[HOST]["spec"]["template"]["spec"]["containers"]
    assert (only["image"], only["resources"]["limits"]["memory"]) == (OLD.image, "3Gi")
    restarted(world, "db-0", "10.0.0.2")
    await wait(world)
    names_ = [one["name"] for one in world.store.objects[HOST]["spec"]["template"]["spec"]["containers"]]
    assert names_ == ["pgbackrest", "server"]


async def test_pods_that_are_owed_a_restart_are_an_event_of_warning_and_leave_the_phase_ready(world):
    upgraded(world)
    await wait(world)
    told = [one for one in world.store.events if one["reason"] == "PodsOwedRestart"]
    assert [one["type"] for one in told] == ["Warning"]
    assert world.status["phase"] == "Ready"
    assert world.status["pods"][0]["pgbackrestVersion"] == "2.59"


async def test_the_host_is_renewed_once_its_pod_has_started_anew(world):
    upgraded(world)
    await wait(world)
    restarted(world, "db-0", "10.0.0.2")
    await wait(world)
    assert image(world) == NEW.image
    assert world.condition("SameVersion")["reason"] == "VersionsDiffer"
    world.host_pod(NEW)
    await wait(world)
    assert world.condition("SameVersion")["reason"] == "VersionsMatch"


async def test_a_replica_that_starts_anew_first_does_not_take_the_host_from_the_primary(world):
    world.postgres["db-1"] = {"inRecovery": True}
    world.postgres_pod("db-1", "10.0.0.3", OLD)
    upgraded(world)
    await wait(world)
    restarted(world, "db-1", "10.0.0.4")
    await wait(world)
    assert image(world) == OLD.image
    assert "has db-1" in world.condition("SameVersion")["message"]


async def test_the_host_follows_the_primary_to_the_pod_that_has_started_anew(world):
    world.postgres["db-1"] = {"inRecovery": True}
    world.postgres_pod("db-1", "10.0.0.3", OLD)
    upgraded(world)
    restarted(world, "db-1", "10.0.0.4")
    await wait(world)
    world.postgres["db-0"], world.postgres["db-1"] = {"inRecovery": True}, {}
    await wait(world)
    assert image(world) == NEW.image
    world.host_pod(NEW)
    await wait(world)
    said = world.condition("SameVersion")
    assert (said["reason"], "restart pod db-0 (pgBackRest 2.59)" in said["message"]) == ("PodsOwedRestart", True)


async def test_a_release_with_the_same_pgbackrest_renews_the_host_at_once(world):
    world.release = Tools("pgwarden:1.1", OLD.version)
    world.begin()
    await world.look()
    assert image(world) == "pgwarden:1.1"


async def test_a_pod_that_does_not_answer_keeps_the_host(world, monkeypatch: pytest.MonkeyPatch):
    async def silent(*_: Any, **__: Any) -> Any:
        raise AgentError("the agent at 10.0.0.1 cannot be reached")

    upgraded(world)
    monkeypatch.setattr(world, "pod", silent)
    await wait(world)
    assert image(world) == OLD.image
    assert world.condition("SameVersion")["reason"] in {"VersionsUnknown", "PodsOwedRestart"}


async def test_a_pod_that_ended_or_is_going_does_not_keep_it(world):
    world.store.objects[paths.of("pods", "ns", "db-0")]["metadata"] |= {
        "deletionTimestamp": "2026-11-28T12:00:00Z",
        "resourceVersion": "going",
    }
    upgraded(world)
    await world.look()
    assert image(world) == NEW.image


async def test_only_pods_of_another_image_are_asked_for_the_host_and_each_once(world, monkeypatch: pytest.MonkeyPatch):
    asked: list[float] = []
    answer = world.pod

    async def counted(key: Any, ip: str, call: Any, **more: Any) -> Any:
        if call.name == calls.status().name:
            asked.append(more.get("seconds", 15.0))
        return await answer(key, ip, call, **more)

    monkeypatch.setattr(world, "pod", counted)
    await wait(world)
    assert asked == [15.0, 15.0]
    upgraded(world)
    await wait(world)
    assert asked[2:] == [5.0, 15.0, 15.0]


async def test_jobs_run_the_image_of_the_host(world):
    upgraded(world)
    await wait(world)
    context = Context(
        world.store,
        world.caches,
        world,
        Recorder(world.store, "c"),
        world.controller._context.settings,
        lambda: world.now,
    )
    assert host_image.settings(context, ("ns", "hippo")).image == OLD.image
    assert host_image.settings(context, ("ns", "another")).image == NEW.image


async def test_a_strangers_deployment_of_the_hosts_name_chooses_no_image(world):
    upgraded(world)
    await wait(world)
    found = world.caches.deployments.get("ns", names.host("hippo"))
    about = found["metadata"] | {"ownerReferences": []}
    world.caches.deployments.items["ns", names.host("hippo")] = found | {"metadata": about}
    assert host_image.of(world.caches, ("ns", "hippo")) == ""


async def test_a_host_that_cannot_be_pulled_says_for_whom_its_image_is_kept(world):
    upgraded(world)
    await wait(world)
    pod = world.store.objects[paths.of("pods", "ns", "host")]
    waiting = {"reason": "ImagePullBackOff", "message": "not found"}
    pod["status"] = {"phase": "Pending", "containerStatuses": [{"name": "pgbackrest", "state": {"waiting": waiting}}]}
    pod["metadata"]["resourceVersion"] = "pulling"
    await wait(world)
    said = world.condition("Reachable")
    assert said["reason"] == "StorageAway"
    assert "ImagePullBackOff" in said["message"]
    assert said["message"].endswith("if it can no longer be pulled, restart it")


async def test_one_version_is_no_event_and_neither_is_one_that_is_not_known_yet(world):
    assert {"VersionsMatch", "VersionsUnknown"}.isdisjoint(one["reason"] for one in world.store.events)


async def test_that_all_pods_have_started_anew_is_an_event(world):
    upgraded(world)
    await wait(world)
    restarted(world, "db-0", "10.0.0.2")
    await wait(world)
    world.host_pod(NEW)
    await wait(world)
    told = [(one["type"], one["reason"]) for one in world.store.events if "SameVersion:" in one["message"]]
    assert told == [("Warning", "PodsOwedRestart"), ("Warning", "VersionsDiffer"), ("Normal", "VersionsMatch")]


async def test_a_host_that_is_deleted_while_it_is_held_comes_back_as_it_was(world):
    upgraded(world)
    await wait(world)
    assert world.status["hostImages"] == [{"image": OLD.image, "pgbackrestVersion": OLD.version}]
    gone = world.store.objects.pop(HOST)
    world.caches.deployments._drop(gone)
    await wait(world)
    assert image(world) == OLD.image


@pytest.mark.parametrize("said", ["2.59\n2.60", "x" * 100, "<b>", ""])
async def test_what_is_no_version_is_not_believed(world, said: str):
    world.pgbackrest["db-0"] = said
    upgraded(world)
    await wait(world)
    assert image(world) == OLD.image
    assert world.status["pods"][0].get("pgbackrestVersion", "2.59") == "2.59"
