"""Somebody with the pod's own keys overwrites and deletes all backups and WAL in the bucket. It keeps versions: what
was there is read as of before, with the rights that docs/s3.md names, into a new claim and into a new PostgresCluster.
"""

from __future__ import annotations

import json
import re
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from harness.cluster import Cluster, manifest
from harness.kubectl import Kubectl, Object, is_true, phase
from harness.objects import backup, info, restore
from harness.postgres import Postgres, reader, statefulset
from harness.s3 import Store, repository, secret_of
from harness.s3_steps import figure, segments, switch_wal
from harness.waiting import until

PAGE = Path(__file__).parents[2] / "docs" / "s3.md"
CREDENTIALS = "/pgwarden/conf/conf.d/credentials.conf"
#: What an attacker does to an object; the n-th object meets the n-th, and then from the first again.
DEEDS = (["DELETE"], ["PUT"], ["PUT", "DELETE"])


class Bucket:
    """That keeps versions, and a user who may do in one folder what a Repository needs, and read versions there."""

    def __init__(self, store: Store, namespace: str) -> None:
        self.store, self.name = store, store.make_bucket(f"held-{uuid.uuid4().hex[:6]}")
        self.folder = f"pgwarden/{namespace}/hippo"
        store.keep_versions(self.name)
        self.keys = store.make_account()
        documented = PAGE.read_text(encoding="utf-8").split("```json")[2].split("```")[0]
        versions = json.loads(documented.replace("my-backups", self.name).replace("shop", namespace))["Statement"]
        assert [one["Action"] for one in versions][:2] == ["s3:GetObjectVersion", "s3:ListBucketVersions"]
        principal = {"Principal": {"AWS": self.keys[0]}}
        store.set_policy(self.name, [one | principal for one in [*self._usual(), *versions]])

    def _usual(self) -> list[Object]:
        where, listed = f"arn:aws:s3:::{self.name}", {"StringLike": {"s3:prefix": f"{self.folder}/*"}}
        actions = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
        return [
            {"Effect": "Allow", "Action": actions, "Resource": f"{where}/{self.folder}/*"},
            {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": where, "Condition": listed},
        ]

    def files(self) -> list[str]:
        return [path for path in self.store.objects(self.name) if path.startswith(f"{self.folder}/")]


@pytest.fixture(scope="module")
def bucket(installed, space: Kubectl) -> Bucket:
    return Bucket(Store(installed.cluster._own()), space.namespace)


@pytest.fixture(scope="module")
def postgres(installed, space: Kubectl, bucket: Bucket) -> Postgres:
    """With a full backup, and rows in WAL after it, all of it archived."""
    key, secret = bucket.keys
    space.apply(
        secret_of("s3-keys", {"s3-key": key, "s3-key-secret": secret}),
        secret_of("s3-ca", {"ca.crt": bucket.store.ca}),
        repository("s3", bucket.name),
        *statefulset(installed.postgres_image),
    )
    found = Postgres(space)
    found.wait_ready()
    space.until("pgrepo", "hippo", is_true("Archiving"), "archives", 120)
    found.sql("CREATE TABLE accounts AS SELECT i AS id, md5(i::text) AS name FROM generate_series(1, 5000) AS i")
    space.apply(backup("full", type="full"))
    done = space.until("pgb", "full", phase("Completed", "Failed"), "ends", 180)
    assert done["status"]["phase"] == "Completed", done["status"]["message"]
    found.sql("INSERT INTO accounts SELECT i, 'after the backup' FROM generate_series(5001, 6000) AS i")
    last = switch_wal(found)
    until(lambda: last in segments(space, 1), f"segment {last} is archived", 60)
    return found


@pytest.fixture(scope="module")
def rows(postgres: Postgres) -> str:
    return postgres.rows("accounts")


@pytest.fixture(scope="module")
def before(rows: str) -> str:
    """A time after all that was archived, and before the attack."""
    noted = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
    until(lambda: datetime.now(UTC) > noted + timedelta(seconds=1), "the noted second is over", 10)
    return f"{noted:%Y-%m-%dT%H:%M:%SZ}"


@pytest.fixture(scope="module")
def attacked(postgres: Postgres, bucket: Bucket, before: str) -> tuple[str, str]:
    """The pod's keys, as they were taken from its configuration and used."""
    lines = postgres.sql(f"SELECT pg_read_file('{CREDENTIALS}')").splitlines()
    taken = dict(line.split("=", 1) for line in lines if "=" in line)
    keys = taken["repo1-s3-key"], taken["repo1-s3-key-secret"]
    files = bucket.files()
    assert any("/backup.manifest" in path for path in files)
    assert any("/archive/" in path for path in files)
    for number, path in enumerate(files):
        for deed in DEEDS[number % len(DEEDS)]:
            body = b"pay us" if deed == "PUT" else b""
            status, said = bucket.store.ask(deed, f"/{bucket.name}/{path}", keys, body=body)
            assert status in {200, 204}, said
    bucket.store.date_versions(bucket.name)
    figure(f"{len(files)} objects deleted, overwritten, or both, with the keys of the pod")
    return keys


def test_the_status_tells_that_the_bucket_keeps_versions(postgres: Postgres, space: Kubectl):
    def told(one: Object) -> bool:
        return "immutable" in one["status"]["storages"][0]

    found = space.until("pgrepo", "hippo", told, "has been told of the bucket", 90)
    assert found["status"]["storages"][0]["immutable"] == {"versioning": "Enabled"}


def test_the_keys_of_the_pod_cannot_delete_a_version(attacked: tuple[str, str], bucket: Bucket):
    path = next(one for one in bucket.files() if one.endswith("/backup.info"))
    listed = {"query": f"prefix={path.replace('/', '%2F')}&versions="}
    status, said = bucket.store.ask("GET", f"/{bucket.name}", attacked, **listed)
    assert status == 200, said
    versions = re.findall(r"<VersionId>(\w+)</VersionId>", said)
    assert len(versions) > 1
    for version in versions:
        deleted = bucket.store.ask("DELETE", f"/{bucket.name}/{path}", attacked, query=f"versionId={version}")
        assert (deleted[0], "AccessDenied" in deleted[1]) == (403, True), deleted


def test_as_the_bucket_is_now_it_holds_no_backup(attacked: tuple[str, str], space: Kubectl):
    said = info(space)
    figure(str(said["status"]))
    assert said["status"]["code"] != 0
    assert said.get("backup", []) == []


def test_a_restore_reads_the_bucket_as_of_before(
    installed, attacked: tuple[str, str], space: Kubectl, before: str, rows: str
):
    space.apply(restore("as-of-before", volumeClaim="rescued", repoTargetTime=before))
    done = space.until("pgr", "as-of-before", phase("Completed", "Failed"), "ends", 240)
    assert done["status"]["phase"] == "Completed", done["status"]["message"]
    assert done["status"]["forecast"]["set"] == done["status"]["set"]
    figure(done["status"]["message"])
    space.apply(reader(installed.postgres_image, "rescued"))
    copy = Postgres(space, pod="reader")
    copy.wait_ready(120)
    until(lambda: copy.sql("SELECT NOT pg_is_in_recovery()") == "t", "the copy has recovered", 60)
    assert copy.rows("accounts") == rows
    space.delete("pod", "reader")


def test_a_postgrescluster_begins_with_the_bucket_as_of_before(
    attacked: tuple[str, str], space: Kubectl, before: str, rows: str
):
    """The database itself may be lost, too: nothing of it is read."""
    space.apply(manifest("rescue", 1, dataSource={"repository": "hippo", "repoTargetTime": before}))
    found = Cluster(space, "rescue")
    found.wait_ready(300)
    assert found.sql("SELECT * FROM accounts AS t ORDER BY t") == rows
