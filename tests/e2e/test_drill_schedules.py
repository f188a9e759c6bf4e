"""A RestoreDrillSchedule on the real cluster: its drills turn the Repository's condition Proven, with figures, and what
they have proven stays when they are gone.

The tests build on one another.
"""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest

from harness.command_line import pgwarden
from harness.kubectl import Kubectl, Object, condition, phase
from harness.objects import backed_up, drill_schedule, events
from harness.postgres import Postgres
from harness.waiting import until

ROWS = {"name": "rows", "sql": "SELECT count(*) = 1 FROM notes"}


@pytest.fixture(scope="module")
def postgres(installed, space: Kubectl) -> Postgres:
    return backed_up(space, installed.postgres_image)


def proven(space: Kubectl, value: str) -> Object:
    """The Repository, once its condition is so."""
    return space.until(
        "pgrepo", "hippo", lambda one: (condition(one, "Proven") or {}).get("status") == value, value, 30
    )


def suspended(space: Kubectl, yes: bool) -> None:
    space.run("patch", "pgds", "often", "--type=merge", "-p", json.dumps({"spec": {"suspend": yes}}))


def drill_of(space: Kubectl, before: str = "") -> str:
    """The name of the drill that the schedule makes next, which is the last one until it is resumed."""
    done = space.until(
        "pgds", "often", lambda one: (one["status"].get("lastDrill") or before) != before, "makes a drill", 90
    )
    suspended(space, True)
    return str(done["status"]["lastDrill"])


def test_a_schedule_makes_a_drill_that_proves_the_repository_with_figures(postgres: Postgres, space: Kubectl):
    assert condition(space.get("pgrepo", "hippo"), "Proven")["status"] == "Unknown"
    space.apply(drill_schedule("often", "*/5 * * * * *", ROWS))
    name = drill_of(space)
    done = space.until("pgdrill", name, phase("Completed", "Failed"), "ends", 180)
    assert done["status"]["phase"] == "Completed", done["status"]
    repository = proven(space, "True")
    (one,) = repository["status"]["lastDrills"]
    assert (one["name"], one["uid"], one["phase"]) == (name, done["metadata"]["uid"], "Completed")
    assert (one["set"], one["recoveredTo"]) == (done["status"]["set"], done["status"]["recoveredTo"])
    assert (one["storage"], one["endedAt"]) == ("local", done["status"]["completionTime"])
    assert one["seconds"] >= 0
    assert f"RestoreDrill {name} restored set {one['set']}" in condition(repository, "Proven")["message"]


def test_the_command_line_tells_what_was_proven(postgres: Postgres, space: Kubectl):
    (one,) = space.get("pgrepo", "hippo")["status"]["lastDrills"]
    said = pgwarden(space, "status", "hippo").stdout
    assert f"restored set {one['set']} from storage local" in said
    suites = ET.fromstring(pgwarden(space, "show", "drill", one["name"], "-o", "junit").stdout.encode())
    cases = {case.get("name"): [child.tag for child in case] for case in suites.iter("testcase")}
    assert cases["pgwarden/restore"] == []
    assert "failure" not in cases["rows"]
    report = pgwarden(space, "report", "hippo", f"--month={one['endedAt'][:7]}").stdout
    assert f"| {one['name']} | passed | local | {one['set']} |" in report


def test_a_drill_that_fails_turns_it_false_with_the_reason(postgres: Postgres, space: Kubectl):
    (first,) = space.get("pgrepo", "hippo")["status"]["lastDrills"]
    template = {"template": {"checks": [ROWS, {"name": "too-many", "sql": "SELECT count(*) > 1000 FROM notes"}]}}
    space.run("patch", "pgds", "often", "--type=merge", "-p", json.dumps({"spec": template}))
    suspended(space, False)
    name = drill_of(space, first["name"])
    space.until("pgdrill", name, phase("Failed"), "fails", 180)
    repository = proven(space, "False")
    found = condition(repository, "Proven")
    assert found["reason"] == "ChecksFailed"
    assert "too-many: it is f instead of t" in found["message"]
    assert [one["name"] for one in repository["status"]["lastDrills"]] == [name, first["name"]]
    until(lambda: events(space, "Repository", "hippo", "ChecksFailed", type="Warning"), "an Event tells", 30)
    assert "not proven: " in pgwarden(space, "status", "hippo").stdout


def test_what_was_proven_stays_without_drills_and_not_without_its_repository(postgres: Postgres, space: Kubectl):
    before = space.get("pgrepo", "hippo")["status"]["lastDrills"]
    space.run("delete", "pgds,pgdrill", "--all", "--timeout=90s")
    found = space.get("pgrepo", "hippo")
    assert found["status"]["lastDrills"] == before
    assert condition(found, "Proven")["status"] == "False"
    space.run("annotate", "pgrepo", "hippo", "pgwarden.io/delete-in-use=true")
    manifest = {key: found[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": {"name": "hippo"}}
    space.run("delete", "pgrepo", "hippo", "--timeout=60s")
    space.apply(manifest)
    anew = proven(space, "Unknown")
    assert "lastDrills" not in anew["status"]
