"""Who leads and until when, with an API server that is slow, hangs or is gone. The clock jumps: nothing is waited for."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable
from typing import Any

import pytest

from controller.runtime import leadership
from controller.runtime.leadership import Timing
from pgwarden.kube import errors
from pgwarden.kube.access import Access
from pgwarden.kube.client import KubeClient
from tests.unit import virtual_time

PATH = "/apis/coordination.k8s.io/v1/namespaces/ns/leases"
TIMING = Timing(15)
SHORTEST = Timing(leadership.SHORTEST_LEASE)
FOREVER = 10**6


class Server:
    """The one Lease there is, and what happened to it."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.log: list[tuple[str, str]] = []
        self._versions = itertools.count(1)

    @property
    def holder(self) -> str:
        return str(self.lease["spec"]["holderIdentity"]) if self.lease else ""

    def write(self, body: dict[str, Any]) -> None:
        version = str(next(self._versions))
        self.lease = body | {"metadata": body["metadata"] | {"resourceVersion": version}}
        self.log.append(("lease", self.holder))


class Client(KubeClient):
    """One contender's way to the server: each request takes `delay` seconds, or ends as `broken` says."""

    def __init__(self, server: Server) -> None:
        super().__init__(Access("http://fake", None))
        self.server = server
        self.delay: float = 0.0
        self.broken: Exception | None = None

    async def request(self, method: str, path: str, *, body: Any = None, **_: Any) -> Any:
        await asyncio.sleep(self.delay)
        if self.broken:
            raise self.broken
        there = self.server.lease
        if method == "POST":
            assert path == PATH
            if there is not None:
                raise errors.Conflict(409, "AlreadyExists", "lease")
            self.server.write(body)
            return self.server.lease
        assert path == f"{PATH}/lease"
        if there is None:
            raise errors.NotFound(404, "NotFound", "lease")
        if method == "PUT":
            if body["metadata"]["resourceVersion"] != there["metadata"]["resourceVersion"]:
                raise errors.Conflict(409, "Conflict", "lease")
            self.server.write(body)
        return self.server.lease


class Contender:
    """A controller whose work lasts until it is cancelled, and then for `slow_end` seconds more."""

    def __init__(self, server: Server, name: str, slow_end: float = 0.0, timing: Timing = TIMING) -> None:
        self.client, self.name, self.slow_end = Client(server), name, slow_end
        self.began = self.ended = 0.0
        self.died_at = 0.0
        self.working = asyncio.Event()
        self.task = asyncio.create_task(
            leadership.run(self.client, "ns", "lease", name, self._work, timing, die=self._die)
        )

    async def _work(self) -> None:
        log, now = self.client.server.log, asyncio.get_running_loop().time
        self.began = now()
        log.append(("works", self.name))
        self.working.set()
        try:
            await asyncio.sleep(FOREVER)
        finally:
            await asyncio.sleep(self.slow_end)
            self.ended = now()
            log.append(("ended", self.name))

    def _die(self) -> None:
        self.died_at = asyncio.get_running_loop().time()


def test_one_works_and_the_other_waits_while_the_lease_is_renewed():
    async def story() -> None:
        server = Server()
        one = Contender(server, "one")
        await one.working.wait()
        two = Contender(server, "two")
        await asyncio.sleep(600)
        assert not one.task.done()
        assert not two.working.is_set()
        assert server.holder == "one"
        spec = server.lease["spec"]
        assert (spec["leaseDurationSeconds"], spec["leaseTransitions"]) == (15, 0)
        assert spec["renewTime"] > spec["acquireTime"]
        assert spec["renewTime"].endswith("Z")
        for each in (one, two):
            each.task.cancel()
        await asyncio.gather(one.task, two.task, return_exceptions=True)

    virtual_time.run(story())


def hangs(client: Client) -> None:
    client.delay = FOREVER


def is_slow(client: Client) -> None:
    client.delay = 4.0  # a look and a write take longer than an attempt may


def is_away(client: Client) -> None:
    client.broken = OSError("connection refused")


def refuses(client: Client) -> None:
    client.broken = errors.ApiError(503, "ServiceUnavailable", "not now")


TROUBLES = pytest.mark.parametrize("trouble", [hangs, is_slow, is_away, refuses], ids=lambda each: each.__name__)


