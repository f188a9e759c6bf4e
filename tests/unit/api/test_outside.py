"""Text from outside is read within bounds, or it is None; nothing is ever raised."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwarden.api.kinds import PodFacts
from pgwarden.api.outside import MOST, decode, decode_object

UNREADABLE = {
    "absent": None,
    "no text": 7,
    "empty": "",
    "cut": '{"a":',
    "not UTF-8": b'"\xff"',
    "a lone surrogate": '"\ud800"',
    "NaN": "NaN",
    "nested lists": "[" * 50_000,
    "nested objects": '{"a":' * 12_000,
    "closed nesting": "[" * 20_000 + "]" * 20_000,
    "too long": f'"{"x" * MOST}"',
    "too long in bytes": f'"{"é" * (MOST // 2)}"',
}


@pytest.mark.parametrize("text", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_is_not_readable_is_none(text: object):
    assert decode(text) is None
    assert decode_object(text) is None
    assert decode(text, PodFacts) is None


def test_what_is_readable_is_read_and_another_shape_is_none():
    assert decode('{"a": [1, null]}') == {"a": [1, None]}
    assert decode(b"[1]") == [1]
    assert decode_object("[1]") is None
    assert decode("[1]", dict[str, int]) is None
    assert decode(f'"{"x" * 100}"', most=50) is None


@given(st.text() | st.binary())
def test_nothing_is_ever_raised(text: str | bytes):
    decode(text)
    decode_object(text)
