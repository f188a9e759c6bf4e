"""What Prometheus is told. Labels have few values: paths, outcomes, rules; never a name that a user chose."""

from __future__ import annotations

from functools import cache

from prometheus_client import Counter, Histogram

from pgwarden.webhook.review import Reply

REQUESTS = Counter("pgwarden_webhook_requests", "Reviews answered.", ["path", "outcome"])
SECONDS = Histogram(
    "pgwarden_webhook_request_seconds",
    "Time from the first byte of a review read to its answer made.",
    ["path"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 2.5, 10),
)
INJECTIONS = Counter("pgwarden_webhook_injections", "Pods injected.", ["configured_by"])
REFUSALS = Counter("pgwarden_webhook_refusals", "Faults that reviews were refused for.", ["rule"])
CERTIFICATE_LOADS = Counter("pgwarden_webhook_certificate_loads", "Times the serving certificate was loaded.")


@cache
def _requests(path: str, outcome: str) -> Counter:
    return REQUESTS.labels(path, outcome)


@cache
def _seconds(path: str) -> Histogram:
    return SECONDS.labels(path)


@cache
def _injections(configured_by: str) -> Counter:
    return INJECTIONS.labels(configured_by)


def count(path: str, reply: Reply, seconds: float) -> None:
    _requests(path, reply.outcome).inc()
    _seconds(path).observe(seconds)
    if reply.answer is None:
        return
    if reply.outcome == "injected":
        _injections(reply.answer.audit.get("configured-by", "")).inc()
    for fault in reply.answer.faults:
        REFUSALS.labels(fault.rule or "unnamed").inc()
