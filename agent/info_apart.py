"""`info` of each storage by itself, where that of all together has failed.

One that lies, or never comes to an end, takes pgBackRest's memory or time, and what the others hold would not be known.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agent import info_text
from agent.pgbackrest import Runner
from pgwarden.api.objects import Object
from pgwarden.pgbackrest import commands
from pgwarden.pgbackrest.info import OTHER

LIMIT_SECONDS = 60.0
_LISTS = ("archive", "backup", "db", "repo")


async def read(stanza: str, runner: Runner, repos: Sequence[int]) -> tuple[Object | None, str]:
    """The stanza's element, put together; where no storage could be read, why."""
    found: list[Object] = []
    errors: dict[int, str] = {}
    for repo in repos:
        result = await runner.run(commands.info_argv(stanza, repo), LIMIT_SECONDS)
        element, error = info_text.element(result.stdout) if result.ok else (None, result.error)
        if element is None:
            errors[repo] = error or "pgbackrest info: it says nothing of the stanza"
        else:
            found.append(element)
    if not found:
        return None, next(iter(errors.values()), "")
    return _together(found, errors), ""


def _together(found: list[Object], errors: dict[int, str]) -> Object:
    whole: Object = dict(found[0])
    for field in _LISTS:
        whole[field] = [one for element in found for one in element.get(field) or []]
    whole["repo"] += [_unread(repo, error) for repo, error in errors.items()]
    whole["repo"].sort(key=lambda one: one.get("key", 0))
    return whole


def _unread(repo: int, error: str) -> dict[str, Any]:
    return {"key": repo, "cipher": "none", "status": {"code": OTHER, "message": error}}
