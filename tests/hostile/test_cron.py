"""Millions of random strings as schedules: each is a schedule or a list of faults, and what is one has a next run."""

from __future__ import annotations

import os
import random
import sys
import time
from datetime import UTC, datetime

from pgwarden.api import cron
from pgwarden.api.cron import Schedule

SEED = os.environ.get("PGWARDEN_HOSTILE_SEED") or os.urandom(4).hex()
ALL = 5_000_000
SECONDS = 60.0  # of the usual run; PGWARDEN_HOSTILE_ALL=1 takes all five million
_LETTERS = "0123456789*/,-? LW#@7SUNMONJANTZ=\t\n\x00é٣🐘"
_PARTS = (
    "*",
    "0",
    "59",
    "60",
    "*/5",
    "1-5",
    "5-1",
    "1,2",
    "?",
    "MON",
    "JAN-MAR",
    "31",
    "2",
    "*/0",
    "1-31/2",
    "7",
    "L",
    "",
)
_NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def expression(rng: random.Random) -> str:
    """Noise, nearly an expression, or an expression with noise in it."""
    chance = rng.random()
    if chance < 0.3:
        return "".join(rng.choices(_LETTERS, k=rng.randrange(24)))
    text = " ".join(rng.choices(_PARTS, k=rng.choice((4, 5, 5, 5, 5, 6, 6, 7))))
    if chance < 0.6:
        at = rng.randrange(len(text) + 1)
        text = text[:at] + rng.choice(_LETTERS) + text[at + rng.randrange(2) :]
    return text


def test_millions_of_random_strings_never_crash_the_parser(capsys):
    rng = random.Random(SEED)
    whole = os.environ.get("PGWARDEN_HOSTILE_ALL") == "1"
    end = time.monotonic() + SECONDS
    count = accepted = 0
    while count < ALL and (whole or count % 1000 or time.monotonic() < end):
        text = expression(rng)
        try:
            parsed = cron.parse(text)
            if isinstance(parsed, Schedule):
                accepted += 1
                if accepted % 50 == 0:
                    assert parsed.next_run(_NOW) > _NOW
            else:
                assert parsed
                assert parsed[0].message
        except Exception as error:
            raise AssertionError(f"string {count} of seed {SEED}: {text!r}") from error
        count += 1
    with capsys.disabled():
        sys.stdout.write(f"\n{count} random schedules, seed {SEED}: {accepted} accepted\n")
    assert count == ALL if whole else count >= 100_000
    assert 0 < accepted < count
