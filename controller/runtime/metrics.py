"""Prometheus metrics of the controller itself. Those about repositories stand with the Repository controller."""

from __future__ import annotations

from typing import Any

from prometheus_client import Counter, Gauge, Histogram

from pgwarden.api.registry import BY_PLURAL

RECONCILES = Counter("pgwarden_reconciles_total", "Reconciles by kind and outcome.", ["kind", "outcome"])
RECONCILE_SECONDS = Histogram("pgwarden_reconcile_seconds", "Time of one reconcile, in seconds.", ["kind"])
LEADER = Gauge("pgwarden_leader", "1 where this replica leads, else 0.")
REJECTED = Gauge(
    "pgwarden_rejected", "1 where a rule refuses an object that is there; else absent.", ["kind", "namespace", "name"]
)
WITHOUT_NODE = Gauge(
    "pgwarden_instances_without_node",
    "Instances of a PostgresCluster whose node is not Ready, or gone, or whose volume is lost; else absent.",
    ["namespace", "name"],
)


def forget_all() -> None:
    """Who does not lead knows nothing of objects."""
    for gauge in (REJECTED, WITHOUT_NODE):
        gauge.clear()


def without_node(key: tuple[str, str], count: int) -> None:
    """Of the PostgresCluster *key* (namespace, name)."""
    if count:
        WITHOUT_NODE.labels(*key).set(count)
    else:
        WITHOUT_NODE.remove(*key)


def rejected(plural: str, obj: dict[str, Any], is_so: bool) -> None:
    """Of the kinds that stand; Backups and Restores are over with their refusal."""
    metadata = obj["metadata"]
    if is_so and not BY_PLURAL[plural].is_operation:
        REJECTED.labels(BY_PLURAL[plural].name, metadata["namespace"], metadata["name"]).set(1)
    else:
        forget_rejected(plural, (metadata["namespace"], metadata["name"]))


def forget_rejected(plural: str, key: tuple[str, str]) -> None:
    if not BY_PLURAL[plural].is_operation:
        REJECTED.remove(BY_PLURAL[plural].name, *key)
