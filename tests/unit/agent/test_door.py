"""What the agent in a Job's pod answers, over HTTP as the controller asks it."""

from __future__ import annotations

import msgspec
from aiohttp.test_utils import TestClient, TestServer

from agent import door
from pgwarden.api import names
from pgwarden.contract import calls, recovery
from pgwarden.contract.calls import Outcome
from pgwarden.contract.status import Status


async def asked(method, path, monkeypatch, peer=names.CN_CONTROLLER):
    monkeypatch.setattr("agent.server.common_name", lambda _certificate: peer)
    told = Status(config_hash="abc", recovery=recovery.Recovery(phase=recovery.FOLLOWING, segments=3))
    app = door.application(lambda: told, {calls.RECOVERY_FINISH: lambda: Outcome(ok=True)})
    async with TestClient(TestServer(app)) as client:
        answer = await client.request(method, path)
        return answer.status, await answer.read()


async def test_its_status_has_the_recovery(monkeypatch):
    code, body = await asked("GET", "/status", monkeypatch)
    found = msgspec.json.decode(body, type=Status)
    assert (code, found.config_hash) == (200, "abc")
    assert found.recovery
    assert (found.recovery.phase, found.recovery.segments) == ("Following", 3)


async def test_it_is_told_to_finish(monkeypatch):
    code, body = await asked("POST", "/recovery-finish", monkeypatch)
    assert (code, msgspec.json.decode(body, type=Outcome).ok) == (200, True)


async def test_only_the_controller_may_ask(monkeypatch):
    assert (await asked("POST", "/recovery-finish", monkeypatch, peer="hippo-pods"))[0] == 403
