"""What a spec comes to, by the code that carries it out. Each takes the spec before and after: what is seen of both."""

from __future__ import annotations

import base64
import copy
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from types import SimpleNamespace
from typing import Any

import msgspec

from controller import certificates, claim_growth, patroni
from controller.backup import expire
from controller.cluster import decide as cluster_decide
from controller.cluster import instance
from controller.cluster import render as cluster_render
from controller.cluster.certificate_keeper import CertificateKeeper
from controller.restore import steps_recover
from controller.schedule import decide as schedule_decide
from controller.schedule import render as schedule_render
from controller.schedule.reconcile import ScheduleController
from controller.settings import Settings
from pgwarden.api import names
from pgwarden.api.defaults import OperatorDefaults
from pgwarden.api.faults import Fault
from pgwarden.api.kinds import (
    BackupScheduleSpec,
    PostgresClusterSpec,
    RepositorySpec,
    RestoreDrillScheduleSpec,
    RestoreSpec,
    ScheduleSpec,
)
from pgwarden.injection.decide import Inject
from pgwarden.injection.patch import encode
from pgwarden.injection.pipeline import decision_on, operations
from pgwarden.injection.settings import Settings as WebhookSettings
from pgwarden.injection.terms import terms_of
from pgwarden.kube import paths
from pgwarden.rules import deletion, validate
from pgwarden.schedule import cron, runs
from pgwarden.storages.s3.bucket import S3
from tests.unit.controller.cluster.conftest import facts as cluster_facts
from tests.unit.controller.cluster.conftest import instance as cluster_instance
from tests.unit.controller.cluster.test_certificates import Store, asking
from tests.unit.controller.cluster.test_certificates import context as certified
from tests.unit.controller.repository.conftest import World
from tests.unit.controller.repository.test_takeover import world as taken_over
from tests.unit.rules.conftest import NOW, Cluster, build

Spec = dict[str, Any]
Effect = Callable[[Spec, Spec], Awaitable[tuple[Any, Any]]]
WHILE = timedelta(seconds=40)
SETTINGS = Settings("i", "Always", "pw", "c", "t", "w", "m", "v", OperatorDefaults(), 8080, "l")
CLUSTER = build("PostgresCluster", "hippo")
CLUSTER["metadata"]["uid"] = "c"
MOUNT = {"name": "data", "mountPath": "/var/lib/postgresql/data"}


def each(look: Callable[[Spec], Any]) -> Effect:
    """Of what is seen of each spec by itself."""

    async def seen(before: Spec, after: Spec) -> tuple[Any, Any]:
        return look(before), look(after)

    return seen


# --- Repository --------------------------------------------------------------------------------------------------


async def objects(before: Spec, after: Spec) -> tuple[Any, Any]:
    """What the controller has made in the cluster, and what it makes of it after the change."""
    world = _well(before)
    await world.drive(WHILE)
    _bind(world)
    await world.drive(WHILE)
    found = _picture(world)
    world.repository(after)
    await world.drive(WHILE)
    return found, _picture(world)


async def asks_postgres(before: Spec, after: Spec) -> tuple[Any, Any]:
    """To which archive_timeout PostgreSQL is brought."""
    world = _well(before)
    world.archive_timeout = {"seconds": 0, "setBy": "default"}
    await world.drive(WHILE)
    found = [seconds for _, seconds in world.timeouts]
    world.repository(after)
    await world.drive(WHILE)
    return found, [seconds for _, seconds in world.timeouts]


async def takes_on_major(before: Spec, after: Spec) -> tuple[Any, Any]:
    """Whether the stanza of PostgreSQL 17 is upgraded, as its pod has come back with 18."""
    world = _well(before)
    world.postgres["db-0"] = {"serverVersion": "18.1", "systemIdentifier": "8"}
    await world.drive(WHILE)
    found = len(world.stanza_upgrades)
    world.repository(after)
    await world.drive(WHILE)
    return found, len(world.stanza_upgrades)


def brings_back(spec: Spec) -> Any:
    """Whether a new PostgreSQL over an old one's backups begins with these."""
    from controller.repository import takeover

    return takeover.order(taken_over(onExistingBackups=spec.get("onExistingBackups", "Refuse"))) is not None


