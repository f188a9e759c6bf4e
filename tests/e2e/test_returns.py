"""Backups and a Restore that come back, from a dump or from their manifests: records of what they did, not orders."""

from __future__ import annotations

import pytest

from harness.kubectl import Kubectl, Object, phase
from harness.objects import backup, info, protect, restore
from harness.postgres import Postgres

BACKUPS = {"whole": "--type=full", "more": "--type=incr", "most": "--type=incr"}
OVER = phase("Completed", "Failed")


@pytest.fixture(scope="module")
def postgres(installed, space: Kubectl) -> Postgres:
    """Three Backups, a Restore to a moment, and a table that was made since."""
    found = protect(space, installed.postgres_image)
    for name, kind in BACKUPS.items():
        space.apply(backup(name, kind))
        space.until("pgb", name, phase("Completed"), "is completed", 120)
    moment = found.sql("SELECT clock_timestamp()")
    found.sql("CREATE TABLE undone (id int)")
    space.apply(restore("rewind", {"time": moment}))
    space.until("pgr", "rewind", OVER, "ends", 240)
    assert space.get("pgr", "rewind")["status"]["phase"] == "Completed"
    assert found.sql("SELECT to_regclass('undone') IS NULL") == "t"
    found.sql("CREATE TABLE since (id int)")
    return found


def seen(postgres: Postgres, space: Kubectl) -> dict[str, object]:
    """What must be as before: the pod, its data, the sets in the repository."""
    pod = space.get("pod", postgres.pod)
    return {
        "table": postgres.sql("SELECT to_regclass('since')"),
        "pod": pod["metadata"]["uid"],
        "sets": [one["label"] for one in info(space)["backup"]],
    }


def is_record(space: Kubectl, kind: str, name: str) -> Object:
    status: Object = space.until(kind, name, OVER, "is over", 300)["status"]
    assert (status["phase"], status["reason"]) == ("Completed", "Record"), status
    assert "pgwarden.io/run-again" in status["message"]
    return status


def test_from_a_dump_they_come_back_as_records_and_nothing_runs(postgres: Postgres, space: Kubectl):
    before = seen(postgres, space)
    labels = {name: space.get("pgb", name)["status"]["label"] for name in BACKUPS}
    dump = space.run("get", "pgb,pgr", "-o", "yaml").stdout
    space.run("delete", "pgb,pgr", "--all")
    space.run("apply", "-f", "-", stdin=dump)
    for kind, name in (("pgr", "rewind"), *(("pgb", name) for name in BACKUPS)):
        space.until(kind, name, OVER, "is over", 300)
    postgres.wait_ready()
    assert seen(postgres, space) == before
    assert is_record(space, "pgr", "rewind")["recoveredTo"]
    assert {name: is_record(space, "pgb", name)["label"] for name in BACKUPS} == labels
    assert [one["metadata"]["name"] for one in space.list("job") if "deletionTimestamp" not in one["metadata"]] == []


def test_from_their_plain_manifests_they_come_back_as_records_too(postgres: Postgres, space: Kubectl):
    before = seen(postgres, space)
    plain = [bare(space.get("pgb", "more")), bare(space.get("pgr", "rewind"))]
    space.run("delete", "pgb/more", "pgr/rewind")
    space.apply(*plain)
    for kind, name in (("pgr", "rewind"), ("pgb", "more")):
        is_record(space, kind, name)
    assert seen(postgres, space) == before


def test_with_the_word_that_the_message_names_it_is_done_again_once(postgres: Postgres, space: Kubectl):
    before = len(info(space)["backup"])
    wanted = bare(space.get("pgb", "more"))
    wanted["metadata"]["annotations"] = {"pgwarden.io/run-again": "after the move"}
    space.delete("pgb", "more")
    space.apply(wanted)
    done = space.until("pgb", "more", OVER, "is over", 120)
    assert (done["status"]["phase"], done["status"]["reason"]) == ("Completed", "Completed")
    space.delete("pgb", "more")
    space.apply(wanted)
    assert is_record(space, "pgb", "more")["label"] == done["status"]["label"]
    assert len(info(space)["backup"]) == before + 1


def bare(obj: Object) -> Object:
    """The manifest as Git has it."""
    return {key: obj[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": {"name": obj["metadata"]["name"]}}
