"""What Linux itself says of a peer that is gone while something waits to be acknowledged: two namespaces, one cable."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from agent import dead_peers
from harness.waiting import until

SERVE = "import socket; s = socket.create_server(('10.77.0.2', 8432)); print(1, flush=True); c, _ = s.accept(); c.recv(1); print(2, flush=True); input()"
TALK = (
    "import socket; s = socket.create_connection(('10.77.0.2', 8432)); s.send(b'a'); input(); s.send(b'b'); s.recv(1)"
)


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


@pytest.fixture
def cable() -> Iterator[tuple[str, str]]:
    """The namespaces at its ends."""
    ends = [f"dead-{side}-{uuid.uuid4().hex[:4]}" for side in "ab"]
    try:
        for end in ends:
            ip("netns", "add", end)
        ip("link", "add", "cable", "netns", ends[0], "type", "veth", "peer", "name", "cable", "netns", ends[1])
        for number, end in enumerate(ends, 1):
            ip("-n", end, "address", "add", f"10.77.0.{number}/24", "dev", "cable")
            ip("-n", end, "link", "set", "cable", "up")
        yield ends[0], ends[1]
    finally:
        for end in ends:
            subprocess.run(["ip", "netns", "delete", end], check=False)


def start(end: str, code: str) -> subprocess.Popen[str]:
    command = ["ip", "netns", "exec", end, sys.executable, "-c", code]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def table(end: str) -> str:
    command = ["ip", "netns", "exec", end, "cat", "/proc/net/tcp"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_the_kernel_says_that_a_peer_is_gone(cable: tuple[str, str], monkeypatch: pytest.MonkeyPatch):
    near, far = cable
    monkeypatch.setattr(dead_peers, "TRIES", 4)  # 3 s instead of 51
    with ExitStack() as ended:
        server = ended.enter_context(start(far, SERVE))
        ended.callback(server.kill)
        assert server.stdout.readline() == "1\n", "it listens"
        client = ended.enter_context(start(near, TALK))
        ended.callback(client.kill)
        assert server.stdout.readline() == "2\n", "it has heard of the client"
        assert dead_peers.silent(table(near)) == []
        ip("-n", far, "link", "set", "cable", "down")
        client.stdin.write("\n")
        client.stdin.flush()
        until(lambda: dead_peers.silent(table(near)) == ["10.77.0.2"], "it is seen to be gone", 20)
