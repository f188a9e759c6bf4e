"""Both webhooks make the same pods: their patches, applied to one pod, differ in the injection's hash alone."""

from __future__ import annotations

import base64
import json
from typing import Any

from bench.webhook import shapes
from bench.webhook.world import Server, World
from harness.patches import carried_out
from pgwarden.api import names


async def check(world: World, ours: Server, peer: Server) -> int:
    """How many shapes were compared; AssertionError, with the first difference, where two pods are not the same."""
    for number, pod in enumerate(shapes.pods()):
        made = [_injected(pod, await world.ask(server.port, "/mutate", shapes.review(pod))) for server in (ours, peer)]
        difference = _difference(*made, f"pod {number}: ")
        assert not difference, difference
        assert made[0] != pod
    return len(shapes.pods())


def _injected(pod: Any, answer: bytes) -> Any:
    """The pod with the answer's patch applied. Of the hash, which each makes in its own way, only the length."""
    response = json.loads(answer)["response"]
    assert response["allowed"], response
    made = carried_out(pod, json.loads(base64.b64decode(response["patch"])))
    annotations = made["metadata"]["annotations"]
    annotations[names.ANNOTATION_INJECTED] = len(bytes.fromhex(annotations[names.ANNOTATION_INJECTED]))
    return made


def _difference(ours: Any, peers: Any, path: str) -> str:
    if isinstance(ours, dict) and isinstance(peers, dict) and ours.keys() == peers.keys():
        return next((found for key in ours if (found := _difference(ours[key], peers[key], f"{path}/{key}"))), "")
    if isinstance(ours, list) and isinstance(peers, list) and len(ours) == len(peers):
        pairs = enumerate(zip(ours, peers, strict=True))
        return next((found for n, (a, b) in pairs if (found := _difference(a, b, f"{path}/{n}"))), "")
    return "" if ours == peers else f"{path}\nours: {json.dumps(ours)[:900]}\npeer: {json.dumps(peers)[:900]}"
