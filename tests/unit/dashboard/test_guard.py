"""Who gets an answer: the page's own origin, with its token, by a request that changes nothing."""

from __future__ import annotations

import pytest

from pgwarden.dashboard import guard

TOKEN = guard.new_token()
HERE = {"Host": "127.0.0.1:41234"}


@pytest.mark.parametrize("host", ["127.0.0.1:41234", "localhost:41234", "localhost:9000", "[::1]:41234", "127.0.0.1"])
def test_this_machines_own_names_are_answered(host):
    """A tunnel may have another port."""
    assert guard.refusal("GET", TOKEN, {"Host": host}, TOKEN) is None


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example:41234",
        "127.0.0.1.evil.example",
        "localhost.evil.example:41234",
        "127.0.0.1:41234@evil.example",
        "evil.example/127.0.0.1",
        "0.0.0.0:41234",
        "127.0.0.1:41234\n",
        "127.0.0.1:١",
    ],
)
def test_a_name_that_is_made_to_point_here_is_refused_whatever_it_knows(host):
    found = guard.refusal("GET", TOKEN, {"Host": host}, TOKEN)
    assert found is not None
    assert found.status == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "get", "WHATEVER"])
def test_only_reading_is_answered(method):
    found = guard.refusal(method, TOKEN, HERE, TOKEN)
    assert found is not None
    assert found.status == 405


@pytest.mark.parametrize(
    ("origin", "answered"),
    [
        ("http://127.0.0.1:41234", True),
        ("https://127.0.0.1:41234", False),
        ("http://127.0.0.1:9", False),
        ("http://localhost:41234", False),
        ("http://evil.example", False),
        ("null", False),
        ("", False),
    ],
)
def test_an_origin_must_be_the_pages_own(origin, answered):
    assert (guard.refusal("GET", TOKEN, HERE | {"Origin": origin}, TOKEN) is None) == answered


@pytest.mark.parametrize(
    ("site", "mode", "dest", "answered"),
    [
        ("none", "navigate", "document", True),
        ("same-origin", "cors", "empty", True),
        ("cross-site", "navigate", "document", True),  # a link that somebody follows
        ("cross-site", "no-cors", "script", False),
        ("cross-site", "navigate", "iframe", False),
        ("same-site", "no-cors", "image", False),  # another program's page on another port of this machine
    ],
)
def test_another_page_may_link_to_it_and_nothing_else(site, mode, dest, answered):
    headers = HERE | {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": dest}
    assert (guard.refusal("GET", TOKEN, headers, TOKEN) is None) == answered


@pytest.mark.parametrize(
    "token",
    ["", TOKEN[:-1], TOKEN + "A", TOKEN.swapcase(), "ü", "\ud800"],
    ids=["none", "shorter", "longer", "other case", "not ASCII", "not UTF-8"],  # the token is another in each process
)
def test_without_the_token_there_is_no_page(token):
    found = guard.refusal("GET", token, HERE, TOKEN)
    assert found is not None
    assert found.status == 404


def test_each_start_has_a_token_of_its_own_that_nobody_guesses():
    made = {guard.new_token() for _ in range(100)}
    assert len(made) == 100
    assert min(map(len, made)) >= 43
