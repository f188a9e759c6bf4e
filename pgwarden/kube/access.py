"""Where the API server is and how we reach it: in a pod by its service account, elsewhere by a kubeconfig."""

from __future__ import annotations

import asyncio
import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from multidict import CIMultiDict

from pgwarden.kube import credentials, kubeconfig
from pgwarden.kube.credentials import Credentials, Token
from pgwarden.kube.kubeconfig import Context, KubeconfigError
from pgwarden.kube.tls import client_context

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass
class Access:
    """Base URL, TLS settings, and who we are. `server_name` is the one in the server's certificate, if not its host."""

    server: str
    tls: ssl.SSLContext | None
    credentials: Credentials = field(default_factory=Token)
    server_name: str | None = None
    proxy: str | None = None
    #: Headers by which we act as somebody else; a group each.
    impersonation: CIMultiDict[str] = field(default_factory=CIMultiDict)

    async def headers(self) -> CIMultiDict[str]:
        """What proves to the API server who we are, renewed where it has expired."""
        found = CIMultiDict(self.impersonation)
        authorization = await self.credentials.authorization()
        if authorization:
            found["Authorization"] = authorization
        return found


def in_cluster() -> Access | None:
    """The pod's own service account, or None outside of a cluster."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    token_file = SERVICE_ACCOUNT / "token"
    if not host or not token_file.exists():
        return None
    tls = client_context(ca_file=SERVICE_ACCOUNT / "ca.crt")
    server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    return Access(server, tls, credentials.TokenFile(token_file))


async def from_kubeconfig(path: str | None = None, context: str | None = None) -> Access:
    """Read *path* (default: KUBECONFIG, ~/.kube/config) as kubectl does, exec plug-ins included.

    *context* is one of its contexts; None or empty: the current one. KubeconfigError, in one sentence.
    """
    found = kubeconfig.read(path or "")
    if found is None:
        raise KubeconfigError("no kubeconfig found: set KUBECONFIG")
    chosen = found.context(context or "")
    try:
        return await _of_context(chosen)
    except KubeconfigError:
        raise
    except Exception as error:
        said = credentials.said(error)
        raise KubeconfigError(f"context {chosen.name} of the kubeconfig cannot be used: {said}") from error


async def _of_context(context: Context) -> Access:
    """The kubernetes package reads the files, the tokens and the auth-providers. The exec plug-in is ours to run."""
    # Imported only here: the webhook and the controller in a cluster never pay for it.
    from kubernetes.aio.client import Configuration
    from kubernetes.aio.config import load_kube_config_from_dict

    plugin = context.user.get("exec")
    configuration = Configuration()
    loader = await load_kube_config_from_dict(  # type: ignore[no-untyped-call]
        _document(context), client_configuration=configuration
    )
    host = str(configuration.host)
    tls = await asyncio.to_thread(_tls, configuration) if host.startswith("https") else None
    mine: Credentials
    if plugin:
        mine = credentials.ExecPlugin(plugin, tls)
        await mine.authorization()  # what is wrong with it is said before anything is asked for
    else:
        mine = credentials.Loaded(loader, configuration)
    proxy = _proxy(context.cluster.get("proxy-url"))
    name = context.cluster.get("tls-server-name") or None
    return Access(host.rstrip("/"), tls, mine, name, proxy, _impersonation(context.user))


def _document(context: Context) -> dict[str, Any]:
    """A kubeconfig of this context alone. Without `exec`, and without the tokens that it goes before."""
    replaced = {"exec", "token", "tokenFile"} if context.user.get("exec") else set()
    user = {key: value for key, value in context.user.items() if key not in replaced}
    provider = user.get("auth-provider")
    if isinstance(provider, dict) and provider.get("name") == "oidc":
        user["auth-provider"] = provider | {"config": _unrenewed(provider.get("config") or {})}
    return {
        "current-context": context.name,
        "contexts": [{"name": context.name, "context": {"cluster": "it", "user": "it"}}],
        "clusters": [{"name": "it", "cluster": context.cluster}],
        "users": [{"name": "it", "user": user}],
    }


def _unrenewed(oidc: dict[str, Any]) -> dict[str, Any]:
    """Without what the package would renew the token with.

    It sends the secret without looking at the provider's certificate, and does not keep the refresh token that it gets
    for the one that it used up, so that kubectl would be logged out.
    """
    return {key: value for key, value in oidc.items() if key != "refresh-token"}


def _tls(configuration: Any) -> ssl.SSLContext:
    context = client_context(ca_file=configuration.ssl_ca_cert or None, verify=configuration.verify_ssl)
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    return context


def _proxy(given: object) -> str | None:
    if not given:
        return None
    scheme = urlsplit(str(given)).scheme
    if scheme not in {"http", "https"}:
        raise KubeconfigError(f"the kubeconfig's proxy-url {given} must begin with http:// or https://")
    return str(given)


def _impersonation(user: dict[str, Any]) -> CIMultiDict[str]:
    headers: CIMultiDict[str] = CIMultiDict()
    for key, header in (("as", "Impersonate-User"), ("as-uid", "Impersonate-Uid")):
        if user.get(key):
            headers[header] = str(user[key])
    for group in user.get("as-groups") or []:
        headers.add("Impersonate-Group", str(group))
    for key, values in (user.get("as-user-extra") or {}).items():
        for value in values:
            headers.add(f"Impersonate-Extra-{quote(str(key), safe='')}", str(value))
    return headers
