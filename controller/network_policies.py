"""Who may reach the ports of what we make: a NetworkPolicy for each Repository, and for a PostgresCluster's instances.

PostgreSQL pods that users make are not chosen: the first policy that chooses a pod shuts all of its other ports. What
connects from a pod's own node, as the kubelet's probes do, is let in by Kubernetes whatever a policy says. Pure.
"""

from __future__ import annotations

from typing import Any

from controller import pod_parts
from controller.settings import Settings
from pgwarden.api import names
from pgwarden.api.kinds import RepositorySpec
from pgwarden.api.objects import Object

#: Each namespace has it, by the API server.
_NAMESPACE = "kubernetes.io/metadata.name"
_CONTROLLER = {"app.kubernetes.io/component": "controller"}


def of_repository(repository: Object, spec: RepositorySpec, settings: Settings) -> Object:
    """Of its host and Jobs, which have the same labels."""
    name, namespace = repository["metadata"]["name"], repository["metadata"]["namespace"]
    own = _own(name)
    peers = [_pods(own), _pods({names.LABEL_REPOSITORY: name}), *_clones(spec)]
    ingress = [_rule(names.PORT_PGBACKREST, *peers), _rule(names.PORT_AGENT, _controller(settings))]
    about = {
        "name": names.host(name),
        "namespace": namespace,
        "labels": pod_parts.labels(name, names.COMPONENT_HOST),
        "ownerReferences": [pod_parts.owner(repository)],
    }
    return _policy(about, own, ingress, settings)


def of_instances(cluster: Object, settings: Settings) -> Object:
    """Of a PostgresCluster: PostgreSQL is for everybody, as its Services are."""
    name, namespace = cluster["metadata"]["name"], cluster["metadata"]["namespace"]
    own = {names.LABEL_CLUSTER: name, names.LABEL_REPOSITORY: name}
    ingress = [
        _rule(names.PORT_POSTGRES),
        _rule(names.PORT_PATRONI, _pods(own)),
        _rule(names.PORT_PGBACKREST, _pods(_own(name))),
        _rule(names.PORT_AGENT, _controller(settings)),
    ]
    about = {
        "name": names.cluster_account(name),
        "namespace": namespace,
        "labels": _own(name) | {names.LABEL_CLUSTER: name},
        "ownerReferences": [pod_parts.owner(cluster)],
    }
    return _policy(about, own, ingress, settings)


def _policy(about: Object, selected: dict[str, str], ingress: list[Object], settings: Settings) -> Object:
    mesh = [_rule(port) for port in settings.mesh_ports]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": about,
        "spec": {"podSelector": {"matchLabels": selected}, "policyTypes": ["Ingress"], "ingress": ingress + mesh},
    }


def _rule(port: int, *peers: Object) -> Object:
    """By number: an enforcer may not know the name of a sidecar's port. Without *peers* from anywhere."""
    rule: dict[str, Any] = {"ports": [{"port": port, "protocol": "TCP"}]}
    return rule | ({"from": list(peers)} if peers else {})


def _own(repository: str) -> dict[str, str]:
    """Labels of the pods of its host and its Jobs."""
    return {names.MANAGED_BY: "pgwarden", names.LABEL_OWNER_REPOSITORY: names.short(repository, 63)}


def _pods(labels: dict[str, str]) -> Object:
    return {"podSelector": {"matchLabels": labels}}


def _controller(settings: Settings) -> Object:
    return _pods(_CONTROLLER) | {"namespaceSelector": {"matchLabels": {_NAMESPACE: settings.namespace}}}


def _clones(spec: RepositorySpec) -> list[Object]:
    """The Jobs by which PostgresClusters begin as a copy: those of this namespace may, and of those that are named."""
    jobs = _pods({names.MANAGED_BY: "pgwarden", names.LABEL_COMPONENT: names.COMPONENT_RECOVERY})
    if "*" in spec.cloneable_from:
        return [jobs | {"namespaceSelector": {}}]
    if not spec.cloneable_from:
        return [jobs]
    named = {"key": _NAMESPACE, "operator": "In", "values": sorted(set(spec.cloneable_from))}
    return [jobs, jobs | {"namespaceSelector": {"matchExpressions": [named]}}]
