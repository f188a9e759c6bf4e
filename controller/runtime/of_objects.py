"""Metrics whose first two labels are the namespace and the name of an object: to forget one looks at no other."""

from __future__ import annotations

from typing import TypeVar

from prometheus_client.metrics import MetricWrapperBase

Metric = TypeVar("Metric", bound=MetricWrapperBase)


class OfObjects:
    def __init__(self) -> None:
        self._known: dict[tuple[str, str], dict[tuple[MetricWrapperBase, tuple[str, ...]], None]] = {}

    def of(self, metric: Metric, key: tuple[str, str], *further: str) -> Metric:
        """The child of *metric* for the object *key* (namespace, name), and *further* label values."""
        self._known.setdefault(key, {})[metric, further] = None
        return metric.labels(*key, *further)

    def forget(self, key: tuple[str, str]) -> None:
        for metric, further in self._known.pop(key, {}):
            metric.remove(*key, *further)
