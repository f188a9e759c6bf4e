"""Storage local,s3, encrypted: every WAL segment in both, backups to and restores from either, one of them down."""

from __future__ import annotations

import base64
import inspect
import time
import uuid

import pytest

from harness.command_line import pgwarden
from harness.kubectl import Kubectl, condition, is_true, phase
from harness.objects import backup, in_host, info, restore
from harness.postgres import SWITCH, Postgres, statefulset
from harness.s3 import Store, repository, secret_of
from harness.s3_steps import figure, is_plain, says, segments, switch_wal
from harness.waiting import until

LOOK = """
import pathlib
files = [path for path in pathlib.Path("/pgwarden/repo").rglob("*") if path.is_file()]
print(len(files), sum(is_plain(str(path), path.read_bytes()) for path in files))
"""
STORAGES = {"local": 1, "s3": 2}


@pytest.fixture(scope="module")
def store(installed) -> Store:
    return Store(installed.cluster._own())


@pytest.fixture(scope="module")
def bucket(store: Store) -> str:
    return store.make_bucket(f"both-{uuid.uuid4().hex[:6]}")


@pytest.fixture(scope="module")
def postgres(installed, space: Kubectl, store: Store, bucket: str) -> Postgres:
    """With one full backup in each storage."""
    space.apply(*store.secrets(), secret_of("passphrase", {"cipher-pass": uuid.uuid4().hex}))
    mine = repository("local,s3", bucket, encryption={"secretRef": {"name": "passphrase"}}, local={"size": "2Gi"})
    space.apply(mine, *statefulset(installed.postgres_image))
    found = Postgres(space)
    found.wait_ready()
    space.until("pgrepo", "hippo", is_true("Archiving"), "archives", 120)
    for storage, number in STORAGES.items():
        space.apply(backup(f"to-{storage}", type="full", storage=storage))
        done = space.until("pgb", f"to-{storage}", phase("Completed", "Failed"), "ends", 180)
        assert done["status"]["phase"] == "Completed", done["status"]["message"]
        assert (done["status"]["storage"], done["status"]["repo"]) == (storage, number)
    return found


def test_each_backup_is_in_the_storage_that_it_names_and_only_there(postgres: Postgres, space: Kubectl):
    wanted = {(space.get("pgb", f"to-{name}")["status"]["label"], number) for name, number in STORAGES.items()}
    assert {(one["label"], one["database"]["repo-key"]) for one in info(space)["backup"]} == wanted


def test_every_segment_arrives_in_both_with_archive_async_on(postgres: Postgres, space: Kubectl):
    assert "archive-async=y" in space.get("configmap", "hippo-pgbackrest")["data"]["pod.conf"].splitlines()
    walked = [switch_wal(postgres, 20000) for _ in range(8)]
    _wait_both(space, set(walked))
    both = _both_alike(space)
    figure(f"segments: {len(both)} in each; {len(walked)} of them just now")
    assert set(walked) <= both


def test_both_storages_hold_nothing_but_what_is_encrypted(
    postgres: Postgres, space: Kubectl, store: Store, bucket: str
):
    """Bundles are many small files, encrypted without the header: unencrypted, each would begin with zstd's own."""
    objects = store.objects(bucket)
    assert len(objects) > 10
    assert [path for path in objects if is_plain(path, store.content(bucket, path))] == []
    files, plain = in_host(space, "python3", "-c", inspect.getsource(is_plain) + LOOK).split()
    assert int(files) > 10
    assert plain == "0"


def test_the_encryption_of_a_stanza_that_holds_data_cannot_be_changed(postgres: Postgres, space: Kubectl, bucket: str):
    for encryption in ({}, {"encryption": {"secretRef": {"name": "another"}}}):
        said = space.refused(repository("local,s3", bucket, local={"size": "2Gi"}, **encryption))
        assert "encryption" in said
        assert "cannot be changed" in said
        assert "create a new Repository" in said


def test_another_passphrase_in_the_secret_reads_and_writes_nothing_and_the_old_one_does_again(
    postgres: Postgres, space: Kubectl
):
    """What no admission can see: the Repository stays as it is, and the content of its Secret changes."""
    right = base64.b64decode(space.get("secret", "passphrase")["data"]["cipher-pass"]).decode()
    before = segments(space, 1)
    space.apply(secret_of("passphrase", {"cipher-pass": "another-one"}))
    wrong = "the stored data cannot be decrypted: it was written with another passphrase"
    told = space.until("pgrepo", "hippo", says("Reachable", "False", wrong), "cannot decrypt", 60)
    assert condition(told, "Reachable")["reason"] == "WrongPassphrase"
    assert "correct the Secret in spec.encryption.secretRef" in condition(told, "Reachable")["message"]
    space.apply(backup("in-vain", type="full"))
    waits = space.until("pgb", "in-vain", phase("Pending"), "waits", 30)
    assert wrong in waits["status"]["message"]
    wal = switch_wal(postgres)
    until(lambda: _waiting(postgres) != "0", f"{wal} waits in pg_wal", 30)
    assert segments(space, 1) == before  # into s3 the pod itself writes, which may still have had the right one
    space.apply(secret_of("passphrase", {"cipher-pass": right}))
    space.until("pgrepo", "hippo", is_true("Reachable"), "can decrypt again", 60)
    switch_wal(postgres)  # wakes PostgreSQL's archiver, which pauses for a minute after its third failure
    _wait_both(space, {wal})
    done = space.until("pgb", "in-vain", phase("Completed", "Failed"), "ends", 180)
    assert done["status"]["phase"] == "Completed", done["status"]["message"]


