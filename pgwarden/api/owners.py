"""What makes a pod, by its owner references. Pure."""

from __future__ import annotations

from pgwarden.api.objects import Object
from pgwarden.api.reading import get


def workload(reference: Object, pod: Object) -> tuple[str, str]:
    """Kind and name of the workload behind *reference*, an owner of *pod*: of a ReplicaSet, the Deployment that it is
    named after.
    """
    kind, name = str(reference.get("kind")), str(reference.get("name"))
    suffix = get(pod, str, "metadata", "labels", "pod-template-hash")
    if kind == "ReplicaSet" and suffix and name.endswith(f"-{suffix}"):
        return "Deployment", name.removesuffix(f"-{suffix}")
    return kind, name
