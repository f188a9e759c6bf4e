"""A backup set of another major version than the server that is to start on it, as after a major upgrade."""

from __future__ import annotations

import copy
from dataclasses import replace

import msgspec
import pytest

from controller.recovery.plan import Plan
from controller.restore import planning, steps_prepare
from controller.restore.facts import RestoreFacts
from pgwarden.api.kinds import RestoreSpec, RestoreTarget
from tests.unit.controller.restore.steps.situations import said

OLD, NEW = "20261123-110000F", "20261123-113000F"
DAY = 1795431600


@pytest.fixture
def upgraded(begin: RestoreFacts) -> RestoreFacts:
    """The set of the fixture is of 17, one half an hour later of 18, which the StatefulSet runs."""
    info = copy.deepcopy(begin.info)
    assert info is not None
    newer = copy.deepcopy(info["backup"][0])
    newer |= {"label": NEW, "timestamp": {"start": DAY + 1800, "stop": DAY + 1860}}
    newer["database"]["id"] = 2
    info["backup"].append(newer)
    info["db"] = [
        {"id": 1, "repo-key": 1, "system-id": 7, "version": "17"},
        {"id": 2, "repo-key": 1, "system-id": 8, "version": "18"},
    ]
    info["archive"].append(info["archive"][0] | {"database": {"id": 2, "repo-key": 1}, "id": "18-2"})
    repository = (begin.repository or {}) | {"status": {"primary": "pg-0", "postgresVersion": "18.1"}}
    return replace(begin, info=info, repository=repository)


def asked(facts: RestoreFacts, **spec: object) -> RestoreFacts:
    return replace(facts, spec=RestoreSpec(repository="hippo", **spec))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("spec", "verdict"),
    [
        pytest.param({}, ("done", "Valid"), id="the newest"),
        pytest.param({"set": NEW}, ("done", "Valid"), id="one of its own"),
        pytest.param({"set": OLD}, ("fail", "SetOfOtherVersion"), id="one from before"),
        pytest.param(
            {"set": OLD, "volume_claim": "copy"}, ("fail", "SetOfOtherVersion"), id="one from before, into a claim"
        ),
        pytest.param(
            {"set": OLD, "volume_claim": "copy", "image": "postgres:17"}, ("done", "Valid"), id="with its image"
        ),
        pytest.param(
            {"target": RestoreTarget(time="2026-11-23T11:20:00Z")}, ("fail", "TargetTooEarly"), id="a time before"
        ),
    ],
)
def test_only_a_set_of_its_own_version_is_put_under_a_server(upgraded: RestoreFacts, spec, verdict):
    assert said(steps_prepare.validated(asked(upgraded, **spec))) == verdict


def test_the_ways_out_are_named(upgraded: RestoreFacts):
    text = steps_prepare.validated(asked(upgraded, set=OLD)).message
    assert f"backup set {OLD} is of PostgreSQL 17, and StatefulSet pg runs PostgreSQL 18" in text
    assert "spec.volumeClaim), with spec.image of PostgreSQL 17" in text
    assert f"such as {NEW}" in text
    assert "set the image of StatefulSet pg back to PostgreSQL 17" in text


def test_the_image_that_is_asked_for_recovers_and_nothing_is_taken_from_the_server_of_today(upgraded: RestoreFacts):
    known = {"binDir": "/usr/lib/postgresql/18/bin", "versionNum": 180001, "sharedPreloadLibraries": ["pgaudit"]}
    repository = (upgraded.repository or {}) | {"status": {"primary": "pg-0", "postgres": known}}
    found = replace(asked(upgraded, set=OLD, volume_claim="copy", image="postgres:17"), repository=repository)
    plan = planning.make(found)
    assert isinstance(plan, Plan)
    assert (plan.image, plan.bin_directory, plan.preload) == ("postgres:17", "", [])
    same = planning.make(replace(found, spec=msgspec.structs.replace(found.spec, set=NEW)))
    assert isinstance(same, Plan)
    assert (same.bin_directory, same.preload) == ("", ["pgaudit"])  # the WAL may need it, whatever image replays it
    today = planning.make(replace(found, spec=RestoreSpec(repository="hippo")))
    assert isinstance(today, Plan)
    assert (today.bin_directory, today.preload) == ("/usr/lib/postgresql/18/bin", ["pgaudit"])


def test_a_server_that_does_not_answer_may_have_the_image_of_before_again(upgraded: RestoreFacts):
    away = (upgraded.repository or {}) | {"status": {"postgresVersion": "18.1"}}
    found = steps_prepare.validated(replace(asked(upgraded, set=OLD), repository=away))
    assert said(found) == ("done", "Valid")
