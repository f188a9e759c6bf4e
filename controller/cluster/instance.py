"""One instance: its volume claim and its Deployment. Pure."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from controller import patroni, placement, pod_parts
from controller.cluster.render import (
    KEY_APPLICATION,
    KEY_PATRONI,
    KEY_REPLICATION,
    KEY_REWIND,
    KEY_SUPERUSER,
    UID,
    metadata,
)
from controller.settings import Settings
from pgwarden.api import names
from pgwarden.api.kinds import PostgresClusterSpec
from pgwarden.api.objects import Object
from pgwarden.api.sizing import NOTHING, Asks, Size, fitted

SIZE = Size(
    always={"requests": {"cpu": "100m", "memory": "256Mi"}},
    if_asked={"limits.cpu": "1", "limits.memory": "1Gi"}
    | {"limits.ephemeral-storage": "1Gi", "requests.ephemeral-storage": "64Mi"},
)
#: A clean stop writes a checkpoint, and archives the last WAL.
GRACE_SECONDS = 180
_TMP = "/tmp"  # noqa: S108  an emptyDir of the pod's own


def claim(cluster: Object, spec: PostgresClusterSpec, number: int, origin: str = "") -> Object:
    """*origin* is noted on it: where its data comes from, when that is not as the spec says by itself."""
    name = names.instance(cluster["metadata"]["name"], number)
    storage = spec.instances.storage
    body: Object = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": storage.size}},
    }
    if storage.storage_class_name is not None:
        body["storageClassName"] = storage.storage_class_name
    made = metadata(cluster, name, **{names.LABEL_INSTANCE: name})
    if origin:
        made["annotations"] = {names.ANNOTATION_ORIGIN: origin}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": made,
        "spec": body,
    }


def deployment(
    cluster: Object,
    spec: PostgresClusterSpec,
    settings: Settings,
    number: int,
    restarted: str,
    passwords: str = "",
    wanted: Asks = NOTHING,
    *,
    tls: bool = True,
) -> Object:
    """Recreated, never rolled: its volume is its own. *restarted* is the mark of the last restart, *passwords* the
    digest of those in the Secret; *wanted* what the namespace asks of each container. *tls*: it has certificates.
    """
    own = cluster["metadata"]["name"]
    name = names.instance(own, number)
    selector = {names.LABEL_CLUSTER: own, names.LABEL_INSTANCE: name}
    annotations = {names.ANNOTATION_TEMPLATE: digest(cluster, spec, settings, tls=tls)}
    if restarted:
        annotations[names.ANNOTATION_RESTARTED] = restarted
    if passwords:
        annotations[names.ANNOTATION_PASSWORDS] = passwords
    labels = selector | {names.MANAGED_BY: "pgwarden", names.LABEL_REPOSITORY: own}
    about = placement.metadata(spec.instances.pod_template.metadata, labels)
    about["annotations"] = about.get("annotations", {}) | annotations
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(cluster, name, **{names.LABEL_INSTANCE: name}),
        "spec": {
            "replicas": 1,
            "revisionHistoryLimit": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": selector},
            "template": {"metadata": about, "spec": _pod(own, name, spec, settings, wanted, tls=tls)},
        },
    }


def digest(cluster: Object, spec: PostgresClusterSpec, settings: Settings, *, tls: bool = True) -> str:
    """Of all that takes a new pod to come into force, the same for each instance.

    Not of what the namespace asks: a new quota restarts no database that runs. Without *tls* it is that of a release
    before there was any (encryption.py).
    """
    own = cluster["metadata"]["name"]
    parts: list[Any] = [_pod(own, names.instance(own, 0), spec, settings, NOTHING, tls=tls)]
    parts.append(patroni.local(own, spec))
    about = spec.instances.pod_template.metadata
    if about.labels or about.annotations:  # others keep the digest of before there were any
        parts.append(msgspec.to_builtins(about))
    return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()[:16]


def resources(spec: PostgresClusterSpec, wanted: Asks) -> Object:
    """Of the one container of an instance; with its sidecar two share what a pod may have."""
    return fitted(spec.instances.resources or None, SIZE, wanted.shared_by(2))


def _pod(cluster: str, name: str, spec: PostgresClusterSpec, settings: Settings, wanted: Asks, *, tls: bool) -> Object:
    pod: Object = {
        "serviceAccountName": names.cluster_account(cluster),
        "automountServiceAccountToken": True,  # Patroni keeps its state in Kubernetes
        "enableServiceLinks": False,
        "securityContext": pod_parts.pod_security(UID, UID),
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "affinity": {"podAntiAffinity": {placement.PREFERRED: [_apart(cluster)]}},
        "containers": [_container(cluster, name, spec, settings, wanted)],
        "volumes": [
            {"name": "data", "persistentVolumeClaim": {"claimName": name}},
            {"name": "cluster", "configMap": {"name": names.cluster_patroni(cluster), "defaultMode": 0o555}},
            {"name": "tmp", "emptyDir": {}},
            {"name": "shm", "emptyDir": {"medium": "Memory"}},
        ],
    }
    if tls:
        _add_certificates(pod, cluster)
    given = placement.fields(spec.instances.pod_template.spec)
    return pod | given | {"affinity": pod["affinity"] | given.get("affinity", {})}


def _add_certificates(pod: Object, cluster: str) -> None:
    """PostgreSQL takes a key that is root's where its own group alone may read it, too. They are renewed in place."""
    secret = {"secretName": names.instance_tls(cluster), "defaultMode": 0o440}
    pod["volumes"].append({"name": names.VOLUME_TLS, "secret": secret})
    (container,) = pod["containers"]
    container["volumeMounts"].append({"name": names.VOLUME_TLS, "mountPath": names.CLUSTER_TLS, "readOnly": True})
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        container[probe]["httpGet"]["scheme"] = "HTTPS"


