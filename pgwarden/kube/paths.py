"""URL paths of the resources that pgwarden reads and writes."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from pgwarden.api import names, registry
from pgwarden.kube import errors

#: plural → API prefix
_PREFIX = {
    "pods": "/api/v1",
    "services": "/api/v1",
    "secrets": "/api/v1",
    "configmaps": "/api/v1",
    "events": "/api/v1",
    "namespaces": "/api/v1",
    "persistentvolumeclaims": "/api/v1",
    "persistentvolumes": "/api/v1",
    "nodes": "/api/v1",
    "serviceaccounts": "/api/v1",
    "roles": "/apis/rbac.authorization.k8s.io/v1",
    "rolebindings": "/apis/rbac.authorization.k8s.io/v1",
    "poddisruptionbudgets": "/apis/policy/v1",
    "networkpolicies": "/apis/networking.k8s.io/v1",
    "deployments": "/apis/apps/v1",
    "statefulsets": "/apis/apps/v1",
    "replicasets": "/apis/apps/v1",
    "jobs": "/apis/batch/v1",
    "resourcequotas": "/api/v1",
    "limitranges": "/api/v1",
    "leases": "/apis/coordination.k8s.io/v1",
    "storageclasses": "/apis/storage.k8s.io/v1",
    "subjectaccessreviews": "/apis/authorization.k8s.io/v1",
    "mutatingwebhookconfigurations": "/apis/admissionregistration.k8s.io/v1",
    "validatingwebhookconfigurations": "/apis/admissionregistration.k8s.io/v1",
} | {kind.plural: f"/apis/{names.API_VERSION}" for kind in registry.KINDS}


class NoName(errors.NotFound, ValueError):
    """No object can have that name: who looks for one finds none, as of any other that is not there."""

    def __init__(self, plural: str, name: str) -> None:
        super().__init__(404, "NotFound", f"{name[:100]!r} cannot be a name in {plural}")


def of(plural: str, namespace: str = "", name: str | None = None, subresource: str = "") -> str:
    """`of("pods", "ns", "p", "log")` → `/api/v1/namespaces/ns/pods/p/log`; no namespace: across all or cluster-wide.

    NoName for a namespace or name that would be another path: `..` and the like are resolved on the way.
    """
    path = _PREFIX[plural]
    if namespace:
        path += f"/namespaces/{_segment('namespaces', namespace)}"
    path += f"/{plural}"
    if name is not None:
        path += f"/{_segment(plural, name)}"
    return f"{path}/{subresource}" if subresource else path


def each(plural: str, namespaces: Sequence[str]) -> dict[str, str]:
    """Namespace → path. Without *namespaces* one path across all, under the empty name."""
    return {namespace: of(plural, namespace) for namespace in namespaces or ("",)}


def _segment(plural: str, name: str) -> str:
    """As the API server judges it; names that are longer or have other characters just do not exist."""
    if not isinstance(name, str) or name in {"", ".", ".."} or "/" in name or "%" in name or not name.isprintable():
        raise NoName(plural, str(name))
    return quote(name, safe="")
