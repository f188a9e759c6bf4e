"""Notices that a Secret which a Repository names, or consists of, has changed: a rotated key is in use within seconds.

By asking for the metadata of exactly these Secrets, and not by a watch: whoever may list or watch Secrets may read all
of the cluster's, as RBAC knows no "metadata only", and a label on the user's Secret would be one more thing to know of.
A question is some 300 bytes, without the Secret's content. They are asked at a rate that does not grow with the number
of Repositories: of few each Secret is asked for every four seconds, of a thousand less often.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import structlog

from pgwarden import storages
from pgwarden.api import names
from pgwarden.api.objects import Object
from pgwarden.kube import errors, paths
from pgwarden.kube.cache import Key, WatchCache
from pgwarden.kube.client import KubeClient

PERIOD = 4.0  # seconds
#: Questions in a second, at most: for users' Secrets, and for those of Repositories, which we write ourselves.
RATE, OWN_RATE = 6.0, 3.0
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


def own(repository: Object) -> Iterator[str]:
    """The Secrets that it consists of."""
    name = repository["metadata"]["name"]
    yield from (names.ca_secret(name), names.host(name), names.pods(name))
    if any(storages.BY_NAME[one].on_volume for one in storages.names_of(repository)):
        yield names.server(name)


class SecretWatch:
    """Calls *changed* with a Repository's key after one of its Secrets, those that *listed* names, has come, changed or
    gone; or where another version was used for the Repository than is there (*used*; None: of none it is known).
    """

    def __init__(
        self,
        client: KubeClient,
        repositories: WatchCache,
        changed: Callable[[Key], None],
        used: Callable[[Key, str], str | None] = lambda _key, _secret: None,
        listed: Callable[[Object], Iterator[str]] = named,
        rate: float = RATE,
    ) -> None:
        self._client = client
        self._repositories = repositories
        self._changed = changed
        self._used = used
        self._listed = listed
        self._rate = rate
        self._versions: dict[Key, str] = {}  # of a Secret, as it was seen last; "" where there is none
        self._unseen: set[Key] = set()  # Secrets that could not be looked at the last time

    async def run(self) -> None:
        while True:
            began, users = time.monotonic(), self._users()
            await self.look(users, AT_ONCE / self._rate)
            await asyncio.sleep(max(0.0, began + PERIOD - time.monotonic()))

    async def look(self, users: dict[Key, set[Key]] | None = None, pause: float = 0.0) -> None:
        """Once at each Secret, AT_ONCE at a time, each time so many seconds (*pause*) apart. One that cannot be looked
        at holds up no other, and is compared when it can be again.
        """
        users = self._users() if users is None else users
        self._versions = {secret: version for secret, version in self._versions.items() if secret in users}
        self._unseen &= users.keys()
        for some in _batches(users):
            began = time.monotonic()
            found = await asyncio.gather(*(self._version(secret) for secret in some))
            for secret, version in zip(some, found, strict=True):
                self._note(secret, version, users[secret])
            if len(users) > AT_ONCE:
                await asyncio.sleep(max(0.0, began + pause - time.monotonic()))

    def _note(self, secret: Key, version: str | None, users: set[Key]) -> None:
        if version is None:
            self._unseen.add(secret)
            return
        self._unseen.discard(secret)
        before = self._versions.get(secret, version)
        self._versions[secret] = version
        for key in users:
            if version != before or self._used(key, secret[1]) not in {None, version}:
                self._changed(key)

    def _users(self) -> dict[Key, set[Key]]:
        """Of each Secret the Repositories that name it."""
        users: dict[Key, set[Key]] = {}
        for key, repository in list(self._repositories.items.items()):
            try:
                listed = list(self._listed(repository))
            except (AttributeError, TypeError) as error:
                log.warning("a Repository is skipped", namespace=key[0], name=key[1], error=str(error))
                continue
            for name in listed:
                users.setdefault((key[0], name), set()).add(key)
        return users

    async def _version(self, secret: Key) -> str | None:
        """None if it is not known, for whatever reason."""
        try:
            seen = await self._client.request("GET", paths.of("secrets", *secret), accept=METADATA)
            return str(seen["metadata"]["resourceVersion"])
        except errors.NotFound:
            return ""
        except Exception as error:  # noqa: BLE001  this one Secret's; the others are looked at
            if secret not in self._unseen:
                log.warning("cannot read a Secret", namespace=secret[0], name=secret[1], error=_line(error))
            return None


def _batches(secrets: Iterable[Key]) -> Iterator[list[Key]]:
    left = iter(secrets)
    while some := list(islice(left, AT_ONCE)):
        yield some


def _line(error: Exception) -> str:
    return str(error) or type(error).__name__