def injected(spec: Spec) -> Any:
    """What the webhook does to a pod that is made now."""
    containers = [{"name": name, "image": "postgres:17", "volumeMounts": [MOUNT]} for name in ("postgres", "other")]
    about = {"name": "db-0", "namespace": "ns", "labels": {names.LABEL_REPOSITORY: "hippo"}}
    claim = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
    pod = {"metadata": about, "spec": {"containers": containers, "volumes": [claim]}}
    found = decision_on(pod, build("Repository", "hippo", **spec), WebhookSettings(image="i"))
    assert isinstance(found, Inject), found
    return encode(operations(found))


def is_injected(spec: Spec) -> Any:
    """Whether a pod may have the label."""
    return not isinstance(terms_of(build("Repository", "hippo", **spec), "hippo"), Fault)


def cloned(spec: Spec) -> Any:
    """Whether a PostgresCluster of another namespace may begin with its backups."""
    source = build("Repository", "hippo", namespace="apps", **spec)
    clone = build("PostgresCluster", dataSource={"repository": "hippo", "namespace": "apps"})
    return validate(clone, old=None, lookup=Cluster(source), now=NOW, defaults=OperatorDefaults()).faults


def clone_keys(spec: Spec) -> Any:
    """The Secret that a clone's keys are read from."""
    found = S3.clone_keys(msgspec.convert(spec, RepositorySpec))
    return found and found.secret


def allows(options: str) -> Callable[[Spec], Any]:
    """Whether a Backup with *options* is admitted."""

    def seen(spec: Spec) -> Any:
        wanted = build("Backup", "now", repository="hippo", type="full", options=[options])
        there = build("Repository", "hippo", namespace=wanted["metadata"]["namespace"], **spec)
        return validate(wanted, old=None, lookup=Cluster(there), now=NOW, defaults=OperatorDefaults()).faults

    return seen


def _well(spec: Spec) -> World:
    world = World(spec)
    world.secret()
    for name in ("ca-one", "ca-two"):
        data = {"ca.crt": _authority(name), "other.crt": _authority("other")}
        world.store.put(paths.of("secrets", "ns", name), {"metadata": {"name": name}, "data": data})
    more = {"metadata": {"name": "keys-two"}, "data": {k: base64.b64encode(b"2").decode() for k in _KEYS}}
    world.store.put(paths.of("secrets", "ns", "keys-two"), more)
    world.stanzas, world.arrived = {1, 2}, {1, 2}
    return world


_KEYS = ("s3-key", "s3-key-secret")


@cache
def _authority(name: str) -> str:
    return base64.b64encode(certificates.new_ca(name, datetime.now(UTC)).cert).decode()


def _bind(world: World) -> None:
    """What Kubernetes and the provisioner do for a claim."""
    path = paths.of("persistentvolumeclaims", "ns", names.repo_claim("hippo"))
    claim = world.store.objects.get(path)
    if claim is not None:
        status = {"phase": "Bound", "capacity": copy.deepcopy(claim["spec"]["resources"]["requests"])}
        world.store.put(path, copy.deepcopy(claim) | {"status": status})


def _picture(world: World) -> Any:
    """All that is made for a Repository, without what the API server adds."""
    own = ("/configmaps/", "/secrets/", "/deployments/", "/services/", "/persistentvolumeclaims/")
    return {
        path: {key: value for key, value in obj.items() if key != "metadata"}
        for path, obj in copy.deepcopy(world.store.objects).items()
        if any(kind in path for kind in own)
    }


# --- Backup, BackupSchedule, Restore -----------------------------------------------------------------------------


def expires(spec: Spec) -> Any:
    """Whether the set of a Backup goes with it."""
    status = {"phase": "Completed", "label": "20261101-000000F", "repo": 1}
    return expire.wants_finalizer(build("Backup", status=status, **spec))


def backups(spec: Spec) -> Any:
    """The Backup that a run makes."""
    found = msgspec.convert(spec, BackupScheduleSpec)
    return schedule_render.backup(build("BackupSchedule", **spec), found, NOW)


def drills(spec: Spec) -> Any:
    """The RestoreDrill that a run makes."""
    found = msgspec.convert(spec, RestoreDrillScheduleSpec)
    return schedule_render.drill(build("RestoreDrillSchedule", **spec), found, NOW)


