"""Keys of their own for pods and clones, by the policy that docs/s3.md has: all works with them, and who has them cannot
delete, or not even write.

The attacker is a superuser of the database: commands run as COPY FROM PROGRAM does, beside PostgreSQL.
"""

from __future__ import annotations

import base64
import json
import uuid
from pathlib import Path

import pytest

from harness.cluster import Cluster, manifest
from harness.kubectl import Kubectl, Object, is_true, phase
from harness.objects import PGBACKREST, backup, info, restore
from harness.postgres import Postgres, statefulset
from harness.s3 import Store, repository, secret_of
from harness.s3_steps import figure, segments, started, switch_wal
from harness.waiting import until

PAGE = Path(__file__).parents[2] / "docs" / "s3.md"
CREDENTIALS = "/pgwarden/conf/conf.d/credentials.conf"
Keys = tuple[str, str]


class People:
    """The users of the bucket and what they may do in it."""

    def __init__(self, store: Store, bucket: str, namespace: str) -> None:
        self.store, self.bucket = store, bucket
        self.folder = f"pgwarden/{namespace}/hippo"
        self.host, self.pods, self.others, self.clones = (store.make_account() for _ in range(4))
        self._namespace = namespace

    def allow(self, *pods: Keys) -> None:
        """The host's rights to the host's user, and those of pods, as the page has them, to each of *pods*."""
        documented = PAGE.read_text(encoding="utf-8").split("```json")[1].split("```")[0]
        mine = documented.replace("my-backups", self.bucket).replace("shop", self._namespace)
        one = json.loads(mine)["Statement"]
        assert [statement["Action"] for statement in one] == ["s3:GetObject", "s3:ListBucket", "s3:PutObject"]
        given = [statement | {"Principal": {"AWS": access}} for access, _ in pods for statement in one]
        given += [statement | {"Principal": {"AWS": self.clones[0]}} for statement in one[:-1]]
        self.store.set_policy(self.bucket, [*given, *self._of_host()])

    def _of_host(self) -> list[Object]:
        allow: Object = {"Effect": "Allow", "Principal": {"AWS": self.host[0]}}
        bucket = f"arn:aws:s3:::{self.bucket}"
        actions = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
        listed = {"StringLike": {"s3:prefix": f"{self.folder}/*"}}
        return [
            allow | {"Action": actions, "Resource": f"{bucket}/{self.folder}/*"},
            allow | {"Action": "s3:ListBucket", "Resource": bucket, "Condition": listed},
        ]

    def backups(self, label: str) -> list[str]:
        """The objects of a backup set."""
        found = self.store.objects(self.bucket)
        return [path for path in found if path.startswith(f"{self.folder}/backup/hippo/{label}/")]


@pytest.fixture(scope="module")
def people(installed, space: Kubectl) -> People:
    store = Store(installed.cluster._own())
    found = People(store, store.make_bucket(f"apart-{uuid.uuid4().hex[:6]}"), space.namespace)
    found.allow(found.pods)
    return found


@pytest.fixture(scope="module")
def postgres(installed, space: Kubectl, people: People) -> Postgres:
    """Archiving, with the keys of pods; two full backups, `first` and `second`, made with the host's."""
    secrets = {"host-keys": people.host, "pod-keys": people.pods, "clone-keys": people.clones}
    space.apply(
        *(secret_of(name, _data(keys)) for name, keys in secrets.items()),
        secret_of("s3-ca", {"ca.crt": people.store.ca}),
    )
    of = {"credentials": "host-keys", "podCredentials": "pod-keys", "cloneCredentials": "clone-keys"}
    fields = {f"{who}SecretRef": {"name": name} for who, name in of.items()}
    mine = repository("s3", people.bucket, s3=fields, cloneableFrom=[f"{space.namespace}-far"])
    space.apply(mine, *statefulset(installed.postgres_image))
    found = Postgres(space)
    found.wait_ready()
    space.until("pgrepo", "hippo", is_true("Archiving"), "archives", 120)
    for name in ("first", "second"):
        space.apply(backup(name, type="full", deletionPolicy="Delete" if name == "second" else "Retain"))
        done = space.until("pgb", name, phase("Completed", "Failed"), "ends", 180)
        assert done["status"]["phase"] == "Completed", done["status"]["message"]
    return found


