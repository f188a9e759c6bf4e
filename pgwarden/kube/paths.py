"""URL paths of the resources that pgwarden reads and writes."""

from __future__ import annotations

from urllib.parse import quote

from pgwarden.api import names

#: plural → API prefix
_PREFIX = {
    "pods": "/api/v1",
    "services": "/api/v1",
    "secrets": "/api/v1",
    "configmaps": "/api/v1",
    "events": "/api/v1",
    "persistentvolumeclaims": "/api/v1",
    "persistentvolumes": "/api/v1",
    "serviceaccounts": "/api/v1",
    "roles": "/apis/rbac.authorization.k8s.io/v1",
    "rolebindings": "/apis/rbac.authorization.k8s.io/v1",
    "poddisruptionbudgets": "/apis/policy/v1",
    "deployments": "/apis/apps/v1",
    "statefulsets": "/apis/apps/v1",
    "replicasets": "/apis/apps/v1",
    "jobs": "/apis/batch/v1",
    "leases": "/apis/coordination.k8s.io/v1",
    "storageclasses": "/apis/storage.k8s.io/v1",
    "mutatingwebhookconfigurations": "/apis/admissionregistration.k8s.io/v1",
    "validatingwebhookconfigurations": "/apis/admissionregistration.k8s.io/v1",
    "repositories": f"/apis/{names.API_VERSION}",
    "backups": f"/apis/{names.API_VERSION}",
    "backupschedules": f"/apis/{names.API_VERSION}",
    "restores": f"/apis/{names.API_VERSION}",
    "postgresclusters": f"/apis/{names.API_VERSION}",
}


def of(plural: str, namespace: str = "", name: str = "", subresource: str = "") -> str:
    """`of("pods", "ns", "p", "log")` → `/api/v1/namespaces/ns/pods/p/log`; no namespace: across all or cluster-wide."""
    path = _PREFIX[plural]
    if namespace:
        path += f"/namespaces/{quote(namespace, safe='')}"
    path += f"/{plural}"
    if name:
        path += f"/{quote(name, safe='')}"
    return f"{path}/{subresource}" if subresource else path


def pointer(where: str, key: str) -> str:
    """The JSON pointer (RFC 6901) of member *key* of what is at *where*."""
    return f"{where}/{key.replace('~', '~0').replace('/', '~1')}"
