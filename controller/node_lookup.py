"""Reading the nodes and the volume that the pods of something are on. Decides nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from controller import nodes
from pgwarden.api.objects import Object
from pgwarden.kube import paths
from pgwarden.kube.client import KubeClient, find_named


async def lack(client: KubeClient, namespace: str, pods: Iterable[Object], claim: str) -> nodes.Lack | None:
    """What of its nodes, or its volume, is lacking to who has *pods*, and its data on *claim*.

    As long as each pod is on a node that is Ready, no more than these is read.
    """
    names = sorted({str(pod["spec"]["nodeName"]) for pod in pods if pod.get("spec", {}).get("nodeName")})
    there = {name: await find_named(client, "nodes", "", name) for name in names}
    if there and nodes.lack(there, (), ()) is None:
        return None
    its_claim = await find_named(client, "persistentvolumeclaims", namespace, claim)
    uid = its_claim["metadata"]["uid"] if its_claim else ""
    lost = nodes.lost_volume(its_claim, claim)
    if lost is not None:
        return dataclasses.replace(lost, claim_uid=uid)
    tied_to = nodes.homes(await _volume(client, its_claim))
    found: list[Object] = []
    if tied_to:
        selector = f"{nodes.HOSTNAME} in ({','.join(sorted(tied_to))})"
        found = [one async for one in client.items(paths.of("nodes"), {"labelSelector": selector})]
        named = [await find_named(client, "nodes", "", name) for name in sorted(set(tied_to) - set(there))]
        found += [one for one in named if one is not None]
    lack = nodes.lack(there, tied_to, found)
    return dataclasses.replace(lack, claim_uid=uid) if lack else None


async def empty(client: KubeClient, namespace: str, claim: str) -> nodes.Lack:
    """What is lacking to who has *claim*, on which there is nothing."""
    found = await find_named(client, "persistentvolumeclaims", namespace, claim)
    uid = found["metadata"]["uid"] if found else ""
    return nodes.Lack("", bound=True, proof=f"claim {claim} is new, and empty", claim_uid=uid)


async def on_silent_nodes(client: KubeClient, pods: Iterable[Object]) -> set[str]:
    """The names of those of *pods* whose node is not Ready, or gone. One GET for each node."""
    by_node: dict[str, set[str]] = {}
    for pod in pods:
        by_node.setdefault(str(pod.get("spec", {}).get("nodeName") or ""), set()).add(pod["metadata"]["name"])
    silent: set[str] = set()
    for node in sorted(by_node.keys() - {""}):
        if not nodes.is_ready(await find_named(client, "nodes", "", node)):
            silent |= by_node[node]
    return silent


async def _volume(client: KubeClient, claim: Object | None) -> Object | None:
    name = ((claim or {}).get("spec") or {}).get("volumeName")
    return await find_named(client, "persistentvolumes", "", name) if name else None
