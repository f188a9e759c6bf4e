"""Talking to the agents in the repository host and beside PostgreSQL: mutual TLS under the Repository's own CA."""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
import tempfile
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from pgwarden.api import names
from pgwarden.kube import paths
from pgwarden.kube.cache import Key
from pgwarden.kube.client import KubeClient, Object
from pgwarden.kube.tls import client_context

_STATUS_SECONDS = 15.0
KEY_CONTROLLER_CERT = "controller.crt"
KEY_CONTROLLER_KEY = "controller.key"


class AgentError(Exception):
    """No usable answer from an agent: it cannot be reached, its certificate is wrong, or it refused."""


class Agents:
    """One TLS context per Repository, made from its CA Secret and kept until that Secret changes."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self._contexts: dict[Key, tuple[str, ssl.SSLContext]] = {}
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def trust(self, repository: Key, ca_secret: Object) -> None:
        """Use what *ca_secret* holds for this Repository from now on."""
        version = ca_secret["metadata"]["resourceVersion"]
        known = self._contexts.get(repository)
        if known is None or known[0] != version:
            self._contexts[repository] = (version, _context(ca_secret["data"]))

    def forget(self, repository: Key) -> None:
        self._contexts.pop(repository, None)

    async def host(
        self, repository: Key, pod_ip: str, call: str = "status", *, seconds: float = _STATUS_SECONDS
    ) -> Object:
        return await self._call(repository, pod_ip, names.host_dns(repository[1], repository[0]), call, seconds)

    async def pod(
        self, repository: Key, pod_ip: str, call: str = "status", *, seconds: float = _STATUS_SECONDS
    ) -> Object:
        return await self._call(repository, pod_ip, names.pod_dns(repository[1], repository[0], pod_ip), call, seconds)

    async def _call(self, repository: Key, ip: str, name: str, call: str, seconds: float) -> Object:
        """GET for a status, POST for everything else; *name* is what the certificate must carry."""
        if not ip:
            raise AgentError("the pod has no IP address yet")
        context = await self._trusted(repository)
        if self._session is None:
            self._session = aiohttp.ClientSession()
        address = f"[{ip}]" if ":" in ip else ip
        url = f"https://{address}:{names.PORT_AGENT}/{call}"
        method = "GET" if call.startswith("status") else "POST"
        limit = aiohttp.ClientTimeout(total=seconds, connect=5)
        try:
            async with self._session.request(method, url, ssl=context, server_hostname=name, timeout=limit) as answer:
                raw = await answer.read()
                if answer.status >= 400:
                    raise AgentError(f"the agent answered {answer.status}: {raw[:300].decode('utf-8', 'replace')}")
                decoded: Any = msgspec.json.decode(raw)
        except TimeoutError as error:
            raise AgentError(
                f"the agent at {ip} did not answer {call.partition('?')[0]} within {seconds:g} s"
            ) from error
        except (aiohttp.ClientError, ssl.SSLError, OSError, msgspec.DecodeError) as error:
            raise AgentError(f"the agent at {ip} cannot be reached: {_why(error)}") from error
        if not isinstance(decoded, dict):
            raise AgentError(f"the agent at {ip} answered something else than an object")
        return decoded

    async def _trusted(self, repository: Key) -> ssl.SSLContext:
        if repository not in self._contexts:
            secret = await self._client.find(paths.of("secrets", repository[0], names.ca_secret(repository[1])))
            if secret is None or KEY_CONTROLLER_CERT not in secret.get("data", {}):
                raise AgentError("the Repository's certificates have not been made yet")
            await asyncio.to_thread(self.trust, repository, secret)
        return self._contexts[repository][1]


def _why(error: Exception) -> str:
    """In words for people: aiohttp's own name the connection by Python objects."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"its certificate is not good: {error.certificate_error}"
    if isinstance(error, aiohttp.ClientConnectorError):
        cause = error.os_error
        of_the_system = isinstance(cause, ssl.SSLError) is False and (cause.errno or 0) > 0
        return os.strerror(cause.errno or 0).lower() if of_the_system else str(cause)
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "it closed the connection"
    return str(error) or type(error).__name__


def _context(data: dict[str, str]) -> ssl.SSLContext:
    """An SSLContext loads its certificate from files alone: they live in a private folder for as long as that takes."""
    ca = base64.b64decode(data[names.KEY_CA_CERT]).decode()
    context = client_context(ca_data=ca, minimum=ssl.TLSVersion.TLSv1_3)
    with tempfile.TemporaryDirectory() as folder:
        cert, key = Path(folder, "tls.crt"), Path(folder, "tls.key")
        cert.write_bytes(base64.b64decode(data[KEY_CONTROLLER_CERT]))
        key.touch(mode=0o600)
        key.write_bytes(base64.b64decode(data[KEY_CONTROLLER_KEY]))
        context.load_cert_chain(cert, key)
    return context
