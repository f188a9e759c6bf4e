"""Of several storages: which one a Restore uses, and which one it waits for."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from controller.restore import render, steps_prepare, steps_switch
from pgwarden.api.kinds import RepositorySpec, RestoreSpec, RestoreTarget
from pgwarden.contract import calls
from pgwarden.contract.calls import Fenced
from tests.unit.controller.restore.steps.situations import said

BOTH = msgspec.convert({"storageType": "local,s3", "s3": {"bucket": "b"}}, RepositorySpec)


@pytest.mark.parametrize(
    ("chosen", "named", "call"),
    [
        pytest.param("", "", "fence?timeout=60", id="all of them"),
        pytest.param("local", "", "fence?timeout=60&repo=1", id="chosen, as the other one is away"),
        pytest.param("s3", "s3", "fence?timeout=60&repo=2", id="named"),
        pytest.param("", "s3", "fence?timeout=60&repo=2", id="named, by a plan of version 0.1"),
    ],
)
def test_the_fence_asks_for_the_storage_that_is_restored_from_alone(planned, chosen, named, call):
    plan = msgspec.structs.replace(planned.planned, storage=chosen)
    found = steps_prepare.fenced(
        replace(planned, plan=plan, repo_spec=BOTH, spec=RestoreSpec(repository="hippo", storage=named))
    )
    assert found.action.call.path == call
    assert "into storage" not in found.message or f"into storage {chosen or named};" in found.message


def with_storages(info: dict, *codes: int) -> dict:
    """*info* of a Repository on local,s3; the backup is in each storage that can be read."""
    readable = [number for number, code in enumerate(codes, 1) if code == 0]
    return info | {
        "repo": [
            {"key": number, "cipher": "none", "status": {"code": code, "message": f"[HostConnectError] no answer {number}"}}
            for number, code in enumerate(codes, 1)
        ],
        **{
            kind: [one | {where: one[where] | {"repo-key": n}} if where else one | {"repo-key": n}
                   for one in info[kind] for n in readable]
            for kind, where in (("backup", "database"), ("archive", "database"), ("db", ""))
        },
    }  # fmt: skip


OLDER, SET, OTHER_SET = {"time": "2026-11-20T00:00:00Z"}, "20261123-110000F", "20260101-110000F"


@pytest.mark.parametrize(
    ("spec", "codes", "verdict", "storage"),
    [
        pytest.param({}, (0, 0), ("done", "Valid"), "local", id="both answer: the first"),
        pytest.param({"storage": "local"}, (0, 99), ("done", "Valid"), "local", id="the one that is named answers"),
        pytest.param({"storage": "s3"}, (99, 0), ("done", "Valid"), "s3", id="the volume cannot be read"),
        pytest.param({}, (0, 99), ("done", "Valid"), "local", id="the one that answers is chosen"),
        pytest.param({}, (99, 0), ("done", "Valid"), "s3", id="whichever it is"),
        pytest.param(
            {"storage": "s3"}, (0, 99), ("wait", "StorageNotReadable"), "", id="the one that is named is away"
        ),
        pytest.param({}, (99, 99), ("wait", "StorageNotReadable"), "", id="both are away"),
        pytest.param({"set": SET}, (0, 99), ("done", "Valid"), "local", id="the set is in the one that answers"),
        pytest.param({"set": OTHER_SET}, (0, 99), ("wait", "StorageNotReadable"), "", id="the set may be in the other"),
        pytest.param({"set": OTHER_SET}, (0, 0), ("fail", "NoSuchSet"), "", id="the set is in neither"),
        pytest.param(
            {"set": OTHER_SET, "storage": "local"}, (0, 99), ("fail", "NoSuchSet"), "", id="not where it is named"
        ),
        pytest.param(
            {"target": OLDER}, (0, 99), ("wait", "StorageNotReadable"), "", id="the other may reach further back"
        ),
        pytest.param(
            {"target": {"time": "2999-01-01T00:00:00Z"}}, (0, 99), ("fail", "TargetInFuture"), "", id="in no storage"
        ),
    ],
)
def test_a_restore_waits_for_the_storage_that_it_uses_and_no_other(begin, spec, codes, verdict, storage):
    wanted = msgspec.convert({"repository": "hippo"} | spec, RestoreSpec)
    found = steps_prepare.validated(replace(begin, spec=wanted, repo_spec=BOTH, info=with_storages(begin.info, *codes)))
    assert said(found) == verdict
    if found.kind == "done":
        assert found.plan.storage == storage
        assert f"--repo={1 + (storage == 's3')}" in render.arguments(found.plan, wanted, BOTH)
        assert render.backup(found.plan, wanted, "ns")["spec"].get("storage", "") == storage
        away = {"local": "s3", "s3": "local"}.get(storage, "") if 99 in codes else ""
        assert not away or f"from storage {storage}; storage {away} cannot be read" in found.message
    if found.kind == "wait":
        assert "no answer" in found.message


def test_of_storages_that_all_answer_the_first_that_reaches_the_target_is_named(begin):
    info = with_storages(begin.info, 0, 0)
    info["backup"] = [one for one in info["backup"] if one["database"]["repo-key"] == 2]
    for spec in (RestoreSpec(repository="hippo"), RestoreSpec(repository="hippo", set=SET)):
        found = steps_prepare.validated(replace(begin, spec=spec, repo_spec=BOTH, info=info))
        assert found.plan.storage == "s3"
        assert "--repo=2" in render.arguments(found.plan, spec, BOTH)


def test_one_storage_alone_is_not_named(begin):
    found = steps_prepare.validated(begin)
    assert (
        found.plan.storage,
        [a for a in render.arguments(found.plan, begin.spec, begin.repo_spec) if "--repo" in a],
    ) == ("", [])


@pytest.mark.parametrize(
    ("codes", "verdict"),
    [((0, 0), ("done", "ArchivedOnly")), ((0, 99), ("fail", "TargetNotReachable"))],
    ids=["the other has the WAL", "the other is away"],
)
def test_what_the_chosen_storage_lacks_counts_where_the_other_can_be_read(planned, codes, verdict):
    latest = {"local": "2026-11-23T11:00:00Z", "s3": "2026-11-23T11:55:00Z"}
    window = [{"storage": storage, "latest": at} for storage, at in latest.items()]
    facts = replace(
        planned,
        plan=msgspec.structs.replace(planned.planned, storage="local"),
        repo_spec=BOTH,
        info=with_storages(planned.info, *codes),
        repository=planned.repository | {"status": {"recoveryWindow": window}},
        spec=RestoreSpec(repository="hippo", target=RestoreTarget(time="2026-11-23T11:50:00Z")),
        answers={calls.FENCE: Fenced(error="disk full", tablespaces=())},
    )
    assert said(steps_prepare.fenced(facts)) == verdict


@pytest.mark.parametrize(
    ("chosen", "codes", "goes_on"),
    [
        ("local", (0, 99), True), ("local", (99, 0), False), ("s3", (99, 0), True), ("", (0, 99), True), ("", (99, 99), False),
    ],
)  # fmt: skip
def test_postgresql_is_not_stopped_without_the_storage_of_its_last_wal(planned, chosen, codes, goes_on):
    plan = msgspec.structs.replace(planned.planned, storage=chosen)
    facts = replace(planned, plan=plan, repo_spec=BOTH, info=with_storages(planned.info, *codes))
    found = steps_switch.stopped(facts)
    assert (found.reason != "RepositoryNotReachable") is goes_on
    assert goes_on or "no answer" in found.message