@TROUBLES
@pytest.mark.parametrize("at", [0.0, 1.0, 2.5, 100.0])
@pytest.mark.parametrize("slow_end", [0.0, 3.0])
def test_a_leader_without_an_api_server_ends_its_work_before_another_begins(
    trouble: Callable[[Client], None], at: float, slow_end: float
):
    async def story() -> None:
        server = Server()
        one = Contender(server, "one", slow_end)
        await one.working.wait()
        two = Contender(server, "two")
        await asyncio.sleep(at)
        troubled_at = asyncio.get_running_loop().time()
        trouble(one.client)
        await two.working.wait()
        assert one.ended <= troubled_at + TIMING.renew + slow_end + 0.01
        assert one.ended < two.began
        assert not one.died_at
        await asyncio.wait({one.task}, timeout=60)
        assert one.task.exception() is None  # it returns, and its caller ends the process
        two.task.cancel()
        await asyncio.gather(two.task, return_exceptions=True)

    virtual_time.run(story())


def test_a_leader_survives_an_outage_that_is_shorter_than_its_deadline():
    async def story() -> None:
        server = Server()
        one = Contender(server, "one")
        await one.working.wait()
        two = Contender(server, "two")
        for _ in range(20):
            hangs(one.client)
            await asyncio.sleep(4)
            one.client.delay = 0.1
            await asyncio.sleep(8)
        assert not one.task.done()
        assert not two.working.is_set()
        for each in (one, two):
            each.task.cancel()
        await asyncio.gather(one.task, two.task, return_exceptions=True)

    virtual_time.run(story())


def test_the_shortest_lease_is_kept_on_a_server_that_takes_its_time():
    async def story() -> None:
        server = Server()
        one = Contender(server, "one", timing=SHORTEST)
        one.client.delay = SHORTEST.renew / 5  # twice for an attempt, which is a look and a write
        await one.working.wait()
        await asyncio.sleep(600)
        assert not one.task.done()
        one.task.cancel()
        await asyncio.gather(one.task, return_exceptions=True)

    virtual_time.run(story())


def test_work_that_does_not_end_with_the_lease_is_ended_with_its_process():
    async def story() -> None:
        server = Server()
        one = Contender(server, "one", slow_end=FOREVER)
        await one.working.wait()
        two = Contender(server, "two")
        hangs(one.client)
        await two.working.wait()
        assert 0 < one.died_at <= two.began
        for each in (one, two):
            each.task.cancel()
            each.slow_end = 0

    virtual_time.run(story())


def test_a_lease_that_another_has_taken_ends_the_work_at_the_next_look():
    async def story() -> None:
        server = Server()
        one = Contender(server, "one")
        await one.working.wait()
        taken_at = asyncio.get_running_loop().time()
        server.write(server.lease | {"spec": server.lease["spec"] | {"holderIdentity": "somebody-else"}})
        await one.task
        assert one.ended - taken_at <= TIMING.retry * 1.2 + 0.01
        assert server.holder == "somebody-else"

    virtual_time.run(story())


def test_at_sigterm_the_work_ends_before_the_lease_is_given_back():
    async def story() -> None:
        server = Server()
        one = Contender(server, "one", slow_end=3)
        await one.working.wait()
        two = Contender(server, "two")
        await asyncio.sleep(30)
        one.task.cancel()
        await two.working.wait()
        ending = server.log[server.log.index(("ended", "one")) - 1 :]
        assert ending == [("lease", "one"), ("ended", "one"), ("lease", ""), ("lease", "two"), ("works", "two")]
        assert two.began - one.ended < TIMING.retry * 1.2 + 0.01
        assert one.task.cancelled()
        two.task.cancel()
        await asyncio.gather(two.task, return_exceptions=True)

    virtual_time.run(story())


def test_at_sigterm_an_api_server_that_hangs_does_not_hold_up_the_end():
    async def story() -> None:
        server = Server()
        one = Contender(server, "one")
        await one.working.wait()
        hangs(one.client)
        one.task.cancel()
        began = asyncio.get_running_loop().time()
        await asyncio.gather(one.task, return_exceptions=True)
        assert asyncio.get_running_loop().time() - began <= leadership.PATIENCE + 0.01

    virtual_time.run(story())


@pytest.mark.parametrize("failure", [None, RuntimeError("broke")], ids=["ends", "breaks"])
def test_work_that_ends_of_itself_gives_the_lease_back(failure: Exception | None):
    async def story() -> None:
        server = Server()

        async def work() -> None:
            await asyncio.sleep(5)
            if failure:
                raise failure

        with pytest.raises(RuntimeError, match="broke") if failure else contextlib.nullcontext():
            await leadership.run(Client(server), "ns", "lease", "one", work, TIMING)
        assert server.log[-1] == ("lease", "")

    virtual_time.run(story())
