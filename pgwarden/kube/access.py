"""Where the API server is and how we prove who we are: in a pod by its service account, elsewhere by a kubeconfig."""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from dataclasses import dataclass, field
from pathlib import Path

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TOKEN_TTL = 60.0  # seconds; the kubelet renews projected tokens well before they expire


@dataclass
class Access:
    """Base URL, TLS settings, and a bearer token that is read again each TOKEN_TTL where it comes from a file."""

    server: str
    tls: ssl.SSLContext | None
    token: str = ""
    token_file: Path | None = None
    _read_at: float = field(default=0.0, repr=False)

    def headers(self) -> dict[str, str]:
        if self.token_file is not None and time.monotonic() - self._read_at > TOKEN_TTL:
            self.token = self.token_file.read_text(encoding="utf-8").strip()
            self._read_at = time.monotonic()
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


def in_cluster() -> Access | None:
    """The pod's own service account, or None outside of a cluster."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    token_file = SERVICE_ACCOUNT / "token"
    if not host or not token_file.exists():
        return None
    tls = ssl.create_default_context(cafile=str(SERVICE_ACCOUNT / "ca.crt"))
    server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    return Access(server, tls, token_file=token_file, _read_at=-TOKEN_TTL * 2)


async def from_kubeconfig(path: str | None = None) -> Access:
    """Read *path* (default: KUBECONFIG, ~/.kube/config) as kubectl does, exec plugins included."""
    # Imported only here: the webhook and the controller in a cluster never pay for it.
    from kubernetes.aio.client import Configuration
    from kubernetes.aio.config import load_kube_config

    configuration = Configuration()
    await load_kube_config(config_file=path, client_configuration=configuration)  # type: ignore[no-untyped-call]
    tls: ssl.SSLContext | None = None
    if configuration.host.startswith("https"):
        tls = await asyncio.to_thread(_tls, configuration)
    token = configuration.api_key.get("BearerToken", "") or configuration.api_key.get("authorization", "")
    return Access(configuration.host.rstrip("/"), tls, token=token.removeprefix("Bearer "))


def _tls(configuration: object) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=getattr(configuration, "ssl_ca_cert", None))
    if not getattr(configuration, "verify_ssl", True):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    cert, key = getattr(configuration, "cert_file", None), getattr(configuration, "key_file", None)
    if cert:
        context.load_cert_chain(cert, key)
    return context
