"""A storage that ends `info`, or keeps it from ending: the others are read, and it is told."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

from agent import info_apart
from agent.info_reader import LIMIT_SECONDS, InfoReader
from pgwarden.pgbackrest.info import parse_info
from tests.unit.virtual_time import run


def told(*repos: int) -> str:
    status = {"code": 0, "message": "ok"}
    listed = [{"key": one, "cipher": "none", "status": status} for one in repos]
    db = [{"id": 1, "repo-key": one, "system-id": 7, "version": "17"} for one in repos]
    return json.dumps([{"name": "hippo", "status": status, "repo": listed, "db": db, "backup": [], "archive": []}])


class Storages:
    """Two, of which some end what reads them."""

    def __init__(self, *liars: int) -> None:
        self.liars, self.asked, self.error = set(liars), list[tuple[int, float]](), "ERROR: [034]: [MemoryError] x"

    async def run(self, argv: list[str], limit: float) -> Any:
        number = next((int(one.partition("=")[2]) for one in argv if one.startswith("--repo=")), 0)
        self.asked.append((number, limit))
        failed = bool(self.liars & ({number} if number else {1, 2}))
        return SimpleNamespace(ok=not failed, stdout=told(*([number] if number else [1, 2])), error=self.error)


def test_the_others_are_read_and_it_is_told():
    storages = Storages(1)
    reader = InfoReader("hippo", storages, storages=lambda: [1, 2])  # type: ignore[arg-type]
    known = run(reader.get(refresh=True))
    assert known.error == ""
    found = parse_info([known.info], "hippo")
    assert found is not None
    assert [(one.repo, one.code) for one in found.repos] == [(1, 99), (2, 0)]
    assert found.trouble(1) == storages.error
    assert found.current(2) is not None


def test_each_is_read_by_itself_until_none_is_in_trouble():
    storages = Storages(2)
    reader = InfoReader("hippo", storages, storages=lambda: [1, 2])  # type: ignore[arg-type]

    async def look() -> list[int]:
        storages.asked.clear()
        await reader.get(refresh=True)
        return [number for number, _ in storages.asked]

    async def looks() -> list[list[int]]:
        found = [await look(), await look()]
        storages.liars.clear()
        return [*found, await look(), await look()]

    assert run(looks()) == [[0, 1, 2], [1, 2], [1, 2], [0]]


def test_one_by_itself_has_less_time():
    storages = Storages(2)
    run(InfoReader("hippo", storages, storages=lambda: [1, 2]).get(refresh=True))  # type: ignore[arg-type]
    assert [limit for _, limit in storages.asked] == [LIMIT_SECONDS, *[info_apart.LIMIT_SECONDS] * 2]


def test_where_none_can_be_read_the_first_says_why():
    storages = Storages(1, 2)
    known = run(InfoReader("hippo", storages, storages=lambda: [1, 2]).get(refresh=True))  # type: ignore[arg-type]
    assert (known.info, known.error) == (None, storages.error)


def test_one_alone_is_asked_once():
    storages = Storages(1)
    known = run(InfoReader("hippo", storages, storages=lambda: [1]).get(refresh=True))  # type: ignore[arg-type]
    assert (known.error, len(storages.asked)) == (storages.error, 1)
