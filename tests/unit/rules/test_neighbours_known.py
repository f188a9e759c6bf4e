"""What is remembered of Repositories for the comparison of folders is never of before."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pgwarden.api.defaults import OperatorDefaults
from pgwarden.api.judging import Case
from pgwarden.storages.s3 import neighbours

from .conftest import build

NOW = datetime(2026, 11, 30, tzinfo=UTC)


class Others(list):  # type: ignore[type-arg]
    def repositories(self) -> list:
        return list(self)


def repository(number: int, path: str, version: int = 1, **s3: str) -> dict:
    given = {"bucket": "b", "endpoint": "s3.example", "path": path} | s3
    made = build("Repository", f"db-{number}", storageType="s3", s3=given)
    made["metadata"] |= {
        "uid": f"u{number}",
        "resourceVersion": str(version),
        "creationTimestamp": f"2026-01-01T00:{number % 60:02}:00Z",
    }
    return made


def told(own: dict, others: list, defaults: OperatorDefaults | None = None) -> list[str]:
    case = Case(own, None, Others(others), NOW, defaults or OperatorDefaults())  # type: ignore[arg-type]
    neighbours.check(case)
    return [fault.message for fault in case.faults]


@pytest.fixture(autouse=True)
def _nothing_is_known(monkeypatch):
    monkeypatch.setattr(neighbours, "_known", {})


@pytest.mark.parametrize("count", [0, 1, 60, 2_000])
def test_among_any_number_the_one_in_the_same_folder_is_found(count):
    others = [repository(n, f"/backups/{n}") for n in range(count)]
    own = repository(9_999, f"/backups/{count - 1}")
    for _ in range(2):  # of what is known then, too
        assert bool(told(own, others)) is (count > 0)


def test_one_that_moves_is_compared_where_it_is_now():
    own, other = repository(1, "/a"), repository(2, "/b")
    assert told(own, [other]) == []
    assert told(own, [repository(2, "/a/inner", version=2)])[0].startswith("contains the folder of")
    assert told(own, [repository(2, "/c", version=3)]) == []


def test_other_defaults_are_other_places():
    bare = repository(2, "/a", bucket="")
    assert told(repository(1, "/a"), [bare], OperatorDefaults(s3_bucket="b")) != []
    assert told(repository(1, "/a"), [bare], OperatorDefaults(s3_bucket="other")) == []


def test_what_is_remembered_has_a_bound(monkeypatch):
    monkeypatch.setattr(neighbours, "_MOST", 10)
    told(repository(9_999, "/x"), [repository(n, f"/{n}") for n in range(100)])
    assert max(len(known) for known in neighbours._known.values()) <= 10
