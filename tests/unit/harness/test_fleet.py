"""The fleet's agents answer the controller as real ones do, and what the bench makes is what the kinds allow."""

from __future__ import annotations

import asyncio
import base64
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.fleet import objects, report
from bench.fleet.agents import HANGS, OUT, Pair
from bench.fleet.measure import Figures
from bench.fleet.objects import Member
from controller import certificates
from controller.agents import KEY_CONTROLLER_CERT, KEY_CONTROLLER_KEY, Agents, Unchanged
from harness.waiting import SLOWER
from pgwarden.api import names, records
from pgwarden.api.registry import BY_NAME
from pgwarden.contract import calls
from pgwarden.contract.status import tag
from pgwarden.kube.access import Access
from pgwarden.kube.client import KubeClient
from pgwarden.pgbackrest.info import parse_info

#: Another in each process: it listens at loopback addresses of its own.
MEMBER = Member(30_000 + os.getpid() % 1_000 * objects.HANGING)
NOW = datetime.now(UTC)


def _agents() -> tuple[Agents, dict[str, bytes]]:
    """A controller that trusts what is returned with it: the files of host and pods."""
    ca = certificates.new_ca("fleet", NOW)
    mine = certificates.issue(ca, names.CN_CONTROLLER, [], NOW)
    dns = [names.host_dns(MEMBER.name, MEMBER.namespace), names.pod_dns(MEMBER.name, MEMBER.namespace, MEMBER.pod_ip)]
    leaf = certificates.issue(ca, "fleet", dns, NOW)
    data = {names.KEY_CA_CERT: ca.cert, KEY_CONTROLLER_CERT: mine.cert, KEY_CONTROLLER_KEY: mine.key}
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    agents = Agents(KubeClient(Access("http://nowhere", None)))
    agents.trust(MEMBER.key, {"metadata": {"resourceVersion": "1"}, "data": encoded})
    tls = {names.KEY_CA_CERT: ca.cert, names.KEY_TLS_CERT: leaf.cert, names.KEY_TLS_KEY: leaf.key}
    conf = {names.KEY_HOST_CONF: b"[global]\n", names.KEY_POD_CONF: b"[global]\n", names.KEY_CREDENTIALS_CONF: b""}
    return agents, tls | conf


@pytest.mark.parametrize("out", [False, True])
def test_an_agent_of_the_fleet_answers_over_its_door(tmp_path: Path, *, out: bool, monkeypatch: Any):
    monkeypatch.setattr("bench.fleet.agents.PROBE_SECONDS", 0.05)
    agents, files = _agents()
    pair = Pair(tmp_path, MEMBER, [f"u-{n}" for n in range(objects.BACKUPS)])
    pair.pgbackrest.state = OUT if out else pair.pgbackrest.state

    async def ask() -> tuple[Any, Any]:
        await pair.host.given(files)
        await pair.pod.given(files)
        try:
            host = await agents.host(MEMBER.key, MEMBER.host_ip, calls.status(refresh=True))
            return host, await agents.pod(MEMBER.key, MEMBER.pod_ip, calls.status())
        finally:
            await agents.close()
            await pair.host.close()
            await pair.pod.close()

    host, pod = asyncio.run(ask())
    info = parse_info([host.info], names.stanza(MEMBER.name))
    assert info is not None
    assert [one.label for one in info.backups] == ([] if out else [objects.label(n) for n in range(objects.BACKUPS)])
    assert info.repos[0].code == (99 if out else 0)
    assert pod.postgres.takes_writes
    assert pod.config_hash


def test_what_is_made_of_our_kinds_is_of_their_shape():
    made = [
        objects.repository(MEMBER),
        *objects.schedules(MEMBER, 3),
        *objects.backups(MEMBER),
        *objects.restores(MEMBER),
    ]
    for _, _, body in made:
        msgspec.convert(body["spec"], BY_NAME[body["kind"]].spec)
    ended = made[-1][2] | {"status": objects.ended_restore()}
    assert records.ended(ended | {"metadata": ended["metadata"] | {"uid": "u"}}).phase == "Completed"


def test_forty_of_a_thousand_hang_and_no_two_share_an_address():
    members = [Member(number) for number in [*range(1000), *range(20_000, 20_100)]]
    assert sum(one.hangs for one in members[:1000]) == 40
    addresses = {one.host_ip for one in members} | {one.pod_ip for one in members}
    assert len(addresses) == 2 * len(members)


def test_what_was_not_measured_is_not_reached():
    assert len(report.wrong(Figures(10, peak=400.0, requests=30.0, cpu=6.0))) == 5
    good = Figures(10, peak=200.0, requests=10.0, cpu=2.0, outages=[20.0], setups=[2.0])
    assert report.wrong(good) == []
    assert "| 10 |" in report.document([good], [0.5])


def test_agents_whose_storages_hang_hold_up_no_other(tmp_path: Path, monkeypatch: Any):
    """A connection that is made leaves its turn to the next, however long the answer takes."""
    monkeypatch.setattr("controller.agents.CONNECTING", 2)
    agents, files = _agents()
    pair = Pair(tmp_path, MEMBER, [])
    pair.pgbackrest.state = HANGS

    async def ask() -> float:
        await pair.host.given(files)
        await pair.pod.given(files)
        hung = [
            asyncio.create_task(agents.host(MEMBER.key, MEMBER.host_ip, calls.status(refresh=True))) for _ in range(8)
        ]
        try:
            began = asyncio.get_running_loop().time()
            async with asyncio.timeout(5 * SLOWER):
                await agents.pod(MEMBER.key, MEMBER.pod_ip, calls.status())
            assert not any(one.done() for one in hung)
            return asyncio.get_running_loop().time() - began
        finally:
            for one in hung:
                one.cancel()
            await asyncio.gather(*hung, return_exceptions=True)
            await agents.close()
            await pair.host.close()
            await pair.pod.close()

    assert asyncio.run(ask()) < 5


def test_an_answer_that_is_known_is_not_given_again_and_a_new_one_is(tmp_path: Path, monkeypatch: Any):
    monkeypatch.setattr("bench.fleet.agents.PROBE_SECONDS", 0.05)
    agents, files = _agents()
    pair = Pair(tmp_path, MEMBER, ["u-0"])

    async def ask() -> None:
        await pair.host.given(files)
        await pair.pod.given(files)
        try:
            known = tag(await agents.host(MEMBER.key, MEMBER.host_ip, calls.status(refresh=True)))
            with pytest.raises(Unchanged):
                await agents.host(MEMBER.key, MEMBER.host_ip, calls.status(refresh=True, unless=known))
            pair.pgbackrest.state = OUT
            other = await agents.host(MEMBER.key, MEMBER.host_ip, calls.status(refresh=True, unless=known))
            assert tag(other) != known
            assert await agents.pod(MEMBER.key, MEMBER.pod_ip, calls.status(unless=known)), "another agent's answer"
        finally:
            await agents.close()
            await pair.host.close()
            await pair.pod.close()

    asyncio.run(ask())