def test_the_pod_has_its_own_keys_and_nothing_there_has_the_hosts(postgres: Postgres, people: People):
    given = postgres.sql(f"SELECT pg_read_file('{CREDENTIALS}')")
    assert f"repo1-s3-key={people.pods[0]}" in given.splitlines()
    assert f"repo1-s3-key-secret={people.pods[1]}" in given.splitlines()
    found = beside(postgres, f"grep -rlsE '{'|'.join(people.host)}' /pgwarden /proc/[0-9]*/environ")
    assert found == ""
    sure = beside(postgres, f"grep -rlsE '{'|'.join(people.pods)}' /pgwarden")
    assert CREDENTIALS in sure.splitlines()  # the search finds what is there


def test_wal_a_backup_and_a_restore_to_a_moment_work(postgres: Postgres, space: Kubectl):
    postgres.sql("CREATE TABLE accounts AS SELECT i AS id, md5(i::text) AS name FROM generate_series(1, 5000) AS i")
    rows = postgres.rows("accounts")
    moment = postgres.sql("SELECT clock_timestamp()")
    postgres.sql("DROP TABLE accounts")
    space.apply(restore("rewind", {"time": moment}))
    done = space.until("pgr", "rewind", phase("Completed", "Failed"), "ends", 300)
    assert done["status"]["phase"] == "Completed", done["status"]["message"]
    postgres.wait_ready()
    assert postgres.rows("accounts") == rows
    _archives(space, postgres)


def test_pgbackrest_beside_postgresql_can_read_the_backups_and_not_delete_one(
    postgres: Postgres, space: Kubectl, people: People
):
    label = space.get("pgb", "first")["status"]["label"]
    before = people.backups(label)
    assert len(before) > 1
    read = pgbackrest(postgres, "--stanza=hippo", "info")
    assert label in read
    for words in (
        ["repo-rm", f"backup/hippo/{label}/backup.manifest"],
        ["repo-rm", "--recurse", f"backup/hippo/{label}"],
        ["--stanza=hippo", f"--set={label}", "expire"],
    ):
        said = pgbackrest(postgres, *words)
        figure(f"{words}: {said[:200]}")
        assert "403 (Forbidden)" in said or "AccessDenied" in said, said
    assert people.backups(label) == before


def test_the_store_refuses_each_deletion_and_change_of_a_backup_with_keys_that_were_taken_from_the_pod(
    postgres: Postgres, space: Kubectl, people: People
):
    lines = postgres.sql(f"SELECT pg_read_file('{CREDENTIALS}')").splitlines()
    taken = dict(line.split("=", 1) for line in lines if "=" in line)
    keys = taken["repo1-s3-key"], taken["repo1-s3-key-secret"]
    label = space.get("pgb", "first")["status"]["label"]
    manifest = f"/{people.bucket}/{people.folder}/backup/hippo/{label}/backup.manifest"
    archive = f"/{people.bucket}/{people.folder}/archive/hippo/archive.info"
    assert people.store.ask("GET", manifest, keys)[0] == 200
    for method, path in (("DELETE", manifest), ("DELETE", archive), ("PUT", manifest)):
        status, said = people.store.ask(method, path, keys)
        figure(f"{method} {path}: {status}")
        assert (status, "AccessDenied" in said) == (403, True), said
    assert people.store.ask("GET", manifest, people.host)[0] == 200
    elsewhere = f"/{people.bucket}/pgwarden/other/rhino/archive/rhino/x"
    assert people.store.ask("PUT", elsewhere, keys)[0] == 403


def test_where_all_is_in_the_bucket_no_pod_finds_a_server_in_the_host(postgres: Postgres, space: Kubectl):
    """It would do what it is asked."""
    peer = {
        "": f"hippo-pgbackrest.{space.namespace}.svc", "-type": "tls", "-port": "8432",
        "-ca-file": "/pgwarden/conf/ca.crt", "-cert-file": "/pgwarden/conf/tls.crt",
        "-key-file": "/pgwarden/conf/tls.key", "-config": "/pgwarden/conf/pgbackrest.conf",
        "-config-include-path": "/pgwarden/conf/conf.d",
    }  # fmt: skip
    words = [f"--repo1-host{key}={value}" for key, value in peer.items()]
    folders = ["--log-level-file=off", "--log-level-console=info", "--io-timeout=3"]
    said = beside(
        postgres,
        " ".join([PGBACKREST[0], "--no-config", "--stanza=hippo", *folders, *words, "repo-ls", "backup/hippo"]),
    )
    figure(said[:300])
    assert "connection refused" in said.lower()
    assert "backup.info" not in said


