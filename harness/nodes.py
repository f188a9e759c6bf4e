"""What is on which node."""

from __future__ import annotations

from harness.kubectl import Kubectl, Object, is_true


def host(space: Kubectl, name: str = "hippo", component: str = "host") -> Object | None:
    """The repository host's pod (or the spare one's) that is Ready and there to stay."""
    pods = space.list("pods", f"pgwarden.io/for-repository={name},pgwarden.io/component={component}")
    return next((one for one in pods if is_true("Ready")(one) and "deletionTimestamp" not in one["metadata"]), None)


def of_instance(space: Kubectl, instance: str) -> str:
    """The node of the only pod that an instance of a PostgresCluster has."""
    (pod,) = space.list("pods", f"pgwarden.io/instance={instance}")
    return str(pod["spec"]["nodeName"])
