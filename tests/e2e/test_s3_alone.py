"""Storage s3 alone, its place given by the operator's defaults: no volume, WAL straight from the pod, keys that rotate."""

from __future__ import annotations

import json
import time
import uuid

import pytest

from harness.kubectl import Kubectl, condition, is_true, phase
from harness.objects import backup, info, restore
from harness.postgres import Postgres, statefulset
from harness.s3 import ENDPOINT, REGION, Store, repository, secret_of
from harness.s3_steps import figure, is_plain, says, segments, started, switch_wal
from harness.waiting import until


@pytest.fixture(scope="module")
def store(installed) -> Store:
    return Store(installed.cluster._own())


@pytest.fixture(scope="module")
def bucket(installed, store: Store):
    """The chart's defaults name it, and an endpoint that the Repository replaces by its own."""
    name = store.make_bucket(f"alone-{uuid.uuid4().hex[:6]}")
    defaults = {"bucket": name, "endpoint": "nowhere.invalid:1", "region": REGION}
    installed.helm.install(installed.image, *(f"--set=s3.{key}={value}" for key, value in defaults.items()))
    yield name
    installed.helm.install(installed.image, *(f"--set=s3.{key}=" for key in defaults))


@pytest.fixture(scope="module")
def postgres(installed, space: Kubectl, store: Store, bucket: str) -> Postgres:
    space.apply(*store.secrets())
    mine = repository("s3", s3={"region": None, "endpoint": ENDPOINT}, retention={"full": 1})
    _wait_for_defaults(space, mine)
    space.apply(mine, *statefulset(installed.postgres_image))
    found = Postgres(space)
    found.wait_ready()
    space.until("pgrepo", "hippo", is_true("Archiving"), "archives", 120)
    return found


def test_no_volume_is_made_and_the_status_has_the_effective_place(postgres: Postgres, space: Kubectl, bucket: str):
    assert [claim["metadata"]["name"] for claim in space.list("pvc")] == ["data-postgres-0"]
    shown = space.get("pgrepo", "hippo")["status"]["storages"]
    assert len(shown) == 1
    path = f"/pgwarden/{space.namespace}/hippo"
    expected = {"name": "s3", "bucket": bucket, "endpoint": ENDPOINT, "region": REGION, "path": path, "reachable": True}
    assert {key: shown[0][key] for key in expected} == expected


def test_the_pod_itself_pushes_wal_to_the_bucket(postgres: Postgres, space: Kubectl, store: Store, bucket: str):
    """The repository host is away meanwhile, so that nobody else can have done it."""
    space.run("scale", "deployment/hippo-pgbackrest", "--replicas=0")
    wal = switch_wal(postgres)
    until(
        lambda: any(f"/{wal}-" in path for path in store.objects(bucket)),
        f"{wal} is in the bucket",
        60,
        lambda: postgres.sql("SELECT * FROM pg_stat_archiver"),
    )
    space.run("scale", "deployment/hippo-pgbackrest", "--replicas=1")
    space.until("pgrepo", "hippo", is_true("Ready"), "is ready", 90)


def test_a_backup_needs_no_storage_named_and_retention_expires_the_older_one(
    postgres: Postgres, space: Kubectl, store: Store, bucket: str
):
    for name in ("first", "second"):
        space.apply(backup(name, type="full"))
        done = space.until("pgb", name, phase("Completed", "Failed"), "ends", 180)
        assert done["status"]["phase"] == "Completed", done["status"]["message"]
        assert done["status"]["storage"] == "s3"
    first, second = (space.get("pgb", name)["status"] for name in ("first", "second"))
    assert second["expired"] == [first["label"]]
    assert [one["label"] for one in info(space)["backup"]] == [second["label"]]
    objects = store.objects(bucket)
    assert not [path for path in objects if f"/backup/hippo/{first['label']}/" in path]
    # Without encryption all of it is plain: what test_s3_both looks for would be seen.
    assert [path for path in objects if not is_plain(path, store.content(bucket, path))] == []


def test_a_restore_to_a_moment_and_one_to_the_latest_wal_bring_back_the_rows(postgres: Postgres, space: Kubectl):
    postgres.sql("CREATE TABLE accounts AS SELECT i AS id, md5(i::text) AS name FROM generate_series(1, 20000) AS i")
    rows = postgres.rows("accounts")
    moment = postgres.sql("SELECT clock_timestamp()")
    postgres.sql("DROP TABLE accounts")
    _restore(space, postgres, "rewind", {"time": moment})
    assert postgres.rows("accounts") == rows
    postgres.sql("INSERT INTO accounts VALUES (0, 'after the rewind')")
    rows = postgres.rows("accounts")
    _restore(space, postgres, "latest", None)
    assert postgres.rows("accounts") == rows


