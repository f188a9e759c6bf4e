"""What proves that a pod is a Deployment's: its ReplicaSet, which names the Deployment by uid. For fakes of an API server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from pgwarden.api import names

Object = dict[str, Any]
HOST = names.host("hippo")
SPEC: Object = {"replicas": 1, "template": {"metadata": {"labels": {}}, "spec": {"containers": []}}}


def by(deployment: str = HOST) -> list[Object]:
    """The owners of a pod that *deployment* runs."""
    kind = {"apiVersion": "apps/v1", "kind": "ReplicaSet"}
    return [kind | {"name": f"{deployment}-5d", "uid": f"rs-{deployment}", "controller": True}]


def replica_set(deployment: Object) -> Object:
    """The one that its pods are of."""
    name, uid = deployment["metadata"]["name"], deployment["metadata"]["uid"]
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name, "uid": uid, "controller": True}
    return {
        "kind": "ReplicaSet",
        "metadata": {"name": f"{name}-5d", "namespace": "ns", "uid": f"rs-{name}", "ownerReferences": [owner]},
    }


def deployment(owner: str, name: str = HOST, uid: str = "u-host") -> Object:
    """Of a repository host, as far as it matters whose it is. *owner*: the Repository's uid."""
    label = {names.LABEL_OWNER_REPOSITORY: "hippo"}
    about = {"name": name, "namespace": "ns", "uid": uid, "labels": label, "ownerReferences": [{"uid": owner}]}
    return {"kind": "Deployment", "metadata": about | {"resourceVersion": "1"}, "spec": SPEC}


def hosts(pods: Iterable[Object]) -> Callable[..., Awaitable[list[Object]]]:
    """In place of Context.hosts: all of *pods* are proven."""

    async def proven(*_: Any) -> list[Object]:
        return list(pods)

    return proven