def test_a_clone_in_another_namespace_is_made_with_keys_that_may_only_read(
    postgres: Postgres, space: Kubectl, far: Kubectl, people: People
):
    rows, wal = postgres.rows("accounts"), switch_wal(postgres)
    until(lambda: wal in segments(space, 1), f"{wal} arrives", 90, lambda: str(sorted(segments(space, 1))))
    far.apply(manifest("copy", 1, dataSource={"repository": "hippo", "namespace": space.namespace}))
    given = far.until("secret", "copy-source", lambda one: "data" in one, "has what the clone is given", 120)
    told = "".join(base64.b64decode(value).decode() for value in given["data"].values())
    assert f"repo1-s3-key={people.clones[0]}\n" in told
    assert [keys for keys in (people.host, people.pods) if keys[0] in told or keys[1] in told] == []
    manifest_of = f"/{people.bucket}/{people.backups(space.get('pgb', 'first')['status']['label'])[0]}"
    segment = f"/{people.bucket}/{people.folder}/archive/hippo/16-1/0000000100000000/000000010000000000000001-x"
    assert people.store.ask("GET", manifest_of, people.clones)[0] == 200
    for method, path in (("DELETE", manifest_of), ("PUT", manifest_of), ("PUT", segment)):
        status, said = people.store.ask(method, path, people.clones)
        figure(f"a clone's keys, {method} {path}: {status}")
        assert (status, "AccessDenied" in said) == (403, True), said
    copy = Cluster(far, "copy")
    copy.wait_ready(300)
    assert copy.postgres().rows("accounts") == rows


def test_the_host_expires_what_the_pod_could_not(postgres: Postgres, space: Kubectl, people: People):
    label = space.get("pgb", "second")["status"]["label"]
    assert people.backups(label)
    space.run("delete", "pgb", "second", "--wait=false")
    until(lambda: space.get("pgb", "second") is None, "its finalizer is gone", 120)
    assert people.backups(label) == []
    assert label not in [one["label"] for one in info(space)["backup"]]


def test_other_keys_in_the_secret_reach_the_pod_without_a_restart(postgres: Postgres, space: Kubectl, people: People):
    before = started(postgres)
    people.allow(people.pods, people.others)
    space.apply(secret_of("pod-keys", _data(people.others)))
    read = f"SELECT pg_read_file('{CREDENTIALS}')"
    until(lambda: f"repo1-s3-key={people.others[0]}" in postgres.sql(read).splitlines(), "the pod has them", 90)
    people.allow(people.others)
    _archives(space, postgres)
    assert started(postgres) == before
    space.until("pgrepo", "hippo", is_true("Reachable"), "is reached with the host's keys as before", 30)


def _data(keys: Keys) -> dict[str, str]:
    return {"s3-key": keys[0], "s3-key-secret": keys[1]}


def _archives(space: Kubectl, postgres: Postgres) -> None:
    wal = switch_wal(postgres)
    until(lambda: wal in segments(space, 1), f"{wal} arrives", 90, lambda: str(sorted(segments(space, 1))))


def pgbackrest(postgres: Postgres, *words: str) -> str:
    """With the configuration that archive_command has."""
    return beside(postgres, " ".join([*PGBACKREST, *words]))


def beside(postgres: Postgres, command: str) -> str:
    """What *command* prints that a superuser of the database has PostgreSQL run. Its end is not looked at."""
    quoted = f"({command}) 2>&1; true".replace("'", "''")
    lines = "FORMAT csv, DELIMITER E'\\x01', QUOTE E'\\x02'"
    return postgres.sql(
        f"CREATE TEMP TABLE said (line text); COPY said FROM PROGRAM '{quoted}' WITH ({lines}); SELECT line FROM said"
    )
