"""Answers of agents over a real connection: bounded, of known types, and never more than an AgentError."""

from __future__ import annotations

import base64
import gzip
import json
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from controller import agents, certificates
from controller.agents import MOST, MOST_POD, AgentError, Agents
from pgwarden.api import names
from pgwarden.contract import calls
from pgwarden.contract.calls import Call

KEY = ("ns", "hippo")
NOW = datetime.now(UTC)
DNS = [names.pod_dns_wildcard("hippo", "ns"), names.host_dns("hippo", "ns")]
INFO = json.loads((Path(__file__).parents[1] / "pgbackrest" / "data" / "info-2.60.json").read_text(encoding="utf-8"))[0]
CA = certificates.new_ca("pgwarden hippo", NOW)


def secret() -> dict[str, Any]:
    mine = certificates.issue(CA, names.CN_CONTROLLER, [], NOW)
    data = {"ca.crt": CA.cert, "ca.key": CA.key, "controller.crt": mine.cert, "controller.key": mine.key}
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    return {"metadata": {"resourceVersion": "1"}, "data": encoded}


@pytest.fixture
async def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The answer to GET /status of an agent that sends that body."""
    leaf = certificates.issue(CA, names.cn_pods("hippo"), DNS, NOW)
    (tmp_path / "pair").write_bytes(leaf.key + leaf.cert)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "pair")
    sent: dict[str, Any] = {}

    async def handler(request: web.Request) -> web.StreamResponse:
        sent.setdefault("peers", []).append(request.transport.get_extra_info("peername"))
        response = web.StreamResponse(status=sent.get("status", 200), headers=sent.get("headers", {}))
        await response.prepare(request)
        try:
            for piece in sent["pieces"]:
                await response.write(piece)
                sent["written"] = sent.get("written", 0) + len(piece)
        except ConnectionError:
            pass
        return response

    app = web.Application()
    app.router.add_get("/status", handler)
    app.router.add_post("/fence", handler)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server(ssl=context)
    monkeypatch.setattr(names, "PORT_AGENT", server.port)
    caller = Agents(None)  # type: ignore[arg-type]
    caller.trust(KEY, secret())

    async def asked(*pieces: bytes, of: str = "pod", call: Call | None = None, **more: Any) -> Any:
        sent.update(more, pieces=pieces)
        return await getattr(caller, of)(KEY, "127.0.0.1", call or calls.status())

    asked.sent = sent  # type: ignore[attr-defined]
    yield asked
    await caller.close()
    await server.close()


async def test_what_an_agent_answers_is_handed_on_whole(ask):
    answer = {
        "role": "postgres", "version": "0.1.0", "pgbackrest": "2.58", "server": {"running": True, "restarts": 0},
        "configHash": "x", "configError": "", "archiveError": "", "unarchived": None,
        "postgres": {"reachable": True, "inRecovery": False, "timeline": 1, "lastReplayTime": None,
                     "systemIdentifier": "77", "pendingRestart": False},
        "archiver": {"archivedCount": 1, "lastArchivedTime": "2026-11-23T10:00:00.123456Z", "lastFailedTime": None},
        "somethingOfTomorrow": [1],
    }  # fmt: skip
    found = msgspec.to_builtins(await ask(json.dumps(answer).encode()))
    assert {key: found[key] for key in answer if key != "somethingOfTomorrow"} == {
        key: found[key] | value if isinstance(value, dict) else value
        for key, value in answer.items()
        if key != "somethingOfTomorrow"
    }


@pytest.mark.parametrize(("sets", "references"), [(2_000, 0), (10_000, 0), (2_000, 80)], ids=str)
async def test_the_honest_info_of_thousands_of_sets_is_read(ask, sets, references):
    one = INFO["backup"][1] | {"reference": ["20261123-180759F_20261123-180802I"] * references}
    answer = {"info": INFO | {"backup": [one] * sets}, "infoError": ""}
    assert (await ask(json.dumps(answer).encode(), of="host")).info == answer["info"]


@pytest.mark.parametrize(("of", "most", "shown"), [("host", MOST, "8192"), ("pod", MOST_POD, "256")])
async def test_no_more_than_the_bound_is_read(ask, of, most, shown):
    pieces = [b'{"infoError": "', *[b"x" * 2**20] * 64]
    with pytest.raises(AgentError, match=f"returned more than {shown} KiB"):
        await ask(*pieces, of=of)
    assert ask.sent.get("written", 0) < max(most, MOST) * 3  # what the two sides' buffers hold besides


@pytest.mark.parametrize(("of", "kept", "connections"), [("pod", 1, 1), ("pod", 0, 3), ("host", 0, 1)])
async def test_of_very_many_repositories_a_pods_connection_ends_with_its_answer(
    ask, monkeypatch, of, kept, connections
):
    monkeypatch.setattr(agents, "KEPT", kept)
    for _ in range(3):
        await ask(b"{}", of=of)
    assert len(set(ask.sent["peers"])) == connections


async def test_a_pods_answer_with_hundreds_of_tablespaces_is_read(ask):
    spaces = [{"name": f"space_{number}", "location": f"/mnt/{'x' * 100}/{number}"} for number in range(1500)]
    found = await ask(json.dumps({"ok": True, "tablespaces": spaces}).encode(), call=calls.fence(60))
    assert len(found.tablespaces) == 1500


async def test_an_answer_of_countless_small_values_is_not_decoded(ask, monkeypatch):
    """A few of these took more memory than the controller has."""
    monkeypatch.setattr("msgspec.json.decode", None)
    with pytest.raises(AgentError, match="returned more than 400000 values"):
        await ask(b'{"info":{"a":[' + b'{"":0},' * 1_000_000 + b"0]}}", of="host")


POISON = {
    "nested lists": b"[" * 100_000,
    "nested lists in a field": b'{"info":' + b"[" * 100_000,
    "nested objects": b'{"info":' * 100_000,
    "a list": b"[1]",
    "null": b"null",
    "nothing": b"",
    "NaN": b'{"unarchived": NaN}',
    "not UTF-8": b'{"infoError": "\xff"}',
    "a word for a number": b'{"unarchived": "many"}',
    "a list for PostgreSQL": b'{"postgres": [1]}',
    "a list for a word": b'{"postgres": {"systemIdentifier": ["77"]}}',
    "a word for a time": b'{"archiver": {"lastArchivedTime": "yesterday"}}',
    "a time of no calendar": b'{"archiver": {"lastArchivedTime": "2026-99-99T99:99:99Z"}}',
    "a time with a line break": b'{"archiver": {"lastArchivedTime": "2026-11-23T10:00:00Z\\n"}}',
    "a time without a zone": b'{"postgres": {"lastReplayTime": "2026-11-23T10:00:00"}}',
    "a number that no status takes": b'{"unarchived": 99999999999999999999}',
    "fewer than none": b'{"unarchived": -1}',
    "a timeline that is none": b'{"postgres": {"timeline": -1}}',
    "a list for info": b'{"info": [1]}',
    "an object for an error": b'{"infoError": {"a": 1}}',
}


@pytest.mark.parametrize("body", POISON.values(), ids=POISON)
async def test_an_answer_that_is_none_is_told_as_such(ask, body):
    with pytest.raises(AgentError, match="answered status with an invalid response"):
        await ask(body, of="host")


async def test_a_tablespace_without_a_folder_is_no_answer(ask):
    with pytest.raises(AgentError, match="answered fence with an invalid response"):
        await ask(b'{"tablespaces": [{"name": "fast"}]}', call=calls.fence(60))


async def test_what_is_packed_is_not_unpacked(ask):
    """A thousandth of the bound would unpack to more than all of it."""
    with pytest.raises(AgentError, match="an invalid response"):
        await ask(gzip.compress(b'{"infoError": "' + b" " * 2 * MOST + b'"}'), headers={"Content-Encoding": "gzip"})


async def test_a_refusal_is_told_in_one_line_without_control_characters(ask):
    with pytest.raises(AgentError) as raised:
        await ask(b"only \x1b[2Jyou\nmay call\n", status=403)
    assert str(raised.value) == "the agent returned 403: only [2Jyou may call"


def test_the_controllers_key_is_on_no_disk(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a file is written")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    agents._context(secret()["data"])


async def test_no_agent_leads_the_controller_elsewhere(ask):
    """It reaches what a compromised host does not, and shows what it is answered in a status."""
    with pytest.raises(AgentError, match=r"the agent returned 302: secret$"):
        await ask(b"secret", status=302, headers={"Location": "/fence"})
    ask.sent["headers"] = {"Location": "http://169.254.169.254/"}
    for status in (301, 303, 307, 308):
        with pytest.raises(AgentError, match=f"the agent returned {status}: "):
            await ask(b"", status=status)


@pytest.mark.parametrize(
    "body",
    [
        b'{"postgres": {"systemIdentifier": "\\u001b[2J"}}',
        b'{"postgres": {"systemIdentifier": "' + b"7" * 1000 + b'"}}',
        b'{"postgres": {"serverVersion": "17\\n"}}',
        b'{"postgres": {"serverVersion": "' + b"7" * 1000 + b'"}}',
        b'{"archiver": {"lastArchivedWal": "\\u202e"}}',
        b'{"archiver": {"lastFailedWal": "' + b"0" * 1000 + b'"}}',
    ],
)
async def test_what_a_status_takes_as_it_is_has_a_form(ask, body):
    with pytest.raises(AgentError, match="answered status with an invalid response"):
        await ask(body)


async def test_headers_without_an_end_are_told_in_plain_words(ask):
    many = {f"X-More-{number}": "yes" for number in range(1000)}
    with pytest.raises(
        AgentError, match=r"cannot be reached: what it answers is no HTTP \(Too many headers received\)$"
    ):
        await ask(b"", headers=many)
    with pytest.raises(AgentError, match=r"cannot be reached: what it answers is no HTTP \([A-Za-z0-9 ]+\)$"):
        await ask(b"", headers={"X-More": "x" * 100_000})
