"""Where the API server is and how we prove who we are: in a pod by its service account, elsewhere by a kubeconfig."""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pgwarden.kube.tls import client_context

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
    tls = client_context(ca_file=SERVICE_ACCOUNT / "ca.crt")
    server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    return Access(server, tls, token_file=token_file, _read_at=-TOKEN_TTL * 2)


async def from_kubeconfig(path: str | None = None, context: str | None = None) -> Access:
    """Read *path* (default: KUBECONFIG, ~/.kube/config) as kubectl does, exec plugins included.

    *context* is one of its contexts; None or empty: the current one.
    """
    # Imported only here: the webhook and the controller in a cluster never pay for it.
    from kubernetes.aio.client import Configuration
    from kubernetes.aio.config import load_kube_config

    found = Configuration()
    await load_kube_config(config_file=path or None, context=context or None, client_configuration=found)  # type: ignore[no-untyped-call]
    host = str(found.host)
    tls = await asyncio.to_thread(_tls, found) if host.startswith("https") else None
    token = found.api_key.get("BearerToken", "") or found.api_key.get("authorization", "")
    return Access(host.rstrip("/"), tls, token=token.removeprefix("Bearer "))


def _tls(configuration: Any) -> ssl.SSLContext:
    context = client_context(ca_file=configuration.ssl_ca_cert or None, verify=configuration.verify_ssl)
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    return context
