"""What the status of a storage says of its bucket: versions, a lock, and where that is shorter than the retention."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import pytest

from controller.repository import storages
from pgwarden.api.kinds import RepositorySpec
from pgwarden.contract.status import Status
from tests.unit.controller.test_repository_storages import S3, facts, info

LOCKED = {"repo": 2, "versioning": "Enabled", "lockMode": "COMPLIANCE", "lockDays": 14}
SHOWN = {"versioning": "Enabled", "objectLock": {"mode": "COMPLIANCE", "days": 14}}


def bucket(retention: dict[str, Any] | None = None, *told: dict[str, Any], before: Any = None) -> Any:
    """`immutable` of both storages in the status."""
    entries = {"storages": [{"name": "s3", "immutable": before}] if before else []}
    given = {"storageType": "local,s3", "s3": S3} | ({"retention": retention} if retention else {})
    found = facts(info({}, {}), host_answer=msgspec.convert({"immutable": told or None}, Status))
    found = dataclasses.replace(
        found,
        spec=msgspec.convert(given, RepositorySpec),
        repository=found.repository | {"status": entries},
    )
    return [one.get("immutable") for one in storages.status(found)]


def test_what_the_bucket_keeps_is_in_the_status_of_its_storage_alone():
    assert bucket(None, LOCKED) == [None, SHOWN]
    unknown = {"versioning": "Unknown", "reason": "versioning: 403 AccessDenied"}
    assert bucket(None, {"repo": 2} | unknown) == [None, unknown]


def test_what_it_kept_stays_while_nobody_tells():
    assert bucket(None, before=SHOWN) == [None, SHOWN]


@pytest.mark.parametrize(
    ("retention", "warned"),
    [
        ({"full": 30, "fullType": "time"}, True),
        ({"full": 14, "fullType": "time"}, False),
        ({"full": 30}, False),
        (None, False),
    ],
    ids=["for more days", "for as many", "a number of backups", "for ever"],
)
def test_a_retention_in_days_that_is_longer_than_the_lock_is_warned_of(retention, warned):
    found = bucket(retention, LOCKED)[1]
    assert ("warning" in found) is warned
    if warned:
        assert "kept for 30 days" in found["warning"]
        assert "locks each object for 14" in found["warning"]
    assert "warning" not in bucket(retention, {"repo": 2, "versioning": "Enabled"})[1]
