"""An API server of a few resources: list, watch with resumption, get. On the wire, so that our client is the real one."""

from __future__ import annotations

import asyncio
import json

from aiohttp import web

LISTED = {"repositories", "backups", "backupschedules", "restores", "secrets", "limitranges", "resourcequotas"}


class FakeApi:
    """`put` and `drop` are seen by watches; `gets` counts reads of single objects; what is `hidden` no list or watch shows;
    resources that are `forbidden` can be neither listed nor watched.
    """

    def __init__(self):
        self.objects = {}
        self.events = []
        self.gets = []
        self.slow = 0.0
        self.hidden = set()
        self.forbidden = set()
        self.unsynced = asyncio.Event()
        self.version = 1
        self._changed = asyncio.Condition()

    async def put(self, path, obj):
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)
        kind = "MODIFIED" if path in self.objects else "ADDED"
        self.objects[path] = obj
        await self._tell(kind, path, obj)

    async def drop(self, path):
        self.version += 1
        await self._tell("DELETED", path, self.objects.pop(path))

    async def _tell(self, kind, path, obj):
        async with self._changed:
            self.events.append((self.version, kind, path, obj))
            self._changed.notify_all()

    def app(self):
        app = web.Application()
        app.router.add_get("/{path:.*}", self._serve)
        return app

    async def _serve(self, request):
        path = request.path
        plural = path.rsplit("/", 1)[-1]
        if plural not in LISTED:
            return await self._get(path)
        if plural in self.forbidden:
            return web.json_response({"kind": "Status", "code": 403, "reason": "Forbidden"}, status=403)
        await self.unsynced.wait()
        if request.query.get("watch"):
            return await self._watch(request, plural)
        items = [obj for each, obj in self.objects.items() if f"/{plural}/" in each and each not in self.hidden]
        return web.json_response({"metadata": {"resourceVersion": str(self.version)}, "items": items})

    async def _get(self, path):
        self.gets.append(path)
        await asyncio.sleep(self.slow)
        if path in self.objects:
            return web.json_response(self.objects[path])
        return web.json_response({"kind": "Status", "code": 404, "reason": "NotFound"}, status=404)

    async def _watch(self, request, plural):
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        seen = int(request.query["resourceVersion"])
        while True:
            for version, kind, path, obj in list(self.events):
                if version > seen and f"/{plural}/" in path and path not in self.hidden:
                    await response.write(json.dumps({"type": kind, "object": obj}).encode() + b"\n")
                seen = max(seen, version)
            async with self._changed:
                while self.version <= seen:
                    await self._changed.wait()
