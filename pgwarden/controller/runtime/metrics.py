"""Prometheus metrics of the controller itself. Those about repositories stand with the Repository controller."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

RECONCILES = Counter("pgwarden_reconciles_total", "Reconciles by kind and outcome.", ["kind", "outcome"])
RECONCILE_SECONDS = Histogram("pgwarden_reconcile_seconds", "Time of one reconcile, in seconds.", ["kind"])
LEADER = Gauge("pgwarden_leader", "1 where this replica leads, else 0.")
