"""Talking to the agents in the repository host and beside PostgreSQL: mutual TLS under the Repository's own CA."""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
from types import SimpleNamespace

import aiohttp
import msgspec

from controller import owned, succession
from controller.runtime import slots
from controller.runtime.slots import Slot
from pgwarden.api import names, outside
from pgwarden.api.objects import Object
from pgwarden.contract.calls import Answer, Call
from pgwarden.kube import paths
from pgwarden.kube.cache import Key
from pgwarden.kube.client import KubeClient
from pgwarden.kube.tls import client_context, load_pair

_STATUS_SECONDS = 15.0
_CONNECT_SECONDS = 5.0
#: Connections that are made at once: a handshake takes milliseconds of CPU, and a thousand at once would last longer
#: than _CONNECT_SECONDS. Whoever is connected and waits for an answer holds up nobody.
CONNECTING = 128
#: A connection lasts from one look to the next.
KEEPALIVE_SECONDS = 180.0
#: Repositories above which a pod's connection ends with its answer. It would hold 30 KB or more, and of so many a pod
#: is asked every two minutes or less often (repository.quiet); a handshake takes 3 ms.
KEPT = 480
#: Bytes of the host's answer. `info` of 2,000 backup sets is 1.1 MB; with references, as older agents send it, 7.3 MB.
MOST = 8 * 1024 * 1024
#: Bytes of a pod's answer, which has no `info`: the longest is a fence's, with 100 bytes or so for each tablespace.
MOST_POD = 256 * 1024
#: Values of an answer, for they take more memory than their text. `info` has 29 of each backup set.
MOST_VALUES = 400_000
LAST = {"Connection": "close"}
KEY_CONTROLLER_CERT = "controller.crt"
KEY_CONTROLLER_KEY = "controller.key"


class AgentError(Exception):
    """No usable answer from an agent: it cannot be reached, its certificate is wrong, or it refused."""


class Unchanged(Exception):
    """The answer is the one that the call names as known."""


class Agents:
    """One TLS context per Repository, made from its CA Secret and kept until that Secret changes."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self._contexts: dict[Key, tuple[str, ssl.SSLContext]] = {}
        self._session: aiohttp.ClientSession | None = None
        self._connecting = asyncio.Semaphore(CONNECTING)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def trust(self, repository: Key, ca_secret: Object) -> None:
        """Use what *ca_secret* holds for this Repository from now on; AgentError where that cannot be used."""
        version = ca_secret["metadata"]["resourceVersion"]
        known = self._contexts.get(repository)
        if known is None or known[0] != version:
            try:
                made = _context(ca_secret.get("data") or {})
            except (KeyError, ValueError, OSError) as error:  # ssl.SSLError is an OSError
                raise AgentError(
                    f"the certificates in Secret {names.ca_secret(repository[1])} cannot be used; restore them from a "
                    "copy, or delete the Secret: pgwarden then creates a new one"
                ) from error
            self._contexts[repository] = (version, made)

    def forget(self, repository: Key) -> None:
        self._contexts.pop(repository, None)

    async def host(
        self, repository: Key, pod_ip: str, call: Call[Answer], *, seconds: float = _STATUS_SECONDS
    ) -> Answer:
        """Within a look: in its slot (`slots`), as the answer may be long."""
        name = names.host_dns(repository[1], repository[0])
        async with slots.waiting():
            raw = await self._call(repository, pod_ip, name, call, seconds, MOST, keep=True)
        return _decoded(raw, pod_ip, call, MOST)

    async def pod(
        self, repository: Key, pod_ip: str, call: Call[Answer], *, seconds: float = _STATUS_SECONDS
    ) -> Answer:
        name = names.pod_dns(repository[1], repository[0], pod_ip)
        keep = len(self._contexts) <= KEPT
        raw = await self._call(repository, pod_ip, name, call, seconds, MOST_POD, keep=keep)
        return _decoded(raw, pod_ip, call, MOST_POD)

    async def _call(
        self, repository: Key, ip: str, name: str, call: Call[Answer], seconds: float, most: int, *, keep: bool
    ) -> bytes:
        """The answer as it came. *name* is what the certificate must carry, *most* are bytes; *keep* the connection."""
        if not ip:
            raise AgentError("the pod has no IP address yet")
        context = await self._trusted(repository)
        if self._session is None:
            self._session = _open()
        address = f"[{ip}]" if ":" in ip else ip
        url = f"https://{address}:{names.PORT_AGENT}/{call.path}"
        body = msgspec.json.encode(call.body) if call.body is not None else None
        limit = aiohttp.ClientTimeout(total=seconds, connect=_CONNECT_SECONDS)
        headers = ({"If-None-Match": f'"{call.unless}"'} if call.unless else {}) | ({} if keep else LAST)
        slot = Slot(self._connecting)
        await slot.take()
        try:
            async with self._session.request(
                call.method, url, ssl=context, server_hostname=name, timeout=limit, data=body, headers=headers,
                trace_request_ctx=slot, allow_redirects=False,  # the controller reaches what the agent does not
            ) as answer:  # fmt: skip
                if call.unless and answer.status == 304:
                    raise Unchanged
                raw = await _read(answer, ip, most)
                if answer.status >= 300:
                    raise AgentError(f"the agent returned {answer.status}: {_shown(raw)}")
        except TimeoutError as error:
            raise AgentError(f"the agent at {ip} did not answer {call.name} within {seconds:g} s") from error
        except (aiohttp.ClientError, ssl.SSLError, OSError) as error:
            raise AgentError(f"the agent at {ip} cannot be reached: {_why(error)}") from error
        finally:
            slot.give_back()
        return raw

    async def _trusted(self, repository: Key) -> ssl.SSLContext:
        if repository not in self._contexts:
            secret = await self._client.find(paths.of("secrets", repository[0], names.ca_secret(repository[1])))
            if secret is None or KEY_CONTROLLER_CERT not in secret.get("data", {}):
                raise AgentError("the Repository's certificates have not been created yet")
            await self._prove(repository, secret)
            await asyncio.to_thread(self.trust, repository, secret)
        return self._contexts[repository][1]

    async def _prove(self, key: Key, secret: Object) -> None:
        """Whoever has made the Secret holds the key of its CA, and would be each of the Repository's agents."""
        repository = await self._client.find(paths.of("repositories", *key))
        if repository is None:
            raise AgentError(f"Repository {key[1]} was deleted")
        why = owned.not_the_repositorys(secret, repository)
        if why:
            raise AgentError(why)


