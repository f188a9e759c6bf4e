"""PostgreSQL pods as the API server sends them to a webhook: whole, defaulted, with managedFields; some 8 kB each.

`MARK` stands for a number that is another one in every review: it is in the pod's name, its claims, the name of its
token volume, its labels and its environment, as in the cluster, so that no body is ever sent twice.
"""

from __future__ import annotations

import itertools
import json
from typing import Any

Object = dict[str, Any]
MARK = "00000042"  # eight digits, and nowhere else in a review
NAMESPACE = "zoo"
DATA = "/var/lib/postgresql/data"
IMAGES = (
    "postgres:17.2",
    "postgres:17-alpine",
    "registry.example/mirror/library/postgres:16@sha256:" + "ab" * 32,
    "acme/pg:9",
)


def repositories() -> list[Object]:
    """What the pods' labels name: one left as it is, and others that change what is injected."""
    resources = {"requests": {"cpu": "50m", "memory": "96Mi"}, "limits": {"memory": "384Mi"}}
    specs: dict[str, Object] = {
        "hippo": {"storageType": "local", "retention": {"full": 7}},
        "rhino": {"storageType": "local", "postgres": {"passwordSecretRef": {"name": "admin", "key": "pw"}}},
        "lynx": {"storageType": "local", "sidecarResources": resources, "postgres": {"port": 5433, "user": "dba"}},
        "zebra": {"storageType": "local", "postgres": {"configureBy": "AlterSystem", "database": "app"}},
    }
    return [
        {
            "apiVersion": "pgwarden.io/v1alpha1",
            "kind": "Repository",
            "metadata": {"name": name, "namespace": NAMESPACE, "uid": f"repo-{name}", "generation": 1},
            "spec": spec,
        }
        for name, spec in specs.items()
    ]


def pods() -> list[Object]:
    """Every image, every way to start it, every Repository; volumes and neighbours are varied over them."""
    starts = list(STARTS)
    combinations = itertools.product(range(len(IMAGES)), range(len(starts)), ("hippo", "rhino", "lynx", "zebra"))
    return [
        _pod(number, IMAGES[image], STARTS[starts[start]], repository)
        for number, (image, start, repository) in enumerate(combinations)
    ]


