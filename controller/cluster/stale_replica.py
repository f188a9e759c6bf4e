"""Replicas that do not follow: seen by their WAL position, and made anew where what they lack is nowhere. Pure.

Patroni calls a replica `running` or `in archive recovery` whether it gets on or not. One that asks for WAL that has
expired does so for ever. So what counts is whether its position moves. A replica that streams follows.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from controller.cluster.actions import ClusterDecision, Remove
from controller.cluster.facts import ClusterFacts, Instance
from controller.runtime import conditions
from pgwarden.api.objects import Object
from pgwarden.api.target import lsn_text, parse_lsn, parse_time
from pgwarden.contract import server_facts
from pgwarden.pgbackrest import wal

REASON = "NotFollowing"
#: For which the position stands still until the replica is not counted on, and until it is made anew.
_GRACE, _PATIENCE = timedelta(minutes=1), timedelta(minutes=3)
#: Where one that gets on stands is noted this often: each byte of a replica that catches up would be a status to write.
_NOTED = timedelta(seconds=20)


def entry(facts: ClusterFacts, one: Instance) -> Object | None:
    """What is remembered of a replica that does not stream and is behind: its position, and since when it is there. Of
    one that gets on, a position of the last seconds.
    """
    lsn, primary = one.member.position, facts.store.position
    if one is facts.primary or one.member.role != "replica" or one.member.replication == "streaming":
        return None
    if lsn is None or primary is None or lsn >= primary:
        return None
    before = _remembered(facts, one)
    text = lsn_text(lsn)
    if before.get("lsn") == text or (_is_fresh(facts, before) and parse_lsn(str(before["lsn"])) < lsn):
        return before
    return {"lsn": text, "since": conditions.timestamp(facts.now)}


def _is_fresh(facts: ClusterFacts, noted: Object) -> bool:
    return bool(noted) and facts.now - parse_time(noted["since"]) < _NOTED


def stands_still(facts: ClusterFacts, one: Instance) -> bool:
    """Whether it has stopped getting on: it would lose what it lacks if it took over."""
    since = _since(facts, one)
    return since is not None and facts.now - since >= _GRACE


def told(facts: ClusterFacts, one: Instance) -> str:
    """A sentence's part; empty of one that follows."""
    found = why(facts, one)
    return found and f"{one.name} {found}"


def why(facts: ClusterFacts, one: Instance) -> str:
    """The same without its name."""
    since, behind = _since(facts, one), one.member.position
    if since is None or behind is None or not stands_still(facts, one):
        return ""
    where = f"WAL position {lsn_text(behind)} since {conditions.timestamp(since)}"
    text = f"does not follow: it has stood at {where}"
    lost = _lacking(facts, one)
    if lost:
        return f"{text}. It needs WAL segment {lost}, which has expired"
    return f"{text}. To have it made anew, delete its claim: kubectl delete pvc {one.name}"


def decide(facts: ClusterFacts) -> ClusterDecision | None:
    """One at a time, and none while it is not certain that the primary and the Repository have all that it has."""
    if facts.primary is None or facts.store.paused or not facts.has_backup:
        return None
    for one in facts.instances:
        since, lost = _since(facts, one), _lacking(facts, one)
        if since is not None and facts.now - since >= _PATIENCE and lost:
            text = f"{told(facts, one)}: removing it, for it to be made anew from the newest backup"
            return ClusterDecision(Remove(one), text)
    return None


def _lacking(facts: ClusterFacts, one: Instance) -> str:
    """The segment that it needs next, where each storage begins behind it; else empty.

    Patroni would have it stream if the primary still had that. Of the first storage the archive is known, of the other
    one the earliest set.
    """
    at, status = one.member.position, (facts.repository or {}).get("status") or {}
    oldest = str((status.get("archive") or {}).get("min") or "")
    others = [str(of.get("earliestLsn") or "0/0") for of in (status.get("storages") or [])[1:]]
    if at is None or not wal.is_segment(oldest) or any(at >= parse_lsn(lsn) for lsn in others):
        return ""
    size = server_facts.of(facts.repository).wal_segment_size or wal.SEGMENT_SIZE
    number = at // size
    return wal.name(one.member.timeline or 1, number, size) if number < wal.parse_segment(oldest, size).number else ""


def _since(facts: ClusterFacts, one: Instance) -> datetime | None:
    now = entry(facts, one)
    return parse_time(now["since"]) if now else None


def _remembered(facts: ClusterFacts, one: Instance) -> Object:
    listed = (facts.cluster.get("status") or {}).get("instances") or []
    found: Object = next((said for said in listed if said.get("name") == one.name), {})
    kept: Object = found.get("standsAt") or {}
    return kept if found.get("pod") == one.pod_name else {}
