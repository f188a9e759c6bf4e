"""Both servers of reviews on the wire: the same bytes get the same answers. Where they differ, the test says why."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from harness.waiting import SLOWER
from tests.unit.webhook.wire import ODD_HEADS, body, question
from webhook import certificates
from webhook.memory_limit import Room
from webhook.review import HEAD, MAX_BODY, Answer
from webhook.server import review_server
from webhook.serving import FAST, PLAIN, SERVERS, ReviewServer, Serving

LARGE = 200_000  # bytes: needs room


def allow(request):
    return Answer(outcome="allowed", audit={"for": request.uid})


async def until(condition):
    async with asyncio.timeout(5 * SLOWER):
        while not condition():  # noqa: ASYNC110  there is no event to wait for, across the wire
            await asyncio.sleep(0.005)


class Client:
    """One connection."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    def send(self, data):
        self.writer.write(data)

    async def answer(self):
        """Status, headers, body of the next one."""
        async with asyncio.timeout(5 * SLOWER):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("ascii").split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
            content = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return int(head[0].split()[1]), headers, content

    async def status(self):
        return (await self.answer())[0]

    async def is_closed(self):
        async with asyncio.timeout(5 * SLOWER):
            return await self.reader.read() == b""


class Running:
    """A server of reviews at /check, and its clients."""

    def __init__(self, name, server: ReviewServer, tls, told):
        self.name, self.server, self.tls, self.told = name, server, tls, told
        self.address = server.address
        self._writers = []

    async def connect(self):
        host, port = self.address
        reader, writer = await asyncio.open_connection(host, port, ssl=self.tls, server_hostname="localhost")
        self._writers.append(writer)
        return Client(reader, writer)

    async def ask(self, data):
        client = await self.connect()
        client.send(data)
        return await client.answer()

    def close(self):
        for writer in self._writers:
            writer.close()


@pytest.fixture(scope="module")
def localhost(pair):
    return pair("localhost")


@pytest.fixture(params=SERVERS)
async def run(request, localhost, tmp_path):
    """Start the server; keywords are of Serving, or the handler."""
    started = []
    (tmp_path / "pair").write_text(localhost["tls.key"] + localhost["tls.crt"], "ascii")

    async def go(handler=allow, **given):
        told = []
        given = {"linger": 0.1} | given
        serving = Serving(handlers={"/check": handler}, told=lambda *facts: told.append(facts), **given)
        server = review_server(request.param, serving)
        context = certificates.server_context()
        context.load_cert_chain(tmp_path / "pair")
        await server.start("127.0.0.1", 0, context)
        running = Running(request.param, server, ssl.create_default_context(cadata=localhost["ca.crt"]), told)
        started.append(running)
        return running

    yield go
    for running in started:
        running.close()
        await running.server.stop(1.0)


@pytest.fixture
def gated():
    """A handler that answers when `gate` is set; `asked` has the uids, `cancelled` those that were given up."""

    async def handler(request):
        handler.asked.append(request.uid)
        try:
            await handler.gate.wait()
        except asyncio.CancelledError:
            handler.cancelled.append(request.uid)
            raise
        return allow(request)

    handler.gate, handler.asked, handler.cancelled = asyncio.Event(), [], []
    return handler


def large(number=1, size=LARGE):
    return question(number, content=body(number).ljust(size))


#: Status of each answer, and whether the connection stays open.
EXPECTED = {
    "chunked": ([200], True),
    "both lengths": ([400], False),
    "two lengths": ([400], False),
    "a length that is none": ([400], False),
    "a folded header": ([400], False),
    "last one": ([200], False),
    "old HTTP": ([200], False),
    "another method": ([405], False),
    "another path": ([404], False),
    "upgrade": ([400], False),
    "two at once": ([200, 200], True),
    "one and a half": ([200], None),
    "noise": ([400], False),
}


@pytest.mark.parametrize("name", ODD_HEADS)
async def test_an_odd_head_gets_the_same_statuses_from_both(run, name):
    statuses, stays_open = EXPECTED[name]
    running = await run()
    if name == "upgrade" and running.name == PLAIN:
        statuses, stays_open = [200], True  # aiohttp.web passes over the offer, as RFC 9110 allows
    client = await running.connect()
    client.send(ODD_HEADS[name])
    assert [await client.status() for _ in statuses] == statuses
    if stays_open:
        client.send(question(9))
        assert await client.status() == 200
    elif stays_open is False:
        assert await client.is_closed()


