"""The smallest patch from one status to another, and conditions whose times mean something."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from controller.runtime import conditions
from controller.runtime.status import operations
from harness.patches import carried_out

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
KEYS = st.sampled_from(["a", "b", "c", "d"])
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(2, 5), st.text("xy", max_size=2), st.lists(st.integers(2, 4), max_size=2),
    st.lists(st.dictionaries(KEYS, st.one_of(st.none(), st.integers(2, 4)), max_size=2), max_size=2),
)  # fmt: skip
OBJECTS = st.recursive(
    st.dictionaries(KEYS, LEAVES, max_size=3), lambda inner: st.dictionaries(KEYS, st.one_of(LEAVES, inner), max_size=3)
)


def stored(value: Any) -> Any:
    """As the API server keeps it: what is null is not there."""
    if isinstance(value, dict):
        return {key: stored(one) for key, one in value.items() if one is not None}
    if isinstance(value, list):
        return [stored(one) for one in value]
    return value


def written(before: Any, after: Any) -> Any:
    return carried_out({"status": before}, operations(before, after))["status"]


@given(OBJECTS.map(stored), OBJECTS)
def test_the_patch_turns_before_into_after(before, after):
    assert written(before, after) == stored(after)


@given(OBJECTS)
def test_nothing_is_written_where_nothing_differs(after):
    assert operations(stored(after), after) == []
    assert operations(stored(after), stored(after)) == []


@given(OBJECTS.map(stored), OBJECTS)
def test_a_second_write_finds_nothing_to_do(before, after):
    assert operations(written(before, after), after) == []


def test_what_is_none_in_an_object_of_a_list_is_no_difference():
    there = {"instances": [{"name": "hippo-1", "ready": True}]}
    assert operations(there, {"instances": [{"name": "hippo-1", "ready": True, "message": None}]}) == []
    changed = [{"name": "hippo-1", "ready": False, "message": None}]
    patch = [{"op": "add", "path": "/status/instances", "value": [{"name": "hippo-1", "ready": False}]}]
    assert operations(there, {"instances": changed}) == patch


def put(listed: list, status: bool | None, message: str = "m", minutes: int = 0) -> list:
    return conditions.put(
        listed, "Ready", status, "Why", message, now=NOW + timedelta(minutes=minutes), generation=minutes
    )


def test_a_conditions_time_changes_only_with_its_status():
    first = put([], True)
    again = put(first, True, "another message", minutes=5)
    turned = put(again, False, minutes=9)
    assert first[0]["lastTransitionTime"] == again[0]["lastTransitionTime"] == "2026-11-23T10:00:00Z"
    assert again[0]["message"] == "another message"
    assert again[0]["observedGeneration"] == 5
    assert turned[0]["lastTransitionTime"] == "2026-11-23T10:09:00Z"
    assert put(turned, None, minutes=10)[0]["status"] == "Unknown"


def test_the_other_conditions_and_their_order_stay():
    listed = [{"type": "A", "status": "True"}, *put([], True), {"type": "Z", "status": "False"}]
    after = put(listed, False)
    assert [one["type"] for one in after] == ["A", "Ready", "Z"]
    assert (after[0], after[2]) == (listed[0], listed[2])
    assert listed[1]["status"] == "True", "the given list was changed"


def test_a_message_is_cut_to_what_the_api_server_takes():
    assert len(put([], True, "x" * 40000)[0]["message"]) == 32768
