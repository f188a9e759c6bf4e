"""Peers that acknowledge nothing any more: what the kernel's table says of them."""

from __future__ import annotations

import pytest

from agent import dead_peers
from agent.children import Children
from agent.pgbackrest import Runner

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode                   "
LINE = "   4: 0800F40A:D2A6 {remote} 01 00000034:00000000 01:000003E8 {tried} 26 0 16265539 3 0000000053bd67bf 400 0 0 10 7"
V4, V6 = "0701F40A:20F0", "0000000000000000FFFF00000701F40A:20F0"
LONG = "B80D0120000000000000000007000000:20F0"


def table(*rows: tuple[str, str]) -> str:
    return "\n".join([HEAD, *(LINE.format(remote=remote, tried=tried) for remote, tried in rows), ""])


SEEN = {
    "nothing": (table(), []),
    "one that answers": (table((V4, "00000000")), []),
    "one that is slow": (table((V4, "00000007")), []),
    "one that is gone": (table((V4, "00000000"), (V4, "00000008")), ["10.244.1.7"]),
    "mapped into IPv6": (table((V6, "0000000A")), ["10.244.1.7"]),
    "of IPv6": (table((LONG, "0000000A")), ["2001:db8::7"]),
    "a store": (table(("0701F40A:01BB", "0000000A")), []),
    "cut off": (HEAD + "\n   4: 0800F40A:D2A6 0701F40A:20F0 01", []),
}


@pytest.mark.parametrize(("text", "found"), SEEN.values(), ids=SEEN)
def test_who_is_silent_is_in_the_kernels_table(text, found):
    assert dead_peers.silent(text) == found


@pytest.fixture
def at_work(paths, tmp_path, monkeypatch):
    """A pgBackRest that waits for ever, and the kernel's table."""
    paths.pgbackrest.parent.mkdir(parents=True)
    paths.pgbackrest.write_text("#!/bin/sh\nexec sleep 60\n")
    paths.pgbackrest.chmod(0o755)
    monkeypatch.setattr(dead_peers, "LOOK_SECONDS", 0.05)
    seen = tmp_path / "tcp"
    seen.write_text(table((V4, "00000001")))
    monkeypatch.setattr(dead_peers, "TABLES", (tmp_path / "none", seen))
    return Runner(paths, Children()), seen


async def test_a_run_without_a_limit_ends_when_its_peer_is_gone(at_work):
    runner, seen = at_work
    seen.write_text(table((V4, "00000009")))
    result = await runner.run(["backup"], None)
    assert not result.ok
    assert result.error == "10.244.1.7 acknowledges nothing any more: its node, or the way to it, is gone"


async def test_a_run_with_a_limit_does_not_look_at_what_may_be_anothers(at_work):
    runner, seen = at_work
    seen.write_text(table((V4, "00000009")))
    result = await runner.run(["info"], 0.5)
    assert (result.timed_out, result.silent) == (True, "")
