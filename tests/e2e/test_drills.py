"""RestoreDrills on the real cluster: what is restored is started and checked, and nothing of it is left.

The tests build on one another; the last one breaks the repository's only backup set.
"""

from __future__ import annotations

from datetime import datetime

import pytest

from harness import planted
from harness.direct import direct
from harness.install import kill_controller
from harness.killing import end_pod
from harness.kubectl import Kubectl, Object, phase
from harness.objects import backed_up, backup, drill
from harness.postgres import Postgres
from harness.waiting import until


@pytest.fixture(scope="module")
def postgres(installed, space: Kubectl) -> Postgres:
    found = backed_up(space, installed.postgres_image)
    found.sql("CREATE TABLE many AS SELECT i, md5(i::text) AS said FROM generate_series(1, 200000) AS i")
    found.sql("INSERT INTO notes VALUES (2, 'after the backup')")
    return found


def ended(space: Kubectl, name: str) -> Object:
    return space.until("pgdrill", name, phase("Completed", "Failed"), "ends", 180)


def outcomes(done: Object) -> dict[str, str]:
    return {one["name"]: one["outcome"] for one in done["status"].get("checks", [])}


def left(space: Kubectl, name: str) -> list[str]:
    """What is there of what a drill makes."""
    claims = space.run("get", "pvc,pgr", "-o", "name").stdout.split()
    jobs = space.run("get", "job,pod", "-l", "pgwarden.io/drill", "-o", "name").stdout.split()
    restored = space.run("get", "job,pod", "-l", f"pgwarden.io/restore={name}-drill", "-o", "name").stdout.split()
    return [one for one in claims if one.endswith(f"/{name}-drill")] + jobs + restored


def cleaned_up(space: Kubectl, name: str) -> None:
    until(lambda: not left(space, name), f"nothing of drill {name} is left", 90, lambda: str(left(space, name)))


def test_a_healthy_repository_passes_with_its_rows_counted(postgres: Postgres, space: Kubectl):
    uid = space.get("pod", postgres.pod)["metadata"]["uid"]
    space.apply(
        drill(
            "healthy",
            {"name": "rows", "sql": "SELECT count(*) FROM notes", "expect": "2"},
            {"name": "many", "sql": "SELECT count(*) = 200000 FROM many WHERE said <> '$(HOME)$$'"},
            {"name": "within", "sql": "SELECT count(*) / 7.0 FROM notes", "min": "0.2", "max": 1},
        )
    )
    done = ended(space, "healthy")
    assert done["status"]["phase"] == "Completed", done["status"]
    found = outcomes(done)
    ours = [f"pgwarden/{one}" for one in ("start", "connect", "extensions", "amcheck")]
    assert {found[one] for one in ("rows", "many", "within", *ours)} == {"Passed"}
    assert found["pgwarden/checksums"] in {"Passed", "Skipped"}
    assert done["status"]["set"]
    assert done["status"]["recoveredTo"]
    assert done["status"]["bytes"] > 0
    assert done["status"]["wal"]["segments"] > 0
    assert set(done["status"]["seconds"]) == {"volume", "copy", "replay", "start", "checks"}
    cleaned_up(space, "healthy")
    assert space.get("pod", postgres.pod)["metadata"]["uid"] == uid


def test_a_check_that_is_false_fails_the_drill_by_its_name_and_what_it_made_is_kept(postgres: Postgres, space: Kubectl):
    """At a random moment. It stays though the controller is another one by then, and goes with the drill."""
    window = space.until("pgrepo", "hippo", lambda one: one["status"].get("recoveryWindow"), "knows its window", 60)
    space.apply(
        drill(
            "false",
            {"name": "too-many", "sql": "SELECT count(*) > 1000 FROM notes"},
            {"name": "no-such-table", "sql": "SELECT true FROM nowhere"},
            {"name": "one-row", "sql": "SELECT true FROM notes WHERE id = 1"},
            target={"random": True},
            keepFailedHours=1,
        )
    )
    done = ended(space, "false")
    assert (done["status"]["phase"], done["status"]["reason"]) == ("Failed", "ChecksFailed")
    assert "too-many: it is f instead of t" in done["status"]["message"]
    assert 'relation "nowhere" does not exist' in done["status"]["message"]
    assert outcomes(done)["one-row"] == "Passed"
    drawn = datetime.fromisoformat(done["status"]["target"]["time"])
    assert drawn > datetime.fromisoformat(window["status"]["recoveryWindow"][0]["earliest"])
    assert done["status"]["seed"] == drawn.timestamp()
    space.until("pgdrill", "false", lambda one: one["status"].get("keptUntil"), "says how long it is kept", 30)
    kept, before = left(space, "false"), kill_controller(space)
    assert {one.partition("/")[0] for one in kept} >= {
        "persistentvolumeclaim",
        "restore.pgwarden.io",
        "job.batch",
        "pod",
    }
    leads_another(space, before)
    assert left(space, "false") == kept
    space.run("delete", "pgdrill", "false", "--timeout=90s")
    cleaned_up(space, "false")


