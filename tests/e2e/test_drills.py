"""RestoreDrills on the real cluster: what is restored is started and checked, and nothing of it is left.

The tests build on one another; the last one breaks the repository's only backup set.
"""

from __future__ import annotations

import pytest

from harness.kubectl import Kubectl, Object, phase
from harness.objects import backed_up, drill, in_host
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
        )
    )
    done = ended(space, "healthy")
    assert done["status"]["phase"] == "Completed", done["status"]
    found = outcomes(done)
    assert (found["rows"], found["many"], found["pgwarden/connect"]) == ("Passed", "Passed", "Passed")
    assert found["pgwarden/amcheck"] == "Passed"
    assert found["pgwarden/checksums"] in {"Passed", "Skipped"}
    assert done["status"]["set"]
    assert done["status"]["recoveredTo"]
    assert done["status"]["bytes"] > 0
    assert set(done["status"]["seconds"]) == {"copy", "replay", "checks"}
    cleaned_up(space, "healthy")
    assert space.get("pod", postgres.pod)["metadata"]["uid"] == uid


def test_a_check_that_is_false_fails_the_drill_by_its_name(postgres: Postgres, space: Kubectl):
    space.apply(
        drill(
            "false",
            {"name": "too-many", "sql": "SELECT count(*) > 1000 FROM notes"},
            {"name": "no-such-table", "sql": "SELECT true FROM nowhere"},
            {"name": "one-row", "sql": "SELECT true FROM notes WHERE id = 1"},
        )
    )
    done = ended(space, "false")
    assert (done["status"]["phase"], done["status"]["reason"]) == ("Failed", "ChecksFailed")
    assert "too-many: it is f instead of t" in done["status"]["message"]
    assert 'relation "nowhere" does not exist' in done["status"]["message"]
    assert outcomes(done)["one-row"] == "Passed"
    cleaned_up(space, "false")


def test_a_drill_deleted_half_way_leaves_nothing(postgres: Postgres, space: Kubectl):
    space.apply(drill("halfway"))
    until(lambda: space.get("job", "halfway-drill-restore-1"), "its Restore is at work", 60)
    assert any(one.startswith("persistentvolumeclaim/") for one in left(space, "halfway"))
    space.run("delete", "pgdrill", "halfway", "--timeout=90s")
    assert space.get("pgdrill", "halfway") is None
    cleaned_up(space, "halfway")


def test_a_flipped_byte_in_the_only_set_fails_the_drill_and_is_named(postgres: Postgres, space: Kubectl):
    found = in_host(space, "find", "/pgwarden/repo/backup/hippo/latest/bundle", "-type", "f", "-size", "+64k").split()
    assert found
    flip = "import sys; f = open(sys.argv[1], 'r+b'); f.seek(5000); b = f.read(1); f.seek(5000); f.write(bytes([b[0] ^ 1]))"
    for path in found:
        in_host(space, "python3", "-c", flip, path)
    space.apply(drill("flipped"))
    done = ended(space, "flipped")
    assert done["status"]["phase"] == "Failed"
    assert "bundle" in done["status"]["message"] or "checksum" in done["status"]["message"], done["status"]
    cleaned_up(space, "flipped")
