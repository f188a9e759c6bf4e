"""A LightGauge serves what prometheus_client's own Gauge does, in less memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from controller.runtime.light_gauge import LightGauge

LABELS = ("namespace", "name")


def _filled(kind: type[Gauge | LightGauge], count: int) -> CollectorRegistry:
    registry = CollectorRegistry()
    gauge = kind("size_bytes", 'Of "it".', LABELS, registry=registry)
    for n in range(count):
        gauge.labels(f'n"{n}\n', "hippo").set(n)
        gauge.labels(f"gone-{n}", "hippo").set(n)
        gauge.remove(f"gone-{n}", "hippo")
    return registry


@pytest.mark.parametrize("count", [0, 1, 60, 2_000])
def test_it_serves_what_a_gauge_does(count):
    assert generate_latest(_filled(LightGauge, count)) == generate_latest(_filled(Gauge, count))


def test_its_series_take_a_third_of_a_gauges_memory_at_most():
    assert 3 * _memory(lambda: _filled(LightGauge, 5_000)) < _memory(lambda: _filled(Gauge, 5_000))


def test_a_series_that_was_not_set_is_not_there_and_one_may_be_removed_twice():
    registry = CollectorRegistry()
    gauge = LightGauge("size_bytes", "Of it.", LABELS, registry=registry)
    gauge.labels("ns", "hippo")
    gauge.remove("ns", "hippo")
    gauge.remove("ns", "hippo")
    assert registry.get_sample_value("size_bytes", {"namespace": "ns", "name": "hippo"}) is None


def test_other_labels_than_it_has_are_refused():
    gauge = LightGauge("size_bytes", "Of it.", LABELS, registry=CollectorRegistry())
    with pytest.raises(ValueError, match="size_bytes has the labels namespace, name"):
        gauge.labels("ns")


def test_a_name_is_taken_once():
    registry = CollectorRegistry()
    LightGauge("size_bytes", "Of it.", LABELS, registry=registry)
    with pytest.raises(ValueError, match="Duplicated"):
        LightGauge("size_bytes", "Of it.", LABELS, registry=registry)


def _memory(made: Callable[[], CollectorRegistry]) -> int:
    """Bytes that are in use while what was *made* is there."""
    tracemalloc.start()
    try:
        kept = made()
        found = tracemalloc.get_traced_memory()[0]
        del kept
        return found
    finally:
        tracemalloc.stop()
