"""Whether a claim has the size that is asked for, and where not, why: in the words of Kubernetes and the driver. Pure.

A claim grows in three steps. Its request is raised: the API server refuses that where the storage class does not allow
it, or a quota is used up. Then the driver expands the volume (Resizing, ControllerResizeError). At last the node
expands the file system, as soon as a pod mounts it (FileSystemResizePending, NodeResizeError).
"""

from __future__ import annotations

from dataclasses import dataclass

from pgwarden.api.objects import Object
from pgwarden.api.quantity import parse_quantity
from pgwarden.api.reading import get, objects

AS_SPECIFIED = "AsSpecified"
EXPANDING = "Expanding"
PENDING_IN_POD = "FileSystemResizePending"
UNBOUND = "ClaimNotBound"
FAILED = "ExpansionFailed"
REFUSED = "ClaimNotExpanded"
#: Nothing is wrong while a claim is at one of these.
UNDERWAY = frozenset({EXPANDING, PENDING_IN_POD, UNBOUND})
_ERRORS = ("ControllerResizeError", "NodeResizeError")


@dataclass(frozen=True)
class Growth:
    """What stands between *claim* and the size that is asked for."""

    claim: str
    reason: str
    message: str


def falls_short(claim: Object, size: str) -> bool:
    """Whether its volume is smaller than *size*; of one that has no volume yet, whether it asks for less."""
    wanted, has = parse_quantity(size), parse_quantity(_capacity(claim) or _request(claim))
    return wanted is not None and has is not None and has < wanted


def is_to_be_asked_for(claim: Object, size: str) -> bool:
    """Whether its request is to be raised. Kubernetes takes that of a claim that is bound alone."""
    wanted, asked = parse_quantity(size), parse_quantity(_request(claim))
    is_less = wanted is not None and asked is not None and asked < wanted
    return is_less and falls_short(claim, size) and get(claim, str, "status", "phase") == "Bound"


def allows(storage_class: Object | None) -> bool:
    return bool(storage_class and storage_class.get("allowVolumeExpansion"))


def judge(claim: Object, size: str, storage_class: Object | None, refused: str) -> Growth | None:
    """None where nothing is missing. *storage_class* is the claim's, None where it has none or that is gone; *refused*
    is what the API server said to the larger request, where it did not take it.
    """
    if not falls_short(claim, size):
        return None
    name, has = claim["metadata"]["name"], _capacity(claim) or _request(claim)
    short, grows = f"claim {name} has {has}, not {size}", f"claim {name} grows from {has} to {size}"
    if is_to_be_asked_for(claim, size):
        return Growth(name, REFUSED, f"{short}: {_why_refused(claim, storage_class, refused)}")
    if get(claim, str, "status", "phase") != "Bound":
        return Growth(name, UNBOUND, f"{short}; Kubernetes lets it grow once it is bound to a volume")
    told = {str(one.get("type")): str(one.get("message") or "") for one in _conditions(claim)}
    failed = next((kind for kind in _ERRORS if kind in told), "")
    state = get(claim, str, "status", "allocatedResourceStatuses", "storage") or ""
    if failed or state.endswith("Infeasible"):
        words = told.get(failed) or state
        return Growth(name, FAILED, f"{short}: the storage's driver could not expand the volume: {words}")
    if PENDING_IN_POD in told:
        return Growth(name, PENDING_IN_POD, f"{grows}: the file system grows once a pod mounts the volume")
    if "Resizing" in told or "InProgress" in state or "Pending" in state:
        return Growth(name, EXPANDING, f"{grows}: the storage's driver expands the volume")
    driver = get(storage_class, str, "provisioner") or "of its class"
    return Growth(name, EXPANDING, f"{grows}: asked for, and driver {driver} has not begun yet")


def _why_refused(claim: Object, storage_class: Object | None, refused: str) -> str:
    name = get(claim, str, "spec", "storageClassName") or ""
    if not name:
        return "its volume is of no storage class, and Kubernetes expands no such volume"
    if storage_class is None:
        return f"its storage class {name} no longer exists, so Kubernetes does not expand it"
    if not allows(storage_class):
        return (
            f"storage class {name} does not allow expansion; if its driver can expand volumes, set "
            "allowVolumeExpansion: true in the class"
        )
    return f"Kubernetes refuses the larger claim: {refused or 'no reason is known'}"


def _conditions(claim: Object) -> list[Object]:
    return [one for one in objects(claim, "status", "conditions") if one.get("status") == "True"]


def _capacity(claim: Object) -> str:
    return get(claim, str, "status", "capacity", "storage") or ""


def _request(claim: Object) -> str:
    return get(claim, str, "spec", "resources", "requests", "storage") or ""