def review(obj: Object, *, kind: Object | None = None, resource: str = "pods") -> bytes:
    """The AdmissionReview of the creation of *obj*."""
    request = {
        "uid": f"705ab4f5-6393-11e8-b7cc-{MARK}beef",
        "kind": kind or {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {
            "group": (kind or {}).get("group", ""),
            "version": (kind or {}).get("version", "v1"),
            "resource": resource,
        },
        "requestKind": kind or {"group": "", "version": "v1", "kind": "Pod"},
        "requestResource": {"group": (kind or {}).get("group", ""), "version": "v1", "resource": resource},
        "name": obj["metadata"].get("name", ""),
        "namespace": NAMESPACE,
        "operation": "CREATE",
        "userInfo": {
            "username": "system:serviceaccount:kube-system:statefulset-controller",
            "uid": "5f7c2c39-7a4c-4f0a-9c0c-1a9b7f6e1d22",
            "groups": ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"],
        },
        "object": obj,
        "oldObject": None,
        "dryRun": False,
        "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
    }
    whole = {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request}
    return json.dumps(whole, separators=(",", ":")).encode()


STARTS: dict[str, Object] = {
    "as the image does": {},
    "options": {"args": ["-c", "shared_buffers=256MB", "-c", "max_connections=200", "-c", "wal_level=logical"]},
    "the server and options": {"args": ["postgres", "-c", "config_file=/etc/postgresql/postgresql.conf"]},
    "the server as command": {
        "command": ["/usr/lib/postgresql/17/bin/postgres", "-D", DATA],
        "args": ["-c", "jit=off"],
    },
    "a shell": {"command": ["sh", "-ec", "umask 077; exec docker-entrypoint.sh postgres"]},
    "the entrypoint": {"command": ["docker-entrypoint.sh", "postgres"], "args": ["--log-checkpoints=on"]},
}


def _pod(number: int, image: str, start: Object, repository: str) -> Object:
    token = f"kube-api-access-{MARK}"
    spec: Object = {
        "volumes": _volumes(number, token),
        "containers": [_postgres(number, image, start, token), _exporter(token)],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 120,
        "dnsPolicy": "ClusterFirst",
        "serviceAccountName": "postgres",
        "serviceAccount": "postgres",
        "hostname": f"db-{MARK}",
        "subdomain": "db",
        "schedulerName": "default-scheduler",
        "securityContext": _security(number, image),
        "affinity": _affinity(),
        "tolerations": [
            {"key": f"node.kubernetes.io/{why}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
            for why in ("not-ready", "unreachable")
        ],
        "priority": 0,
        "enableServiceLinks": True,
        "preemptionPolicy": "PreemptLowerPriority",
    }
    if number % 3 == 0:
        spec["initContainers"] = [_init(image, token)]
    if number % 5 == 0:
        spec["containers"].reverse()
    return {"kind": "Pod", "apiVersion": "v1", "metadata": _metadata(number, repository), "spec": spec, "status": {}}


def _metadata(number: int, repository: str) -> Object:
    metadata: Object = {
        "name": f"db-{MARK}",
        "generateName": "db-",
        "namespace": NAMESPACE,
        "labels": {
            "app.kubernetes.io/name": "postgres",
            "apps.kubernetes.io/pod-index": MARK,
            "controller-revision-hash": "db-6b7f9c5d7c",
            "pgwarden.io/repository": repository,
            "statefulset.kubernetes.io/pod-name": f"db-{MARK}",
        },
        "ownerReferences": [
            {
                "apiVersion": "apps/v1",
                "kind": "StatefulSet",
                "name": "db",
                "uid": "0b2d5e0a",
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
        "managedFields": [
            {
                "manager": "kube-controller-manager",
                "operation": "Update",
                "apiVersion": "v1",
                "time": "2026-11-23T12:00:00Z",
                "fieldsType": "FieldsV1",
                "fieldsV1": _managed(),
            }
        ],
    }
    if number % 2:
        metadata["annotations"] = {"prometheus.io/scrape": "true", "checksum/config": "c0ffee" * 10, "instance": MARK}
    return metadata


def _managed() -> Object:
    leaf: Object = {}
    mounts = {
        f'k:{{"mountPath":"{path}"}}': {".": leaf, "f:mountPath": leaf, "f:name": leaf}
        for path in (DATA, "/etc/postgresql", "/dev/shm")
    }
    probe = {
        ".": leaf,
        "f:exec": {".": leaf, "f:command": leaf},
        "f:failureThreshold": leaf,
        "f:periodSeconds": leaf,
        "f:successThreshold": leaf,
        "f:timeoutSeconds": leaf,
    }
    container = {
        ".": leaf,
        "f:image": leaf,
        "f:imagePullPolicy": leaf,
        "f:livenessProbe": probe,
        "f:readinessProbe": probe,
        "f:name": leaf,
        "f:resources": {".": leaf, "f:limits": leaf, "f:requests": leaf},
        "f:terminationMessagePath": leaf,
        "f:terminationMessagePolicy": leaf,
        "f:volumeMounts": {".": leaf, **mounts},
    }
    return {
        "f:metadata": {
            "f:generateName": leaf,
            "f:labels": {".": leaf, "f:app.kubernetes.io/name": leaf, "f:controller-revision-hash": leaf},
            "f:ownerReferences": {".": leaf, 'k:{"uid":"0b2d5e0a"}': leaf},
        },
        "f:spec": {
            "f:containers": {'k:{"name":"postgres"}': container, 'k:{"name":"exporter"}': container},
            "f:dnsPolicy": leaf,
            "f:enableServiceLinks": leaf,
            "f:hostname": leaf,
            "f:restartPolicy": leaf,
            "f:schedulerName": leaf,
            "f:securityContext": leaf,
            "f:subdomain": leaf,
            "f:volumes": leaf,
        },
    }


def _postgres(number: int, image: str, start: Object, token: str) -> Object:
    data: Object = {"name": "data", "mountPath": DATA}
    if number % 7 == 1:
        data["subPath"] = "pgdata"
    if number % 7 == 2:
        data["subPathExpr"] = "$(POD_NAMESPACE)/db"
    mounts = [
        data,
        {"name": "config", "readOnly": True, "mountPath": "/etc/postgresql"},
        {"name": "shm", "mountPath": "/dev/shm"},
    ]
    if number % 4 == 1:
        mounts.append({"name": "socket", "mountPath": "/var/run/postgresql"})
    if number % 6 == 1:
        mounts.append({"name": "wal", "mountPath": "/var/lib/postgresql/wal"})
    mounts.append({"name": token, "readOnly": True, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"})
    container: Object = {
        "name": "postgres",
        "image": image,
        "ports": [{"name": "postgres", "containerPort": 5432, "protocol": "TCP"}],
        "env": _environment(number),
        "resources": {"limits": {"memory": "4Gi"}, "requests": {"cpu": "2", "memory": "4Gi"}},
        "volumeMounts": mounts,
        "livenessProbe": _probe(30),
        "readinessProbe": _probe(5),
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "imagePullPolicy": "IfNotPresent",
        "securityContext": {"capabilities": {"drop": ["ALL"]}, "allowPrivilegeEscalation": False},
    }
    return container | start


def _environment(number: int) -> list[Object]:
    secret = {"secretKeyRef": {"name": "db", "key": "password"}}
    environment: list[Object] = [
        {"name": "POD_NAME", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}},
        {"name": "POD_NAMESPACE", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}},
        {"name": "POSTGRES_PASSWORD", "valueFrom": secret},
        {"name": "POSTGRES_DB", "value": "app"},
        {"name": "INSTANCE", "value": MARK},
        {"name": "POSTGRES_INITDB_ARGS", "value": "--data-checksums --encoding=UTF8 --locale=C.UTF-8"},
    ]
    if number % 2 == 0:
        environment.append({"name": "VERSION", "value": "17"})
        environment.append({"name": "PGDATA", "value": f"{DATA}/$(VERSION)/main"})
    return environment


def _probe(period: int) -> Object:
    command = ["sh", "-c", "exec pg_isready -U postgres -h 127.0.0.1 -p 5432"]
    return {
        "exec": {"command": command},
        "timeoutSeconds": 5,
        "periodSeconds": period,
        "successThreshold": 1,
        "failureThreshold": 6,
    }


def _exporter(token: str) -> Object:
    return {
        "name": "exporter",
        "image": "quay.io/prometheuscommunity/postgres-exporter:v0.18.1",
        "args": ["--collector.long_running_transactions", "--web.listen-address=:9187"],
        "ports": [{"name": "metrics", "containerPort": 9187, "protocol": "TCP"}],
        "env": [
            {"name": "DATA_SOURCE_URI", "value": "127.0.0.1:5432/postgres?sslmode=disable"},
            {"name": "DATA_SOURCE_PASS", "valueFrom": {"secretKeyRef": {"name": "db", "key": "exporter"}}},
        ],
        "resources": {"limits": {"memory": "128Mi"}, "requests": {"cpu": "20m", "memory": "64Mi"}},
        "volumeMounts": [
            {"name": token, "readOnly": True, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
        ],
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "imagePullPolicy": "IfNotPresent",
    }


def _init(image: str, token: str) -> Object:
    return {
        "name": "permissions",
        "image": image,
        "command": ["sh", "-c", f"mkdir -p {DATA} && chmod 700 {DATA}"],
        "resources": {},
        "volumeMounts": [
            {"name": "data", "mountPath": DATA},
            {"name": token, "readOnly": True, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"},
        ],
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "imagePullPolicy": "IfNotPresent",
    }


def _volumes(number: int, token: str) -> list[Object]:
    sources: list[Object] = [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {
            "downwardAPI": {
                "items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]
            }
        },
    ]
    volumes: list[Object] = [
        {"name": "data", "persistentVolumeClaim": {"claimName": f"data-db-{MARK}"}},
        {"name": "config", "configMap": {"name": "postgres-config", "defaultMode": 420}},
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}},
    ]
    if number % 4 == 1:
        volumes.append({"name": "socket", "emptyDir": {}})
    if number % 6 == 1:
        volumes.append({"name": "wal", "persistentVolumeClaim": {"claimName": f"wal-db-{MARK}"}})
    return [*volumes, {"name": token, "projected": {"sources": sources, "defaultMode": 420}}]


def _security(number: int, image: str) -> Object:
    if image.startswith("acme/"):  # an unknown image: who PostgreSQL is must be said
        return {"runAsUser": 26, "runAsGroup": 26, "fsGroup": 26, "fsGroupChangePolicy": "OnRootMismatch"}
    return {"runAsUser": 999, "fsGroup": 999} if number % 4 == 3 else {"fsGroup": 70 if "alpine" in image else 999}


def _affinity() -> Object:
    selector = {"matchLabels": {"app.kubernetes.io/name": "postgres"}}
    terms = [
        {"labelSelector": selector, "topologyKey": key}
        for key in ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
    ]
    preferred = [{"weight": 50, "podAffinityTerm": term} for term in terms[1:]]
    return {
        "podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": terms[:1],
            "preferredDuringSchedulingIgnoredDuringExecution": preferred,
        }
    }
