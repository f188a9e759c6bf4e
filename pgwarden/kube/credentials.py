"""What proves who we are, and when it is renewed: tokens that stand, files that others renew, plug-ins that expire."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from pgwarden.kube import exec_plugin, tls
from pgwarden.kube.kubeconfig import KubeconfigError

_EXPIRED = "oidc: No valid id-token"
TOKEN_TTL = 60.0  # seconds; the kubelet renews projected tokens well before they expire


class Credentials(Protocol):
    @property
    def changes_certificate(self) -> bool:
        """Whether the client certificate may be replaced: then each request takes a connection of its own."""

    async def authorization(self) -> str:
        """The Authorization header, empty for none. OSError where it cannot be had."""

    def refused(self, authorization: str) -> None:
        """The API server answered 401 to *authorization*."""


@dataclass
class Token:
    """One that is never renewed; empty: none."""

    token: str = ""
    changes_certificate = False

    async def authorization(self) -> str:
        return f"Bearer {self.token}" if self.token else ""

    def refused(self, authorization: str) -> None:
        """There is no other."""


@dataclass
class TokenFile:
    """A file that is read again each TOKEN_TTL."""

    path: Path
    clock: Callable[[], float] = time.monotonic
    _token: str = ""
    _read_at: float | None = None
    changes_certificate = False

    async def authorization(self) -> str:
        if self._read_at is None or self.clock() - self._read_at > TOKEN_TTL:
            self._token = self.path.read_text(encoding="utf-8").strip()
            self._read_at = self.clock()
        return f"Bearer {self._token}"

    def refused(self, authorization: str) -> None:
        """The kubelet brings another; it is seen in time."""


@dataclass
class Loaded:
    """What the kubernetes package has read of a kubeconfig; it is asked again each TOKEN_TTL.

    A token file is read again then, and the token of an OpenID provider is renewed where it has expired.
    """

    loader: Any
    configuration: Any
    clock: Callable[[], float] = time.monotonic
    _loaded_at: float = field(init=False)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    changes_certificate = False

    def __post_init__(self) -> None:
        self._loaded_at = self.clock()

    async def authorization(self) -> str:
        async with self._lock:
            if self.clock() - self._loaded_at > TOKEN_TTL:
                await self._load()
                self._loaded_at = self.clock()
        return str(self.configuration.api_key.get("BearerToken", ""))

    async def _load(self) -> None:
        try:
            await self.loader.load_and_set(self.configuration)
        except Exception as error:
            raise KubeconfigError(f"the kubeconfig's credentials cannot be renewed: {said(error)}") from error

    def refused(self, authorization: str) -> None:
        """It is asked again in time."""


@dataclass
class ExecPlugin:
    """Run at first use, and when what it printed has expired or was refused: once, however many requests wait."""

    spec: Mapping[str, Any]
    context: ssl.SSLContext | None = None
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    _known: exec_plugin.Credential | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def changes_certificate(self) -> bool:
        return self._known is not None and bool(self._known.pair)

    async def authorization(self) -> str:
        async with self._lock:
            if self._known is None or self._known.is_over(self.clock()):
                self._known = await exec_plugin.run(self.spec)
                if self._known.pair and self.context is not None:
                    tls.load_pair(self.context, self._known.pair)
            return _header(self._known)

    def refused(self, authorization: str) -> None:
        if self._known is not None and _header(self._known) == authorization:
            self._known = None


def said(error: Exception) -> str:
    """What the kubernetes package says of a kubeconfig, on one line."""
    words = " ".join(str(error).split()) or type(error).__name__
    return "the id-token has expired; run any kubectl command, which renews it" if words.startswith(_EXPIRED) else words


def _header(credential: exec_plugin.Credential) -> str:
    return f"Bearer {credential.token}" if credential.token else ""