@pytest.mark.parametrize("storage", STORAGES)
def test_a_restore_from_either_storage_brings_back_the_rows(postgres: Postgres, space: Kubectl, storage: str):
    postgres.sql(
        "CREATE TABLE IF NOT EXISTS accounts AS SELECT i AS id, md5(i::text) AS name FROM generate_series(1, 9000) i"
    )
    rows = postgres.rows("accounts")
    moment = postgres.sql("SELECT clock_timestamp()")
    postgres.sql("DROP TABLE accounts")
    space.apply(restore(f"from-{storage}", {"time": moment}, storage=storage))
    done = space.until("pgr", f"from-{storage}", phase("Completed", "Failed"), "ends", 300)
    assert done["status"]["phase"] == "Completed", done["status"]["message"]
    postgres.wait_ready()
    assert postgres.rows("accounts") == rows


def test_while_the_store_is_down_wal_queues_and_afterwards_nothing_is_lost(
    postgres: Postgres, space: Kubectl, store: Store
):
    space.until("pgrepo", "hippo", is_true("Archiving"), "archives", 120)
    postgres.sql("CREATE TABLE drill (id int)")
    began, before = postgres.sql(SWITCH), time.monotonic()
    _wait_both(space, {began})
    at_first = {number: segments(space, number) for number in (1, 2)}
    store.stop()
    try:
        stopped = time.monotonic()
        told = space.until(
            "pgrepo", "hippo", says("Reachable", "False", "storage s3: cannot connect to"), "is down", 45
        )
        noticed = time.monotonic() - stopped
        assert condition(told, "Reachable")["reason"] == "CannotConnect"
        assert condition(told, "Reachable")["message"].endswith("Connection refused; storage local responds")
        walked = []
        for n in range(10):
            postgres.sql(f"INSERT INTO drill SELECT generate_series({n * 1000}, {n * 1000 + 999})")
            walked.append(postgres.sql(SWITCH))
        told = space.until("pgrepo", "hippo", _queues(len(walked)), "has a queue", 60)
        failing = space.until(
            "pgrepo", "hippo", says("Archiving", "False", "storage s3: cannot connect"), "says which", 90
        )
        queued = failing["status"]["unarchivedWAL"]
        for storage in STORAGES:
            space.apply(backup(f"meanwhile-{storage}", type="incr", storage=storage))
        done = space.until("pgb", "meanwhile-local", phase("Completed", "Failed"), "ends", 180)
        assert done["status"]["phase"] == "Completed", done["status"]["message"]
        waits = space.get("pgb", "meanwhile-s3")
        assert (waits["status"]["phase"], waits["status"]["reason"]) == ("Pending", "RepositoryNotReady")
        assert "storage s3: cannot connect" in waits["status"]["message"]
    finally:
        store.start()
    started = time.monotonic()
    _wait_both(space, set(walked))
    drained = time.monotonic() - started
    until(lambda: _waiting(postgres) == "0", "pg_wal's queue is empty", 90, lambda: _waiting(postgres))
    done = space.until("pgb", "meanwhile-s3", phase("Completed", "Failed"), "ends", 120)
    assert done["status"]["phase"] == "Completed", done["status"]["message"]
    both = _both_alike(space)
    figure(
        f"outage drill: {len(at_first[1])} and {len(at_first[2])} segments before, {queued} queued at most of "
        f"{len(walked)} written, {len(both)} in each after; noticed after {noticed:.0f} s, "
        f"drained {drained:.0f} s after the store was back, the whole {time.monotonic() - before:.0f} s"
    )
    assert set(walked) <= both - at_first[2]
    assert postgres.sql("SELECT count(*), sum(id) FROM drill") == f"10000|{sum(range(10000))}"
    space.until("pgrepo", "hippo", is_true("Archiving"), "archives again", 90)


def test_what_was_written_during_the_outage_can_be_restored_from_the_storage_that_was_down(
    postgres: Postgres, space: Kubectl
):
    space.apply(restore("after-the-outage", storage="s3"))
    done = space.until("pgr", "after-the-outage", phase("Completed", "Failed"), "ends", 300)
    assert done["status"]["phase"] == "Completed", done["status"]["message"]
    postgres.wait_ready()
    assert postgres.sql("SELECT count(*), sum(id) FROM drill") == f"10000|{sum(range(10000))}"


