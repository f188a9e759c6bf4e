"""Volumes in `status`: those that fill up, and claims that do not get the size in the spec. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pgwarden.api.objects import Object
from pgwarden.api.quantity import size
from pgwarden.api.reading import get, objects
from pgwarden.cli.expire import offered
from pgwarden.cli.output import count
from pgwarden.cli.short_messages import described

#: What the condition says of the way out, which has a line of its own here.
_WAY_OUT = re.compile(r"\. To make room: .*?kubectl pgwarden expire [^\s;]+")
#: Of the condition Sized: nothing is wrong.
_UNDERWAY = frozenset({"Expanding", "FileSystemResizePending", "ClaimNotBound"})


@dataclass(frozen=True)
class Room:
    wrong: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def of_room(repository: Object) -> Room:
    found = {one.get("type"): one for one in objects(repository, "status", "conditions")}
    wrong: list[str] = []
    notes: list[str] = []
    room, sized = found.get("HasRoom", {}), found.get("Sized", {})
    if room.get("status") == "False":
        told = described(repository, _WAY_OUT.sub("", str(room.get("message"))))
        (wrong if room.get("reason") == "VolumeNearlyFull" else notes).append(told)
    if sized.get("status") == "False":
        told = described(repository, sized.get("message"))
        (notes if sized.get("reason") in _UNDERWAY else wrong).append(told)
    if _is_filling(repository) or found.get("Writable", {}).get("reason") == "RepositoryFull":
        notes += _way_out(repository)
    return Room(tuple(wrong), tuple(notes))


def _is_filling(repository: Object) -> bool:
    storages = objects(repository, "status", "storages")
    return any((get(one, int, "volume", "usedPercent") or 0) >= 80 for one in storages)


def _way_out(repository: Object) -> list[str]:
    storage, found = offered(repository)
    if not found:
        return []
    others = (get(found, int, "sets") or 1) - 1
    more = f" and {count(others, 'set')} on it" if others else ""
    command = f"kubectl pgwarden expire {repository['metadata']['name']}"
    what = f"the oldest full backup{more} ({size(found.get('size'))})"
    return [f"to make room in storage {storage}: `{command}` expires {what}"]
