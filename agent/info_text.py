"""The text that `pgbackrest info` has printed, as it is told on."""

from __future__ import annotations

from agent.pgbackrest import KEPT_CHARACTERS
from pgwarden.api import outside
from pgwarden.api.objects import Object
from pgwarden.pgbackrest import trouble


def element(text: str) -> tuple[Object | None, str]:
    """The stanza's element of what `info` has printed, and what is wrong with the text; no element, no stanza."""
    listed = outside.decode_loose(text, most=KEPT_CHARACTERS)
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        return None, "pgbackrest info: its output cannot be read"
    found: Object | None = next(iter(listed), None)
    for one in (found or {}).get("backup") or []:
        if isinstance(one, dict):
            one.pop("reference", None)  # nobody asks, and of a long chain it is nine tenths of the answer
    for status in _of_storages(found):
        status["message"] = str(status.get("message", ""))[: trouble.MOST]
    return found, ""


def _of_storages(info: Object | None) -> list[Object]:
    """Of each storage: what is wrong with one is told beside what the others hold, and its answer has any length."""
    storages = [one.get("status") for one in (info or {}).get("repo") or [] if isinstance(one, dict)]
    return [one for one in storages if isinstance(one, dict)]
