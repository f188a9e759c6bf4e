"""Metrics of the requests to the API server, by verb and status. A watch is counted when it begins."""

from __future__ import annotations

from prometheus_client import Histogram

REQUESTS = Histogram(
    "pgwarden_api_request_seconds",
    "Seconds from a request to the API server to its answer, by status code; 0 where none came.",
    ["verb", "code"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)


def observe(verb: str, code: int, seconds: float) -> None:
    REQUESTS.labels(verb, code).observe(seconds)
