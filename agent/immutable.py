"""Asks the buckets of a Repository what they keep of what is deleted, now and then and beside everything else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from urllib.parse import quote

import aiohttp
from yarl import URL

from agent import one_storage
from agent.paths import Paths
from pgwarden.contract.status import Immutable
from pgwarden.kube.tls import client_context
from pgwarden.pgbackrest import config
from pgwarden.storages.s3 import immutable, signature
from pgwarden.storages.s3.immutable import Bucket

#: Somebody changes it once; and who has just been given the right is to see it soon.
KNOWN_SECONDS, UNKNOWN_SECONDS = 1800.0, 300.0
ASK_SECONDS = 15.0
MOST = 64 * 1024  # bytes of an answer
Ask = Callable[[Bucket, str], Awaitable[tuple[int, str]]]


class Immutables:
    """`told` never waits: the first answer is there at a later look."""

    def __init__(self, paths: Paths, ask: Ask | None = None) -> None:
        self._paths, self._ask = paths, ask or _get
        self._task: asyncio.Task[None] | None = None
        self._text = ""
        self._due = 0.0
        self._found: tuple[Immutable, ...] = ()

    def told(self) -> tuple[Immutable, ...] | None:
        text, now = one_storage.whole(self._paths), asyncio.get_running_loop().time()
        if text != self._text:
            self._text, self._due = text, 0.0
        if now >= self._due and (self._task is None or self._task.done()):
            self._due = now + UNKNOWN_SECONDS
            self._task = asyncio.create_task(self._look(text))
        return self._found or None

    async def _look(self, text: str) -> None:
        buckets = {number: Bucket(lines) for number in config.repos(text) if (lines := _lines(text, number))}
        self._found = tuple([await self._of(number, bucket) for number, bucket in buckets.items()])
        if not any(one.reason for one in self._found):
            self._due = asyncio.get_running_loop().time() + KNOWN_SECONDS

    async def _of(self, number: int, bucket: Bucket) -> Immutable:
        if bucket.hindrance:
            return immutable.unknown(number, bucket.hindrance)
        try:
            answers = [await self._ask(bucket, wanted) for wanted in (immutable.VERSIONING, immutable.LOCK)]
        except (aiohttp.ClientError, OSError, ValueError, TimeoutError) as error:
            return immutable.unknown(number, f"the service was not asked: {type(error).__name__}")
        return immutable.judge(number, *answers)


def _lines(text: str, number: int) -> dict[str, str]:
    """Of a storage in a bucket; else nothing."""
    lines = config.lines_of(text, number)
    return lines if "s3-bucket" in lines else {}


async def _get(bucket: Bucket, wanted: str) -> tuple[int, str]:
    query, now = {wanted: ""}, datetime.now(UTC)
    headers = signature.headers(bucket.host, bucket.path, query, bucket.region, bucket.keys, now)
    context = await asyncio.to_thread(client_context, ca_file=bucket.ca_file, verify=bucket.is_verified)
    url = URL(f"https://{bucket.host}{quote(bucket.path)}?{signature.query_string(query)}", encoded=True)
    limit = aiohttp.ClientTimeout(total=ASK_SECONDS)
    async with (
        aiohttp.ClientSession(timeout=limit) as session,
        session.get(url, headers=headers, ssl=context, allow_redirects=False) as answer,
    ):
        text = (await answer.content.read(MOST)).decode("utf-8", "replace")
        return answer.status, text
