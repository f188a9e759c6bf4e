"""Two volumes change their claims' names, step by step, from whatever is found: ask `next_change` until none is left.

A volume is never without protection: it is set to Retain before any claim goes, and gets its own reclaim policy back
only when the claim that it belongs to is bound. What that policy was, is written on the volume itself in the same
change: users cannot write there. Of one that does not say so (begun by version 0.1) nobody knows it: it stays Retain.
Claims go by uid. A volume is promised to its claim (claimRef without uid) before that claim is made, so that nobody
else's can take it in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from controller.recovery.plan import Volume
from controller.restore.verdict import Action, Create, Delete, Merge
from controller.runtime.conditions import timestamp
from pgwarden.api import names
from pgwarden.api.objects import Object
from pgwarden.api.reading import is_going, moment
from pgwarden.api.target import parse_time

RETAIN = "Retain"
_POLICIES = frozenset({"Retain", "Delete", "Recycle"})
NUDGE_AFTER = timedelta(seconds=1)


@dataclass(frozen=True)
class Goal:
    """Each claim in `bind` (a whole body, spec.volumeName set) bound to its volume; no claim named in `gone`."""

    namespace: str
    bind: Mapping[str, tuple[Object, Volume]]
    gone: frozenset[str]


@dataclass(frozen=True)
class Change:
    message: str
    action: Action | None = None  # None: wait


def next_change(
    goal: Goal, claims: Mapping[str, Object], volumes: Mapping[str, Object], now: datetime
) -> Change | None:
    """The next thing to do or wait for; None when the goal is reached."""
    for _, wanted in goal.bind.values():
        if wanted.name not in volumes:
            return Change(f"PersistentVolume {wanted.name} was deleted")
    if is_reached(goal, claims, volumes):
        return _tidy(goal, claims) or give_policies_back([volume for _, volume in goal.bind.values()], volumes)
    return (
        protect([volume for _, volume in goal.bind.values()], volumes)
        or _remove(goal, claims)
        or _promise(goal, claims, volumes)
        or _make(goal, claims, volumes)
        or _nudge(goal, claims, volumes, now)
        or Change(f"waiting for {' and '.join(goal.bind)} to be bound")
    )


def ahead(goal: Goal, claims: Mapping[str, Object], volumes: Mapping[str, Object]) -> Change | None:
    """What can be done while a pod still holds a claim that has to go: Kubernetes keeps it until then (finalizer)."""
    change = protect([volume for _, volume in goal.bind.values()], volumes) or _remove(goal, claims)
    if change is None or change.action or goal.gone & claims.keys():
        return change
    return _promise(goal, claims, volumes)


def protect(wanted: list[Volume], volumes: Mapping[str, Object]) -> Change | None:
    """No volume goes with its claim from here on."""
    for volume in wanted:
        found = volumes.get(volume.name)
        if found is not None and policy(found) != RETAIN:
            return Change(f"keeping volume {volume.name} (Retain)", _retain(found))
    return None


def policy(volume: Object) -> str:
    return str(volume["spec"].get("persistentVolumeReclaimPolicy", ""))


def is_bound(claim: Object | None, volume: Object | None) -> bool:
    """Whether each of the two says so of the other."""
    if claim is None or volume is None or is_going(claim):
        return False
    reference = volume["spec"].get("claimRef") or {}
    return bool(
        claim.get("status", {}).get("phase") == "Bound"
        and claim["spec"].get("volumeName") == volume["metadata"]["name"]
        and reference.get("uid") == claim["metadata"]["uid"]
    )


def is_lost(claim: Object | None, volume: Object | None) -> bool:
    """Whether *claim* was bound to a volume that Kubernetes no longer has: it can never be used again."""
    if claim is None or volume is not None or is_going(claim) or not claim["spec"].get("volumeName"):
        return False
    return bool(claim.get("status", {}).get("phase") == "Lost")


def is_reached(goal: Goal, claims: Mapping[str, Object], volumes: Mapping[str, Object]) -> bool:
    bound = all(is_bound(claims.get(name), volumes[volume.name]) for name, (_, volume) in goal.bind.items())
    return bound and not goal.gone & claims.keys()


def give_policies_back(wanted: Iterable[Volume], volumes: Mapping[str, Object]) -> Change | None:
    for volume in wanted:
        had = _policy_before(volumes.get(volume.name))
        if had:
            body = {
                "metadata": {"annotations": {names.ANNOTATION_RECLAIM: None}},
                "spec": {"persistentVolumeReclaimPolicy": had},
            }
            return Change(f"volume {volume.name} is {had} again", Merge("persistentvolumes", "", volume.name, body))
    return None


def left_at_retain(wanted: Iterable[Volume | None], volumes: Mapping[str, Object]) -> str:
    """The volumes whose reclaim policy must be set back by hand, as an end of the message; empty if there are none."""
    left = [
        f"{one.name} (it had {one.reclaim})"
        for one in wanted
        if one and one.name in volumes and policy(volumes[one.name]) == RETAIN != one.reclaim
    ]
    return f"; set the reclaim policy of volume {' and '.join(left)} by hand: it is still Retain" if left else ""


def _policy_before(volume: Object | None) -> str:
    """The reclaim policy that a volume had before it was set to Retain, by its own word."""
    noted = ((volume or {}).get("metadata", {}).get("annotations") or {}).get(names.ANNOTATION_RECLAIM, "")
    return noted if noted in _POLICIES else ""


def _remove(goal: Goal, claims: Mapping[str, Object]) -> Change | None:
    """Claims that must not be, or that hold another volume: all gone before a volume is promised anew."""
    wrong = [claims[name] for name in sorted(goal.gone) if name in claims]
    for name, (_, volume) in goal.bind.items():
        if name in claims and claims[name]["spec"].get("volumeName") != volume.name:
            wrong.append(claims[name])
    wrong += [claims[name] for name in goal.bind if name in claims and is_going(claims[name])]
    for claim in wrong:
        name = claim["metadata"]["name"]
        if not is_going(claim):
            return Change(
                f"deleting claim {name}; its volume is kept",
                Delete("persistentvolumeclaims", goal.namespace, name, claim["metadata"]["uid"]),
            )
    if wrong:
        return Change(
            "waiting for these claims to be deleted: " + ", ".join(sorted({c["metadata"]["name"] for c in wrong}))
        )
    return None


def _promise(goal: Goal, claims: Mapping[str, Object], volumes: Mapping[str, Object]) -> Change | None:
    for name, (_, volume) in goal.bind.items():
        reference = volumes[volume.name]["spec"].get("claimRef") or {}
        uid = claims[name]["metadata"]["uid"] if name in claims else None
        right = (reference.get("namespace"), reference.get("name")) == (goal.namespace, name)
        if right and reference.get("uid") in {None, "", uid}:
            continue
        promised = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "namespace": goal.namespace,
            "name": name,
            "uid": None,
            "resourceVersion": None,
        }
        action = Merge("persistentvolumes", "", volume.name, {"spec": {"claimRef": promised}})
        return Change(f"volume {volume.name} is for claim {name}", action)
    return None


def _make(goal: Goal, claims: Mapping[str, Object], volumes: Mapping[str, Object]) -> Change | None:
    for name, (body, volume) in goal.bind.items():
        if name not in claims:
            if volumes[volume.name].get("status", {}).get("phase") in {"Bound", "Released"}:
                # The binder has not seen yet that the volume is free: the claim would wait for its next round (15 s).
                return Change(f"waiting for volume {volume.name} to become available")
            return Change(f"creating claim {name} for volume {volume.name}", Create("persistentvolumeclaims", body))
    return None


def _nudge(goal: Goal, claims: Mapping[str, Object], volumes: Mapping[str, Object], now: datetime) -> Change | None:
    """Kubernetes' binder often binds the volume and not the claim. It comes back after 15 seconds, while PostgreSQL is
    down; or at once, if the claim changes.
    """
    for name, (_, volume) in goal.bind.items():
        claim, reference = claims[name], volumes[volume.name]["spec"].get("claimRef") or {}
        nudged = moment((claim["metadata"].get("annotations") or {}).get(names.ANNOTATION_NUDGED))
        last = nudged or parse_time(claim["metadata"]["creationTimestamp"])
        half = nudged is None and reference.get("uid") == claim["metadata"]["uid"]
        if not is_bound(claim, volumes[volume.name]) and (half or now - last >= NUDGE_AFTER):
            return Change(f"triggering the binding of claim {name}", _annotate(goal, claim, timestamp(now)))
    return None


def _tidy(goal: Goal, claims: Mapping[str, Object]) -> Change | None:
    for name in goal.bind:
        if names.ANNOTATION_NUDGED in claims[name]["metadata"].get("annotations", {}):
            return Change(f"claim {name} is bound", _annotate(goal, claims[name], None))
    return None


def _annotate(goal: Goal, claim: Object, value: str | None) -> Merge:
    metadata = {"uid": claim["metadata"]["uid"], "annotations": {names.ANNOTATION_NUDGED: value}}
    return Merge("persistentvolumeclaims", goal.namespace, claim["metadata"]["name"], {"metadata": metadata})


def _retain(volume: Object) -> Merge:
    """In one change: what it was, and Retain."""
    metadata = {"annotations": {names.ANNOTATION_RECLAIM: policy(volume)}}
    body = {"metadata": metadata, "spec": {"persistentVolumeReclaimPolicy": RETAIN}}
    return Merge("persistentvolumes", "", volume["metadata"]["name"], body)
