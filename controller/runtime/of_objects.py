"""Metrics whose first two labels are the namespace and the name of an object: to forget one looks at no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

Child_co = TypeVar("Child_co", covariant=True)
Key = tuple[str, str]
IsThere = Callable[[Key], bool]


def _always(_key: Key) -> bool:
    return True


class Labelled(Protocol[Child_co]):
    """A metric with labels, prometheus_client's or a LightGauge."""

    def labels(self, *values: str) -> Child_co: ...

    def remove(self, *values: str) -> None: ...


class OfObjects:
    def __init__(self) -> None:
        self._known: dict[Key, dict[tuple[Labelled[object], tuple[str, ...]], None]] = {}
        #: Whether there is an object. Of one that is gone no series is to be made.
        self.is_there: IsThere = _always

    def of(self, metric: Labelled[Child_co], key: Key, *further: str) -> Child_co:
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
