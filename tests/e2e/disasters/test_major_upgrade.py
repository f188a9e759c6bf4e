"""A StatefulSet that is taken from PostgreSQL 16 to 17 by pg_upgrade, in the same data directory and in a new one.

Told as such; taken on by spec.postgres.majorVersion; and what was backed up before stays restorable by its own image.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from harness import foretold, images
from harness.kubectl import Kubectl, condition, is_true, phase
from harness.objects import archived, backup, info, repository, restore
from harness.postgres import Postgres, statefulset

PGDATA = "/var/lib/postgresql/data/pgdata"
ROWS = "SELECT count(*), md5(string_agg(n::text, ',' ORDER BY n)) FROM notes AS n"
KINDS = ["same", "new"]

#: As the handbook of any image does it: a second data directory, which takes the name of the first, or keeps its own.
UPGRADE = f"""
set -eu
old={PGDATA} new=$1 keep=$2
cd /tmp
/usr/lib/postgresql/17/bin/initdb -D "$new" --username=postgres --encoding=UTF8 --locale=C.UTF-8 > /dev/null
/usr/lib/postgresql/17/bin/pg_upgrade --link -U postgres \
  -b /usr/lib/postgresql/16/bin -B /usr/lib/postgresql/17/bin -d "$old" -D "$new"
