"""What the agent writes, the controller reads: the real output of the one is fed to the other."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.outcome import message
from controller import jobs
from pgwarden.api.kinds import PodFacts
from pgwarden.contract import calls, environment
from pgwarden.contract.environment import Role, Settings
from pgwarden.contract.job_result import JobResult
from pgwarden.contract.status import Archiver, Postgres, Server, Status, tag
from pgwarden.pgbackrest.info import parse_info
from tests.unit.controller.restore.agents import info

TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_characters="\x7f"), min_size=1, max_size=40)


@given(
    data=TEXT.map("/{}".format), port=st.integers(1, 65535), socket=TEXT.map("/{}".format), user=TEXT, database=TEXT,
    by=st.sampled_from(["Arguments", "AlterSystem", "Patroni"]),
)  # fmt: skip
def test_the_variables_of_a_sidecar_are_read_as_they_were_meant(data, port, socket, user, database, by):
    facts = PodFacts(
        container="postgres", data_directory=data, port=port, socket_directory=socket, user=user, database=database,
        run_as_user=999, run_as_group=999, configured_by=by, data_volume="data",
    )  # fmt: skip
    variables = environment.of_postgres("hippo", facts)
    if any(not value.isprintable() for value in variables.values()):
        return  # the webhook has refused them
    read = Settings.read(variables)
    assert (read.role, read.stanza) == (Role.POSTGRES, "hippo")
    found = read.instance
    assert (found.data_directory, found.port, found.socket_directory) == (data, port, socket)
    assert (found.user, found.database, found.alter_system) == (user, database, by == "AlterSystem")


def test_the_variables_of_a_repository_host_are_read():
    read = Settings.read(environment.of_repository("hippo"))
    assert (read.role, read.stanza, read.instance) == (Role.REPOSITORY, "hippo", None)


@pytest.mark.parametrize("sets", [0, 1, 60, 2000])
def test_a_status_comes_over_the_wire_whole(sets):
    one = info()["backup"][0]
    sent = Status(
        role="repository", version="1", server=Server(running=True, restarts=2), config_hash="x",
        info=info() | {"backup": [one | {"label": f"2026{number:04}-110000F"} for number in range(sets)]},
        postgres=Postgres(reachable=True, in_recovery=False, timeline=3, last_replay_time="2026-11-23T10:00:00.123456Z"),
        archiver=Archiver(archived_count=1, last_archived_wal="0" * 24), unarchived=0, relays=True,
    )  # fmt: skip
    got = msgspec.json.decode(msgspec.json.encode(sent), type=calls.status().answer)
    assert got == sent
    assert tag(got) == tag(sent), "both sides make the same tag"
    assert len(parse_info([got.info], "hippo").backups) == sets


@pytest.mark.parametrize(("before", "after", "same"), [(0, 30, True), (30, 31, False), (31, 59, True), (59, 60, False)])
def test_an_answer_is_another_one_once_its_age_is_told_otherwise(before, after, same):
    one, other = (Status(role="repository", info=info(), info_age=age) for age in (before, after))
    assert (tag(one) == tag(other)) is same


@pytest.mark.parametrize("expired", [0, 1, 60, 2000])
def test_a_jobs_result_is_read_from_its_termination_message(expired):
    labels = tuple(f"2026{number:04}-110000F" for number in range(expired))
    sent = JobResult(ok=True, label="20261123-110000F", expired=labels, seconds=1.5)
    state = {"terminated": {"message": message(sent).decode(), "finishedAt": "2026-11-23T11:00:00Z"}}
    got = jobs.result([{"status": {"containerStatuses": [{"state": state}]}}])
    assert (got.ok, got.label, got.seconds) == (True, sent.label, 1.5)
    assert got.expired == labels[: len(got.expired)]
    assert len(got.expired) + got.expired_not_shown == expired


@pytest.mark.parametrize(
    ("call", "method", "path"),
    [
        (calls.status(), "GET", "status"),
        (calls.status(refresh=True), "GET", "status?refresh=1"),
        (calls.stanza_create(), "POST", "stanza-create"),
        (calls.set_aside(), "POST", "set-aside"),
        (calls.expire(1, "20261101-000000F", 2), "POST", "expire?repo=1&set=20261101-000000F&archives-of=2"),
        (calls.fence(60), "POST", "fence?timeout=60"),
        (calls.fence(60, repo=2), "POST", "fence?timeout=60&repo=2"),
        (calls.fence(20.5, every=60.0), "POST", "fence?timeout=20.5&every=60"),
        (calls.checkpoint(), "POST", "checkpoint"),
        (calls.recovery_finish(), "POST", "recovery-finish"),
        (calls.newest_wal(), "POST", "newest-wal"),
        (calls.info_as_of(2, "2026-11-23T09:00:00Z"), "POST", "info-as-of?repo=2&time=2026-11-23T09:00:00Z"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_call_says_how_it_is_made(call, method, path):
    assert (call.method, call.path) == (method, path)