def _apart(cluster: str) -> Object:
    """Instances best on nodes of their own."""
    selector = {"matchLabels": {names.LABEL_CLUSTER: cluster}}
    return {"weight": 100, "podAffinityTerm": {"topologyKey": "kubernetes.io/hostname", "labelSelector": selector}}


def _container(cluster: str, name: str, spec: PostgresClusterSpec, settings: Settings, wanted: Asks) -> Object:
    def probe(path: str, **more: int) -> Object:
        return {"httpGet": {"path": path, "port": names.PORT_PATRONI}, "timeoutSeconds": 5} | more

    return {
        "name": "postgres",
        "image": spec.image or settings.postgres_image,
        "imagePullPolicy": "IfNotPresent" if spec.image else settings.image_pull_policy,
        "command": [f"{names.CLUSTER_CONF}/start.sh"],
        "env": _environment(cluster, name, spec),
        "ports": [
            {"name": "postgres", "containerPort": names.PORT_POSTGRES, "protocol": "TCP"},
            {"name": "patroni", "containerPort": names.PORT_PATRONI, "protocol": "TCP"},
        ],
        "lifecycle": {"preStop": {"exec": {"command": [f"{names.CLUSTER_CONF}/stop.sh"]}}},
        # Patroni answers only when a Restore's recovery has ended, which takes as long as it takes: a day at most.
        "startupProbe": probe("/liveness", periodSeconds=1, failureThreshold=86400),
        "readinessProbe": probe("/readiness", periodSeconds=1, failureThreshold=9),
        "livenessProbe": probe("/liveness", periodSeconds=10, failureThreshold=6),
        "resources": resources(spec, wanted),
        "securityContext": pod_parts.container_security(),
        "volumeMounts": [
            {"name": "data", "mountPath": names.CLUSTER_DATA},
            {"name": "cluster", "mountPath": names.CLUSTER_CONF, "readOnly": True},
            {"name": "tmp", "mountPath": _TMP},
            {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108  PostgreSQL's shared memory
        ],
    }


def _environment(cluster: str, name: str, spec: PostgresClusterSpec) -> list[Object]:
    def of_pod(variable: str, path: str) -> Object:
        return {"name": variable, "valueFrom": {"fieldRef": {"fieldPath": path}}}

    def secret(variable: str, key: str) -> Object:
        reference = {"name": names.cluster_credentials(cluster), "key": key}
        return {"name": variable, "valueFrom": {"secretKeyRef": reference}}

    return [
        of_pod("PATRONI_NAME", "metadata.name"),
        of_pod("PATRONI_KUBERNETES_NAMESPACE", "metadata.namespace"),
        of_pod("PATRONI_KUBERNETES_POD_IP", "status.podIP"),
        {"name": "PATRONI_POSTGRESQL_CONNECT_ADDRESS", "value": f"$(PATRONI_KUBERNETES_POD_IP):{names.PORT_POSTGRES}"},
        {"name": "PATRONI_RESTAPI_CONNECT_ADDRESS", "value": f"$(PATRONI_KUBERNETES_POD_IP):{names.PORT_PATRONI}"},
        {"name": "PATRONI_POSTGRESQL_DATA_DIR", "value": names.CLUSTER_PGDATA},
        secret("PATRONI_SUPERUSER_PASSWORD", KEY_SUPERUSER),
        secret("PATRONI_REPLICATION_PASSWORD", KEY_REPLICATION),
        secret("PATRONI_REWIND_PASSWORD", KEY_REWIND),
        {"name": "PATRONI_RESTAPI_USERNAME", "value": "patroni"},
        secret("PATRONI_RESTAPI_PASSWORD", KEY_PATRONI),
        secret("PGWARDEN_APP_PASSWORD", KEY_APPLICATION),
        {"name": "PGWARDEN_BIN", "value": names.cluster_bin(spec.postgres_version)},
        {"name": "PGWARDEN_INSTANCE", "value": name},
        {"name": "PGHOST", "value": patroni.SOCKET},
    ]
