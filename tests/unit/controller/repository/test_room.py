"""How full volumes are: what the status, the condition, the Events and the metrics say of it."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
from prometheus_client import REGISTRY

from controller.repository import metrics, report, room
from controller.repository.facts import RepositoryFacts
from pgwarden.contract.status import Usage, Volume
from tests.unit.contract import produced
from tests.unit.controller.test_repository_storages import facts, info, told

GIB = 2**30


def usage(percent: float, size: int = 10 * GIB) -> Usage:
    used = math.ceil(size * percent / 100)
    return Usage(size=size, used=used, free=size - used)


def volume(percent: float) -> Volume:
    found = usage(percent)
    return Volume(mounted=True, size=found.size, used=found.used, free=found.free)


def given(
    local: float | None = None, data: float | None = None, wal: float | None = None, before: Any = None
) -> RepositoryFacts:
    """Percent of the volumes that the agents tell of; *before*: the status until now."""
    answer = {"data": usage(data) if data is not None else None, "wal": usage(wal) if wal is not None else None}
    found = facts(info({}), "local", volume=volume(local) if local is not None else None)
    (pod,) = found.pods
    assert pod.answer is not None
    changed = dataclasses.replace(pod, answer=type(pod.answer)(**{**_fields(pod.answer), **answer}))
    repository = found.repository | ({"status": before} if before is not None else {})
    return dataclasses.replace(found, pods=(changed,), repository=repository)


def _fields(answer: Any) -> dict[str, Any]:
    return {name: getattr(answer, name) for name in answer.__struct_fields__}


def test_each_volume_is_in_the_status_by_whole_percents():
    status = report.status(given(12.3, 45.6, 78.9), {})
    assert status["storages"][0]["volume"] == {"size": 10 * GIB, "usedPercent": 12}
    assert status["pods"][0]["dataVolume"] == {"size": 10 * GIB, "usedPercent": 45}
    assert status["pods"][0]["walVolume"] == {"size": 10 * GIB, "usedPercent": 78}


def test_what_is_not_measured_is_not_in_the_status():
    status = report.status(given(), {})
    assert "volume" not in status["storages"][0]
    assert status["pods"][0].keys() & {"dataVolume", "walVolume"} == set()
    assert told("HasRoom", given())[:2] == ("Unknown", "NotMeasured")


@pytest.mark.parametrize(
    ("volumes", "expected"),
    [
        ((79.9, 79.9, 79.9), ("True", "VolumesHaveRoom")),
        ((80, 1, None), ("False", "VolumeFillsUp")),
        ((1, 85, None), ("False", "VolumeFillsUp")),
        ((1, 1, 89.9), ("False", "VolumeFillsUp")),
        ((90, 1, None), ("False", "VolumeNearlyFull")),
        ((None, 91, None), ("False", "VolumeNearlyFull")),
        ((85, 1, 99), ("False", "VolumeNearlyFull")),
    ],
)
def test_eighty_and_ninety_percent_are_told(volumes, expected):
    assert told("HasRoom", given(*volumes))[:2] == expected


def test_the_volumes_are_named_the_fullest_first():
    message = told("HasRoom", given(81, 95, 83))[2]
    assert message == (
        "the data volume of pod db-0 is 95 % full (10.0 GiB in all); "
        "the volume of pg_wal of pod db-0 is 83 % full (10.0 GiB in all); "
        "the volume of storage local is 81 % full (10.0 GiB in all)"
    )


def test_the_phase_stays_what_it_is():
    assert report.status(given(95), {})["phase"] == report.status(given(5), {})["phase"]


def test_what_stands_on_a_bound_between_two_looks_turns_nothing():
    status = produced.stored(report.status(given(80.2), {}))
    turns = []
    for percent in (79.9, 80.1, 79.6, 80.4):
        after = produced.stored(report.status(given(percent, before=status), {}))
        turns.append(after != status)
        status = after
    assert turns == [False] * 4
    assert told("HasRoom", given(78.9, before=status))[0] == "True"


@pytest.mark.parametrize(
    ("before", "after", "reasons"),
    [
        (None, 50, []),
        (79, 80, ["VolumeFillsUp"]),
        (None, 85, ["VolumeFillsUp"]),
        (80, 89, []),
        (85, 90, ["VolumeNearlyFull"]),
        (10, 95, ["VolumeNearlyFull"]),
        (95, 85, []),
    ],
)
def test_each_volume_is_told_once_for_each_bound_that_it_passes(before, after, reasons):
    old = report.status(given(before), {}) if before is not None else {}
    new = report.status(given(after, before=old), {})
    assert [reason for reason, _ in room.risen(old, new)] == reasons


def test_a_second_volume_that_fills_up_is_told_beside_the_first():
    old = report.status(given(85, 10), {})
    new = report.status(given(85, 82, before=old), {})
    assert room.risen(old, new) == [("VolumeFillsUp", "the data volume of pod db-0 is 82 % full (10.0 GiB in all)")]


def test_a_storage_and_a_pod_of_one_name_are_two():
    found = given(10, 20)
    (pod,) = found.pods
    status = report.status(dataclasses.replace(found, pods=(dataclasses.replace(pod, name="local"),)), {})
    assert status["storages"][0]["volume"]["usedPercent"] == 10
    assert "dataVolume" not in status["storages"][0]
    assert status["pods"][0]["dataVolume"]["usedPercent"] == 20


def test_of_agents_that_tell_no_used_bytes_it_is_worked_out():
    found = facts(info({}), "local", volume=Volume(mounted=True, size=100, free=15))
    assert told("HasRoom", found)[:2] == ("False", "VolumeFillsUp")


def test_metrics_show_the_fullest_volume_of_each_role_and_nothing_of_one_that_is_not_known():
    found = given(10, 20, 30)
    (pod,) = found.pods
    fuller = dataclasses.replace(given(0, 60).pods[0], name="db-1")
    both = dataclasses.replace(found, pods=(pod, fuller))
    key = ("ns", "roomy")
    metrics.show(key, report.status(both, {}), both.volume, filled=room.measured(both))
    labels = {"namespace": "ns", "repository": "roomy", "role": "primary"}
    free = REGISTRY.get_sample_value("pgwarden_data_volume_free_bytes", labels | {"volume": "data"})
    assert free == usage(60).free
    size = REGISTRY.get_sample_value("pgwarden_data_volume_size_bytes", labels | {"volume": "wal"})
    assert size == 10 * GIB
    metrics.show(key, report.status(found, {}))
    assert [s for m in metrics.DATA_SIZE.collect() for s in m.samples if s.labels["repository"] == "roomy"] == []
    metrics.forget(key)