def test_a_rotated_key_is_taken_up_without_a_restart(postgres: Postgres, space: Kubectl, store: Store):
    before, old = started(postgres), store.keys
    assert space.get("pgrepo", "hippo")["status"]["storages"][0]["reachable"] is True
    try:
        store.rotate(f"ROTATED{uuid.uuid4().hex[:9].upper()}", uuid.uuid4().hex)
        told = space.until("pgrepo", "hippo", says("Reachable", "False", "does not know the access key"), "knows", 60)
        assert condition(told, "Reachable")["reason"] == "BadKey"
        assert "correct s3-key in Secret s3-keys" in condition(told, "Reachable")["message"]
        wal, rotated = switch_wal(postgres), time.monotonic()
        space.apply(*store.secrets())
        space.until("pgrepo", "hippo", is_true("Reachable"), "is reached with the new key", 60)
        reached = time.monotonic() - rotated
        switch_wal(postgres)  # wakes PostgreSQL's archiver, which pauses for a minute after its third failure
        until(lambda: wal in segments(space, 1), f"{wal} arrives", 120, lambda: str(sorted(segments(space, 1))))
        figure(
            f"key rotated: reached {reached:.1f} s, archived {time.monotonic() - rotated:.1f} s after the Secret changed"
        )
        assert started(postgres) == before
    finally:
        store.rotate(*old)
        space.apply(*store.secrets())
    space.until("pgrepo", "hippo", is_true("Ready"), "is ready with the old key again", 60)


def test_a_key_whose_secret_part_is_wrong_is_told_apart(postgres: Postgres, space: Kubectl, store: Store):
    """The store repeats the access key and the signed request in its answer to that."""
    key, _ = store.keys
    space.apply(secret_of("s3-keys", {"s3-key": key, "s3-key-secret": "not-the-right-one"}))
    told = space.until("pgrepo", "hippo", says("Reachable", "False", "the secret key does not belong to"), "knows", 60)
    assert condition(told, "Reachable")["reason"] == "BadKey"
    wal = switch_wal(postgres)
    why = says("Archiving", "False", "storage s3: the secret key does not belong to the access key")
    failing = space.until("pgrepo", "hippo", why, "says why WAL waits", 90)
    assert failing["status"]["phase"] == "Degraded"
    until(lambda: "secret key" in _sidecar(space), "the sidecar says why", 60, lambda: _sidecar(space)[-2000:])
    space.apply(*store.secrets())
    space.until("pgrepo", "hippo", is_true("Ready"), "is ready again", 60)
    switch_wal(postgres)
    until(lambda: wal in segments(space, 1), f"{wal} arrives", 120, lambda: str(sorted(segments(space, 1))))


def test_keys_are_in_no_argument_variable_log_event_or_status(postgres: Postgres, space: Kubectl, store: Store):
    """After all of the above: what anybody can read of the namespace, and every process's arguments and variables."""
    told = {
        kind: space.run("get", kind, "-o", "yaml").stdout
        for kind in ("pgwarden", "pods", "jobs", "events", "configmaps")
    }
    told["deployments"] = space.run("get", "deployments,statefulsets", "-o", "yaml").stdout
    for pod in space.list("pods"):
        name = pod["metadata"]["name"]
        told[f"logs of {name}"] = space.run("logs", name, "--all-containers", "--prefix").stdout
    system = space.within("pgwarden-system")
    told["the controller's log"] = system.run("logs", "deployment/pgwarden-controller").stdout
    told["the webhook's log"] = system.run("logs", "-l", "app.kubernetes.io/component=webhook", "--tail=-1").stdout
    look = "for p in /proc/[0-9]*; do tr '\\0' '\\n' < $p/cmdline; tr '\\0' '\\n' < $p/environ; done 2>/dev/null; true"
    told["processes beside PostgreSQL"] = postgres.run("sh", "-c", look)
    assert "archive" in told["processes beside PostgreSQL"]
    assert "job ends" in "".join(text for name, text in told.items() if name.startswith("logs of"))
    found = [(what, number) for what, text in told.items() for number, key in enumerate(store.keys) if key in text]
    assert found == []


def _restore(space: Kubectl, postgres: Postgres, name: str, target: dict | None) -> None:
    space.apply(restore(name, target))
    done = space.until("pgr", name, phase("Completed", "Failed"), "ends", 300)
    assert done["status"]["phase"] == "Completed", done["status"]["message"]
    postgres.wait_ready()


def _wait_for_defaults(space: Kubectl, made: dict) -> None:
    """A webhook of before, which ends, may answer a few seconds longer."""

    def dry_run() -> str:
        done = space.run("apply", "--dry-run=server", "-f", "-", stdin=json.dumps(made), check=False)
        return "" if done.returncode == 0 else done.stderr

    until(lambda: not dry_run(), "every webhook knows the new defaults", 60, dry_run)


def _sidecar(space: Kubectl) -> str:
    return space.run("logs", "postgres-0", "-c", "pgwarden").stdout
