"""A hundred thousand reviews that no API server would send: each gets a proper answer or a 4xx, in bounded memory."""

from __future__ import annotations

import io
import os
import sys
from collections import Counter

import aiohttp

from pgwarden.injection.pods import Pod
from tests.hostile import bodies, world
from webhook.review import Typed

SEED = os.environ.get("PGWARDEN_HOSTILE_SEED") or os.urandom(4).hex()
COUNT = int(os.environ.get("PGWARDEN_HOSTILE_COUNT") or 100_000)
OVER_TLS = 400
GROWTH_MB = 150  # a 10 MB pod is in memory some times over while it is answered; nothing of it may stay


async def test_a_hundred_thousand_hostile_reviews_get_an_answer_and_never_an_injection_without_its_repository(capsys):
    handlers = world.handlers()
    pods, kinds = Typed(handlers.mutate_pods, Pod), handlers.check_kinds
    outcomes: Counter[str] = Counter()
    before = 0.0
    for number in range(COUNT):
        body = bodies.body(SEED, number)
        handler = pods if b'"Pod"' in body[:400] or number % 7 == 0 else kinds
        try:
            outcomes[world.of(await world.reply(body, handler), body)] += 1
        except Exception as error:
            raise AssertionError(f"review {number} of seed {SEED}: {body[:300]!r}") from error
        if number == min(10_000, COUNT // 10):
            before = world.resident_mb()
    grown = world.resident_mb() - before
    with capsys.disabled():
        sys.stdout.write(f"\n{COUNT} hostile reviews, seed {SEED}: {dict(outcomes)}, memory grew by {grown:.0f} MB\n")
    assert sum(outcomes.values()) == COUNT
    assert {"injected", "refused", "allowed", "400", "413"} <= set(outcomes), "the fuzzer reaches every kind of answer"
    assert grown < GROWTH_MB


async def test_what_the_fuzzer_makes_can_be_made_again():
    assert bodies.body("a", 17) == bodies.body("a", 17)
    assert bodies.body("a", 17) != bodies.body("a", 18)


async def test_hostile_reviews_over_tls_get_the_same_answers_as_without(server, capsys):
    port, tls = server
    outcomes: Counter[str] = Counter()
    numbers = [*range(OVER_TLS - 4), *range(4_999, 20_000, 5_000)]
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls, limit=4)) as session:
        for number in numbers:
            body = bodies.body(SEED, number)
            path = "mutate" if number % 2 else "validate"
            async with session.post(f"https://localhost:{port}/{path}", data=io.BytesIO(body)) as answer:
                outcomes[world.hold(body, answer.status, await answer.read())] += 1
    with capsys.disabled():
        sys.stdout.write(f"\n{len(numbers)} hostile reviews over TLS, seed {SEED}: {dict(outcomes)}\n")
    assert sum(outcomes.values()) == OVER_TLS
    assert {"injected", "refused", "400"} <= set(outcomes)