def leads_another(space: Kubectl, before: str) -> None:
    """Once one that is not *before* works: it answers to something that is new."""
    space.apply(drill("probe"))
    space.until("pgdrill", "probe", lambda one: one.get("status"), f"is looked at by another than {before}", 90)
    space.run("delete", "pgdrill", "probe", "--timeout=90s")


def test_a_drill_deleted_half_way_leaves_nothing(postgres: Postgres, space: Kubectl):
    space.apply(drill("halfway"))
    until(lambda: space.get("job", "halfway-drill-restore-1"), "its Restore is at work", 60)
    assert any(one.startswith("persistentvolumeclaim/") for one in left(space, "halfway"))
    space.run("delete", "pgdrill", "halfway", "--timeout=90s")
    assert space.get("pgdrill", "halfway") is None
    cleaned_up(space, "halfway")


def test_checks_whose_pod_is_killed_go_on_and_find_what_is_wrong_with_one_database(postgres: Postgres, space: Kubectl):
    """An index that lacks a row, and a library that its image lacks, in a database that alone is restored."""
    postgres.sql("CREATE DATABASE odd")
    postgres.sql("CREATE TABLE many AS SELECT i FROM generate_series(1, 2000) AS i", database="odd")
    postgres.sql("CREATE INDEX many_i ON many (i)", database="odd")
    planted.spoil_index(postgres, "many", "many_i", "odd")
    planted.spoil_extensions(postgres, "odd")
    space.apply(backup("odd", "--type=full"))
    done = space.until("pgb", "odd", phase("Completed"), "is completed", 180)
    slow = {"name": "slow", "sql": "SELECT count(*) FROM pg_sleep(5)", "expect": "1"}
    space.apply(drill("odd", slow, databases=["odd"], target={"immediate": True}, set=done["status"]["label"]))
    with direct(space) as api:
        end_pod(api, until(lambda: checking(space, "odd"), "the checks are at work", 120, pause=0.1))
        kill_controller(space)
    done = ended(space, "odd")
    assert (done["status"]["phase"], done["status"]["reason"]) == ("Failed", "ChecksFailed"), done["status"]
    found = {one["name"]: (one["outcome"], one["message"]) for one in done["status"]["checks"]}
    assert found["slow"][0] == "Passed"
    assert found["pgwarden/connect"] == ("Passed", "1 databases")
    assert "many_i" in found["pgwarden/amcheck"][1]
    assert found["pgwarden/amcheck"][0] == "Failed"
    assert "extension gone is not in this image" in found["pgwarden/extensions"][1]
    assert '"/tmp/ours"' in found["pgwarden/extensions"][1]
    cleaned_up(space, "odd")


def checking(space: Kubectl, name: str) -> Object | None:
    """The pod with the checks, once the server in it has started."""
    for pod in space.list("pods", f"pgwarden.io/drill={name},pgwarden.io/component=drill"):
        if "Passed\tpgwarden/start" in space.run("logs", pod["metadata"]["name"], check=False).stdout:
            return pod
    return None


def test_a_flipped_byte_in_the_only_set_fails_the_drill_and_is_named(postgres: Postgres, space: Kubectl):
    for path in planted.bundles(space, "latest"):
        planted.flip(space, path)
    space.apply(drill("flipped"))
    done = ended(space, "flipped")
    assert (done["status"]["phase"], done["status"]["reason"]) == ("Failed", "CorruptBackup"), done["status"]
    assert "the backup set is damaged in the repository" in done["status"]["message"]
    cleaned_up(space, "flipped")