def _open() -> aiohttp.ClientSession:
    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(_connected)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPALIVE_SECONDS),
        # Nobody packs an answer here: what a small one may unpack to has no bound.
        auto_decompress=False,
        headers={"Accept-Encoding": "identity"},
        trace_configs=[trace],
    )


async def _connected(_session: aiohttp.ClientSession, about: SimpleNamespace, _params: object) -> None:
    about.trace_request_ctx.give_back()


async def _read(answer: aiohttp.ClientResponse, ip: str, most: int) -> bytes:
    """The body, of at most *most* bytes: an agent runs where others have a say."""
    found = bytearray()
    async for piece in answer.content.iter_any():
        found += piece
        if len(found) > most:
            raise AgentError(f"the agent at {ip} returned more than {most // 1024} KiB")
    return bytes(found)


def _decoded(raw: bytes, ip: str, call: Call[Answer], most: int) -> Answer:
    if outside.values(raw) > MOST_VALUES:
        raise AgentError(f"the agent at {ip} returned more than {MOST_VALUES} values")
    found = outside.decode(raw, call.answer, most=most)
    if found is None:
        raise AgentError(f"the agent at {ip} answered {call.name} with an invalid response")
    return found


def _shown(raw: bytes) -> str:
    text = raw[:300].decode("utf-8", "replace")
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _why(error: Exception) -> str:
    """In words for people: aiohttp's own name the connection by Python objects."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"its certificate is invalid: {error.certificate_error}"
    if isinstance(error, aiohttp.ClientConnectorError):
        cause = error.os_error
        of_the_system = isinstance(cause, ssl.SSLError) is False and (cause.errno or 0) > 0
        return os.strerror(cause.errno or 0).lower() if of_the_system else str(cause)
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "it closed the connection"
    if isinstance(error, aiohttp.ClientResponseError):
        return f"what it answers is no HTTP ({error.message.partition(':')[0][:100]})"
    return str(error) or type(error).__name__


def _context(data: dict[str, str]) -> ssl.SSLContext:
    given = {key: base64.b64decode(value) for key, value in data.items()}
    context = client_context(ca_data=succession.believed(given).decode(), minimum=ssl.TLSVersion.TLSv1_3)
    load_pair(context, b"\n".join(given[key] for key in (KEY_CONTROLLER_KEY, KEY_CONTROLLER_CERT)))
    return context
