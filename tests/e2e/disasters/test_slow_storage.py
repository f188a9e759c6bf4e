"""An S3 store that takes seconds for each request is slow, not away: no condition turns, and work goes on.

PGWARDEN_SLOW_SECONDS says for how long (240); `make disasters` takes twenty minutes.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from agent.info_reader import WAIT_SECONDS
from harness import killing
from harness.kubectl import Kubectl, Object, is_true, phase
from harness.objects import PGBACKREST, backup, in_host
from harness.postgres import Postgres, statefulset
from harness.s3 import Store, repository
from harness.waiting import until
from localcluster import processes

SLOW = float(os.environ.get("PGWARDEN_SLOW_SECONDS", "240"))
#: Seconds for which the store stands still before it answers what has come meanwhile.
STILL = 3.0


@contextmanager
def slow(store: Store) -> Iterator[None]:
    found = processes.running(store.cluster, "versitygw")
    assert found is not None
    over = threading.Event()

    def hold() -> None:
        while not over.is_set():
            killing.hold_up([found.pid], STILL)
            over.wait(0.05)  # for the answer to one request, also on a machine that is busy

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.fixture(scope="module")
def postgres(installed, space: Kubectl) -> Postgres:
    store = Store(installed.cluster._own())
    bucket = store.make_bucket(f"slow-{uuid.uuid4().hex[:6]}")
    space.apply(*store.secrets(), repository("s3", bucket), *statefulset(installed.postgres_image))
    found = Postgres(space)
    found.wait_ready()
    space.until("pgrepo", "hippo", is_true("Archiving"), "archives", 180)
    space.apply(backup("first", type="full"))
    space.until("pgb", "first", phase("Completed"), "is completed", 180)
    space.until("pgrepo", "hippo", is_true("WALContinuous"), "has listed its WAL", 180)
    return found


def conditions(found: Object) -> dict[str, str]:
    return {one["type"]: one["status"] for one in found["status"]["conditions"]}


@pytest.mark.timeout(3000)
def test_no_condition_turns_and_wal_and_backups_arrive(installed, postgres: Postgres, space: Kubectl):
    before = conditions(space.get("pgrepo", "hippo"))
    said, began = set(), time.monotonic()
    with slow(Store(installed.cluster._own())):
        postgres.sql("CREATE TABLE late (i int)")
        postgres.sql("SELECT pg_switch_wal()")
        segment = postgres.sql("SELECT last_archived_wal FROM pg_stat_archiver")
        space.apply(backup("late", type="incr"))
        asked = time.monotonic()
        in_host(space, "pgbackrest", *PGBACKREST[1:], "info", "--log-level-console=off")
        took = time.monotonic() - asked
        assert took > STILL, "the store is not slow"
        while time.monotonic() - began < SLOW:
            found = space.get("pgrepo", "hippo")
            assert conditions(found) == before, found["status"]["conditions"]
            said |= {one["message"] for one in found["status"]["conditions"] if one["type"] == "Reachable"}
            time.sleep(2)
        space.until("pgb", "late", phase("Completed"), "is completed", 600)
        until(lambda: postgres.sql("SELECT last_archived_wal FROM pg_stat_archiver") > segment, "WAL arrives", 120)
    if took > WAIT_SECONDS:  # how many requests it is depends on pgBackRest, and each takes STILL
        assert any("slowly" in one for one in said), said
