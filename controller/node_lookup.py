"""Reading the nodes that the pods and the volume of something are on. Decides nothing."""

from __future__ import annotations

from collections.abc import Iterable

from controller import nodes
from pgwarden.api.objects import Object
from pgwarden.kube import paths
from pgwarden.kube.client import KubeClient, find_named


async def lack(client: KubeClient, namespace: str, pods: Iterable[Object], claim: str) -> nodes.Lack | None:
    """What of its nodes is lacking to who has *pods*, and its data on *claim*.

    As long as each pod is on a node that is Ready, no more than these is read.
    """
    names = sorted({str(pod["spec"]["nodeName"]) for pod in pods if pod.get("spec", {}).get("nodeName")})
    there = {name: await find_named(client, "nodes", "", name) for name in names}
    if there and nodes.lack(there, (), ()) is None:
        return None
    tied_to = nodes.homes(await _volume(client, namespace, claim))
    found: list[Object] = []
    if tied_to:
        selector = f"{nodes.HOSTNAME} in ({','.join(sorted(tied_to))})"
        found = [one async for one in client.items(paths.of("nodes"), {"labelSelector": selector})]
        named = [await find_named(client, "nodes", "", name) for name in sorted(set(tied_to) - set(there))]
        found += [one for one in named if one is not None]
    return nodes.lack(there, tied_to, found)


async def _volume(client: KubeClient, namespace: str, claim: str) -> Object | None:
    found = await find_named(client, "persistentvolumeclaims", namespace, claim)
    name = ((found or {}).get("spec") or {}).get("volumeName")
    return await find_named(client, "persistentvolumes", "", name) if name else None