async def test_a_connection_is_kept_for_many_reviews(run):
    client = await (await run()).connect()
    for number in range(3):
        client.send(question(number))
        status, headers, content = await client.answer()
        assert (status, headers["content-type"]) == (200, "application/json")
        assert f'"uid":"u{number}"'.encode() in content
        assert "connection" not in headers


@pytest.mark.parametrize("cut", [1, 40, 90, -10, -1], ids=lambda at: f"cut at {at}")
async def test_a_review_may_come_in_pieces(run, cut):
    client = await (await run()).connect()
    client.send(question(1)[:cut])
    await client.writer.drain()
    await asyncio.sleep(0)
    client.send(question(1)[cut:])
    assert await client.status() == 200


async def test_answers_come_in_the_order_of_the_requests(run, gated):
    running = await run(gated)
    client = await running.connect()
    client.send(question(1) + question(2))
    await until(lambda: gated.asked)
    gated.gate.set()
    first, second = await client.answer(), await client.answer()
    assert (b'"u1"' in first[2], b'"u2"' in second[2]) == (True, True)


async def test_thirty_requests_at_once_are_bounded(run, gated):
    """The fast server refuses them: the API server sends none before it has the answer to the last. aiohttp.web queues
    32, and leaves the rest unread.
    """
    running = await run(gated)
    client = await running.connect()
    client.send(question(1))
    await until(lambda: gated.asked)
    client.send(b"".join(question(number) for number in range(30)))
    if running.name == FAST:
        assert await client.status() == 400
        assert await client.is_closed()
        return
    gated.gate.set()
    assert [await client.status() for _ in range(31)] == [200] * 31


async def test_a_flood_of_tiny_chunks_is_bounded(run):
    """aiohttp notes where each chunk ends. The fast server refuses too many; aiohttp.web reads no further until they
    are taken, and they are taken at once.
    """
    running = await run(linger=5.0, read=30.0, read_large=30.0)
    client = await running.connect()
    client.send(b"POST /check HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    client.send(b"1\r\n \r\n" * 400_000)
    client.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body(1)), body(1)))
    assert await client.status() == (400 if running.name == FAST else 200)


async def test_a_body_that_stops_coming_is_given_up(run):
    running = await run(read=0.1)
    client = await running.connect()
    client.send(question(1)[:-5])
    status, headers, content = await client.answer()
    assert (status, headers["connection"], content) == (408, "close", b'{"error":"the body did not come in time"}')


async def test_a_large_body_must_come_soon_once_it_has_room(run):
    """Others wait for that room."""
    running = await run(read_large=0.5, read=60.0, room=Room(LARGE))
    client = await running.connect()
    client.send(large()[:-5])
    assert await client.status() == 408
    assert (await running.ask(large()))[0] == 200


async def test_an_idle_connection_is_closed(run):
    client = await (await run(idle=0.05)).connect()
    assert await client.is_closed()


async def test_a_body_that_waits_to_be_asked_for_is_asked_for(run):
    client = await (await run()).connect()
    whole = question(1, head="Expect: 100-continue\r\n")
    head, content = whole.split(b"\r\n\r\n", 1)
    client.send(head + b"\r\n\r\n")
    assert await client.status() == 100
    client.send(content)
    assert await client.status() == 200


