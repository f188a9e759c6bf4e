"""The objects that a Repository consists of in the cluster. Pure: (facts) → dict."""

from __future__ import annotations

from controller import placement, pod_parts, secret_data
from controller.pod_terms import PLAIN, PodTerms
from controller.repository import host_server, host_sizes
from controller.settings import Settings
from pgwarden import storages
from pgwarden.api import names
from pgwarden.api.kinds import LocalStorage, RepositorySpec
from pgwarden.api.objects import Object
from pgwarden.contract import environment, programs

_PROBE: Object = {"exec": {"command": programs.CHECK}, "timeoutSeconds": 10}
#: Seconds for which a host without a volume stays on a node that is not Ready.
SILENT_NODE = 30


def _metadata(repository: Object, name: str, *, owned: bool = True, component: str = "host") -> Object:
    metadata = repository["metadata"]
    made: Object = {
        "name": name,
        "namespace": metadata["namespace"],
        "labels": pod_parts.labels(metadata["name"], component),
    }
    if owned:
        made["ownerReferences"] = [pod_parts.owner(repository)]
    return made


def config_map(repository: Object, host_conf: str, pod_conf: str, server_conf: str = "") -> Object:
    """*server_conf* is empty where no pod reaches the host's server."""
    data = {names.KEY_HOST_CONF: host_conf, names.KEY_POD_CONF: pod_conf, names.KEY_SERVER_CONF: server_conf}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _metadata(repository, names.host(repository["metadata"]["name"])),
        "data": {key: text for key, text in data.items() if text},
    }


def secret(repository: Object, name: str, data: dict[str, bytes]) -> Object:
    return secret_data.made(_metadata(repository, name), data)


def services(repository: Object) -> list[Object]:
    """The host's Service, and the headless one that gives each PostgreSQL pod a name before it is ready."""
    name = repository["metadata"]["name"]
    ports = [
        {"name": "pgbackrest", "port": names.PORT_PGBACKREST, "targetPort": names.PORT_PGBACKREST},
        {"name": "pgwarden-agent", "port": names.PORT_AGENT, "targetPort": names.PORT_AGENT},
    ]
    host = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(repository, names.host(name)),
        "spec": {"selector": pod_parts.labels(name, names.COMPONENT_HOST), "ports": ports},
    }
    pods = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(repository, names.pods(name), component="pods"),
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": {names.LABEL_REPOSITORY: name},
            "ports": ports,
        },
    }
    return [host, pods]


def claim(repository: Object, volume: LocalStorage) -> Object:
    """The claim that backups are on. No owner: deleting a Repository must not delete its backups."""
    body: Object = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": volume.size}},
    }
    if volume.storage_class_name is not None:
        body["storageClassName"] = volume.storage_class_name
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": _metadata(repository, names.repo_claim(repository["metadata"]["name"]), owned=False),
        "spec": body,
    }


def _leaves_silent_nodes(spec: RepositorySpec, tolerations: list[Object]) -> list[Object]:
    """A host without a volume is as good on any other node: it does not wait five minutes, as pods do by default.

    Before *tolerations*, unless one of those says how long it waits.
    """
    if storages.volume(spec):
        return tolerations
    kept: Object = {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": SILENT_NODE}
    keys = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
    said = {one.get("key") for one in tolerations}
    return [*({"key": key} | kept for key in keys if key not in said), *tolerations]


def deployment(
    repository: Object, spec: RepositorySpec, settings: Settings, terms: PodTerms = PLAIN, *, apart: bool = True
) -> Object:
    """The repository host: one pod. Recreated rather than rolled where it has a volume, which is ReadWriteOnce; without
    one a pod on a lost node must not hold up its successor.

    *apart*: the server that PostgreSQL's pods reach is in a container of its own. An image of 0.1.0 knows no such role.
    """
    with_repo = storages.volume(spec) is not None
    made = _host(repository, spec, settings, terms, names.COMPONENT_HOST, with_repo=with_repo)
    if with_repo and apart:
        _set_apart(made["spec"]["template"]["spec"], repository["metadata"]["name"], spec, settings, terms)
    made["metadata"]["name"] = names.host(repository["metadata"]["name"])
    made["metadata"]["annotations"][names.ANNOTATION_TAKEN_OVER] = placement.note(terms.inherited)
    made["spec"]["strategy"] = {"type": "Recreate" if with_repo else "RollingUpdate"}
    return made


def spare(repository: Object, spec: RepositorySpec, settings: Settings, terms: PodTerms = PLAIN) -> Object:
    """The host without its volume: it answers for the other storages while the volume keeps the host from starting.

    No Service leads to it, so that what is on the volume is sought nowhere else.
    """
    made = _host(repository, spec, settings, terms, names.COMPONENT_SPARE, with_repo=False)
    made["metadata"]["name"] = names.spare_host(repository["metadata"]["name"])
    return made


def _set_apart(pod: Object, repository: str, spec: RepositorySpec, settings: Settings, terms: PodTerms) -> None:
    """Add the server's container to a host's *pod*."""
    (agent,) = pod["containers"]
    agent["ports"] = [one for one in agent["ports"] if one["containerPort"] != names.PORT_PGBACKREST]
    agent["resources"], share = host_sizes.shares(spec, terms.asks)
    pod["containers"].append(host_server.container(repository, spec, settings, share))
    pod["volumes"] += host_server.volumes(repository)


def _host(
    repository: Object, spec: RepositorySpec, settings: Settings, terms: PodTerms, component: str, *, with_repo: bool
) -> Object:
    name = repository["metadata"]["name"]
    labels = pod_parts.labels(name, component)
    container = {
        "name": names.CONTAINER_HOST,
        "image": settings.image,
        "imagePullPolicy": settings.image_pull_policy,
        "command": programs.AGENT,
        "env": pod_parts.environment(environment.of_repository(names.stanza(name, spec.stanza)), spec),
        "ports": [
            {"name": "pgbackrest", "containerPort": names.PORT_PGBACKREST, "protocol": "TCP"},
            {"name": "pgwarden-agent", "containerPort": names.PORT_AGENT, "protocol": "TCP"},
        ],
        "startupProbe": _PROBE | {"periodSeconds": 2, "failureThreshold": 150},
        "readinessProbe": {"tcpSocket": {"port": names.PORT_AGENT}, "periodSeconds": 5},
        "livenessProbe": _PROBE | {"periodSeconds": 30, "failureThreshold": 10},
        "resources": pod_parts.resources(spec, terms.asks),
        "securityContext": pod_parts.container_security(),
        "volumeMounts": pod_parts.host_mounts(spec, with_repo=with_repo),
    }
    pod: Object = {
        "containers": [container],
        "volumes": pod_parts.host_volumes(name, spec, with_repo=with_repo),
        "securityContext": pod_parts.pod_security(),
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 30,
    }
    pod |= pod_parts.service_account(spec) | placement.fields(spec.pod_template.spec, terms.inherited)
    tolerations = _leaves_silent_nodes(spec, pod.get("tolerations") or [])
    if tolerations:
        pod["tolerations"] = tolerations
    made_for = f"{repository['metadata']['generation']} {terms.digest}"
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(repository, "", component=component)
        | {"annotations": {names.ANNOTATION_MADE_FOR: made_for}},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": placement.metadata(spec.pod_template.metadata, labels), "spec": pod},
        },
    }
