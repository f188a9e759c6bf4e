"""pg_control is read as pg_controldata reads it."""

from __future__ import annotations

import pytest

from agent.recovery import control_file


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 8192, b"\xff" * 300, b"x" * 20], ids=["empty", "zeros", "ones", "short"]
)
def test_another_layout_is_not_guessed_at(content):
    assert control_file.parse(content) is None
