"""Metrics whose first two labels are the namespace and the name of an object: to forget one looks at no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from prometheus_client.metrics import MetricWrapperBase

Metric = TypeVar("Metric", bound=MetricWrapperBase)
Key = tuple[str, str]
IsThere = Callable[[Key], bool]


def _always(_key: Key) -> bool:
    return True


class OfObjects:
    def __init__(self) -> None:
        self._known: dict[Key, dict[tuple[MetricWrapperBase, tuple[str, ...]], None]] = {}
        #: Whether there is an object. Of one that is gone no series is to be made.
        self.is_there: IsThere = _always

    def of(self, metric: Metric, key: Key, *further: str) -> Metric:
        """The child of *metric* for the object *key* (namespace, name), and *further* label values."""
        self._known.setdefault(key, {})[metric, further] = None
        return metric.labels(*key, *further)

    def forget(self, key: Key) -> None:
        for metric, further in self._known.pop(key, {}):
            metric.remove(*key, *further)

    @contextmanager
    def of_those(self, is_there: IsThere) -> Iterator[None]:
        """Meanwhile *is_there* tells which objects there are; those that went before are forgotten."""
        for key in [key for key in self._known if not is_there(key)]:
            self.forget(key)
        self.is_there = is_there
        try:
            yield
        finally:
            self.is_there = _always
