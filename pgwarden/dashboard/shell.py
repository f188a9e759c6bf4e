"""The routes, over aiohttp: a request in, a page out. Decisions are elsewhere."""

from __future__ import annotations

import functools
import os
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from pgwarden.api.reading import get
from pgwarden.api.target import TargetError
from pgwarden.api.wording import span
from pgwarden.dashboard import drills, guard, moment, overview, pages, timeline, week
from pgwarden.dashboard.reading import Reader
from pgwarden.dashboard.snapshot import Snapshot, Told
from pgwarden.dashboard.words import when

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
POLL = 5  # seconds between two looks of a page


def _now() -> datetime:
    return datetime.now(UTC)


class Pages:
    """*flags*: how the command line was told which cluster, for the commands that the page shows."""

    def __init__(
        self,
        reader: Reader,
        token: str,
        where: str,
        flags: Sequence[str] = (),
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self._reader = reader
        self._token = token
        self._where = where
        self._flags = tuple(flags)
        self._clock = clock

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._guarded])
        app.router.add_get("/{token}", self._overview)
        app.router.add_get("/{token}/", self._overview)
        app.router.add_get("/{token}/week", self._week)
        app.router.add_get("/{token}/drills", self._drills)
        app.router.add_get("/{token}/repository/{namespace}/{name}", self._repository)
        app.router.add_get("/{token}/static/{file}", self._static)
        return app

    @web.middleware
    async def _guarded(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        given = request.path.split("/", 2)[1] if request.path.startswith("/") else ""
        no = guard.refusal(request.method, given, request.headers, self._token)
        answer: web.StreamResponse
        if no is not None:
            answer = web.Response(status=no.status, text=f"{no.message}\n")
        else:
            try:
                answer = await handler(request)
            except web.HTTPException as error:
                answer = web.Response(status=error.status, text=f"{error.reason}\n")
            except Exception as error:
                if os.environ.get("PGWARDEN_DEBUG"):
                    raise
                said = f"internal error: {type(error).__name__}: {error} (PGWARDEN_DEBUG=1 shows where)"
                answer = web.Response(status=500, text=f"{said}\n")
        answer.headers.update(guard.HEADERS)
        return answer

    async def _overview(self, _: web.Request) -> web.Response:
        now, told = self._clock(), await self._reader.told()
        return self._page("overview.html", told, now, view=overview.of(told.snapshot, now))

    async def _week(self, _: web.Request) -> web.Response:
        now, told = self._clock(), await self._reader.told()
        return self._page("week.html", told, now, view=week.of(told.snapshot, now))

    async def _drills(self, _: web.Request) -> web.Response:
        now, told = self._clock(), await self._reader.told()
        return self._page("drills.html", told, now, view=drills.of(told.snapshot, now))

    async def _repository(self, request: web.Request) -> web.Response:
        now, told = self._clock(), await self._reader.told()
        namespace, name = request.match_info["namespace"], request.match_info["name"]
        repository = told.snapshot.repository(namespace, name)
        if repository is None:
            return self._page("gone.html", told, now, status=404, namespace=namespace, name=name)
        wrong_time, at = "", None
        text = request.query.get("at", "")
        try:
            at = moment.parse(text)
        except (TargetError, ValueError, OverflowError) as error:
            wrong_time = f"{text[:100]} {error}"
        own = functools.partial(told.snapshot.of_repository, namespace=namespace, name=name)
        (row,) = overview.of(_alone(told.snapshot, namespace, name), now).rows
        return self._page(
            "repository.html",
            told,
            now,
            row=row,
            phase=get(repository, str, "status", "phase") or "Pending",
            line=timeline.of(repository, own("backups"), own("restores"), own("restoredrills"), now),
            moment=moment.of(await self._around(told.snapshot, namespace, name), at, now),
            slider=moment.slider(repository, at),
            at=at,
            wrong_time=wrong_time,
        )

    async def _around(self, snapshot: Snapshot, namespace: str, name: str) -> moment.Where:
        repository = snapshot.repository(namespace, name)
        assert repository is not None
        clusters = [one for one in snapshot.of("postgresclusters") if one["metadata"]["name"] == name]
        return moment.Where(
            repository=repository,
            namespace=namespace,
            there=snapshot.within(namespace),
            around=await self._reader.around(namespace, name),
            cluster=next((one for one in clusters if one["metadata"].get("namespace") == namespace), None),
            flags=self._flags,
        )

    async def _static(self, request: web.Request) -> web.Response:
        name = request.match_info["file"]
        if name not in pages.STATIC:
            raise web.HTTPNotFound
        return web.Response(body=pages.static(name), content_type=pages.STATIC[name], charset="utf-8")

    def _page(self, template: str, told: Told, now: datetime, status: int = 200, **values: Any) -> web.Response:
        text = pages.render(
            template,
            base=f"/{self._token}",
            where=self._where,
            read=when(told.snapshot.at, now),
            age=span(now - told.snapshot.at),
            trouble=told.trouble,
            missing=told.snapshot.missing,
            poll=POLL,
            **values,
        )
        return web.Response(status=status, text=text, content_type="text/html", charset="utf-8")


def _alone(snapshot: Snapshot, namespace: str, name: str) -> Snapshot:
    """What one Repository is judged by: its own objects, its cluster's, and itself."""
    there = {plural: snapshot.of_repository(plural, namespace, name) for plural in snapshot.there}
    for plural in ("repositories", "postgresclusters"):
        if plural in there:
            there[plural] = [
                one
                for one in snapshot.of(plural)
                if (one["metadata"].get("namespace", ""), one["metadata"]["name"]) == (namespace, name)
            ]
    return Snapshot(snapshot.at, there, snapshot.unread)
