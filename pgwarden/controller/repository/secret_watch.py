"""Notices that a Secret which a Repository names has changed: a rotated key is in use within seconds.

By asking for the metadata of exactly these Secrets, and not by a watch: whoever may list or watch Secrets may read all
of the cluster's, as RBAC knows no "metadata only", and a label on the user's Secret would be one more thing to know of.
A question is some 300 bytes, without the Secret's content.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import structlog

from pgwarden.kube import errors, paths
from pgwarden.kube.cache import Key, WatchCache
from pgwarden.kube.client import KubeClient, Object

PERIOD = 4.0  # seconds
#: Of all Secrets that are named together, so many questions at a time.
AT_ONCE = 8
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
log = structlog.get_logger()


def named(repository: Object) -> Iterator[str]:
    """The Secrets that the Repository's configuration is made of."""
    spec: dict[str, Any] = repository.get("spec") or {}
    s3, encryption = spec.get("s3") or {}, spec.get("encryption") or {}
    for reference in (s3.get("credentialsSecretRef"), s3.get("caSecretRef"), encryption.get("secretRef")):
        if reference and reference.get("name"):
            yield str(reference["name"])


class SecretWatch:
    """Calls *changed* with a Repository's key after one of its Secrets has come, changed or gone."""

    def __init__(self, client: KubeClient, repositories: WatchCache, changed: Callable[[Key], None]) -> None:
        self._client = client
        self._repositories = repositories
        self._changed = changed
        self._versions: dict[Key, str] = {}  # of a Secret; "" where there is none

    async def run(self) -> None:
        while True:
            try:
                await self.look()
            except (errors.ApiError, aiohttp.ClientError, TimeoutError, OSError) as error:
                log.warning("cannot look at Secrets, trying again", error=str(error))
            await asyncio.sleep(PERIOD)

    async def look(self) -> None:
        users: dict[Key, set[Key]] = {}
        for key, repository in list(self._repositories.items.items()):
            for name in named(repository):
                users.setdefault((key[0], name), set()).add(key)
        before, few = self._versions, asyncio.Semaphore(AT_ONCE)
        found = await asyncio.gather(*(self._version(secret, few) for secret in users))
        self._versions = dict(zip(users, found, strict=True))
        for secret, version in self._versions.items():
            if secret in before and before[secret] != version:
                for key in users[secret]:
                    self._changed(key)

    async def _version(self, secret: Key, few: asyncio.Semaphore) -> str:
        async with few:
            try:
                seen = await self._client.request("GET", paths.of("secrets", *secret), accept=METADATA)
            except errors.NotFound:
                return ""
        return str(seen["metadata"]["resourceVersion"])
