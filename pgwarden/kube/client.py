"""Raw REST to the API server over aiohttp: objects are plain dicts, so that no field is ever lost on the way.

The generated models of the kubernetes package are not used: they drop what they do not know and cost memory and start
time in every replica of the webhook. Its reader of a kubeconfig's credentials is.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any, Self

import aiohttp
import msgspec
from multidict import CIMultiDict

from pgwarden.api import names
from pgwarden.api.objects import Object
from pgwarden.kube import access, errors, paths, sockets

_CONNECT = 10.0  # seconds to connect
_REQUEST = 60.0  # seconds for one request; a watch is bounded by its own timeoutSeconds
PAGE = 250  # objects of one answer to a list
LISTING = 2  # such answers that are read at once
_PAGE = 100  # of a list that is read page by page, of which no more is held
#: Seconds without a word after which the connection of a watch is taken for dead. The API server sends a bookmark each
#: minute. Where none comes, as of a resource that nobody has written since it started, a watch is resumed this often.
SILENCE = 75.0
WATCH_SECONDS = 290  # how long the server holds one watch open; then we resume it
METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
#: The API server's words for a JSON patch that does not fit the object, as where one of its tests fails.
DOES_NOT_FIT = "the server rejected our request due to an error in our request"
#: Method, status (0: no answer), and seconds until the answer began.
Told = Callable[[str, int, float], None]
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class Page(msgspec.Struct):
    """One answer to a list. Its objects are text until each is looked at: all of them at once as values take many times
    the memory, of which what is kept of them would then lie here and there in holes.
    """

    metadata: Object
    items: list[msgspec.Raw] | None

    def objects(self) -> Iterator[Any]:
        return map(_decode, self.items or ())


_decode_page = msgspec.json.Decoder(Page).decode


class KubeClient:
    """One session to one API server. Methods raise kube.errors.ApiError, or aiohttp.ClientError when none answers."""

    def __init__(
        self, where: access.Access, *, silence: float = SILENCE, told: Told | None = None, at_once: int | None = None
    ) -> None:
        """*told* hears of each request. No more than *at_once* are on their way, watches aside; the others wait."""
        self._told = told
        self._slots = contextlib.nullcontext() if at_once is None else asyncio.Semaphore(at_once)
        #: Caches list under it: pages of all of them at once would take more memory than what is kept of them.
        self.listing = asyncio.Semaphore(LISTING)
        self._access = where
        self._silence = silence
        self._session: aiohttp.ClientSession | None = None

    @classmethod
    async def from_environment(cls, *, told: Told | None = None, at_once: int | None = None) -> KubeClient:
        """In a pod: its service account (unless KUBECONFIG is set). Elsewhere: the kubeconfig."""
        where = None if os.environ.get("KUBECONFIG") else access.in_cluster()
        return cls(where or await access.from_kubeconfig(), told=told, at_once=at_once)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                ssl=self._access.tls or False,
                limit=0,
                force_close=self._access.credentials.changes_certificate,
                socket_factory=sockets.watched,
            )
            timeout = aiohttp.ClientTimeout(total=_REQUEST, connect=_CONNECT)
            self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, proxy=self._access.proxy)
        return self._session

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        content_type: str = "application/json",
        params: Mapping[str, str] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  the limit of one request, handed to aiohttp
        accept: str = "application/json",
        decode: Callable[[bytes], Any] = _decode,
    ) -> Any:
        """Send one request and return the decoded answer (a dict for every Kubernetes object)."""
        headers = {"Accept": accept} | ({} if body is None else {"Content-Type": content_type})
        data = None if body is None else _encode(body)
        limit = aiohttp.ClientTimeout(total=timeout or _REQUEST, connect=_CONNECT)
        async with (
            self._slots,
            await self._send(method, path, headers, data=data, params=params, timeout=limit) as answer,
        ):
            raw = await answer.read()
            return decode(raw) if answer.content_type == "application/json" else raw.decode()

    async def page(self, path: str, params: Mapping[str, str]) -> Page:
        """One answer to a list."""
        found: Page = await self.request("GET", path, params=params, decode=_decode_page)
        return found

    async def _send(self, method: str, path: str, more: Mapping[str, str], **options: Any) -> aiohttp.ClientResponse:
        """Send one request, and once more where our credentials are refused and there are newer ones. ApiError."""
        proof = await self._access.headers()
        answer = await self._send_once(method, path, proof, more, **options)
        if answer.status == 401:
            await answer.read()
            self._access.credentials.refused(proof.get("Authorization", ""))
            newer = await self._access.headers()
            if newer != proof:
                answer = await self._send_once(method, path, newer, more, **options)
        if answer.status >= 400:
            async with answer:
                raise errors.from_body(answer.status, await answer.read())
        return answer

    async def _send_once(
        self, method: str, path: str, proof: CIMultiDict[str], more: Mapping[str, str], **options: Any
    ) -> aiohttp.ClientResponse:
        headers = proof.copy()
        headers.update(more)
        name, began, code = self._access.server_name, time.monotonic(), 0
        try:
            answer = await self._open().request(
                method, self._access.server + path, headers=headers, server_hostname=name, **options
            )
            code = answer.status
        finally:
            if self._told is not None:
                self._told(method, code, time.monotonic() - began)
        return answer

    async def get(self, path: str, params: Mapping[str, str] | None = None, seconds: float | None = None) -> Any:
        return await self.request("GET", path, params=params, timeout=seconds)

    async def items(
        self, path: str, params: Mapping[str, str] | None = None, *, accept: str = ""
    ) -> AsyncIterator[Object]:
        """Each object of a list, read fresh and page by page: no more than one page is held.

        *accept* METADATA: no more than the metadata of each is sent.
        """
        query = {"limit": str(_PAGE)} | dict(params or {})
        while True:
            asked = self.request("GET", path, params=query, accept=accept) if accept else self.get(path, query)
            page: Object = await asked
            for one in page.get("items") or []:
                yield one
            following = page.get("metadata", {}).get("continue")
            if not following:
                return
            query["continue"] = following

    async def find(self, path: str) -> Object | None:
        """The object at *path*, or None where there is none."""
        try:
            found: Object = await self.get(path)
        except errors.NotFound:
            return None
        return found

    async def create(self, path: str, body: Object) -> Object:
        created: Object = await self.request("POST", path, body=body, params={"fieldManager": names.FIELD_MANAGER})
        return created

    async def apply(self, path: str, body: Object) -> Object:
        """Server-side apply of exactly the fields in *body*, as one fixed field manager."""
        params = {"fieldManager": names.FIELD_MANAGER, "force": "true"}
        applied: Object = await self.request("PATCH", path, body=body, content_type=APPLY, params=params)
        return applied

    async def merge(self, path: str, body: Object) -> Object:
        """JSON merge patch (RFC 7386): what is None goes, lists are replaced whole."""
        params = {"fieldManager": names.FIELD_MANAGER}
        merged: Object = await self.request("PATCH", path, body=body, content_type=MERGE, params=params)
        return merged

    async def patch(self, path: str, operations: Sequence[Object]) -> Object:
        """JSON patch (RFC 6902). Raises Conflict where the object is not as the operations take it to be."""
        params = {"fieldManager": names.FIELD_MANAGER}
        try:
            patched: Object = await self.request("PATCH", path, body=operations, content_type=JSON_PATCH, params=params)
        except errors.Invalid as error:
            if error.message != DOES_NOT_FIT:
                raise
            raise errors.Conflict(409, "Conflict", f"{path} is not as it was read") from error
        return patched

    async def delete(
        self, path: str, *, uid: str, propagation: str = "Background", grace_seconds: int | None = None
    ) -> bool:
        """Delete the very object that was looked at. False where there is none; Conflict where it is another by now.

        *grace_seconds* 0 takes a pod away without waiting for its node: only of one that has ended.
        """
        if not uid:
            raise ValueError(f"{path}: a delete names the uid of what was looked at")
        options: Object = {
            "kind": "DeleteOptions",
            "apiVersion": "v1",
            "propagationPolicy": propagation,
            "preconditions": {"uid": uid},
        }
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        try:
            await self.request("DELETE", path, body=options)
        except errors.NotFound:
            return False
        return True

    async def watch(self, path: str, params: Mapping[str, str]) -> AsyncIterator[Object]:
        """Events {type, object} from one watch until the server ends it. Raises Gone where it must be listed again."""
        query = {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(WATCH_SECONDS)} | dict(params)
        limit = aiohttp.ClientTimeout(total=None, connect=_CONNECT, sock_read=self._silence)
        async with await self._send("GET", path, {}, params=query, timeout=limit) as answer:
            async for event in _events(answer.content):
                if event["type"] == "ERROR":
                    status = event["object"]
                    raise errors.from_body(int(status.get("code", 500)), _encode(status))
                yield event


async def find_named(client: KubeClient, plural: str, namespace: str, name: str) -> Object | None:
    """As `client.find`, for a name that somebody else wrote: None as well where no object can have it."""
    try:
        path = paths.of(plural, namespace, name)
    except paths.NoName:
        return None
    return await client.find(path)


async def _events(stream: aiohttp.StreamReader) -> AsyncIterator[Object]:
    """Lines of JSON. An object may be larger than the reader's line limit, so lines are cut here."""
    pending = bytearray()
    async for chunk in stream.iter_any():
        pending += chunk
        *lines, rest = pending.split(b"\n")
        pending = bytearray(rest)
        for line in lines:
            if line.strip():
                yield _decode(line)
