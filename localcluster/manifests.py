"""Objects every cluster gets: DNS, storage and the S3 Service."""

from __future__ import annotations

from typing import Any

from localcluster.config import DNS_PORT, DNS_SERVICE_IP, NODE_IP, S3_PORT, STORAGE_CLASSES

Document = dict[str, Any]
_RBAC = "rbac.authorization.k8s.io"
_STORAGE_NAMESPACE = "local-path-storage"
_PROVISIONER_USER = "localcluster:local-path-provisioner"

_HELPER_POD = """apiVersion: v1
kind: Pod
metadata:
  name: helper-pod
spec:
  priorityClassName: system-node-critical
  terminationGracePeriodSeconds: 0
  tolerations:
  - {operator: Exists}
  containers:
  - name: helper-pod
    image: %s
    imagePullPolicy: IfNotPresent
"""


def _object(version: str, kind: str, name: str, namespace: str = "", **rest: Any) -> Document:
    metadata: Document = {"name": name, "labels": {"app.kubernetes.io/managed-by": "localcluster"}}
    if namespace:
        metadata["namespace"] = namespace
    metadata["labels"].update(rest.pop("labels", {}))
    metadata["annotations"] = rest.pop("annotations", {})
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **rest}


def _cluster_role(name: str, user: str, rules: list[Document]) -> list[Document]:
    reference = {"apiGroup": _RBAC, "kind": "ClusterRole", "name": name}
    subject = {"apiGroup": _RBAC, "kind": "User", "name": user}
    return [
        _object(f"{_RBAC}/v1", "ClusterRole", name, rules=rules),
        _object(f"{_RBAC}/v1", "ClusterRoleBinding", name, roleRef=reference, subjects=[subject]),
    ]


def _rule(groups: str, resources: str, verbs: str) -> Document:
    return {
        "apiGroups": ["" if group == "core" else group for group in groups.split()],
        "resources": resources.split(),
        "verbs": verbs.split(),
    }


def _node_service(
    name: str, namespace: str, ports: list[tuple[str, str, int, int]], cluster_ip: str = ""
) -> list[Document]:
    """A selector-less Service whose one endpoint is a process on the node."""
    spec: Document = {
        "ports": [
            {"name": port, "protocol": protocol, "port": number, "targetPort": target}
            for port, protocol, number, target in ports
        ],
    }
    if cluster_ip:
        spec["clusterIP"] = cluster_ip
    endpoints = [{"name": port, "protocol": protocol, "port": target} for port, protocol, _, target in ports]
    return [
        _object("v1", "Service", name, namespace, spec=spec),
        _object(
            "discovery.k8s.io/v1",
            "EndpointSlice",
            f"{name}-node",
            namespace,
            labels={"kubernetes.io/service-name": name, "endpointslice.kubernetes.io/managed-by": "localcluster"},
            addressType="IPv4",
            ports=endpoints,
            endpoints=[{"addresses": [NODE_IP], "conditions": {"ready": True}}],
        ),
    ]


def dns() -> list[Document]:
    """CoreDNS runs as a process on the node; the Service gives it the address pods expect."""
    rules = [
        _rule("core", "endpoints services pods namespaces", "list watch"),
        _rule("discovery.k8s.io", "endpointslices", "list watch"),
    ]
    return [
        _object("v1", "Namespace", "kube-system"),
        *_cluster_role("localcluster:coredns", "localcluster:coredns", rules),
        *_node_service(
            "kube-dns",
            "kube-system",
            [("dns", "UDP", 53, DNS_PORT), ("dns-tcp", "TCP", 53, DNS_PORT)],
            DNS_SERVICE_IP,
        ),
    ]


def network_policies() -> list[Document]:
    """What their enforcer reads."""
    rules = [
        _rule("core", "pods namespaces", "list watch"),
        _rule("networking.k8s.io", "networkpolicies", "list watch"),
    ]
    return _cluster_role("localcluster:network-policies", "localcluster:network-policies", rules)


def storage(helper_image: str) -> list[Document]:
    """Two StorageClasses over the same provisioner.

    The volume type is `local`, not hostPath: only then does kubelet apply a
    pod's fsGroup, as it does with any CSI driver of a real cluster.
    """
    scripts = {
        "setup": '#!/bin/sh\nset -eu\nmkdir -m 0777 -p "$VOL_DIR"\n',
        "teardown": '#!/bin/sh\nset -eu\nrm -rf "$VOL_DIR"\n',
        "helperPod.yaml": _HELPER_POD % helper_image,
    }
    default = "storageclass.kubernetes.io/is-default-class"
    classes = [
        _object(
            "storage.k8s.io/v1",
            "StorageClass",
            name,
            provisioner="rancher.io/local-path",
            annotations={default: str(name == STORAGE_CLASSES[0]).lower(), "defaultVolumeType": "local"},
            volumeBindingMode="WaitForFirstConsumer",
            reclaimPolicy="Delete",
        )
        for name in STORAGE_CLASSES
    ]
    rules = [
        _rule("core", "nodes persistentvolumeclaims configmaps pods pods/log", "get list watch"),
        _rule("core", "persistentvolumes", "get list watch create patch update delete"),
        _rule("core", "events", "create patch"),
        _rule("core", "pods", "create patch update delete"),
        _rule("storage.k8s.io", "storageclasses", "get list watch"),
    ]
    return [
        _object("v1", "Namespace", _STORAGE_NAMESPACE),
        _object("v1", "ServiceAccount", "local-path-provisioner-service-account", _STORAGE_NAMESPACE),
        _object("v1", "ConfigMap", "local-path-config", _STORAGE_NAMESPACE, data=scripts),
        *_cluster_role(_PROVISIONER_USER, _PROVISIONER_USER, rules),
        *classes,
    ]


def object_store() -> list[Document]:
    """S3 under both its own port and 443, the default of most clients."""
    return [
        _object("v1", "Namespace", "pgwarden-s3"),
        *_node_service(
            "s3",
            "pgwarden-s3",
            [("s3", "TCP", S3_PORT, S3_PORT), ("https", "TCP", 443, S3_PORT)],
        ),
    ]
