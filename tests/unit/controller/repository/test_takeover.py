"""A new PostgreSQL over a Repository that holds another one: refused with both ways out, or brought back by itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from controller.repository import decide, due, takeover
from controller.repository.act import Actor
from controller.repository.facts import RepositoryFacts
from pgwarden.contract.calls import NewestWal
from pgwarden.kube import errors
from tests.unit.contract.produced import NOW, SYSTEM, chain, facts, read

RECOVER = {"onExistingBackups": "Recover"}
QUIET = NewestWal(ok=True, time=f"{NOW - timedelta(minutes=10):%Y-%m-%dT%H:%M:%SZ}")


def identifier(born: datetime) -> str:
    """As initdb makes it at that second."""
    return str((int(born.timestamp()) << 32) | (123456 << 12) | 42)


NEW = identifier(NOW - timedelta(minutes=1))


def world(mine: str = NEW, *, sets: Any = None, newest: NewestWal | None = QUIET, **spec: Any) -> RepositoryFacts:
    """A Repository of PostgreSQL cluster SYSTEM, and a primary with the identifier *mine*."""
    found = facts(read(chain("F") if sets is None else sets), **spec)
    pod = found.pods[0]
    assert pod.answer is not None
    postgres = msgspec.structs.replace(pod.postgres, system_identifier=mine)
    pods = (replace(pod, answer=msgspec.structs.replace(pod.answer, postgres=postgres)),)
    return replace(found, pods=pods, newest_wal=newest)


def restore(phase: str, message: str = "") -> dict[str, Any]:
    return {"metadata": {"name": takeover.restore_name(world())}, "status": {"phase": phase, "message": message}}


def test_an_identifier_tells_when_initdb_was_run():
    born = datetime(2026, 11, 23, 12, 0, 7, tzinfo=UTC)
    assert takeover.born(identifier(born)) == born
    assert takeover.born("") is None
    assert takeover.born("x") is None
    assert takeover.born("9" * 40) is None


def test_the_same_cluster_is_no_mismatch():
    found = world(str(SYSTEM), **RECOVER)
    assert takeover.judge(found) is None
    assert takeover.order(found) is None


def test_without_the_field_both_ways_out_are_named_and_nothing_is_done():
    found = world()
    said = decide.stanza(found)
    assert (said.status, said.reason, decide.phase(found)) == (False, "SystemIdentifierMismatch", "Failed")
    for part in (NEW, str(SYSTEM), "spec.onExistingBackups to Recover", "Repository of another name"):
        assert part in said.message
    assert takeover.order(found) is None


def test_with_the_field_the_latest_state_is_brought_back_and_the_new_volume_is_kept():
    found = world(**RECOVER)
    said = decide.stanza(found)
    assert (said.reason, decide.phase(found)) == ("Recovering", "Pending")
    made = takeover.order(found)
    assert made is not None
    assert made["metadata"]["name"] in said.message
    assert made["spec"] == {"repository": "hippo", "keepOldVolume": True}
    assert [one["uid"] for one in made["metadata"]["ownerReferences"]] == ["u-hippo"]


def test_the_wal_of_another_cluster_is_not_taken_for_the_new_ones():
    assert decide.archiving(world(str(SYSTEM))).status is True
    said = decide.archiving(world())
    assert (said.status, said.reason) == (False, "SystemIdentifierMismatch")


def test_nothing_but_that_is_done_to_a_stanza_of_another_cluster():
    assert not due.wants_stanza(world(**RECOVER))


REFUSED = {
    "a server that is older than the backups": (
        world(identifier(NOW - timedelta(days=300)), **RECOVER), "SystemIdentifierMismatch", "is no newer than the backups",
    ),
    "an identifier that tells no time": (world("abc", **RECOVER), "SystemIdentifierMismatch", "is no newer"),
    "a repository without a backup": (world(sets=(), **RECOVER), "SystemIdentifierMismatch", "holds no backup"),
    "WAL that came a moment ago": (
        world(newest=NewestWal(ok=True, time=f"{NOW:%Y-%m-%dT%H:%M:%SZ}"), **RECOVER), "FormerOwnerArchives", str(SYSTEM),
    ),
    "nobody who can say when WAL came": (world(newest=None, **RECOVER), "FormerOwnerUnknown", "cannot be told"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_nothing_is_brought_back_over(case):
    found, reason, words = REFUSED[case]
    assert takeover.order(found) is None
    said = decide.stanza(found)
    assert (said.reason, words in said.message) == (reason, True)
    assert decide.phase(found) == ("Pending" if reason in takeover.WAITING else "Failed")


def test_the_cluster_of_a_postgrescluster_sees_to_itself():
    found = world(**RECOVER)
    metadata = found.repository["metadata"] | {"ownerReferences": [{"kind": "PostgresCluster", "name": "hippo"}]}
    found = replace(found, repository=found.repository | {"metadata": metadata})
    assert takeover.order(found) is None
    assert decide.stanza(found).reason == "SystemIdentifierMismatch"


@pytest.mark.parametrize("phase", ["", "Pending", "Running", "Completed", "Failed"])
def test_it_is_done_once_whatever_became_of_it(phase):
    found = replace(world(**RECOVER), takeover=restore(phase, "no room left"))
    assert takeover.order(found) is None
    said = decide.stanza(found)
    assert said.reason == ("RecoveryFailed" if phase == "Failed" else "Recovering")
    assert "no room left" in said.message


def test_another_server_later_is_another_recovery():
    later = world(identifier(NOW + timedelta(days=1)), **RECOVER)
    assert takeover.restore_name(later) != takeover.restore_name(world())
    assert takeover.restore_name(world()) == takeover.restore_name(world(**RECOVER))


def test_the_longest_name_of_a_repository_leaves_room():
    found = world()
    metadata = found.repository["metadata"] | {"name": "a" * 52}
    assert len(takeover.restore_name(replace(found, repository={"metadata": metadata}))) <= 52


# --- the one Restore ----------------------------------------------------------------------------------------------


class Server:
    """The API server as far as Restores go, an agent that tells when WAL came last, and the Events."""

    def __init__(self, newest: NewestWal = QUIET) -> None:
        self.restores: dict[str, Any] = {}
        self.asked = 0
        self.events: list[str] = []
        self.newest = newest
        self.client = self.agents = self.recorder = self.caches = self

    async def find(self, path: str) -> Any:
        return self.restores.get(path.rpartition("/")[2])

    async def create(self, _path: str, body: Any) -> Any:
        if body["metadata"]["name"] in self.restores:
            raise errors.Conflict(409, "AlreadyExists", "it is there")
        self.restores[body["metadata"]["name"]] = body
        return body

    async def hosts(self, *_: str) -> list[Any]:
        return []

    async def host(self, *_: Any, **__: Any) -> NewestWal:
        self.asked += 1
        return self.newest

    async def normal(self, _obj: Any, reason: str, _message: str) -> None:
        self.events.append(reason)


async def take_over(server: Server, found: RepositoryFacts) -> RepositoryFacts:
    return await Actor(server)._take_over(found.key, found)  # type: ignore[arg-type]


async def test_it_is_made_once_however_often_it_is_looked_at():
    server = Server()
    for _ in range(3):
        found = await take_over(server, replace(world(**RECOVER), newest_wal=None))
        assert found.takeover is not None
    assert list(server.restores) == [takeover.restore_name(world())]
    assert (server.asked, server.events) == (1, ["Recovering"])


async def test_two_processes_make_one():
    server = Server()
    server.restores[takeover.restore_name(world())] = restore("")

    async def not_yet_seen(_path: str) -> None:
        return None

    server.find = not_yet_seen  # type: ignore[method-assign, assignment]
    await take_over(server, world(**RECOVER))
    assert (len(server.restores), server.events) == (1, [])


@pytest.mark.parametrize(
    "newest", [NewestWal(ok=True, time=f"{NOW:%Y-%m-%dT%H:%M:%SZ}"), NewestWal(error="no")], ids=["alive", "unknown"]
)
async def test_none_is_made_while_the_former_owner_may_be_alive(newest):
    server = Server(newest)
    await take_over(server, world(**RECOVER))
    assert server.restores == {}


async def test_nobody_is_asked_where_nothing_may_be_brought_back():
    server = Server()
    await take_over(server, world())
    await take_over(server, world(str(SYSTEM), **RECOVER))
    assert (server.asked, server.restores) == (0, {})
