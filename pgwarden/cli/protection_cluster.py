"""A PostgresCluster in `status`: in a few words, what is wrong with it, and what is to be known. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pgwarden.rules.common import get, objects

Object = dict[str, Any]


def in_words(cluster: Object) -> str:
    status = get(cluster, dict, "status") or {}
    primary, ready, autofail = (status.get(name) for name in ("primary", "ready", "autofail"))
    parts = [
        str(status.get("phase") or "Pending"),
        f"primary {primary}" if primary else "no primary",
        f"{ready} instances ready" if ready else "",
        f"autofail {autofail}" if autofail else "",
    ]
    return ", ".join(part for part in parts if part)


def of_cluster(cluster: Object) -> Iterator[str]:
    name = cluster["metadata"]["name"]
    rejected = [one for one in objects(cluster, "status", "conditions") if one.get("type") == "Rejected"]
    if rejected and rejected[0].get("status") == "True" and get(cluster, str, "status", "phase") == "Failed":
        yield f"PostgresCluster {name} is refused: {rejected[0].get('message')}"
        return
    phase = get(cluster, str, "status", "phase") or "Pending"
    if phase != "Ready":
        said = get(cluster, str, "status", "message") or "pgwarden has not looked at it yet; does its controller run?"
        yield f"PostgresCluster {name} is {phase}: {said}"


def notes_of_cluster(cluster: Object) -> Iterator[str]:
    if get(cluster, bool, "spec", "autofail") is False:
        turn = f"kubectl pgwarden update cluster {cluster['metadata']['name']} --autofail=true"
        yield f"autofail is off: no replica takes over; {turn} turns it on"
