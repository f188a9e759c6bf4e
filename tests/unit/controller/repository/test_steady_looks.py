"""A look at a Repository that is well costs the API server nothing, and misses nothing for that."""

from __future__ import annotations

import base64
from datetime import timedelta

import pytest

from pgwarden.api import names
from pgwarden.kube import paths
from tests.unit.controller.repository.conftest import BOTH, LOCAL

HOUR = timedelta(hours=1)
KEY = ("ns", "hippo")


async def settled(world) -> None:
    await world.until("Archiving", HOUR)
    for _ in range(3):
        world.now += timedelta(seconds=await world.look())
    world.store.read.clear()
    world.store.written.clear()


async def looks(world, times: int = 5) -> None:
    for _ in range(times):
        world.now += timedelta(seconds=await world.look())


def given(world, secret: str = names.pods("hippo")) -> str:
    """The keys that PostgreSQL's pods are given, or whom *secret* is for."""
    found = world.store.objects[paths.of("secrets", "ns", secret)]
    return base64.b64decode(found["data"][names.KEY_CREDENTIALS_CONF]).decode()


def rotated(world, secret: str = "keys") -> None:
    found = world.store.objects[paths.of("secrets", "ns", secret)]
    newer = {"s3-key": base64.b64encode(b"newer").decode()}
    world.store.put(paths.of("secrets", "ns", secret), found | {"data": found["data"] | newer})


@pytest.fixture
def both(make):
    world = make(BOTH)
    world.secret()
    return world


@pytest.mark.parametrize("spec", [LOCAL, BOTH], ids=["local", "local and s3"])
async def test_a_look_at_what_is_well_asks_and_writes_nothing(make, spec):
    world = make(spec)
    world.secret()
    await settled(world)
    await looks(world)
    assert world.store.read == []
    assert not world.store.written


@pytest.mark.parametrize(
    ("plural", "name"),
    [*((plural, names.host("hippo")) for plural in ("configmaps", "services", "deployments")),
     ("persistentvolumeclaims", names.repo_claim("hippo"))],
)  # fmt: skip
async def test_what_has_gone_is_made_again_at_the_next_look(make, plural, name):
    world = make(LOCAL)
    await settled(world)
    path = paths.of(plural, "ns", name)
    del world.store.objects[path]
    await world.look()
    assert path in world.store.objects


async def test_a_strangers_deployment_in_the_place_of_one_that_has_gone_is_left_alone(make):
    """The cache has what was ours; what is there now is asked for before anything is written."""
    world = make(LOCAL)
    await settled(world)
    path = paths.of("deployments", "ns", names.host("hippo"))
    del world.store.objects[path]
    world.store.put(path, {"metadata": {"name": names.host("hippo"), "namespace": "ns", "labels": {}}, "spec": {}})
    await world.look()
    assert world.store.objects[path]["spec"] == {}
    assert world.condition("Reachable")["reason"] == "NotOurs"


async def test_a_rotated_key_is_used_once_it_was_told(both):
    await settled(both)
    rotated(both)
    await both.look()
    assert "newer" not in given(both)
    both.controller.keys.forget(KEY)
    await both.look()
    assert "newer" in given(both)


APART = BOTH | {"s3": BOTH["s3"] | {"podCredentialsSecretRef": {"name": "pod-keys"}}}
HOST = names.host("hippo")


def pod_keys(world) -> None:
    data = {name: base64.b64encode(b"of-pods").decode() for name in ("s3-key", "s3-key-secret")}
    world.store.put(paths.of("secrets", "ns", "pod-keys"), {"metadata": {"name": "pod-keys"}, "data": data})


@pytest.fixture
def apart(make):
    """Pods have keys of their own."""
    world = make(APART)
    world.secret()
    pod_keys(world)
    return world


async def test_pods_never_get_the_hosts_keys_where_they_have_their_own_nor_the_host_theirs(apart):
    await settled(apart)
    assert "repo2-s3-key=of-pods\nrepo2-s3-key-secret=of-pods\n" in given(apart)
    assert "repo2-s3-key=k\nrepo2-s3-key-secret=s\n" in given(apart, HOST)
    assert "of-pods" not in given(apart, HOST)
    assert "=k\n" not in given(apart)
    assert "=s\n" not in given(apart)


async def test_a_rotated_key_of_the_pods_reaches_them_and_nobody_else(apart):
    await settled(apart)
    before = given(apart, HOST)
    rotated(apart, "pod-keys")
    apart.controller.keys.forget(KEY)
    await apart.look()
    assert "repo2-s3-key=newer" in given(apart)
    assert given(apart, HOST) == before


async def test_while_the_secret_of_the_pods_is_missing_they_keep_what_they_have_and_it_is_waited_for(make):
    world = make(BOTH)
    world.secret()
    await settled(world)
    before = given(world)
    world.repository(APART)
    await looks(world, 2)
    assert given(world) == before
    told = world.condition("Reachable")
    assert (told["status"], told["reason"]) == ("False", "SecretMissing")
    assert told["message"] == "spec.s3.podCredentialsSecretRef: there is no Secret pod-keys in namespace ns; create it"
    pod_keys(world)
    await world.until("Reachable", HOUR)
    assert "of-pods" in given(world)


async def test_a_repository_that_begins_without_the_secret_of_its_pods_gives_them_none(make):
    world = make(APART)
    world.secret()
    await looks(world, 3)
    assert paths.of("secrets", "ns", names.pods("hippo")) not in world.store.objects


async def test_a_key_is_read_again_within_a_minute_while_something_is_wrong(both):
    """It may be the reason; among many Repositories its change may be noticed later."""
    await settled(both)
    both.trouble[2] = "[ProtocolError] HTTP request failed with 403 (Forbidden)"
    await both.look()
    rotated(both)
    await both.drive(timedelta(seconds=75))
    assert "newer" in given(both)
    both.trouble.clear()
    await settled(both)
    await looks(both, 10)
    assert both.store.read == []


async def test_another_spec_reads_what_it_names(both):
    await settled(both)
    rotated(both)
    both.repository(BOTH | {"archiveTimeout": "2min"})
    await both.look()
    assert "newer" in given(both)


async def test_certificates_are_renewed_in_time_however_long_nothing_happens(both):
    await settled(both)
    both.now += timedelta(days=29)
    await looks(both, 2)
    assert both.store.read == []
    both.now += timedelta(days=35)  # two thirds of their life are over
    await looks(both, 1)
    assert paths.of("secrets", "ns", names.pods("hippo")) in both.store.read


async def test_a_change_that_is_told_while_the_secrets_are_read_is_not_lost(both):
    await settled(both)
    keys, world = both.controller.keys, both
    keys.forget(KEY)
    plain = world.store.request

    async def request(method: str, path: str, **more):
        found = await plain(method, path, **more)
        if method == "GET" and path == paths.of("secrets", "ns", "keys"):
            world.store.request = plain
            rotated(world)  # behind what was just read
            keys.forget(KEY)
        return found

    world.store.request = request
    await world.look()
    assert "newer" not in given(world)
    await world.look()
    assert "newer" in given(world)
