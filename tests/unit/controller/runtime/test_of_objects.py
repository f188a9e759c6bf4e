"""Metrics of an object: forgotten with it, at a cost that does not grow with all others."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from prometheus_client import CollectorRegistry, Gauge

from controller.repository import metrics
from controller.runtime.of_objects import OfObjects

STATUS = {"conditions": [{"type": "Ready", "status": "True"}], "storages": [{"name": "s3"}], "pods": []}


class Passed(dict):  # type: ignore[type-arg]
    """Children of a metric, which count how many of them are passed over."""

    count: ClassVar[int] = 0

    def __iter__(self) -> Any:
        for one in super().__iter__():
            Passed.count += 1
            yield one

    def keys(self) -> Any:
        return list(self)


@pytest.fixture
def gauge() -> Gauge:
    made = Gauge("size", "Of it.", ["namespace", "name", "storage"], registry=CollectorRegistry())
    made._metrics = Passed()
    return made


def left(gauge: Gauge) -> set[tuple[str, ...]]:
    return set(gauge._metrics.keys())


def test_an_object_is_forgotten_with_all_of_its_values_and_no_other_is(gauge):
    known = OfObjects()
    for name in ("a", "b"):
        for storage in ("local", "s3"):
            known.of(gauge, ("ns", name), storage).set(1)
    known.forget(("ns", "a"))
    assert left(gauge) == {("ns", "b", "local"), ("ns", "b", "s3")}
    known.forget(("ns", "a"))
    known.forget(("ns", "nobody"))
    assert len(left(gauge)) == 2


def test_what_is_gone_before_it_is_known_what_is_there_is_forgotten(gauge):
    known = OfObjects()
    for name in ("a", "b"):
        known.of(gauge, ("ns", name), "s3").set(1)
    with known.of_those(lambda key: key == ("ns", "b")):
        assert left(gauge) == {("ns", "b", "s3")}
        assert [known.is_there(("ns", name)) for name in ("a", "b")] == [False, True]
    assert known.is_there(("ns", "a"))


@pytest.mark.parametrize("count", [1, 60, 2_000])
def test_to_forget_one_passes_over_none_of_the_others(gauge, count):
    known = OfObjects()
    for n in range(count):
        known.of(gauge, ("ns", f"r{n}"), "s3").set(n)
    Passed.count = 0
    known.forget(("ns", "r0"))
    assert Passed.count == 0
    assert len(left(gauge)) == count - 1


def test_what_a_repository_shows_is_gone_with_it_and_a_value_that_is_not_known_any_more_at_once():
    one, other = ("of-objects", "one"), ("of-objects", "other")
    for key in (one, other):
        metrics.show(key, STATUS)
    metrics.show(one, {"conditions": []})
    assert shown() == {("other", "Ready")}
    metrics.gone(other)
    assert shown() == set()
    metrics.gone(one)


def shown() -> set[tuple[str, str]]:
    samples = [sample for metric in metrics.CONDITION.collect() for sample in metric.samples]
    return {(s.labels["repository"], s.labels["condition"]) for s in samples if s.labels["namespace"] == "of-objects"}
