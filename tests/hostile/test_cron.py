"""Five million random strings as schedules: each is a schedule or a list of faults. One schedule in four is asked for
its next run, which takes croniter longer than all else here.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from typing import NamedTuple

from pgwarden.schedule import cron
from pgwarden.schedule.cron import Schedule

SEED = os.environ.get("PGWARDEN_HOSTILE_SEED") or os.urandom(4).hex()
COUNT = 5_000_000
CHUNK = 50_000  # strings of a seed of their own: SEED:0, SEED:1 …
PROCESSES = 2
_ASKED = 4
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
#: By field, so that whole expressions of them are schedules, but for a day that no month has.
_GOOD = (
    ("0", "*", "*/15", "7,11,59", "10-20/3"),
    ("0", "*", "*/7", "0-59", "59"),
    ("0", "*", "*/3", "9-17", "23,1,1"),
    ("*", "?", "1", "31", "*/2", "1-7", "29,30"),
    ("*", "2", "jan", "FEB,NOV", "*/5", "1-12/11"),
    ("*", "?", "SUN", "0", "mon-fri", "*/1", "2,4,6"),
)
_NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


class Tally(NamedTuple):
    accepted: int
    refused: int
    seconds: float  # of CPU


def expressions(seed: str, count: int) -> Iterator[str]:
    """A quarter each of noise, of near misses, of near misses with a character changed, and of schedules with one."""
    rng = random.Random(seed)
    letters, parts = rng.choices(_LETTERS, k=24 * count // 2), rng.choices(_PARTS, k=7 * count // 2)
    good = [rng.choices(values, k=count // 4) for values in _GOOD]
    chances = rng.randbytes(4 * count)
    for n in range(count):
        kind, length, at, width = chances[4 * n : 4 * n + 4]
        quarter = n // 4
        if n % 4 == 0:
            yield "".join(letters[24 * quarter : 24 * quarter + length % 25])
            continue
        if n % 4 == 3:
            text = " ".join([values[quarter] for values in good[kind % 2 :]])
        else:
            first = 7 * (2 * quarter + n % 2)
            text = " ".join(parts[first : first + (4, 5, 5, 5, 5, 6, 6, 7)[length % 8]])
        if n % 4 != 1 and kind > 64:
            at %= len(text) + 1
            text = text[:at] + letters[24 * (count // 4) + n % (12 * (count // 2))] + text[at + width % 2 :]
        yield text


def read(chunk: int) -> Tally:
    """Parse a chunk of them; AssertionError names the string that is neither a schedule nor refused."""
    began, accepted, refused = time.process_time(), 0, 0
    for number, text in enumerate(expressions(f"{SEED}:{chunk}", CHUNK)):
        try:
            parsed = cron.parse(text)
            if isinstance(parsed, Schedule):
                accepted += 1
                assert accepted % _ASKED or parsed.next_run(_NOW) > _NOW
            else:
                refused += 1
                assert parsed[0].message
        except Exception as error:
            raise AssertionError(f"string {number} of seed {SEED}:{chunk}: {text!r}") from error
    return Tally(accepted, refused, time.process_time() - began)


def test_five_million_random_strings_never_crash_the_parser(capsys):
    began = time.monotonic()
    with ProcessPoolExecutor(PROCESSES) as pool:
        tallies = list(pool.map(read, range(COUNT // CHUNK)))
    accepted, refused, seconds = (sum(each) for each in zip(*tallies, strict=True))
    with capsys.disabled():
        sys.stdout.write(
            f"\n{accepted + refused} random schedules, seed {SEED}: {accepted} accepted, one in {_ASKED} asked for its next run; "
            f"{seconds:.0f} s of CPU in {time.monotonic() - began:.0f} s\n"
        )
    assert accepted + refused == COUNT
    assert accepted > COUNT // 20
    assert refused > COUNT // 2


def test_what_the_fuzzer_makes_can_be_made_again():
    assert list(expressions("a", 100)) == list(expressions("a", 100))
    assert list(expressions("a", 100)) != list(expressions("b", 100))
