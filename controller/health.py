"""/livez, /readyz and /metrics on a plain port of their own."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import generate_latest


@dataclass
class State:
    """`ready` once every cache has been listed: a standby is ready too."""

    ready: bool = False


async def serve(state: State, port: int) -> None:
    async def live(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def ready(_: web.Request) -> web.Response:
        return (
            web.Response(text="ok\n") if state.ready else web.Response(status=503, text="caches are not listed yet\n")
        )

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        )

    app = web.Application()
    app.router.add_get("/livez", live)
    app.router.add_get("/readyz", ready)
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, None, port).start()
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()
