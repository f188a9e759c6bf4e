"""Notices that a Secret which a Repository names has changed: a rotated key is in use within seconds.

By asking for the metadata of exactly these Secrets, and not by a watch: whoever may list or watch Secrets may read all
of the cluster's, as RBAC knows no "metadata only", and a label on the user's Secret would be one more thing to know of.
A question is some 300 bytes, without the Secret's content.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import structlog

from pgwarden import storages
from pgwarden.api.objects import Object
from pgwarden.kube import errors, paths
from pgwarden.kube.cache import Key, WatchCache
from pgwarden.kube.client import KubeClient

PERIOD = 4.0  # seconds
#: Of all Secrets that are named together, so many questions at a time.
AT_ONCE = 8
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
log = structlog.get_logger()


def named(repository: Object) -> Iterator[str]:
    """The Secrets that the Repository's configuration is made of."""
    yield from storages.secrets(repository)
    spec: dict[str, Any] = repository.get("spec") or {}
    reference = (spec.get("encryption") or {}).get("secretRef")
    if reference and isinstance(reference.get("name"), str):
        yield reference["name"]


class SecretWatch:
    """Calls *changed* with a Repository's key after one of its Secrets has come, changed or gone."""

    def __init__(self, client: KubeClient, repositories: WatchCache, changed: Callable[[Key], None]) -> None:
        self._client = client
        self._repositories = repositories
        self._changed = changed
        self._versions: dict[Key, str] = {}  # of a Secret, as it was seen last; "" where there is none
        self._unseen: set[Key] = set()  # Secrets that could not be looked at the last time

    async def run(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(PERIOD)

    async def look(self) -> None:
        """Once at each Secret. One that cannot be looked at holds up no other, and is compared when it can be again."""
        users = self._users()
        before, few = self._versions, asyncio.Semaphore(AT_ONCE)
        found = await asyncio.gather(*(self._version(secret, few) for secret in users))
        seen = {secret: version for secret, version in zip(users, found, strict=True) if version is not None}
        self._unseen = set(users) - set(seen)
        self._versions = {secret: before[secret] for secret in self._unseen if secret in before} | seen
        for secret, version in seen.items():
            if secret in before and before[secret] != version:
                for key in users[secret]:
                    self._changed(key)

    def _users(self) -> dict[Key, set[Key]]:
        """Of each Secret the Repositories that name it."""
        users: dict[Key, set[Key]] = {}
        for key, repository in list(self._repositories.items.items()):
            try:
                listed = list(named(repository))
            except (AttributeError, TypeError) as error:
                log.warning("a Repository is skipped", namespace=key[0], name=key[1], error=str(error))
                continue
            for name in listed:
                users.setdefault((key[0], name), set()).add(key)
        return users

    async def _version(self, secret: Key, few: asyncio.Semaphore) -> str | None:
        """None if it is not known, for whatever reason."""
        try:
            async with few:
                seen = await self._client.request("GET", paths.of("secrets", *secret), accept=METADATA)
            return str(seen["metadata"]["resourceVersion"])
        except errors.NotFound:
            return ""
        except Exception as error:  # noqa: BLE001  this one Secret's; the others are looked at
            if secret not in self._unseen:
                log.warning("cannot read a Secret", namespace=secret[0], name=secret[1], error=_line(error))
            return None


def _line(error: Exception) -> str:
    return str(error) or type(error).__name__
