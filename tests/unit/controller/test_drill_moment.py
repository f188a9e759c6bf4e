"""Which moment a random target is: in the window, anywhere in it, and the same again by its seed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.drill import moment
from pgwarden.api.kinds import DrillTarget, RestoreDrillSpec

NOON = datetime(2026, 11, 15, 12, tzinfo=UTC)
SPEC = RestoreDrillSpec(repository="hippo", target=DrillTarget(random=True))


def at(seconds: int) -> str:
    return (NOON + timedelta(seconds=seconds)).isoformat()


def repository(*windows: tuple[int, int], storage: str = "local", **status: Any) -> dict[str, Any]:
    listed = [{"storage": storage, "earliest": at(first), "latest": at(last)} for first, last in windows]
    return {
        "metadata": {"name": "hippo", "namespace": "ns"},
        "spec": {"repository": "hippo", "storageType": "local,s3"},
        "status": {"recoveryWindow": listed, **status},
    }


@given(st.integers(0, 2**63 - 1))
def test_it_is_in_the_window_and_never_in_the_hole_of_it(seed: int):
    found = moment.draw(seed, repository((0, 100), (500, 600)), [], SPEC)
    assert found is not None
    seconds = (found - NOON).total_seconds()
    assert 0 < seconds <= 100 or 500 < seconds <= 600


@given(st.integers(0, 2**63 - 1))
def test_the_moment_that_was_drawn_gives_itself_again_though_the_window_has_moved(seed: int):
    found = moment.draw(seed, repository((0, 3600)), [], SPEC)
    assert found is not None
    assert moment.draw(int(found.timestamp()), repository((-50, 9000)), [], SPEC) == found
    assert moment.draw(seed, repository((0, 3600)), [], SPEC) == found


def test_each_second_of_the_window_comes_up():
    found = {moment.draw(seed, repository((0, 10), (5, 20)), [], SPEC) for seed in range(1000)}
    assert found == {NOON + timedelta(seconds=one) for one in range(1, 21)}


def test_two_storages_have_their_own_windows():
    both = repository((0, 100))
    both["status"]["recoveryWindow"] += repository((1000, 1100), storage="s3")["status"]["recoveryWindow"]
    only = RestoreDrillSpec(repository="hippo", target=DrillTarget(random=True), storage="s3")
    for seed in range(100):
        found = moment.draw(seed, both, [], only)
        assert found is not None
        assert 1000 < (found - NOON).total_seconds() <= 1100


def test_a_set_begins_the_window():
    sets = {
        "backups": [{"label": "20261115-120000F", "type": "full", "storage": "local", "repo": 1, "stopTime": at(90)}]
    }
    spec = RestoreDrillSpec(repository="hippo", target=DrillTarget(random=True), set="20261115-120000F")
    found = {moment.draw(seed, repository((0, 100), **sets), [], spec) for seed in range(200)}
    assert found == {NOON + timedelta(seconds=one) for one in range(91, 101)}


def test_what_a_restore_has_taken_back_is_not_drawn():
    taken = {
        "metadata": {"name": "back", "namespace": "ns"},
        "spec": {"repository": "hippo", "target": {"time": at(10)}},
        "status": {
            "timeline": 2,
            "timelineBefore": 1,
            "stoppedTime": at(90),
            "conditions": [{"type": "Started", "status": "True"}],
        },
    }
    found = {moment.draw(seed, repository((0, 100)), [taken], SPEC) for seed in range(300)}
    assert found == {NOON + timedelta(seconds=one) for one in (*range(1, 11), *range(91, 101))}


@pytest.mark.parametrize(
    "status",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"recoveryWindow": [{"storage": "local", "earliest": at(0)}]}, id="no end"),
        pytest.param({"recoveryWindow": [{"storage": "local", "earliest": at(5), "latest": at(5)}]}, id="not a second"),
        pytest.param({"recoveryWindow": "none"}, id="of another shape"),
    ],
)
def test_without_a_window_there_is_no_moment(status: dict[str, Any]):
    assert moment.draw(1, repository() | {"status": status}, [], SPEC) is None
