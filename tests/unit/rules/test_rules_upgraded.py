"""Restores and clones of what was backed up before a major upgrade: the recovery window is that of what came after."""

from __future__ import annotations

import pytest

from tests.unit.contract import produced
from tests.unit.rules.conftest import sets

FULL = "20261101-000000F"


@pytest.fixture(autouse=True)
def upgraded(hippo):
    """The full backup of 1 November is of PostgreSQL 16; since the 10th it is 17."""
    status = produced.repository(sets())["status"]
    status["postgresVersion"] = "17.6"
    status["recoveryWindow"][0]["earliest"] = "2026-11-10T00:10:00Z"
    next(one for one in status["backups"] if one["label"] == FULL)["postgresVersion"] = "16"
    hippo["status"] = status


def test_a_time_before_the_upgrade_is_refused_with_the_set_that_reaches_it(make, refusal):
    said = refusal(make("Restore", repository="hippo", target={"time": "2026-11-05T00:00:00Z"}))
    assert "is before 2026-11-10T00:10:00Z, the earliest time" in said
    assert f"backups of PostgreSQL 16 are chosen by spec.set, such as {FULL}" in said


@pytest.mark.parametrize(
    ("time", "text"),
    [("2026-11-05T00:00:00Z", ""), ("2026-11-01T00:05:00Z", f"the end of backup {FULL}")],
    ids=["after its end", "before its end"],
)
def test_with_that_set_it_is_let_through(make, refusal, time: str, text: str):
    said = refusal(make("Restore", repository="hippo", set=FULL, volumeClaim="copy", target={"time": time}))
    assert (text in said) if text else said == ""


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({}, ""),
        ({"set": FULL}, "spec.postgresVersion"),
        ({"set": FULL, "version": 16}, ""),
    ],
    ids=["of today", "of before, under today's version", "of before, under its own"],
)
def test_a_clone_has_the_version_of_the_set_that_it_is_made_of(make, refusal, spec, text):
    source = {"repository": "hippo"} | ({"set": spec["set"]} if "set" in spec else {})
    version = {"postgresVersion": spec["version"]} if "version" in spec else {}
    said = refusal(make("PostgresCluster", name="rhino", dataSource=source, image="own", **version))
    assert (text in said) if text else said == ""
