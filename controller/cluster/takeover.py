"""Who may take over from the primary, and why another one may not. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from controller.cluster import stale_replica
from controller.cluster.facts import ClusterFacts, Instance
from controller.runtime import conditions
from pgwarden.contract import server_facts
from pgwarden.pgbackrest import wal


def able(facts: ClusterFacts, one: Instance) -> bool:
    return one.ready and one.member.follows and not stale_replica.stands_still(facts, one)


def safely(facts: ClusterFacts, one: Instance) -> bool:
    """Also without a commit lost, where the cluster is to lose none."""
    return able(facts, one) and (not facts.spec.synchronous or one.pod_name in facts.store.synchronous)


def why_none(facts: ClusterFacts, others: Sequence[Instance]) -> str:
    """The end of a sentence: of each that may not, why not. It changes as seldom as it can: it is in the status."""
    told = "; ".join(f"{one.name} {_why_not(facts, one)}" for one in others if not safely(facts, one))
    return told and f": {told}"


def unready(one: Instance) -> str:
    """A sentence's part about an instance, without its name; empty of one that is ready."""
    if one.refused:
        return f"has no pod: {one.refused}"
    if one.pod is None:
        return "has no pod"
    if one.ready:
        return ""
    return (
        f"has not been ready since {conditions.timestamp(one.unready_since)}" if one.unready_since else "is not ready"
    )


def _why_not(facts: ClusterFacts, one: Instance) -> str:
    if unready(one):
        return unready(one)
    if not one.member.follows:
        role, state = one.member.role, one.member.state
        return f'is no replica that follows: by Patroni it is "{state if role == "replica" else role or "unknown"}"'
    if stale_replica.stands_still(facts, one):
        return stale_replica.why(facts, one)
    return f"is not synchronous yet{_behind(facts, one)}"


def _behind(facts: ClusterFacts, one: Instance) -> str:
    """In whole segments, as each byte would be a new status."""
    at, primary = one.member.position, facts.store.position
    size = server_facts.of(facts.repository).wal_segment_size or wal.SEGMENT_SIZE
    segments = (primary - at) // size if at is not None and primary is not None else 0
    how = "" if one.member.replication == "streaming" else "it does not stream"
    lag = f"it is {segments} WAL segment{'s' if segments > 1 else ''} behind" if segments > 0 else ""
    told = " and ".join(filter(None, (how, lag)))
    return told and f", as {told}"
