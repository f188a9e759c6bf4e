"""Every run of a schedule as it appears in the API server, with the moment it was seen; and each ended at once.

A thread with a watch of its own: what is under test need not be asked, and is not slowed down.
"""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import aiohttp

from pgwarden.api import names
from pgwarden.kube import access, errors, paths
from pgwarden.kube.client import KubeClient

Object = dict[str, Any]
_ENDED = {"status": {"phase": "Completed", "completionTime": "2026-11-23T10:00:00Z"}}


def due_of_backup(obj: Object) -> str:
    return str(obj["metadata"].get("annotations", {}).get(names.ANNOTATION_DUE, ""))


def due_of_job(obj: Object) -> str:
    """As the CronJob controller writes it."""
    return str(obj["metadata"].get("annotations", {}).get("batch.kubernetes.io/cronjob-scheduled-timestamp", ""))


@dataclass
class Run:
    name: str
    due: str
    seen: float  # time.time()
    uids: set[str] = field(default_factory=set)

    @property
    def lateness(self) -> float:
        """Seconds from when it was due to when the watch showed it: the watch's own delay included."""
        return self.seen - datetime.fromisoformat(self.due).timestamp()


class RunsSeen:
    """`runs` by (namespace, name). With *end* each Backup is Completed as soon as it is seen, as if its Job had run."""

    def __init__(
        self, kubeconfig: Path, namespace: str = "", *, path: str = "", due: Callable[[Object], str] = due_of_backup,
        end: bool = True,
    ) -> None:  # fmt: skip
        self.runs: dict[tuple[str, str], Run] = {}
        self._path = path or paths.of("backups", namespace)
        self._kubeconfig, self._due, self._end = kubeconfig, due, end
        self._ready, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(60), "the watch did not begin"
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)

    async def _run(self) -> None:
        async with KubeClient(await access.from_kubeconfig(str(self._kubeconfig))) as client:
            work = asyncio.create_task(self._follow(client))
            await asyncio.to_thread(self._stop.wait)
            # Before the work: a connection in use is cut off now. One that a cancelled request gave back would take its
            # leave by TLS, and outlive the loop.
            await client.close()
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def _follow(self, client: KubeClient) -> None:
        version = (await client.get(self._path, {"limit": "1"}))["metadata"]["resourceVersion"]
        self._ready.set()
        async with asyncio.TaskGroup() as group:
            while True:
                async for event in client.watch(self._path, {"resourceVersion": version}):
                    version = event["object"]["metadata"]["resourceVersion"]
                    if event["type"] in {"ADDED", "MODIFIED"}:
                        self._note(event["object"])
                        # Again where the controller, which had not seen the end yet, has written that it waits.
                        if self._end and event["object"].get("status", {}).get("phase") != "Completed":
                            group.create_task(self._finish(client, event["object"]))

    def _note(self, obj: Object) -> None:
        metadata = obj["metadata"]
        key = (metadata["namespace"], metadata["name"])
        run = self.runs.setdefault(key, Run(metadata["name"], self._due(obj), time.time()))
        run.uids.add(metadata["uid"])

    async def _finish(self, client: KubeClient, obj: Object) -> None:
        metadata = obj["metadata"]
        path = paths.of("backups", metadata["namespace"], metadata["name"], "status")
        for _ in range(5):
            try:
                await client.merge(path, _ENDED)
            except errors.NotFound:
                return
            except (errors.ApiError, aiohttp.ClientError, TimeoutError):
                await asyncio.sleep(0.5)
            else:
                return


def run_in(message: str) -> str:
    """The moment of the run that *message*, an Event's, is about: RFC 3339."""
    found = re.search(r"\d{4}-\d\d-\d\dT[\d:]+Z", message)
    assert found, message
    return found[0]
