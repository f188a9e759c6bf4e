"""The configuration in step with its source, for whoever uses it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from functools import partial
from typing import Protocol

from agent import log
from agent.paths import Paths
from agent.sync import Syncer, source_token
from pgwarden.contract.environment import Instance, Settings
from pgwarden.pgbackrest import config

#: One readlink. A watch on the folder would save nothing: the kubelet itself looks at a volume once a minute or so.
POLL_SECONDS = 2.0


class User(Protocol):
    async def reload(self) -> None:
        """Take up what is in step now. OSError or ssl.SSLError: it cannot be used."""


class Place(Protocol):
    """Where PostgreSQL is, as far as that is known now."""

    @property
    def known(self) -> Instance: ...


class Told(Protocol):
    """Where it is told how that stands."""

    digest: str
    sync_error: str


class InStep:
    def __init__(
        self, settings: Settings, paths: Paths, users: Sequence[User], told: Told, place: Place | None = None
    ) -> None:
        self._section = partial(_section, settings, place)
        self._source = paths.source
        self._syncer = Syncer(paths, settings.role.conf_key)
        self._users = users
        self._told = told
        self._given = ""
        self._owed: list[User] = []  # who has yet to take up what was given last
        self._log = log.get("agent")

    async def run(self) -> None:
        """Until cancelled."""
        token: str | None = None
        while True:
            seen, self._syncer.section = source_token(self._source), self._section()
            seen += self._syncer.section
            if seen != token and await self._sync():
                token = seen
            await asyncio.sleep(POLL_SECONDS)

    async def _sync(self) -> bool:
        """Whether the source is done with, until it changes."""
        try:
            planned, changed = self._syncer.sync()
            if not planned.missing and (changed or planned.digest != self._given):
                self._owed, self._given = [*self._users], planned.digest
            await self._reload()
        except (OSError, ssl.SSLError) as error:
            self._say(f"the configuration cannot be used: {error}")
            return False
        if planned.missing:
            self._say(f"waits for {', '.join(planned.missing)}")
            return True
        if changed or planned.digest != self._told.digest:
            self._log.info("configuration in step", config_hash=planned.digest)
        self._told.digest, self._told.sync_error = planned.digest, ""
        return True

    async def _reload(self) -> None:
        """One that cannot stops no other: where the agent's port is another's, pgBackRest's server works."""
        errors: list[OSError] = []
        for user in [*self._owed]:
            try:
                await user.reload()
                self._owed.remove(user)
            except OSError as error:  # ssl.SSLError is one
                errors.append(error)
        if errors:
            raise errors[0]

    def _say(self, message: str) -> None:
        if message != self._told.sync_error:
            self._log.warning(message)
        self._told.sync_error = message


def _section(settings: Settings, place: Place | None) -> str:
    at = place.known if place else settings.instance
    return config.stanza_section(settings.stanza, at) if at else ""
