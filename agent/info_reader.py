"""What `pgbackrest info` says, read anew as often as the storage can bear.

Slow is not away. While a read takes its time the last answer holds, with its age, and the next read begins later. A
read that takes far longer than those before is an outage: pgBackRest itself may need minutes to say so.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agent import info_apart, info_text
from agent.pgbackrest import Runner
from agent.repo_volume import TROUBLE
from pgwarden.api.objects import Object
from pgwarden.contract.calls import InfoAsOf
from pgwarden.contract.status import at_least
from pgwarden.pgbackrest import commands

FRESH_SECONDS = 10.0
#: How long a status waits for `info`. Below the controller's own limit; info itself may take longer (S3).
WAIT_SECONDS = 10.0
LIMIT_SECONDS = 300.0
#: A read that takes as long is late, and one that takes twice as long as the last that ended well.
LATE_SECONDS, LATE_TIMES = 30.0, 2.0
#: What a storage held at an earlier time hardly changes; versions may end, and be found again.
PAST_SECONDS = 60.0
#: After a slow read the next one begins after twice its time, but after so long at most.
REST_TIMES, REST_SECONDS = 2.0, 60.0


@dataclass(frozen=True)
class Known:
    info: Object | None = None  # the stanza's element; None where there is none, or nothing could be read
    error: str = ""  # why it could not be had
    age: float = math.inf  # seconds since the read of *info* ended


class InfoReader:
    def __init__(
        self,
        stanza: str,
        runner: Runner,
        complete: Callable[[Object | None], None] | None = None,
        storages: Callable[[], Sequence[int]] = tuple,
    ) -> None:
        """*complete* adds to what was read what pgBackRest does not say. *storages*: pgBackRest's numbers of them."""
        self._stanza, self._runner, self._complete, self._storages = stanza, runner, complete, storages
        self._apart = False  # one of them keeps the others from being read with it
        self._running: asyncio.Task[None] | None = None
        self._began = self._read = -math.inf
        self._took = 0.0  # seconds of the last read that ended well
        self.info: Object | None = None
        self._error = ""

    async def get(self, *, refresh: bool = False) -> Known:
        if self._running is None or self._running.done():
            if not self._is_due(refresh=refresh):
                return self._known()
            self._began = self._now()
            self._running = asyncio.create_task(self._look())
        late_at = self._began + max(LATE_SECONDS, LATE_TIMES * self._took)
        patience = max(0.0, min(WAIT_SECONDS, late_at - self._now()))
        done, _ = await asyncio.wait([self._running], timeout=patience)
        if done or _has_trouble(self.info):  # that is more than "it takes long"
            return self._known()
        if self.info is None or self._now() >= late_at:
            return Known(
                self.info, f"pgbackrest info takes longer than {at_least(self._now() - self._began)} s", self.age
            )
        return self._known()

    def spoil(self) -> None:
        """What was read is of before: the next one who asks waits for a new read."""
        self._read = -math.inf

    def _is_due(self, *, refresh: bool) -> bool:
        if self._error or self._took <= WAIT_SECONDS:
            return refresh or self.age > FRESH_SECONDS
        return self.age > min(REST_TIMES * self._took, REST_SECONDS)

    def _known(self) -> Known:
        return Known(self.info, self._error, self.age)

    @property
    def age(self) -> float:
        return self._now() - self._read

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    async def _look(self) -> None:
        try:
            info, error = await self._ask()
            if not error and self._complete:
                self._complete(info)
        except (OSError, ValueError) as problem:
            info, error = None, f"pgbackrest info: {problem}"
        self.info, self._error, self._read = info, error, self._now()
        if not error:
            self._took = self._read - self._began

    async def _ask(self) -> tuple[Object | None, str]:
        if not self._apart:
            result = await self._runner.run(commands.info_argv(self._stanza), LIMIT_SECONDS)
            if result.ok:
                return info_text.element(result.stdout)
            if len(self._storages()) < 2:
                return None, result.error
        info, error = await info_apart.read(self._stanza, self._runner, self._storages())
        self._apart = bool(error) or _has_trouble(info)
        return info, error


class PastInfo:
    """What a storage held at an earlier time. One read at a time: to list all versions of a bucket takes long."""

    def __init__(self, stanza: str, runner: Runner) -> None:
        self._stanza, self._runner = stanza, runner
        self._lock = asyncio.Lock()
        self._last: tuple[list[str], float, InfoAsOf] | None = None

    async def get(self, repo: int, time: str) -> InfoAsOf:
        argv = commands.info_as_of_argv(self._stanza, repo, time)
        async with self._lock:
            now = asyncio.get_running_loop().time()
            if self._last and self._last[0] == argv and now - self._last[1] < PAST_SECONDS:
                return self._last[2]
            answer = await self._look(argv)
            if answer.ok and not _has_trouble(answer.info):
                self._last = (argv, asyncio.get_running_loop().time(), answer)
            return answer

    async def _look(self, argv: list[str]) -> InfoAsOf:
        try:
            result = await self._runner.run(argv, LIMIT_SECONDS)
            info, error = info_text.element(result.stdout) if result.ok else (None, result.error)
        except (OSError, ValueError) as problem:
            return InfoAsOf(error=f"pgbackrest info: {problem}")
        return InfoAsOf(error=error) if error else InfoAsOf(ok=True, info=info)


def _has_trouble(info: Object | None) -> bool:
    """Whether the last answer says already which storage could not be read."""
    return any(repo.get("status", {}).get("code") == TROUBLE for repo in (info or {}).get("repo", ()))