cp "$old/pg_hba.conf" "$new/pg_hba.conf"
[ "$keep" = new ] || {{ rm -rf "$old"; mv "$new" "$old"; }}
"""


@dataclass
class Case:
    space: Kubectl
    kind: str
    postgres: Postgres
    before: str = ""  # the rows at the end of PostgreSQL 16
    label: str = ""  # of the set of PostgreSQL 16
    known: dict = field(default_factory=dict)  # the Repository when 17 ran, and nobody had said that this was meant

    @property
    def data(self) -> str:
        return f"{PGDATA}17" if self.kind == "new" else PGDATA


@pytest.fixture(scope="module")
def old_image(installed) -> str:
    return images.loaded(installed.cluster, images.OLD_MAJOR)


@pytest.fixture(scope="module")
def cases(installed, space: Kubectl, old_image: str) -> Iterator[dict[str, Case]]:
    """Upgraded, with the new image, and seen as such."""
    other = space.within(f"{space.namespace}-new")
    space.run("create", "namespace", other.namespace)
    made = {"same": begun(space, "same", old_image), "new": begun(other, "new", old_image)}
    for case in made.values():
        upgrade(case, old_image)
        set_image(case, installed.postgres_image)
    for case in made.values():
        case.postgres.wait_ready(240)
        case.known = case.space.until("pgrepo", "hippo", reason("StanzaCreated", "MajorVersionMismatch"), "says so", 90)
    yield made
    space.run("delete", "namespace", other.namespace, "--wait=false")


@pytest.mark.parametrize("kind", KINDS)
def test_an_upgraded_server_is_told_as_such_and_its_wal_waits(cases: dict[str, Case], kind: str):
    case = cases[kind]
    assert case.postgres.sql("SHOW server_version_num").startswith("17")
    assert case.postgres.sql(ROWS) == case.before
    said = condition(case.known, "StanzaCreated")
    assert "pod postgres-0 runs PostgreSQL 17" in said["message"]
    assert "stanza hippo of PostgreSQL 16" in said["message"]
    assert "set spec.postgres.majorVersion: 17" in said["message"]
    assert case.known["status"]["phase"] == "Failed"
    case.postgres.sql("INSERT INTO notes VALUES (-1, 'of 17, not archived yet'); SELECT pg_switch_wal()")
    case.space.until("pgrepo", "hippo", lambda one: one["status"].get("unarchivedWAL"), "counts the WAL that waits", 90)
    assert len({one["id"] for one in info(case.space)["db"]}) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_one_field_takes_it_on_and_a_full_backup_follows_by_itself(cases: dict[str, Case], kind: str):
    case = cases[kind]
    case.space.run("patch", "pgrepo", "hippo", "--type=merge", "-p", '{"spec":{"postgres":{"majorVersion":17}}}')
    case.space.until("pgrepo", "hippo", is_true("StanzaCreated"), "has an upgraded stanza", 90)
    case.space.until("pgrepo", "hippo", is_true("Archiving"), "archives again", 180)
    versions = {one["id"]: one["version"] for one in info(case.space)["db"]}
    assert versions == {1: "16", 2: "17"}
    case.space.until(
        "pgrepo", "hippo", lambda one: not one["status"].get("unarchivedWAL"), "has no WAL that waits", 120
    )

    def has_full(one: dict) -> bool:
        listed = one["status"].get("backups", [])
        return len(listed) == 2 and listed[0]["type"] == "full" and "postgresVersion" not in listed[0]

    done = case.space.until("pgrepo", "hippo", has_full, "has a full backup of PostgreSQL 17", 240)
    assert done["status"]["backups"][1]["label"] == case.label
    assert done["status"]["backups"][1]["postgresVersion"] == "16"
    assert [one["reason"] for one in events(case.space, "Repository") if one["reason"] == "StanzaUpgraded"]
    assert archived(case.space)


@pytest.mark.parametrize("kind", KINDS)
def test_a_set_of_the_old_version_is_not_put_under_the_new_server(cases: dict[str, Case], kind: str):
    case = cases[kind]
    pod = case.space.get("pod", "postgres-0")["metadata"]["uid"]
    case.space.apply(restore("old", set=case.label))
    done = case.space.until("pgr", "old", phase("Completed", "Failed"), "ends", 120)
    assert (done["status"]["phase"], done["status"]["reason"]) == ("Failed", "SetOfOtherVersion")
    said = done["status"]["message"]
    assert f"backup set {case.label} is of PostgreSQL 16, and StatefulSet postgres runs PostgreSQL 17" in said
    assert "spec.volumeClaim" in said
    assert case.space.get("pod", "postgres-0")["metadata"]["uid"] == pod


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_backed_up_since_is_restored_in_place(cases: dict[str, Case], kind: str):
    case = cases[kind]
    case.postgres.sql("INSERT INTO notes VALUES (-2, 'of 17, after the upgrade')")
    rows = case.postgres.sql(ROWS)
    foretold.carried_out(case.space, restore("latest"))
    case.postgres.wait_ready()
    assert case.postgres.sql(ROWS) == rows


@pytest.mark.parametrize("kind", KINDS)
def test_a_set_of_the_old_version_comes_back_in_a_claim_of_its_own_under_its_own_image(
    cases: dict[str, Case], kind: str, old_image: str
):
    case = cases[kind]
    foretold.carried_out(case.space, restore("before", set=case.label, volumeClaim="before", image=old_image))
    case.space.apply(reader(old_image, "before", case.data))
    copy = Postgres(case.space, pod="reader")
    copy.wait_ready(180)
    assert copy.sql("SHOW server_version_num").startswith("16")
    assert copy.sql(ROWS) == case.before


# --- how it is done -----------------------------------------------------------------------------------------------


def begun(space: Kubectl, kind: str, image: str) -> Case:
    """PostgreSQL 16 with a full backup, and rows after it; all of it is archived."""
    documents = statefulset(image)
    container = documents[-1]["spec"]["template"]["spec"]["containers"][0]
    container["env"].append({"name": "PGDATA", "value": PGDATA})
    space.apply(repository(), *documents)
    postgres = Postgres(space)
    postgres.wait_ready()
    space.until("pgrepo", "hippo", is_true("Archiving"), "archives", 120)
    postgres.sql("CREATE TABLE notes AS SELECT i AS id, md5(i::text) AS said FROM generate_series(1, 5000) AS i")
    space.apply(backup("base", "--type=full"))
    done = space.until("pgb", "base", phase("Completed", "Failed"), "ends", 180)
    assert done["status"]["phase"] == "Completed", done["status"]["message"]
    postgres.sql("INSERT INTO notes VALUES (0, 'after the backup, by PostgreSQL 16')")
    label = info(space)["backup"][-1]["label"]
    return Case(space, kind, postgres, postgres.sql(ROWS), label)


def upgrade(case: Case, image: str) -> None:
    """With PostgreSQL stopped, in a pod of its own on the claim."""
    space = case.space
    space.run("scale", "statefulset", "postgres", "--replicas=0")
    space.run("wait", "--for=delete", "pod/postgres-0", "--timeout=120s", seconds=150)
    container = {
        "name": "upgrade",
        "image": image,
        "imagePullPolicy": "Never",
        "command": ["bash", "-c", UPGRADE, "upgrade", f"{PGDATA}17", case.kind],
        "volumeMounts": [{"name": "data", "mountPath": "/var/lib/postgresql/data"}],
        "securityContext": {"runAsUser": 999, "runAsGroup": 999},
    }
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": "data-postgres-0"}}
    spec = {"containers": [container], "volumes": [volume], "restartPolicy": "Never"}
    space.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "upgrade"}, "spec": spec})
    ended = space.until("pod", "upgrade", phase("Succeeded", "Failed"), "ends", 180)
    assert ended["status"]["phase"] == "Succeeded", space.run("logs", "upgrade").stdout[-4000:]
    space.delete("pod", "upgrade")


def set_image(case: Case, image: str) -> None:
    container: dict = {"name": "postgres", "image": image}
    if case.kind == "new":
        container["env"] = [{"name": "PGDATA", "value": case.data}]
    patch = {"spec": {"replicas": 1, "template": {"spec": {"containers": [container]}}}}
    case.space.run("patch", "statefulset", "postgres", "--type=strategic", "-p", json.dumps(patch))


def reason(kind: str, wanted: str):
    return lambda one: (condition(one, kind) or {}).get("reason") == wanted


def events(space: Kubectl, kind: str) -> list[dict]:
    return [one for one in space.list("events") if one["involvedObject"]["kind"] == kind]


def reader(image: str, claim: str, data: str) -> dict:
    """PostgreSQL 16 on the copy, which has recovered; it archives nothing."""
    pod = statefulset(image, repository="")[-1]["spec"]["template"]
    container = pod["spec"]["containers"][0]
    container["command"] = ["bash", "-c", "exec docker-entrypoint.sh postgres -c archive_mode=off"]
    container["env"].append({"name": "PGDATA", "value": data})
    pod["spec"]["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]
    return {"apiVersion": "v1", "kind": "Pod"} | pod | {"metadata": pod["metadata"] | {"name": "reader"}}
