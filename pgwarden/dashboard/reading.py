"""What the page shows, read with the user's own rights: by list, when somebody looks, and not more often than is fair.

A kind that may not be read is left out, and said. An API server that does not answer costs nobody the last answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import aiohttp

from pgwarden.api.bounded_dict import BoundedDict
from pgwarden.api.objects import Object
from pgwarden.api.registry import BY_PLURAL
from pgwarden.cli import prospect
from pgwarden.cli.errors import CliError
from pgwarden.cli.main import translated
from pgwarden.cli.prospect import Around
from pgwarden.cli.session import Session
from pgwarden.dashboard.snapshot import Snapshot, Told
from pgwarden.kube import errors

FRESH = timedelta(seconds=4)  # an answer that is younger is not asked for again,
SHARE = 20  # nor before so many times what the reading took
PATIENCE = 2.0  # seconds that a page waits for a newer answer
SLOW = timedelta(seconds=10)  # an answer that takes longer is said to be late
_AROUND_FRESH = timedelta(seconds=30)
_KEPT = 64  # Repositories of which pods and claims are kept
_AWAY = (aiohttp.ClientError, TimeoutError, OSError, errors.ApiError)


def _now() -> datetime:
    return datetime.now(UTC)


class Reader:
    def __init__(self, session: Session, namespace: str, clock: Callable[[], datetime] = _now) -> None:
        """*namespace* "" is all of them."""
        self._session = session
        self._namespace = namespace
        self._clock = clock
        self._told: Told | None = None
        self._next = datetime.min.replace(tzinfo=UTC)  # before then nothing is read again
        self._reading: asyncio.Task[None] | None = None
        self._since = self._next  # when that began
        self._around: BoundedDict[tuple[str, str], tuple[datetime, Around]] = BoundedDict(_KEPT)

    async def start(self) -> None:
        """The first answer. What is wrong here is wrong for the command: ApiError, CliError, ClientError."""
        await self._read()

    async def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])

    async def told(self) -> Told:
        """Waits PATIENCE for what is newer, and no longer."""
        if self._clock() >= self._next and (self._reading is None or self._reading.done()):
            self._reading, self._since = asyncio.create_task(self._renew()), self._clock()
        if self._reading is not None and not self._reading.done():
            await asyncio.wait([self._reading], timeout=PATIENCE)
        assert self._told is not None
        late = self._reading is not None and not self._reading.done() and self._clock() - self._since >= SLOW
        if late and not self._told.trouble:
            return Told(self._told.snapshot, "the API server has not answered yet")
        return self._told

    async def around(self, namespace: str, name: str) -> Around:
        """Pods and claims of a Repository, where they may be read."""
        snapshot = (await self.told()).snapshot
        there = [one for one in snapshot.within(namespace) if one["kind"] in {"Restore", "Backup"}]
        at, found = self._around.get((namespace, name)) or (None, Around())
        if at is None or self._clock() - at > _AROUND_FRESH:
            try:
                async with asyncio.timeout(PATIENCE):
                    found = await prospect.read(Session(self._session.client, namespace), name, there)
            except _AWAY:
                found = Around(pods=found.pods, claims=found.claims)
            self._around[namespace, name] = (self._clock(), found)
        own = [one for one in there if (one.get("spec") or {}).get("repository") == name]
        restores, backups = ([one for one in own if one["kind"] == kind] for kind in ("Restore", "Backup"))
        return Around(restores, backups, found.pods, found.claims)

    async def _renew(self) -> None:
        try:
            await self._read()
        except (*_AWAY, CliError) as error:
            assert self._told is not None
            problem = error if isinstance(error, CliError) else translated(error)
            self._told = Told(self._told.snapshot, problem.message)
            self._next = self._clock() + FRESH

    async def _read(self) -> None:
        began = self._clock()
        answers = await asyncio.gather(*(self._kind(plural) for plural in BY_PLURAL))
        found = dict(zip(BY_PLURAL, answers, strict=True))
        unread = {plural: each for plural, each in found.items() if isinstance(each, str)}
        if len(unread) == len(found) and all(why == _ABSENT for why in unread.values()):
            raise CliError("pgwarden is not installed in this cluster: it has no pgwarden.io resources")
        there = {plural: each for plural, each in found.items() if not isinstance(each, str)}
        ended = self._clock()
        self._told = Told(Snapshot(began, there, unread))
        self._next = ended + max(FRESH, (ended - began) * SHARE)

    async def _kind(self, plural: str) -> list[Object] | str:
        """Why it cannot be read, where that is not for want of an answer."""
        try:
            return await self._session.all(plural, self._namespace)
        except errors.Invalid as error:
            return error.message
        except errors.NotFound:
            return _ABSENT


_ABSENT = "this cluster does not have the kind: its pgwarden is an earlier version"
