"""A fleet on an API server: its objects made, its agents at work, and what its Repositories say, as a watch shows it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from bench.fleet import objects
from bench.fleet.agents import Pair
from bench.fleet.kubelet import Kubelet
from bench.fleet.objects import Member
from bench.schedules.world import World
from pgwarden.api import names, records
from pgwarden.kube import paths
from pgwarden.kube.cache import Key, WatchCache, wait_synced

Object = dict[str, Any]
MERGE = "application/merge-patch+json"


class Fleet:
    def __init__(self, world: World, folder: Path, quiet_hour: int) -> None:
        self.world = world
        self.members: list[Member] = []
        self.kubelet = Kubelet(world.client, folder)
        self._folder, self._hour = folder, quiet_hour
        self._repositories = WatchCache(world.client, paths.of("repositories"))
        self._repositories.listen(lambda _kind, obj, _before: self._note(obj))
        self._turned: dict[tuple[Key, str], tuple[str, float]] = {}
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._watch = asyncio.create_task(self._repositories.run())
        await wait_synced(self._repositories)
        await self.kubelet.start()

    async def stop(self) -> None:
        await self.kubelet.stop()
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)

    # --- what is made ---------------------------------------------------------------------------------------------

    async def grow(self, size: int) -> None:
        """To *size* Repositories, with all that belongs to them."""
        new = [Member(number) for number in range(len(self.members), size)]
        known = {one.namespace for one in self.members}
        await self.world.each(one for one in objects.namespaces(new) if one[2]["metadata"]["name"] not in known)
        await self.world.each(objects.secret(one) for one in new)
        await self.world.each(objects.repository(one) for one in new)
        await self.world.each(request for one in new for request in objects.strangers(one))
        await self.world.each(request for one in new for request in objects.schedules(one, self._hour))
        for one in new:
            self.kubelet.join(one, Pair(self._folder, one, await self._backups(one)))
            await self._restores(one)
            await self._postgres(one)
        self.members += new

    async def add(self, member: Member) -> None:
        """A Repository as a user makes one: nothing of it is there yet."""
        self.kubelet.join(member, Pair(self._folder, member, (), exists=False))
        await self.world.each([objects.secret(member)])
        await self._postgres(member)
        await self.world.each([objects.repository(member)])

    async def remove(self, member: Member) -> None:
        """The Repository, and its PostgreSQL."""
        for path in (paths.of("repositories", *member.key), paths.of("pods", member.namespace, f"{member.name}-0")):
            await self.world.client.request("DELETE", path, body={"gracePeriodSeconds": 0})

    async def _postgres(self, member: Member) -> None:
        await self.world.each([objects.postgres_pod(member)])
        path = paths.of("pods", member.namespace, f"{member.name}-0", "status")
        await self.world.client.merge(path, objects.running(member.pod_ip))

    async def _backups(self, member: Member) -> list[str]:
        """Their uids."""
        requests = list(objects.backups(member))
        return await asyncio.gather(*(self._ended(one, objects.ended_backup(n)) for n, one in enumerate(requests)))

    async def _restores(self, member: Member) -> None:
        await asyncio.gather(*(self._ended(one, objects.ended_restore()) for one in objects.restores(member)))

    async def _ended(self, request: objects.Request, status: Object) -> str:
        """Made, with its end in its status and its mark, as the controller leaves it; its uid."""
        client = self.world.client
        made: Object = await client.create(request[1], request[2])
        path = f"{request[1]}/{made['metadata']['name']}"
        mark = records.ended(made | {"status": status}).dump()
        await client.merge(path, {"metadata": {"annotations": {names.ANNOTATION_DONE: mark}}})
        await client.merge(f"{path}/status", {"status": status})
        return str(made["metadata"]["uid"])

    # --- what is seen ---------------------------------------------------------------------------------------------

    def _note(self, obj: Object) -> None:
        metadata = obj["metadata"]
        key = metadata["namespace"], metadata["name"]
        for one in (obj.get("status") or {}).get("conditions", []):
            at = key, one["type"]
            if self._turned.get(at, ("", 0.0))[0] != one["status"]:
                self._turned[at] = one["status"], time.monotonic()

    def is_so(self, member: Member, condition: str, status: str) -> bool:
        return self._turned.get((member.key, condition), ("", 0.0))[0] == status

    def since(self, member: Member, condition: str) -> float:
        """When *condition* turned to what it is, by time.monotonic()."""
        return self._turned[member.key, condition][1]

    def well(self) -> list[Member]:
        return [one for one in self.members if not one.hangs]

    async def until(self, good: Callable[[], bool], what: str, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not good():
            if time.monotonic() > end:
                raise RuntimeError(f"{what} did not come within {seconds:.0f} s")
            for process in self.world.processes[-1:]:
                process.check()
            await asyncio.sleep(0.1)

    async def all_are(self, members: Iterable[Member], condition: str, status: str, seconds: float) -> None:
        listed = list(members)
        what = f"{condition} {status} of {len(listed)} Repositories"
        await self.until(lambda: all(self.is_so(one, condition, status) for one in listed), what, seconds)
