"""The volume of a local storage, half lost, emptied, full, and read-only: told as what it is, and mended by itself."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.disks import REPOSITORY_CLAIM as CLAIM
from harness.disks import small_disk
from harness.kubectl import Kubectl, condition, is_true, phase
from harness.objects import backup, in_host, protect, restore
from harness.postgres import Postgres
from harness.s3_steps import says, switch_wal
from harness.waiting import until

FINGERPRINT = "SELECT count(*), md5(string_agg(id || said, ',' ORDER BY id)) FROM drill"
FILL = "dd if=/dev/zero of=/pgwarden/repo/filler bs=1M 2>/dev/null; true"


@pytest.fixture(scope="module")
def disk(installed, space: Kubectl) -> Iterator[Path]:
    """A small file system of its own on the node, behind the claim that the Repository adopts."""
    installed.cluster._own()
    with small_disk(space, 400) as folder:
        yield folder


@pytest.fixture(scope="module")
def postgres(installed, space: Kubectl, disk: Path) -> Postgres:
    found = protect(space, installed.postgres_image, local={"size": "400Mi"}, retention={"full": 2})
    space.apply(backup("first", type="full"))
    done = space.until("pgb", "first", phase("Completed", "Failed"), "ends", 180)
    assert done["status"]["phase"] == "Completed", done["status"]["message"]
    found.sql("CREATE TABLE drill AS SELECT i AS id, md5(i::text) AS said FROM generate_series(1, 10000) AS i")
    return found


def events(space: Kubectl, reason: str) -> list[str]:
    listed = space.run("get", "events", f"--field-selector=reason={reason}", "-o", "jsonpath={.items[*].message}")
    return [line for line in listed.stdout.split("\n") if line]


def renewed(space: Kubectl, before: set[str]) -> str:
    """The label of the full backup that was taken by itself, after those of *before*."""
    space.until("pgrepo", "hippo", lambda one: one["status"].get("fullBackupOwed"), "owes a full backup", 120)
    told = space.until("pgrepo", "hippo", lambda one: not one["status"].get("fullBackupOwed"), "owes nothing", 300)
    (full,) = (one for one in told["status"]["backups"] if one["label"] not in before)
    assert full["type"] == "full"
    assert full["backup"].startswith("hippo-renewal-local-")
    return full["label"]


def labels(space: Kubectl) -> set[str]:
    return {one["label"] for one in space.get("pgrepo", "hippo")["status"]["backups"]}


@pytest.mark.parametrize("half", ["backup", "archive"])
def test_half_of_the_stanza_is_lost_what_is_left_is_set_aside_and_a_full_backup_follows(
    postgres: Postgres, space: Kubectl, half: str
):
    before, other = labels(space), {"backup": "archive", "archive": "backup"}[half]
    in_host(space, "rm", "-rf", f"/pgwarden/repo/{half}")
    until(lambda: any(f"{half}/hippo is gone" in text for text in events(space, "RepositoryHalfLost")), "is told", 60)
    left = in_host(space, "sh", "-c", f"ls -d /pgwarden/repo/set-aside/*/{other}/hippo").split()
    assert left
    renewed(space, before)
    wal = switch_wal(postgres)
    space.until("pgrepo", "hippo", is_true("Archiving"), f"archives {wal}", 120)


def test_everything_is_lost_while_there_is_no_room_and_a_full_backup_follows_once_there_is(
    postgres: Postgres, space: Kubectl
):
    before = labels(space)
    in_host(space, "sh", "-c", f"rm -rf /pgwarden/repo/archive /pgwarden/repo/backup; {FILL}")
    told = space.until(
        "pgrepo", "hippo", says("Writable", "False", CLAIM, "MiB free", "spec.local.size"), "is full", 60
    )
    assert condition(told, "Writable")["reason"] == "RepositoryFull"
    switch_wal(postgres)
    space.until("pgrepo", "hippo", lambda one: one["status"].get("unarchivedWAL", 0) > 0, "keeps WAL", 90)
    in_host(space, "rm", "/pgwarden/repo/filler")
    renewed(space, before)
    space.until("pgrepo", "hippo", lambda one: one["status"].get("unarchivedWAL") == 0, "has no WAL waiting", 180)
    space.until("pgrepo", "hippo", is_true("Archiving"), "archives", 120)


def test_a_read_only_volume_is_told_as_such_and_wal_waits_for_it(postgres: Postgres, space: Kubectl, disk: Path):
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    try:
        told = space.until("pgrepo", "hippo", says("Writable", "False", CLAIM, "read-only"), "is read-only", 60)
        assert condition(told, "Ready")["reason"] == "RepositoryReadOnly"
        switch_wal(postgres)
        space.until("pgrepo", "hippo", lambda one: one["status"].get("unarchivedWAL", 0) > 0, "keeps WAL", 90)
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    space.until("pgrepo", "hippo", is_true("Ready"), "is well again", 60)
    space.until("pgrepo", "hippo", lambda one: one["status"].get("unarchivedWAL") == 0, "has no WAL waiting", 180)


def test_what_was_written_meanwhile_is_restored_from_the_renewed_backup(postgres: Postgres, space: Kubectl):
    rows, moment = postgres.sql(FINGERPRINT), postgres.sql("SELECT clock_timestamp()")
    postgres.sql("DROP TABLE drill")
    space.apply(restore("back", {"time": moment}))
    done = space.until("pgr", "back", phase("Completed", "Failed"), "ends", 600)
    assert done["status"]["phase"] == "Completed", done["status"]["message"]
    postgres.wait_ready()
    assert postgres.sql(FINGERPRINT) == rows
