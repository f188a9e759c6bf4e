"""A repository that a bare server's pgBackRest has laid: read, cloned from and taken over, with its own stanza, path, cipher
and no bundles. Until it is taken over nothing in the bucket changes.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass

import pytest

from harness.cluster import Cluster, manifest
from harness.kubectl import Kubectl, Object, condition, is_true, phase
from harness.objects import backup
from harness.postgres import SWITCH, Postgres, statefulset
from harness.s3 import ENDPOINT, REGION, Store, repository, secret_of
from harness.waiting import until
from pgwarden.api import names
from pgwarden.contract import programs

STANZA, PATH, PASSPHRASE = "main", "/backups/pg", "of-the-old-server"
CONF = """[global]
repo1-type=s3
repo1-path={path}
repo1-s3-bucket={bucket}
repo1-s3-endpoint={endpoint}
repo1-s3-region={region}
repo1-s3-uri-style=path
repo1-s3-key={key}
repo1-s3-key-secret={secret}
repo1-storage-ca-file=/etc/pgbackrest/ca.crt
repo1-cipher-type=aes-256-cbc
repo1-cipher-pass={passphrase}
repo1-retention-full=2
log-level-file=off
lock-path=/tmp/lock

[{stanza}]
pg1-path=/var/lib/postgresql/data
pg1-user=postgres
"""
PGBACKREST = (f"{names.TOOLS_DIR}/bin/pgbackrest", "--config=/etc/pgbackrest/pgbackrest.conf", f"--stanza={STANZA}")
ROWS = "SELECT count(*), md5(string_agg(id || name, ',' ORDER BY id)) FROM accounts"


@dataclass(frozen=True)
class Old:
    """The bare server, what it has, and each object of its bucket with its checksum."""

    postgres: Postgres
    store: Store
    bucket: str
    image: str
    rows: str
    objects: dict[str, str]

    def now(self) -> dict[str, str]:
        return objects(self.store, self.bucket)

    def repository(self, **spec: object) -> Object:
        return repository(
            "s3", self.bucket, name="old", stanza=STANZA, s3={"path": PATH}, encryption={"secretRef": {"name": "old"}}, **spec
        )  # fmt: skip


def objects(store: Store, bucket: str) -> dict[str, str]:
    return {path: hashlib.sha256(store.content(bucket, path)).hexdigest() for path in store.objects(bucket)}


def bare(image: str, tools: str) -> list[Object]:
    """A StatefulSet that archives by pgBackRest, as people run it by hand."""
    documents = statefulset(image, repository="")
    spec = documents[-1]["spec"]["template"]["spec"]
    folder = {"name": "tools", "mountPath": names.TOOLS_DIR}
    copy = {"name": "tools", "image": tools, "command": [*programs.INSTALL_TOOLS, "--to", names.TOOLS_TARGET]}
    target = folder | {"mountPath": names.TOOLS_TARGET}
    spec["initContainers"] = [copy | {"imagePullPolicy": "IfNotPresent", "volumeMounts": [target]}]
    spec["volumes"] = [{"name": "tools", "emptyDir": {}}, {"name": "conf", "secret": {"secretName": "bare"}}]
    container = spec["containers"][0]
    container["volumeMounts"] += [folder, {"name": "conf", "mountPath": "/etc/pgbackrest", "readOnly": True}]
    archive = " ".join((*PGBACKREST, "archive-push", "%p"))
    container["args"] = ["-c", "archive_mode=on", "-c", f"archive_command={archive}", "-c", "archive_timeout=1h"]
    return documents


@pytest.fixture(scope="module")
def old(installed, space: Kubectl) -> Old:
    if installed.cluster.local is None:
        pytest.skip("the store is the local cluster's own")
    store = Store(installed.cluster.local)
    bucket = store.make_bucket(f"old-{uuid.uuid4().hex[:6]}")
    key, secret = store.keys
    conf = CONF.format(
        path=PATH, bucket=bucket, endpoint=ENDPOINT, region=REGION, key=key, secret=secret, passphrase=PASSPHRASE, stanza=STANZA
    )  # fmt: skip
    space.apply(
        *store.secrets(), secret_of("old", {"cipher-pass": PASSPHRASE}),
        secret_of("bare", {"pgbackrest.conf": conf, "ca.crt": store.ca}),
        *bare(installed.postgres_image, installed.image),
    )  # fmt: skip
    postgres = Postgres(space)
    postgres.wait_ready()
    as_postgres = ("setpriv", "--reuid=999", "--regid=999", "--clear-groups")
    postgres.run(*as_postgres, *PGBACKREST, "stanza-create")
    postgres.sql("CREATE TABLE accounts AS SELECT i AS id, md5(i::text) AS name FROM generate_series(1, 20000) AS i")
    postgres.run(*as_postgres, *PGBACKREST, "--type=full", "backup")
    postgres.sql("INSERT INTO accounts SELECT i, md5(i::text) FROM generate_series(20001, 21000) AS i")
    postgres.run(*as_postgres, *PGBACKREST, "--type=incr", "backup")
    postgres.sql("DELETE FROM accounts WHERE id % 7 = 0")
    rows, last = postgres.sql(ROWS), postgres.sql(SWITCH)
    until(lambda: any(f"/{last}-" in path for path in store.objects(bucket)), f"{last} is in the bucket", 60)
    return Old(postgres, store, bucket, installed.postgres_image, rows, objects(store, bucket))


@pytest.fixture(scope="module")
def read(old: Old, space: Kubectl) -> Object:
    """The Repository over it, read-only."""
    space.apply(old.repository(accessMode="ReadOnly"))
    return space.until("pgrepo", "old", phase("ReadOnly"), "is read", 120)


def test_what_is_there_is_told_and_protects_nobody(read: Object, old: Old):
    status = read["status"]
    assert status["stanza"] == STANZA
    assert [one["type"] for one in status["backups"]] == ["incr", "full"]  # the newest first
    assert status["recoveryWindow"]
    assert condition(read, "Reachable")["status"] == "True"
    assert condition(read, "StanzaCreated")["status"] == "True"
    for kind in ("Ready", "Archiving"):
        said = condition(read, kind)
        assert (said["status"], said["reason"]) == ("False", "ReadOnly")
    assert old.now() == old.objects


def test_whatever_would_write_is_refused(read: Object, old: Old, space: Kubectl):
    assert "Repository old is read-only; set its spec.accessMode to ReadWrite first" in space.refused(
        backup("now", repository="old")
    )
    pod = statefulset(old.image, name="new", repository="old")[-1]["spec"]["template"]
    made = {"apiVersion": "v1", "kind": "Pod"} | pod
    made["metadata"] = made["metadata"] | {"name": "new"}
    made["spec"]["volumes"] = [{"name": "data", "emptyDir": {}}]
    assert "this Repository is read-only" in space.refused(made)


def test_a_cluster_begins_with_its_rows_and_nothing_in_the_bucket_changes(read: Object, old: Old, space: Kubectl):
    space.apply(manifest("fresh", 1, dataSource={"repository": "old"}))
    fresh = Cluster(space, "fresh")
    fresh.wait_ready(300)
    assert fresh.sql(ROWS) == old.rows
    assert old.now() == old.objects
    space.delete("pgc", "fresh")


def test_taken_over_its_server_archives_and_backs_up_onto_what_is_there(read: Object, old: Old, space: Kubectl):
    patch = '{"spec": {"accessMode": "ReadWrite"}}'
    said = space.run("patch", "pgrepo", "old", "--type=merge", "-p", patch).stderr
    assert f"pgwarden writes to stanza {STANZA} from now on" in said
    documents = statefulset(old.image, repository="old")
    space.delete("statefulset", "postgres")
    space.apply(*documents)
    old.postgres.wait_ready()
    space.until("pgrepo", "old", is_true("Archiving"), "archives", 120)
    assert old.postgres.sql(ROWS) == old.rows
    space.apply(backup("next", "--type=incr", repository="old"))
    done = space.until("pgb", "next", phase("Completed", "Failed"), "ends", 180)
    assert done["status"]["phase"] == "Completed", done["status"].get("message")
    first = next(one["label"] for one in read["status"]["backups"] if one["type"] == "full")
    assert done["status"]["label"].startswith(f"{first}_")
    now = old.now()
    changed = {path for path, digest in old.objects.items() if now.get(path) != digest}
    assert {path.rpartition("/")[2] for path in changed} <= {
        "archive.info", "archive.info.copy", "backup.info", "backup.info.copy", "latest"
    }  # fmt: skip
    space.refused(old.repository(accessMode="ReadOnly"))
