"""A Repository that gets a second storage: PostgreSQL is asked for a segment when that can help, and seldom."""

from __future__ import annotations

import os
import time
import uuid

import pytest

from harness.kubectl import Kubectl, condition, is_true
from harness.objects import protect
from harness.postgres import Postgres
from harness.s3 import Store, repository, secret_of
from harness.s3_steps import figure, says, segments
from harness.waiting import until

#: Seconds for which an idle server is watched.
WATCHED = float(os.environ.get("PGWARDEN_WATCHED", "65"))
LATE = {"credentialsSecretRef": {"name": "late-keys"}}
SEGMENT = 16 * 1024 * 1024


@pytest.fixture(scope="module")
def store(installed) -> Store:
    return Store(installed.cluster._own())


@pytest.fixture(scope="module")
def bucket(store: Store) -> str:
    return store.make_bucket(f"widened-{uuid.uuid4().hex[:6]}")


@pytest.fixture(scope="module")
def postgres(installed, space: Kubectl, store: Store) -> Postgres:
    """Archiving into storage local alone, and idle."""
    space.apply(secret_of("s3-ca", {"ca.crt": store.ca}))
    return protect(space, installed.postgres_image)


def test_an_idle_server_is_left_alone_until_the_secret_of_the_new_storage_is_there(
    postgres: Postgres, space: Kubectl, store: Store, bucket: str
):
    before = _written(postgres)
    space.apply(repository("local,s3", bucket, s3=LATE, local={"size": "8Gi"}))
    told = space.until("pgrepo", "hippo", says("Reachable", "False", "there is no Secret late-keys"), "says so", 30)
    began, deadline = time.monotonic(), time.monotonic() + WATCHED
    while time.monotonic() < deadline:
        assert _written(postgres) - before < 3 * SEGMENT, f"after {time.monotonic() - began:.0f} s"
        time.sleep(5)  # nothing is to happen: that is seen by looking on
    figure(f"{(_written(postgres) - before) / SEGMENT:.2f} segments of WAL in {time.monotonic() - began:.0f} s")
    told = space.get("pgrepo", "hippo")
    figure(condition(told, "Archiving")["message"])
    assert condition(told, "Archiving")["status"] != "True"
    assert "Secret late-keys" in condition(told, "Archiving")["message"]


def test_once_the_secret_is_there_both_storages_have_wal_within_a_minute(
    postgres: Postgres, space: Kubectl, store: Store
):
    key, secret = store.keys
    began, before = time.monotonic(), _written(postgres)
    space.apply(secret_of("late-keys", {"s3-key": key, "s3-key-secret": secret}))
    space.until("pgrepo", "hippo", is_true("Archiving"), "archives", 60)
    figure(f"archives into both {time.monotonic() - began:.0f} s after the Secret was made")
    assert segments(space, 1) & segments(space, 2)
    assert _written(postgres) - before <= 3 * SEGMENT
    events = until(lambda: _events(space, "SegmentAskedFor"), "an Event says that a segment was asked for", 10)
    figure(events[0])
    assert "storage s3" in events[0]
    assert space.get("pgrepo", "hippo")["status"]["segmentAsked"]["times"] <= 2


def _written(postgres: Postgres) -> int:
    """Bytes of WAL since the cluster was made."""
    return int(float(postgres.sql("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')")))


def _events(space: Kubectl, reason: str) -> list[str]:
    said = space.run(
        "get", "events", f"--field-selector=reason={reason}", "-o=jsonpath={range .items[*]}{.message}{'\\n'}{end}"
    )
    return said.stdout.splitlines()
