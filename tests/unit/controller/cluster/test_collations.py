"""Databases whose collation the image's library has in another version: told, with what to run."""

from __future__ import annotations

from typing import Any

import pytest

from controller.cluster import collations, report
from controller.cluster.decide import decide

from .conftest import facts, instance

ENGLISH = {"provider": "libc", "collate": "en_US.utf8", "ctype": "en_US.utf8", "databases": ["app"], "databaseCount": 1}


def repository(*locales: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": "hippo"}, "status": {"postgres": {"locales": list(locales)}}}


@pytest.mark.parametrize(
    ("locale", "expected"),
    [
        pytest.param({"version": "2.41", "actualVersion": "2.41"}, None, id="the same version"),
        pytest.param({"version": "2.36", "actualVersion": "2.41"}, (False, collations.DIFFER), id="another version"),
        pytest.param({"actualVersion": "2.41"}, (None, collations.UNKNOWN), id="made where there are no versions"),
        pytest.param({"collate": "C.UTF-8", "actualVersion": "2.41"}, None, id="sorted by code points"),
        pytest.param({"provider": "builtin", "locale": "C.UTF-8", "actualVersion": "1"}, None, id="PostgreSQL's own"),
        pytest.param({}, None, id="a library without versions"),
        pytest.param({"actualVersion": "2.41", "databases": ["template0"]}, None, id="template0, which has none"),
    ],
)
def test_what_is_told_of_a_locale(locale: dict[str, Any], expected: tuple[bool | None, str] | None):
    found = collations.judge(repository(ENGLISH | locale), told=False)
    assert (found and found[:2]) == expected


def test_the_databases_are_named_with_what_to_run():
    many = ENGLISH | {"version": "2.36", "actualVersion": "2.41", "databases": ["app", "crm"], "databaseCount": 14}
    found = collations.judge(repository(many), told=False)
    assert found is not None
    assert (
        "databases app, crm and 12 more (collation en_US.utf8): made with version 2.36, and the image has 2.41"
        in found[2]
    )
    assert "REINDEX DATABASE NAME; ALTER DATABASE NAME REFRESH COLLATION VERSION" in found[2]


def test_template0_is_not_named_among_others():
    made = ENGLISH | {"actualVersion": "2.41", "databases": ["app", "template0"], "databaseCount": 2}
    found = collations.judge(repository(made), told=False)
    assert found is not None
    assert found[2].startswith("database app (collation en_US.utf8): ")


def test_the_condition_comes_with_a_difference_and_is_true_once_it_is_gone():
    apart = repository(ENGLISH | {"version": "2.36", "actualVersion": "2.41"})
    told = status(apart)
    assert (told["status"], told["reason"]) == ("False", collations.DIFFER)
    again = status(repository(ENGLISH | {"version": "2.41", "actualVersion": "2.41"}), [told])
    assert (again["status"], again["reason"]) == ("True", collations.AGREE)
    assert status(repository(ENGLISH | {"version": "2.41", "actualVersion": "2.41"})) == {}


def status(own: dict[str, Any], known: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    found = facts(instance(1, "primary"), repository=own, status={"initialized": True, "conditions": known or []})
    listed = report.status(found, decide(found))["conditions"]
    return next((one for one in listed if one["type"] == collations.CONDITION), {})
