"""Metrics of the queues of work, read when somebody asks for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from prometheus_client import REGISTRY
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class Queue(Protocol):
    def __len__(self) -> int: ...

    def oldest(self) -> float: ...


class Queues(Collector):
    def __init__(self) -> None:
        self._known: dict[str, Queue] = {}

    def add(self, kind: str, queue: Queue) -> None:
        """The newest of a kind takes the place of one before it."""
        self._known[kind] = queue

    def collect(self) -> Iterator[Metric]:
        depth = GaugeMetricFamily("pgwarden_queue_depth", "Objects that wait for a worker.", labels=["kind"])
        age = GaugeMetricFamily(
            "pgwarden_queue_oldest_seconds", "For how long the first of them has waited.", labels=["kind"]
        )
        for kind, queue in self._known.items():
            depth.add_metric([kind], len(queue))
            age.add_metric([kind], queue.oldest())
        yield depth
        yield age


QUEUES = Queues()
REGISTRY.register(QUEUES)