@pytest.mark.timeout(1500)  # a whole restore that waits for the time limits of a storage that is away
def test_while_the_store_is_down_the_local_storage_backs_up_and_restores_by_itself(
    postgres: Postgres, space: Kubectl, store: Store
):
    space.until("pgrepo", "hippo", is_true("Archiving"), "archives", 120)
    postgres.sql("CREATE TABLE alone AS SELECT i AS id, md5(i::text) AS said FROM generate_series(1, 9000) AS i")
    store.stop()
    try:
        space.until("pgrepo", "hippo", says("Reachable", "False", "storage s3: cannot connect to"), "is down", 45)
        space.apply(backup("elsewhere", type="full", storage="s3"))  # waits, and holds nobody up
        space.apply(backup("alone", type="incr", storage="local"))
        done = space.until("pgb", "alone", phase("Completed", "Failed"), "ends", 180)
        assert done["status"]["phase"] == "Completed", done["status"]["message"]
        rows = postgres.rows("alone")
        moment = postgres.sql("SELECT clock_timestamp()")
        postgres.sql("DROP TABLE alone")
        space.apply(restore("alone", {"time": moment}, storage="local"))
        fencing = space.until("pgr", "alone", _is_fencing, "is in its fence", 60)
        assert "continues with what is archived" in condition(fencing, "Fenced")["message"]
        began = time.monotonic()
        done = space.until("pgr", "alone", phase("Completed", "Failed"), "ends", 400)
        assert done["status"]["phase"] == "Completed", done["status"]["message"]
        assert condition(done, "Fenced")["reason"] == "Archived"
        assert condition(done, "BackedUp")["status"] == "True"
        postgres.wait_ready()
        assert postgres.rows("alone") == rows
        figure(f"a restore from local while s3 is down: {time.monotonic() - began:.0f} s from the fence to its backup")
        assert condition(space.get("pgrepo", "hippo"), "Reachable")["status"] == "False"
        assert space.get("pgb", "elsewhere")["status"]["reason"] == "RepositoryNotReady"
    finally:
        store.start()
    wal = switch_wal(postgres)
    _wait_both(space, {wal})
    space.until("pgrepo", "hippo", is_true("Archiving"), "archives again", 120)
    done = space.until("pgb", "elsewhere", phase("Completed", "Failed"), "ends", 180)
    assert done["status"]["phase"] == "Completed", done["status"]["message"]
    # The Repository is looked at a moment after its Backup has ended.
    space.until("pgrepo", "hippo", _hold_the_same, "both storages hold WAL up to the same segment", 20)


def _hold_the_same(one: dict) -> bool:
    newest = {storage["repo"]: storage["lastWal"] for storage in one["status"]["storages"]}
    return newest[1] == newest[2]


def _is_fencing(one: dict) -> bool:
    return (one.get("status") or {}).get("step") == "Fenced"


def test_another_cluster_under_the_same_repository_is_refused_and_nothing_is_upgraded(
    installed, postgres: Postgres, space: Kubectl
):
    """The user deletes StatefulSet and volume, and makes new ones: an empty cluster with another identity."""
    mine = space.get("pgrepo", "hippo")["status"]["systemIdentifier"]
    space.delete("statefulset", "postgres")
    space.run("wait", "--for=delete", "pod/postgres-0", "--timeout=60s", check=False)
    before = info(space)  # with what the old cluster archived as it ended
    space.delete("pvc", "data-postgres-0")
    space.apply(*statefulset(installed.postgres_image))
    postgres.wait_ready()
    other = postgres.sql("SELECT system_identifier FROM pg_control_system()")
    assert other != mine
    told = space.until("pgrepo", "hippo", says("StanzaCreated", "False", mine, other), "refuses it", 60)
    assert condition(told, "StanzaCreated")["reason"] == "SystemIdentifierMismatch"
    assert condition(told, "Ready")["reason"] == "SystemIdentifierMismatch"
    assert told["status"]["phase"] == "Failed"
    shown = pgwarden(space, "status", "hippo")
    assert (shown.returncode, shown.stdout.splitlines()[0]) == (1, "hippo: NOT PROTECTED")
    switch_wal(postgres)
    until(lambda: postgres.sql("SELECT failed_count > 0 FROM pg_stat_archiver") == "t", "its WAL is refused", 90)
    after = info(space)
    assert after["db"] == before["db"]
    assert after["archive"] == before["archive"]


def _wait_both(space: Kubectl, wanted: set[str]) -> None:
    def missing() -> str:
        return str({number: sorted(wanted - segments(space, number)) for number in (1, 2)})

    until(lambda: wanted <= segments(space, 1) & segments(space, 2), f"{len(wanted)} segments in both", 150, missing)


def _both_alike(space: Kubectl) -> set[str]:
    """The segments of both storages as soon as they hold the same: what comes afterwards reaches one before the other."""

    def look() -> set[str] | None:
        local, s3 = segments(space, 1), segments(space, 2)
        return local if local == s3 else None

    return until(look, "both storages hold the same segments", 60)


def _queues(least: int):
    return lambda repository: repository["status"].get("unarchivedWAL", 0) >= least


def _waiting(postgres: Postgres) -> str:
    return postgres.sql("SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'")
