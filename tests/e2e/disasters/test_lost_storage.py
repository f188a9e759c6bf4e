"""The volume of the local storage is lost: what is said of it, and what goes on without it."""

from __future__ import annotations

import uuid

import pytest

from harness.cluster import Cluster, manifest
from harness.command_line import pgwarden
from harness.kubectl import Kubectl, condition, is_true, phase
from harness.objects import backup, restore
from harness.postgres import Postgres, statefulset
from harness.s3 import Store, repository
from harness.s3_steps import says, switch_wal
from harness.waiting import until
from pgwarden.api import names

CLAIM = "hippo-pgbackrest-repo"
HOST = "pgwarden.io/for-repository=hippo,pgwarden.io/component=host"
ROWS = "CREATE TABLE drill AS SELECT i AS id, md5(i::text) AS said FROM generate_series(1, 20000) AS i"
FINGERPRINT = "SELECT count(*), md5(string_agg(id || said, ',' ORDER BY id)) FROM drill"


@pytest.fixture(scope="module")
def postgres(installed, space: Kubectl) -> Postgres:
    """With one full backup in each storage, and rows after them."""
    store = Store(installed.cluster._own())
    bucket = store.make_bucket(f"lost-{uuid.uuid4().hex[:6]}")
    mine = repository("local,s3", bucket, local={"size": "1Gi"}, retention={"full": 3})
    space.apply(*store.secrets(), mine, *statefulset(installed.postgres_image))
    found = Postgres(space)
    found.wait_ready()
    space.until("pgrepo", "hippo", is_true("Archiving"), "archives", 120)
    for storage in ("local", "s3"):
        complete(space, backup(f"to-{storage}", type="full", storage=storage))
    found.sql(ROWS)
    return found


def complete(space: Kubectl, asked: dict, seconds: int = 180) -> dict:
    space.apply(asked)
    kind = {"Backup": "pgb", "Restore": "pgr"}[asked["kind"]]
    done = space.until(kind, asked["metadata"]["name"], phase("Completed", "Failed"), "ends", seconds)
    assert done["status"]["phase"] == "Completed", done["status"]["message"]
    return done


def lose_volume(space: Kubectl) -> str:
    """The PersistentVolume goes with what is on it, as with a disk or a node that is taken away; so does the pod."""
    volume = space.get("pvc", CLAIM)["spec"]["volumeName"]
    space.run("delete", "pv", volume, "--wait=false")
    space.run("patch", "pv", volume, "--type=merge", "-p", '{"metadata":{"finalizers":null}}', check=False)
    space.until("pvc", CLAIM, lambda one: one["status"]["phase"] == "Lost", "is Lost", 60)
    space.run("delete", "pods", "-l", HOST, "--wait=false")
    return volume


@pytest.fixture(scope="module")
def lost(postgres: Postgres, space: Kubectl) -> str:
    """The volume's name, once the Repository has said that it is lost and s3 is read without it."""
    volume = lose_volume(space)
    space.until("pgrepo", "hippo", says("Reachable", "False", "storage s3 responds"), "reads s3", 120)
    return volume


def test_the_lost_volume_is_named_with_the_way_out_and_s3_is_read_without_it(lost: str, space: Kubectl):
    told = space.get("pgrepo", "hippo")
    said = condition(told, "Reachable")
    assert said["reason"] == "VolumeLost"
    assert f"storage local: volume {lost} of claim {CLAIM} no longer exists" in said["message"]
    assert f"kubectl delete pvc {CLAIM}" in said["message"]
    assert told["status"]["phase"] == "Degraded"
    ready = {one["name"]: one["ready"] for one in told["status"]["storages"]}
    assert ready == {"local": False, "s3": True}
    shown = pgwarden(space, "status", "hippo")
    assert (shown.returncode, "protected since" in shown.stdout) == (1, False), shown.stdout
    assert f"volume {lost} of claim {CLAIM} no longer exists" in shown.stdout


def test_backups_restores_and_clones_go_on_from_s3(lost: str, postgres: Postgres, space: Kubectl):
    rows = postgres.sql(FINGERPRINT)
    complete(space, backup("without", type="incr", storage="s3"))
    moment = postgres.sql("SELECT clock_timestamp()")
    postgres.sql("DROP TABLE drill")
    complete(space, restore("back", {"time": moment}, storage="s3"), 600)
    postgres.wait_ready()
    assert postgres.sql(FINGERPRINT) == rows
    space.apply(manifest("twin", 1, dataSource={"repository": "hippo", "storage": "s3"}))
    twin = Cluster(space, "twin")
    assert condition({"status": twin.wait_ready(400)}, "DataSource")["reason"] == "Cloned"
    assert twin.sql(FINGERPRINT) == rows


def test_the_claim_that_the_user_deletes_comes_back_empty_and_is_filled(lost: str, postgres: Postgres, space: Kubectl):
    before = postgres.sql(FINGERPRINT)
    space.run("delete", "pvc", CLAIM, "--timeout=60s")
    space.until("pgrepo", "hippo", is_true("Reachable"), "reads both again", 180)
    until(lambda: space.get("pvc", CLAIM)["spec"].get("volumeName") not in {None, lost}, "has another volume", 60)
    told = space.until("pgrepo", "hippo", lambda one: not one["status"].get("fullBackupOwed"), "owes nothing", 240)
    held = {one["name"]: one.get("backupCount") for one in told["status"]["storages"]}
    assert held["local"] == 1
    switch_wal(postgres)
    space.until("pgrepo", "hippo", is_true("Archiving"), "archives into both", 180)
    moment = postgres.sql("SELECT clock_timestamp()")
    postgres.sql("DROP TABLE drill")
    complete(space, restore("local-again", {"time": moment}, storage="local"), 600)
    postgres.wait_ready()
    assert postgres.sql(FINGERPRINT) == before


def test_or_the_storage_is_given_up_by_a_word(lost: str, postgres: Postgres, space: Kubectl):
    lose_volume(space)
    narrow = ("patch", "pgrepo", "hippo", "--type=merge", "-p", '{"spec":{"storageType":"s3"}}')
    assert f"{names.ANNOTATION_GIVE_UP}=local" in space.run(*narrow, check=False).stderr
    space.run("annotate", "pgrepo", "hippo", f"{names.ANNOTATION_GIVE_UP}=local")
    space.run(*narrow)
    space.until("pgrepo", "hippo", is_true("Ready"), "needs no volume any more", 180)
    switch_wal(postgres)
    told = space.until("pgrepo", "hippo", is_true("Archiving"), "archives into s3 alone", 180)
    assert [one["name"] for one in told["status"]["storages"]] == ["s3"]
    complete(space, backup("alone", type="incr"))
    assert space.get("pvc", CLAIM)["status"]["phase"] == "Lost", "nobody has deleted it"
