"""The size of an object comes first, and what was admitted once stays changeable and deletable."""

from __future__ import annotations

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwarden.api.faults import Fault
from pgwarden.injection.pods import references
from webhook import incoming
from webhook.memory_limit import Room

LARGE = "x" * 300_000
BACKUPS = [{"label": f"20261101-{number:06}F", "storage": "local"} for number in range(10_000)]


def raw(spec=None, status=None, **metadata):
    obj = {"kind": "Repository", "metadata": {"name": "hippo"} | metadata, "spec": spec or {"storageType": "local"}}
    return msgspec.Raw(msgspec.json.encode(obj | ({"status": status} if status else {})))


def test_a_new_object_that_is_too_large_is_a_fault():
    for new in (raw({"options": [LARGE]}), raw(labels={"a": LARGE}), raw(status={"backups": BACKUPS})):
        found = incoming.change(new, None)
        assert isinstance(found, Fault)
        assert "more than 256 KiB" in found.message


@pytest.mark.parametrize(
    "old",
    [raw(status={"backups": BACKUPS}), raw(managedFields=[{"manager": LARGE}]), raw({"options": [LARGE]})],
    ids=["a large status", "large managedFields", "a spec from before there was a bound"],
)
def test_what_leaves_the_spec_of_a_large_object_as_it_is_is_no_matter_of_the_rules(old):
    obj = msgspec.json.decode(old)
    obj["metadata"]["finalizers"] = ["a.example/b"]
    assert incoming.change(msgspec.Raw(msgspec.json.encode(obj)), old) is None


def test_the_rules_see_the_spec_and_the_backups_of_an_object_with_a_large_status():
    old, new = raw(status={"backups": BACKUPS}), raw({"storageType": "s3"}, status={"backups": BACKUPS})
    obj, before = incoming.change(new, old)
    assert obj == {"kind": "Repository", "metadata": {"name": "hippo"}, "spec": {"storageType": "s3"}}
    assert before["spec"] == {"storageType": "local"}
    assert before["status"]["backups"] == BACKUPS
    assert incoming.known(old)["status"]["backups"] == BACKUPS


def test_an_object_that_is_too_large_can_become_smaller_and_not_larger():
    old = raw({"options": [LARGE]})
    obj, _ = incoming.change(raw({"options": []}), old)
    assert obj["spec"] == {"options": []}
    assert isinstance(incoming.change(raw({"options": [LARGE, "x"]}), old), Fault)
    assert isinstance(incoming.change(raw(labels={"a": LARGE}), raw()), Fault)


def test_an_object_that_is_being_deleted_is_not_looked_at():
    old = raw({"options": [LARGE]}, deletionTimestamp="2026-11-23T10:00:00Z")
    assert incoming.change(raw({"options": [LARGE, "x"]}), old) is None


@given(st.text(alphabet="$()ab", max_size=30))
def test_references_are_found_as_the_kubelet_finds_them(text):
    assert references(text) == re.findall(r"\$\(([^)]+)\)", text)


def test_who_finds_no_room_waits_in_order_and_is_told():
    room, told = Room(10), []
    assert room.take(8, lambda: told.append("first"))
    second, third = (lambda: told.append("second")), (lambda: told.append("third"))
    assert not room.take(5, second)
    assert not room.take(1, third)
    room.forget(second)
    assert told == ["third"]
    room.give_back(8)
    assert room.take(9, lambda: None)
