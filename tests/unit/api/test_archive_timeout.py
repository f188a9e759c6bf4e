"""spec.archiveTimeout as a text, and what pgwarden writes of it."""

from __future__ import annotations

import pytest

from pgwarden.api import archive_timeout


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("60s", 60), ("60", 60), ("60 s", 60), ("1min", 60), ("5min", 300), ("24h", 86400), ("10s", 10), ("off", 0),
        ("0", 0), ("9s", None), ("25h", None), ("86401", None), ("0s", None), ("", None), ("1m", None), ("-60s", None),
        ("1.5min", None), ("60s\n", None), ("9999999999", None), ("٦٠s", None), ("OFF", None),
    ],
)  # fmt: skip
def test_a_text_is_a_number_of_seconds_or_nothing(text, seconds):
    assert archive_timeout.seconds(text) == seconds


@pytest.mark.parametrize("value", [10, 60, 86400])
def test_pgwarden_knows_what_it_has_written(value):
    assert archive_timeout.own(archive_timeout.written(value)) == value


@pytest.mark.parametrize("text", [None, "", "60", "60s", "1min", "60000", "0ms", "000ms", "500ms", "60000ms;"])
def test_what_somebody_else_has_written_is_not_its_own(text):
    assert archive_timeout.own(text) is None


def test_the_default_can_be_taken():
    assert archive_timeout.seconds(archive_timeout.DEFAULT) == 60
