"""Instances whose volume is lost for good, with its node or without: made anew from the others, or from the Repository.

Pure. The last copy is never given up for a new, empty one. Where `spec.repository.onExistingBackups` is Recover, one
Restore in place brings it back; else the status says how to.
"""

from __future__ import annotations

import msgspec

from controller import nodes, operations
from controller.cluster.actions import ClusterDecision, Make, Recover, Remove
from controller.cluster.facts import ClusterFacts, Instance
from pgwarden.api import names
from pgwarden.api.kinds import RepositorySpec
from pgwarden.api.objects import Object
from pgwarden.rules import backup_sets

REASON = "VolumeLost"


def lost(facts: ClusterFacts) -> list[Instance]:
    return [one for one in facts.instances if one.lack is not None and one.lack.is_lost]


def is_all_lost(facts: ClusterFacts) -> bool:
    """Whether no instance has its data any more. One whose claim was deleted gets a new one first."""
    found = lost(facts)
    return facts.initialized and bool(found) and len(found) == len(facts.instances) and _without_claim(found) is None


def decide(facts: ClusterFacts) -> ClusterDecision | None:
    found = next(iter(lost(facts)), None)
    if found is None:
        return None
    if is_all_lost(facts):
        return _recover(facts)
    bare = _without_claim(lost(facts))
    if facts.primary is None and bare is not None:
        return ClusterDecision(Make(bare.number, bare.restarted), f"{_told(bare)}: making it again, empty")
    if facts.primary is None:
        return ClusterDecision(None, f"{_told(found)}; it is made anew once there is a primary")
    return ClusterDecision(Remove(found), f"{_told(found)}: removing it, for it to be made anew")


def restore_name(facts: ClusterFacts) -> str:
    """Of the one Restore that brings back what was lost with these claims: after another loss, it is another."""
    return names.lost_volume_restore(facts.name, _claim_uid(facts))


def message(facts: ClusterFacts) -> str:
    """Of a cluster that has lost all: what is lost, and what is done, or can be, to have it back."""
    told = "; ".join(_told(one) for one in lost(facts))
    only = "it was the only copy" if len(facts.instances) == 1 else "no copy is left"
    return f"{told}; {only} outside of Repository {facts.name}. {_way_out(facts)}"


def _recover(facts: ClusterFacts) -> ClusterDecision:
    recovers = msgspec.convert(facts.spec.repository, RepositorySpec).recovers
    if not recovers or not _sets(facts) or _made(facts) is not None:
        return ClusterDecision(None, message(facts))
    return ClusterDecision(Recover(restore_name(facts), _claim_uid(facts)), message(facts))


def _way_out(facts: ClusterFacts) -> str:
    recovers = msgspec.convert(facts.spec.repository, RepositorySpec).recovers
    made = _made(facts)
    if made is not None:
        name, said = made["metadata"]["name"], str((made.get("status") or {}).get("message") or "it has not begun")
        if operations.phase(made) == "Failed":
            return f"Restore {name} did not bring it back: {said}. Delete that Restore to try again"
        return f"Restore {name} brings it back: {said}"
    if not _sets(facts):
        return (
            "The Repository lists no backup, so nothing can be brought back: if that is so for good, delete this "
            "PostgresCluster and create another one"
        )
    if recovers:
        return f"Restore {restore_name(facts)} is created to bring it back"
    return (
        f"To bring it back, run `kubectl pgwarden restore {facts.name}` (a Restore with spec.repository "
        f"{facts.name}), or set spec.repository.onExistingBackups to Recover, by which pgwarden does that itself"
    )


def _claim_uid(facts: ClusterFacts) -> str:
    """Of the first of the lost claims that there is; empty where there is none."""
    return next((one.lack.claim_uid for one in lost(facts) if one.lack and one.lack.claim_uid), "")


def _without_claim(found: list[Instance]) -> Instance | None:
    return next((one for one in found if one.lack and not one.lack.node and not one.lack.claim_uid), None)


def _made(facts: ClusterFacts) -> Object | None:
    """The Restore that is at it, or has failed: our own, else the user's that has not ended."""
    own = next((one for one in facts.restores if one["metadata"]["name"] == restore_name(facts)), None)
    theirs = (one for one in facts.restores if not operations.is_over(one) and not one["spec"].get("volumeClaim"))
    return next(theirs, None) or own


def _sets(facts: ClusterFacts) -> bool:
    return bool(backup_sets.of(facts.repository).count())


def _told(one: Instance) -> str:
    return nodes.told(one.name, one.lack) if one.lack else one.name
