"""Workers that take keys from a queue and reconcile them, one kind each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import aiohttp
import structlog

from controller.runtime import metrics
from controller.runtime.queue import KeyedQueue
from controller.runtime.queues import QUEUES
from pgwarden.kube import errors
from pgwarden.kube.cache import Key

log = structlog.get_logger()
#: Reconcile one object; returns the seconds after which to look again, or None to wait for the next change.
Reconcile = Callable[[Key], Awaitable[float | None]]


class NotYet(Exception):  # not an error: something that must come first has not come
    """Raised deep in a reconcile when a precondition is not there yet; looked at again after `seconds`."""

    def __init__(self, message: str, seconds: float = 2.0) -> None:
        super().__init__(message)
        self.seconds = seconds


class Worker:
    """One task for each key that is worked on, `count` of them at most. An error puts the key back with a growing
    delay; it never ends the worker.

    A task that waits for an agent or a storage costs nothing, so there may be as many as may hang at once. What all of
    them do is bounded where it is done: requests to the API server by KubeClient, connections to agents by Agents.
    """

    def __init__(self, kind: str, reconcile: Reconcile, count: int) -> None:
        self.kind = kind
        self.queue: KeyedQueue[Key] = KeyedQueue()
        QUEUES.add(kind, self.queue)
        self._reconcile = reconcile
        self.count = count

    async def run(self) -> None:
        slots = asyncio.Semaphore(self.count)
        async with asyncio.TaskGroup() as group:
            while True:
                await slots.acquire()
                task = group.create_task(self._work(await self.queue.get()))
                task.add_done_callback(lambda _: slots.release())

    async def _work(self, key: Key) -> None:
        started = time.monotonic()
        try:
            again = await self._reconcile(key)
            self.queue.forget(key)
            outcome = "ok"
            if again is not None:
                self.queue.add_after(key, again)
        except NotYet as reason:
            outcome = "not_yet"
            log.info("not yet", kind=self.kind, namespace=key[0], name=key[1], reason=str(reason))
            self.queue.add_after(key, reason.seconds)
        except errors.Terminating:
            outcome = "terminating"  # the object goes with its namespace; its deletion will be seen
        except errors.Conflict as error:
            outcome = "conflict"
            log.debug("changed under us, again", kind=self.kind, name=key[1], error=str(error))
            self.queue.retry(key)
        except (errors.ApiError, aiohttp.ClientError, TimeoutError, OSError) as error:
            outcome = "error"
            delay = self.queue.retry(key)
            log.warning(
                "reconcile failed", kind=self.kind, namespace=key[0], name=key[1], error=str(error), retry=delay
            )
        except Exception:
            # A fault of ours in one object must not stop the protection of all others.
            outcome = "panic"
            delay = self.queue.retry(key)
            log.exception("reconcile broke", kind=self.kind, namespace=key[0], name=key[1], retry=delay)
        finally:
            self.queue.done(key)
        metrics.RECONCILES.labels(self.kind, outcome).inc()
        metrics.RECONCILE_SECONDS.labels(self.kind).observe(time.monotonic() - started)
