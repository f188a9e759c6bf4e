"""Whether the node and the volume that an instance needs are there, silent, or gone for good. Pure.

A node that does not answer may still be alive, and PostgreSQL with it. Only an administrator knows that it is not, and
says so: by deleting the Node object, or by the taint `node.kubernetes.io/out-of-service`. Kubernetes itself believes
the same two, and ends the pods of such a node.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from controller.runtime import conditions
from pgwarden.api.objects import Object

#: Whoever sets it says that the machine is off, and will not come back by itself.
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
HOSTNAME = "kubernetes.io/hostname"


@dataclass(frozen=True)
class Lack:
    """The node that something waits for, or the volume that it has lost without its node."""

    node: str  # empty where it is not for a node
    bound: bool  # its volume can be used on that node alone
    proof: str = ""  # why the node is known to be gone for good; empty where it is only silent
    since: str = ""  # when the Node object turned unready, where it says so
    claim_uid: str = ""  # of the claim that its data is on, where there is one

    @property
    def is_lost(self) -> bool:
        """Whether the volume is gone with its node: there is nothing left to wait for."""
        return self.bound and bool(self.proof)


def homes(volume: Object | None) -> frozenset[str]:
    """The hostnames of the only nodes that *volume* (a PersistentVolume) can be used on; empty: it is tied to none."""
    required = ((volume or {}).get("spec", {}).get("nodeAffinity") or {}).get("required") or {}
    found: set[str] = set()
    for term in required.get("nodeSelectorTerms") or []:  # any of them will do
        listed = [*(term.get("matchExpressions") or []), *(term.get("matchFields") or [])]
        named = [one for one in listed if one.get("key") in {HOSTNAME, "metadata.name"} and one.get("operator") == "In"]
        if not named:
            return frozenset()
        found.update(map(str, named[0].get("values") or []))
    return frozenset(found)


def lack(pod_nodes: Mapping[str, Object | None], tied_to: Collection[str], nodes: Iterable[Object]) -> Lack | None:
    """What is lacking to who has pods on *pod_nodes* (the Node objects by name; None: deleted), and a volume that is
    *tied_to* these hostnames, of which *nodes* are there. None: nothing is.
    """
    if tied_to:
        # Whoever renames a node by its label has not removed it: the pod knows it by its name.
        there = [*nodes, *(node for node in pod_nodes.values() if node is not None)]
        if any(is_ready(one) for one in there):
            return None
        proof = _proof(there) if all(_is_out_of_service(one) for one in there) else ""
        return Lack(" and ".join(sorted(tied_to)), bound=True, proof=proof, since=_since(there))
    for name, node in pod_nodes.items():
        if not is_ready(node):
            proven = node is None or _is_out_of_service(node)
            known = [node] if node else []
            return Lack(name, bound=False, proof=_proof(known) if proven else "", since=_since(known))
    return None


def _proof(nodes: Collection[Object]) -> str:
    return f"it has the taint {OUT_OF_SERVICE}" if nodes else "its Node object is deleted"


def is_ready(node: Object | None) -> bool:
    """Of one that is gone (None): not."""
    return node is not None and conditions.is_true(node, "Ready")


def _is_out_of_service(node: Object) -> bool:
    """Not while it is Ready, whatever its taints: so does Kubernetes judge it."""
    taints = node.get("spec", {}).get("taints") or []
    return not is_ready(node) and any(one.get("key") == OUT_OF_SERVICE for one in taints)


def _since(nodes: Iterable[Object]) -> str:
    found = (conditions.find(one.get("status", {}).get("conditions", []), "Ready") or {} for one in nodes)
    return max((str(one.get("lastTransitionTime") or "") for one in found), default="")


def lost_volume(claim: Object | None, name: str) -> Lack | None:
    """Of *claim*, called *name*, that no pod can use any more, whatever its node: its volume is gone, or it is itself.
    None where that is not so.
    """
    if claim is None:
        return Lack("", bound=True, proof=f"claim {name} does not exist")
    if claim.get("status", {}).get("phase") == "Lost":
        proof = f"PersistentVolume {claim['spec'].get('volumeName')} of claim {name} no longer exists"
        return Lack("", bound=True, proof=proof)
    return None


def told(name: str, found: Lack) -> str:
    """What is the matter with *name*, and the way out, in a sentence."""
    if found.is_lost and not found.node:
        return f"the volume of {name} is lost ({found.proof})"
    if found.is_lost:
        return f"the volume of {name} is lost with node {found.node} ({found.proof})"
    if found.proof:
        return f"{name} moves to another node, as {found.node} is gone ({found.proof})"
    since = f" since {found.since}" if found.since else ""
    where = "its volume is on that node alone" if found.bound else "its pod cannot be ended, nor its volume detached"
    return (
        f"{name} is on node {found.node}, which has not been Ready{since}; {where}. "
        f"If the node never returns, say so by `kubectl delete node {found.node}`"
    )