def _schedule(spec: Spec) -> ScheduleSpec:
    return msgspec.convert(spec, RestoreDrillScheduleSpec if "template" in spec else BackupScheduleSpec)


def run_times(spec: Spec) -> Any:
    """When the next runs are."""
    found = _schedule(spec)
    calendar = cron.parse(found.schedule)
    assert isinstance(calendar, cron.Schedule)
    moved = runs.of(found, calendar, "some-uid")
    first = moved.next_run(NOW)
    return first, first and moved.next_run(first)


def plans(spec: Spec) -> Any:
    """What becomes of a run that was due ten minutes ago."""
    found = _schedule(spec)
    due = NOW - timedelta(minutes=10)
    return schedule_decide.plan(
        lambda after: due if after < due else None, due - timedelta(hours=1), NOW, suspended=found.suspend,
        starting_deadline=found.starting_deadline_seconds,
    )  # fmt: skip


async def history(before: Spec, after: Spec) -> tuple[Any, Any]:
    """Which of ten Backups that have ended are deleted."""

    async def deleted(spec: Spec) -> list[str]:
        gone: list[str] = []

        async def delete(path: str, **_: Any) -> None:
            gone.append(path.rpartition("/")[2])

        made = [
            build("Backup", f"{phase}-{n}", status={"phase": phase})
            for phase in ("Completed", "Failed")
            for n in range(5)
        ]
        for number, one in enumerate(made):
            one["metadata"] |= {"uid": "u", "creationTimestamp": f"2026-11-0{number % 5 + 1}T00:00:00Z"}
        controller = ScheduleController(SimpleNamespace(client=SimpleNamespace(delete=delete)))  # type: ignore[arg-type]
        await controller._clear_history("ns", _schedule(spec), made)
        return gone

    return await deleted(before), await deleted(after)


def given_up(spec: Spec) -> Any:
    """What becomes of a recovery that has stood still for half an hour."""
    facts: Any = SimpleNamespace(spec=msgspec.convert(spec, RestoreSpec))
    found: Any = SimpleNamespace(still=timedelta(minutes=30), message="stands still")
    return steps_recover._still(facts, found)


# --- PostgresCluster ---------------------------------------------------------------------------------------------


def pods(spec: Spec) -> Any:
    """An instance, and the mark by which its pod is made anew."""
    found = msgspec.convert(spec, PostgresClusterSpec)
    made = instance.deployment(CLUSTER, found, SETTINGS, 1, "")
    return made["spec"]["template"], instance.digest(CLUSTER, found, SETTINGS)


def configured(spec: Spec) -> Any:
    """What Patroni is to have in its configuration."""
    found = msgspec.convert(spec, PostgresClusterSpec)
    wanted = cluster_facts(cluster_instance(1, "primary"), cluster_instance(2), spec=found)
    return patroni.dynamic("hippo", found, paused=cluster_decide.paused(wanted))


async def certificate(before: Spec, after: Spec) -> tuple[Any, Any]:
    """Why a new cluster's certificate cannot be served: of a Secret that is not there."""
    found = [msgspec.convert(one, PostgresClusterSpec) for one in (before, after)]
    first, second = [await CertificateKeeper(certified(Store())).keep(asking(spec=one)) for one in found]
    return first.served.trouble, second.served.trouble


def next_step(spec: Spec) -> Any:
    """What is done next with two instances."""
    found = msgspec.convert(spec, PostgresClusterSpec)
    return cluster_decide.decide(cluster_facts(cluster_instance(1, "primary"), cluster_instance(2), spec=found))


def claims(spec: Spec) -> Any:
    """Whether an instance's claim of 10Gi is asked to be larger."""
    found = msgspec.convert(spec, PostgresClusterSpec)
    there = instance.claim(CLUSTER, msgspec.convert({}, PostgresClusterSpec), 1)
    there["status"] = {"phase": "Bound", "capacity": {"storage": "10Gi"}}
    return claim_growth.is_to_be_asked_for(there, found.instances.storage.size)


def may_go(spec: Spec) -> Any:
    return deletion.judge(build("PostgresCluster", **spec), lookup=Cluster()).faults


def own_repository(spec: Spec) -> Any:
    """Its Repository: what becomes of that is another kind's row."""
    return cluster_render.repository(CLUSTER, msgspec.convert(spec, PostgresClusterSpec))["spec"]
