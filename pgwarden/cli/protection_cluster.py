"""A PostgresCluster in `status`: in a few words, what is wrong with it, and what to know. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from pgwarden.api.objects import Object
from pgwarden.api.reading import found_condition, get
from pgwarden.cli.short_messages import described

NOT_REPORTED = "pgwarden has not reported on it yet: is its controller running?"


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
    name, rejected, phase = cluster["metadata"]["name"], _rejected(cluster), _phase(cluster)
    if rejected:
        yield f"PostgresCluster {name} is rejected: {rejected}"
    elif phase != "Ready":
        said = cause_of(cluster)
        yield f"PostgresCluster {name} is {phase}: {described(cluster, said) if said else NOT_REPORTED}"


def cause_of(cluster: Object) -> str:
    """What `of_cluster` gives as the cause, in full."""
    if _rejected(cluster) or _phase(cluster) == "Ready":
        return ""
    return get(cluster, str, "status", "message") or ""


def _rejected(cluster: Object) -> str:
    """Why its spec is not carried out; empty where it is."""
    rejected = found_condition(cluster, "Rejected")
    if rejected.get("status") == "True" and _phase(cluster) == "Failed":
        return str(rejected.get("message"))
    return ""


def _phase(cluster: Object) -> str:
    return get(cluster, str, "status", "phase") or "Pending"


def notes_of_cluster(cluster: Object) -> Iterator[str]:
    if get(cluster, bool, "spec", "autofail") is False:
        turn = f"kubectl pgwarden update cluster {cluster['metadata']['name']} --autofail=true"
        yield (
            "autofail is off: no replica takes over from a lost primary; one whose pod restarts comes back by itself. "
            f"To turn it on: {turn}"
        )
