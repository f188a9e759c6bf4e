"""A minimal Kubernetes API client: readiness, reads and server-side apply."""

from __future__ import annotations

import http.client
import json
import ssl
from typing import Any

from localcluster import ports
from localcluster.config import Cluster
from localcluster.errors import LocalClusterError

_PREFIX = {"v1": "/api/v1"}
_CLUSTER_SCOPED = {"Namespace", "ClusterRole", "ClusterRoleBinding", "StorageClass"}
_PLURALS = {"StorageClass": "storageclasses"}


class Api:
    """Speaks as the cluster's administrator through the host's forwarder."""

    def __init__(self, cluster: Cluster) -> None:
        self._port = ports.remembered(cluster).get("api", 0)
        self._tls = ssl.create_default_context(cafile=str(cluster.pki / "ca.crt"))
        self._tls.verify_flags &= ~ssl.VERIFY_X509_STRICT  # pki.AS_PLAIN_AS_CAN_BE
        self._tls.load_cert_chain(cluster.pki / "admin.crt", cluster.pki / "admin.key")

    def request(self, method: str, path: str, body: bytes | None = None, content_type: str = "") -> tuple[int, bytes]:
        """One request on a connection of its own; raises OSError when nobody answers."""
        connection = http.client.HTTPSConnection("127.0.0.1", self._port, timeout=10, context=self._tls)
        try:
            headers = {"Content-Type": content_type} if content_type else {}
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except http.client.HTTPException as error:
            raise OSError(str(error)) from error
        finally:
            connection.close()

    def get(self, path: str) -> dict[str, Any] | None:
        """The object at a path; None when it is absent or the server does not answer."""
        try:
            status, body = self.request("GET", path)
            return json.loads(body) if status == 200 else None
        except (OSError, ValueError):
            return None

    def ready(self) -> bool:
        try:
            return self.request("GET", "/readyz")[0] == 200
        except OSError:
            return False

    def apply(self, document: dict[str, Any]) -> None:
        """Server-side apply: the same call creates, updates and leaves alone."""
        path = f"{object_path(document)}?fieldManager=localcluster&force=true"
        status, body = self.request("PATCH", path, json.dumps(document).encode(), "application/apply-patch+yaml")
        if status not in (200, 201):
            raise LocalClusterError(
                f"the API server refused {document['kind']} {document['metadata']['name']}: "
                f"{status} {body.decode(errors='replace')[:500]}"
            )


def object_path(document: dict[str, Any]) -> str:
    """The URL path of one object of the few kinds this package makes."""
    version, kind = document["apiVersion"], document["kind"]
    prefix = _PREFIX.get(version, f"/apis/{version}")
    if kind not in _CLUSTER_SCOPED:
        prefix += f"/namespaces/{document['metadata']['namespace']}"
    plural = _PLURALS.get(kind, f"{kind.lower()}s")
    return f"{prefix}/{plural}/{document['metadata']['name']}"