@pytest.mark.parametrize("framing", ["length", "chunks", "expected"])
async def test_a_body_that_is_too_large_is_refused_and_the_connection_closed(run, framing):
    running = await run(linger=5.0)
    client = await running.connect()
    start = b"POST /check HTTP/1.1\r\nHost: x\r\n"
    if framing == "chunks":
        client.send(start + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(MAX_BODY // 65_536 + 1):
            client.send(b"10000\r\n" + b" " * 65_536 + b"\r\n")
    else:
        expect = b"Expect: 100-continue\r\n" if framing == "expected" else b""
        client.send(start + expect + b"Content-Length: %d\r\n\r\n" % (MAX_BODY + 1))
        if framing == "length":
            client.send(b" " * HEAD)
    status, headers, content = await client.answer()
    assert (status, headers["connection"]) == (413, "close")
    assert b"more than 4194304 bytes" in content
    await until(lambda: running.told)
    assert running.told[0][1].outcome == "too-large"


async def test_a_refused_client_is_heard_out_for_a_while(run):
    """A connection that is closed on a client that still sends is reset, and the client never reads the refusal."""
    client = await (await run(linger=5.0)).connect()
    client.send(b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
    for _ in range(10):
        client.send(b" " * 100_000)
        await client.writer.drain()
    assert await client.status() == 404


async def test_large_bodies_wait_for_room_in_order_and_small_ones_do_not(run, gated):
    running = await run(gated, room=Room(LARGE + 10_000))
    first, second, small = [await running.connect() for _ in range(3)]
    first.send(large(1))
    await until(lambda: gated.asked == ["u1"])
    second.send(large(2))
    await second.writer.drain()
    small.send(question(3))
    await until(lambda: "u3" in gated.asked)
    assert gated.asked == ["u1", "u3"]
    gated.gate.set()
    assert [await client.status() for client in (first, small, second)] == [200] * 3
    assert gated.asked == ["u1", "u3", "u2"]


async def test_a_body_that_finds_no_room_in_time_is_refused(run, gated):
    running = await run(gated, room=Room(LARGE), read=0.5)
    first, second = await running.connect(), await running.connect()
    first.send(large(1))
    await until(lambda: gated.asked == ["u1"])
    second.send(large(2))
    assert await second.status() == 408
    gated.gate.set()
    assert await first.status() == 200


async def test_a_client_that_leaves_takes_no_room_with_it(run, gated):
    """Whether it was being answered, or still waited for its turn."""
    running = await run(gated, room=Room(LARGE))
    first, second = await running.connect(), await running.connect()
    first.send(large(1))
    await until(lambda: gated.asked == ["u1"])
    second.send(large(2))
    await second.writer.drain()
    for client in (second, first):
        client.writer.transport.abort()
    await until(lambda: gated.cancelled and gated.cancelled == gated.asked)
    gated.gate.set()
    assert (await running.ask(large(3)))[0] == 200


async def test_a_handler_that_fails_is_an_error_500(run):
    def broken(_):
        raise KeyError("x")

    status, headers, content = await (await run(broken)).ask(question(1))
    assert (status, content) == (500, b'{"error":"internal error"}')
    assert "connection" not in headers


TOLD = {
    "answered": (question(1), [("allowed", True)]),
    "no review": (question(1, content=b"{}"), [("malformed", True)]),
    "another method": (ODD_HEADS["another method"], [("malformed", False)]),
    "another path": (ODD_HEADS["another path"], []),
    "noise": (ODD_HEADS["noise"], []),
}


@pytest.mark.parametrize("name", TOLD)
async def test_reviews_are_told_with_their_path_and_time_and_nothing_else_is(run, name):
    data, expected = TOLD[name]
    running = await run()
    await running.ask(data)
    assert (await running.ask(question(2)))[0] == 200
    await until(lambda: len(running.told) == len(expected) + 1)
    assert [(reply.outcome, seconds > 0) for _, reply, seconds in running.told] == [*expected, ("allowed", True)]
    assert {path for path, _, _ in running.told} == {"/check"}


async def test_a_draining_server_answers_and_ends_each_connection(run):
    running = await run()
    before = await running.connect()
    before.send(question(1))
    assert await before.status() == 200
    running.server.drain()
    for client in (before, await running.connect()):
        client.send(question(2))
        status, headers, _ = await client.answer()
        assert (status, headers["connection"]) == (200, "close")
        assert await client.is_closed()


async def test_a_review_in_flight_is_answered_while_the_server_stops(run, gated):
    running = await run(gated)
    idle, busy = await running.connect(), await running.connect()
    busy.send(question(1))
    await until(lambda: gated.asked)
    stopping = asyncio.create_task(running.server.stop(5.0))
    assert await asyncio.wait({stopping}, timeout=0.05) == (set(), {stopping})
    gated.gate.set()
    status, headers, _ = await busy.answer()
    assert (status, headers["connection"]) == (200, "close")
    await asyncio.wait_for(stopping, 5 * SLOWER)
    assert await idle.is_closed()
    with pytest.raises(OSError):
        await running.connect()


async def test_a_body_on_its_way_is_read_while_the_server_stops(run):
    running = await run()
    client = await running.connect()
    head, content = question(1, head="Expect: 100-continue\r\n").split(b"\r\n\r\n", 1)
    client.send(head + b"\r\n\r\n")
    assert await client.status() == 100
    stopping = asyncio.create_task(running.server.stop(5.0))
    assert await asyncio.wait({stopping}, timeout=0.05) == (set(), {stopping})
    client.send(content)
    assert await client.status() == 200
    await asyncio.wait_for(stopping, 5 * SLOWER)


async def test_a_stop_takes_no_longer_than_it_may(run, gated):
    running = await run(gated)
    client = await running.connect()
    client.send(question(1))
    await until(lambda: gated.asked)
    began = asyncio.get_running_loop().time()
    await running.server.stop(0.2)
    assert asyncio.get_running_loop().time() - began < 2
