"""What Prometheus is told. Labels have few values: paths, outcomes, rules; never a name that a user chose.

Reviews are counted in plain numbers, as only the event loop does it, and made into metrics when somebody reads them:
the library's own counters lock and check at each step, which takes longer than finding the answer.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Iterable, Iterator
from itertools import accumulate

from prometheus_client import REGISTRY, Counter
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from webhook.review import Reply

CERTIFICATE_LOADS = Counter("pgwarden_webhook_certificate_loads", "Times the serving certificate was loaded.")
_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 2.5, 10)


class Reviews(Collector):
    def __init__(self) -> None:
        self._requests: Tally[tuple[str, str]] = Tally()
        self._injections: Tally[str] = Tally()
        self._refusals: Tally[str] = Tally()
        self._times: dict[str, list[int]] = {}  # path → how many fell into each bucket, the last without a bound
        self._seconds: dict[str, float] = {}

    def count(self, path: str, reply: Reply, seconds: float) -> None:
        self._requests[path, reply.outcome] += 1
        times = self._times.get(path)
        if times is None:
            times = self._times[path] = [0] * (len(_BUCKETS) + 1)
            self._seconds[path] = 0.0
        times[bisect_left(_BUCKETS, seconds)] += 1
        self._seconds[path] += seconds
        if reply.answer is None:
            return
        if reply.outcome == "injected":
            self._injections[reply.answer.audit.get("configured-by", "")] += 1
        for fault in reply.answer.faults:
            self._refusals[fault.rule or "unnamed"] += 1

    def collect(self) -> Iterator[Metric]:
        requests = [(list(labels), count) for labels, count in self._requests.items()]
        yield _counter("requests", "Reviews answered.", ["path", "outcome"], requests)
        yield _counter("injections", "Pods injected.", ["configured_by"], _single(self._injections))
        yield _counter("refusals", "Faults that reviews were refused for.", ["rule"], _single(self._refusals))
        about = "Time from a whole review read to its answer made."
        seconds = HistogramMetricFamily("pgwarden_webhook_request_seconds", about, labels=["path"])
        for path, times in self._times.items():
            bounds = [*map(str, map(float, _BUCKETS)), "+Inf"]
            reached = list(zip(bounds, accumulate(times), strict=True))
            seconds.add_metric([path], reached, self._seconds[path])
        yield seconds


def _single(tally: Tally[str]) -> Iterator[tuple[list[str], int]]:
    return (([label], count) for label, count in tally.items())


def _counter(name: str, about: str, labels: list[str], counts: Iterable[tuple[list[str], int]]) -> Metric:
    family = CounterMetricFamily(f"pgwarden_webhook_{name}", about, labels=labels)
    for values, count in counts:
        family.add_metric(values, count)
    return family


REVIEWS = Reviews()
REGISTRY.register(REVIEWS)
count = REVIEWS.count
