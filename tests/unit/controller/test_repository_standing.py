"""A Repository that was good for months, and that a rule refuses by now: cared for, and told. And metrics that go stale."""

from __future__ import annotations

import base64
import dataclasses
from typing import Any

import pytest
from prometheus_client import REGISTRY

from controller.repository import metrics
from controller.repository.reconcile import RepositoryController
from pgwarden.api import names
from pgwarden.api.defaults import OperatorDefaults
from pgwarden.kube import errors
from tests.unit.controller.living import World, condition
from tests.unit.controller.restore.fake_cluster import SETTINGS

KEY = ("ns", "hippo")
DEFAULTS = OperatorDefaults(s3_bucket="kept-bucket", s3_endpoint="store.example:9000", s3_region="here")
S3 = {"storageType": "s3", "s3": {"credentialsSecretRef": {"name": "s3"}}}
LABELS = {"namespace": "ns", "repository": "hippo"}


class Silent:
    """No host and no pod answers."""

    def trust(self, *_: Any) -> None: ...

    def forget(self, *_: Any) -> None: ...


def controller(world: World, defaults: OperatorDefaults) -> RepositoryController:
    """As after a restart of the operator with these *defaults*."""
    world.context.settings = dataclasses.replace(SETTINGS, defaults=defaults)
    return RepositoryController(world.context)


@pytest.fixture
def world() -> World:
    made = World(agents=Silent())
    credentials = {"s3-key": base64.b64encode(b"k").decode(), "s3-key-secret": base64.b64encode(b"s").decode()}
    made.add("secrets", "ns", {"metadata": {"name": "s3"}, "data": credentials})
    return made


@pytest.fixture
async def stands(world: World) -> World:
    """Taken up with the operator's defaults."""
    world.make("Repository", "hippo", **S3)
    await controller(world, DEFAULTS).reconcile(KEY)
    assert condition(world.status("Repository", "hippo"), "Reachable")
    assert "repo1-s3-bucket=kept-bucket" in conf(world)
    return world


def conf(world: World) -> str:
    return world.objects["configmaps", "ns", names.host("hippo")]["data"][names.KEY_HOST_CONF]


async def test_one_whose_default_is_gone_is_cared_for_with_the_place_that_it_has(stands: World):
    repository = controller(stands, OperatorDefaults())
    del stands.objects["secrets", "ns", names.pods("hippo")]
    before = conf(stands)
    again = await repository.reconcile(KEY)
    assert again is not None
    assert ("secrets", "ns", names.pods("hippo")) in stands.objects, "its pods have no certificate"
    assert conf(stands) == before
    assert "repo1-storage-port=9000" in before
    status = stands.status("Repository", "hippo")
    rejected = condition(status, "Rejected")
    assert (rejected["status"], rejected["reason"]) == ("True", "NoLongerValid")
    assert "spec.s3.bucket: is required" in rejected["message"]
    assert condition(status, "Reachable")["reason"] == "HostNotReady", "it is looked at as before"
    assert (
        REGISTRY.get_sample_value("pgwarden_rejected", {"kind": "Repository", "namespace": "ns", "name": "hippo"}) == 1
    )
    for _ in range(3):
        await repository.reconcile(KEY)
    assert len([text for _, _, text in stands.told if "spec.s3.bucket" in text]) == 1
    await controller(stands, DEFAULTS).reconcile(KEY)
    assert condition(stands.status("Repository", "hippo"), "Rejected") == {}


async def test_one_without_any_place_is_not_given_an_empty_one(stands: World):
    del stands.objects["configmaps", "ns", names.host("hippo")]
    await controller(stands, OperatorDefaults()).reconcile(KEY)
    assert ("configmaps", "ns", names.host("hippo")) not in stands.objects


async def test_one_that_never_had_a_place_waits_for_the_operators_default(world: World):
    world.make("Repository", "hippo", **S3)
    assert await controller(world, OperatorDefaults()).reconcile(KEY) == 2.0
    status = world.status("Repository", "hippo")
    assert (status["phase"], condition(status, "Ready")["reason"]) == ("Pending", "DefaultMissing")
    assert ("configmaps", "ns", names.host("hippo")) not in world.objects
    assert shown("Ready") == 0
    await controller(world, DEFAULTS).reconcile(KEY)
    assert condition(world.status("Repository", "hippo"), "Ready")["reason"] != "DefaultMissing"


async def test_one_whose_secret_is_missing_waits_for_it(world: World):
    secret = world.objects.pop(("secrets", "ns", "s3"))
    world.make("Repository", "hippo", **S3)
    assert await controller(world, DEFAULTS).reconcile(KEY) is not None
    status = world.status("Repository", "hippo")
    assert (status["phase"], condition(status, "Ready")["reason"]) == ("Pending", "SecretMissing")
    world.objects["secrets", "ns", "s3"] = secret
    await controller(world, DEFAULTS).reconcile(KEY)
    assert condition(world.status("Repository", "hippo"), "Ready")["reason"] == "HostNotReady"


async def test_one_that_is_refused_shows_no_good_values_any_more(stands: World):
    good = {"type": "Archiving", "status": "True", "reason": "WALArchived", "message": ""}
    metrics.show(KEY, {"conditions": [good], "primary": "pg-0", "unarchivedWAL": 0})
    assert shown("Archiving") == 1
    stands.there("Repository", "hippo")["status"] |= {"primary": "pg-0", "unarchivedWAL": 0}
    stands.change("Repository", "hippo", options=["--proces-max=4"])
    assert await controller(stands, DEFAULTS).reconcile(KEY) is None
    assert (shown("Archiving"), shown("Ready")) == (None, 0)
    assert REGISTRY.get_sample_value("pgwarden_unarchived_wal_segments", LABELS) is None


async def test_one_whose_looks_all_fail_shows_nothing_after_a_while(stands: World):
    def refuse(method: str, path: str) -> None:
        raise errors.Invalid(403, "Forbidden", "secrets is forbidden")

    began = metrics.time.monotonic()
    assert shown("Ready") == 0
    stands.answer = refuse
    with pytest.raises(errors.Invalid):
        await controller(stands, DEFAULTS).reconcile(KEY)
    metrics.sweep(began + metrics.STALE - 10)
    assert shown("Ready") == 0
    metrics.sweep(metrics.time.monotonic() + metrics.STALE + 1)
    assert shown("Ready") is None


def test_what_waits_in_pg_wal_is_not_shown_while_nobody_can_count_it():
    """The status keeps the last number; an alert that trusts it would never fire."""
    metrics.show(KEY, {"primary": "pg-0", "unarchivedWAL": 3})
    assert REGISTRY.get_sample_value("pgwarden_unarchived_wal_segments", LABELS) == 3
    metrics.show(KEY, {"unarchivedWAL": 3})
    assert REGISTRY.get_sample_value("pgwarden_unarchived_wal_segments", LABELS) is None


def shown(kind: str) -> float | None:
    return REGISTRY.get_sample_value("pgwarden_repository_condition", LABELS | {"condition": kind})
