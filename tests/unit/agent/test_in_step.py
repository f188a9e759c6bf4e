"""Whoever uses the configuration gets it, whether or not another one can."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from agent.in_step import InStep
from pgwarden.contract.environment import Role, Settings


@dataclass
class Told:
    digest: str = ""
    sync_error: str = ""


class User:
    def __init__(self, *errors: OSError) -> None:
        self.errors = list(errors)
        self.times = 0

    async def reload(self) -> None:
        self.times += 1
        if self.errors:
            raise self.errors.pop(0)


@pytest.fixture
def begin(paths, source, files):
    async def begun(*users: User) -> tuple[InStep, Told]:
        source.publish(files)
        told = Told()
        return InStep(Settings(Role.POSTGRES, "hippo"), paths, users, told), told

    return begun


async def test_a_port_that_another_has_keeps_pgbackrests_server_from_nothing(begin):
    door, server = User(OSError(98, "Address already in use"), OSError(98, "Address already in use")), User()
    step, told = await begin(door, server)
    assert await step._sync() is False
    assert "Address already in use" in told.sync_error
    assert server.times == 1
    assert await step._sync() is False
    assert await step._sync() is True
    assert (door.times, server.times) == (3, 1), "a server that has it is left alone"
    assert (told.digest != "", told.sync_error) == (True, "")


async def test_a_new_configuration_is_for_all(begin, source, files):
    door, server = User(), User()
    step, told = await begin(door, server)
    assert await step._sync() is True
    assert await step._sync() is True
    assert (door.times, server.times) == (1, 1)
    before = told.digest
    source.publish(files | {"pod.conf": b"[global]\nrepo1-host=other\n"})
    assert await step._sync() is True
    assert (door.times, server.times) == (2, 2)
    assert told.digest != before
