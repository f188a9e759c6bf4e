"""HTTP on one connection: what is read the short way gets the answers that the parser's way gives."""

from __future__ import annotations

import asyncio
import gc
import re
import weakref
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.webhook.wire import ODD_HEADS, body, question
from webhook.connection import Connection
from webhook.memory_limit import Room
from webhook.review import MAX_BODY, Answer
from webhook.serving import Serving


class Wire(asyncio.Transport):
    """Keeps what is written, and whether it was closed."""

    def __init__(self):
        super().__init__()
        self.sent = b""
        self.closed = False
        self.reading = True

    def write(self, data):
        assert not self.closed
        self.sent += data

    def close(self):
        self.closed = True

    def is_closing(self):
        return self.closed

    def pause_reading(self):
        self.reading = False

    def resume_reading(self):
        self.reading = True


def allow(request):
    return Answer(outcome="allowed", audit={"for": request.uid})


def connection(handler=allow, told=lambda *_: None, **given):
    return Connection(Serving(handlers={"/check": handler}, told=told, **given), set())


async def slowly(request):
    await asyncio.sleep(0)
    return allow(request)


async def exchange(pieces, *, plain, handler=allow):
    """What comes back for *pieces*, and whether the short way was still open at the end."""
    wire, told = Wire(), []
    talk = connection(handler, lambda *facts: told.append(facts))
    talk.connection_made(wire)
    if not plain:
        talk._http = talk._new_parser()
    for piece in pieces:
        talk.data_received(piece)
        await asyncio.sleep(0)
    for _ in range(50):  # a promised answer takes a few turns, and the next one begins after it
        await asyncio.sleep(0)
    open_still = talk._http is None
    talk.connection_lost(None)
    # An error of the parser quotes the piece that it came in.
    quoted = re.compile(rb'Content-Length: [0-9]+\r\n\r\n{"error":"HTTP: .*', re.DOTALL)
    return quoted.sub(b"", re.sub(rb"Date: [^\r]*", b"", wire.sent)), len(told), open_still


async def test_plain_questions_never_need_the_parser_however_they_are_cut():
    whole = question(1)
    for cut in (len(whole) - 1, len(whole) - 40, whole.index(b"\r\n\r\n") + 4):
        sent, told, plain = await exchange([whole[:cut], whole[cut:], question(2)], plain=True)
        assert (sent.count(b"HTTP/1.1 200 OK"), told, plain) == (2, 2, True)
        assert sent.index(b'"uid":"u1"') < sent.index(b'"uid":"u2"')


@pytest.mark.parametrize("data", ODD_HEADS.values(), ids=ODD_HEADS.keys())
async def test_what_is_not_plain_is_the_parsers(data):
    short, parsed = await exchange([data], plain=True), await exchange([data], plain=False)
    assert short == (*parsed[:2], False)


@pytest.mark.parametrize(
    "data", [question(1), question(1, head="Connection: close\r\n"), b"noise"], ids=["plain", "parsed", "bad"]
)
async def test_a_connection_that_was_lost_is_gone_before_garbage_is_looked_for(data):
    """Thousands of them would take 10 MB until then."""
    talk = connection()
    talk.connection_made(Wire())
    talk.data_received(data)
    await asyncio.sleep(0)
    talk.connection_lost(None)
    gone = weakref.ref(talk)
    gc.disable()
    try:
        del talk
        for _ in range(3):
            await asyncio.sleep(0)
        assert gone() is None
    finally:
        gc.enable()


PARTS = st.lists(
    st.sampled_from([question(1), question(2), question(3, head="X-a: b\r\n"), *ODD_HEADS.values()]),
    min_size=1,
    max_size=4,
)


@settings(max_examples=300, deadline=None)
@given(parts=PARTS, cuts=st.lists(st.integers(1, 1000), max_size=4), slow=st.booleans())
def test_both_ways_give_the_same_answers_to_anything_cut_anyhow(parts, cuts, slow):
    whole = b"".join(parts)
    places = sorted({0, len(whole), *(cut % len(whole) for cut in cuts)})
    pieces = [whole[start:end] for start, end in pairwise(places)]
    handler = slowly if slow else allow

    async def both():
        return [(await exchange(pieces, plain=plain, handler=handler))[:2] for plain in (True, False)]

    short, parsed = asyncio.run(both())
    assert short == parsed


@pytest.mark.parametrize("plain", [True, False])
async def test_a_promised_answer_comes_in_its_turn(plain):
    """The second question was there before the first was answered."""
    sent, told, _ = await exchange([question(1), question(2)], plain=plain, handler=slowly)
    assert told == 2
    assert sent.index(b'"uid":"u1"') < sent.index(b'"uid":"u2"')


async def test_a_body_that_stops_coming_is_given_up_on_the_short_way_too():
    wire = Wire()
    talk = connection(read=0.01)
    talk.connection_made(wire)
    talk.data_received(question(1)[:-5])
    assert talk.busy
    await asyncio.sleep(0.05)
    assert b" 408 " in wire.sent
    talk.connection_lost(None)


async def test_an_idle_connection_is_closed():
    wire = Wire()
    talk = connection(idle=0.01)
    talk.connection_made(wire)
    await asyncio.sleep(0.05)
    assert wire.closed


async def test_too_many_questions_at_once_are_refused():
    sent, _, _ = await exchange([question(1), b"".join(question(n) for n in range(30))], plain=True, handler=slowly)
    assert sent.count(b" 400 ") == 1


@pytest.mark.parametrize("plain", [True, False])
async def test_what_comes_behind_a_promised_answer_is_not_read_before_it_has_room(plain):
    gate, room, wires = asyncio.Event(), Room(10 * MAX_BODY), []

    async def promised(request):
        await gate.wait()
        return allow(request)

    talks = [connection(promised, room=room) for _ in range(20)]
    large = question(2, content=body(2).ljust(MAX_BODY))
    for talk in talks:
        wires.append(Wire())
        talk.connection_made(wires[-1])
        if not plain:
            talk._http = talk._new_parser()
        talk.data_received(question(1))
        assert wires[-1].reading, "nothing is behind it"
        talk.data_received(large[:1000])
        assert not wires[-1].reading
    gate.set()
    for _ in range(5):
        await asyncio.sleep(0)
    assert [wire.reading for wire in wires] == [True] * 10 + [False] * 10
    for talk, wire in zip(talks, wires, strict=True):
        assert wire.reading
        talk.data_received(large[1000:])
        for _ in range(5):
            await asyncio.sleep(0)
        assert wire.sent.count(b"HTTP/1.1 200 OK") == 2
    for talk in talks:
        talk.connection_lost(None)
