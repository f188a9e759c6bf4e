"""pgBackRest's version in `status`: pods that are owed a restart, and a host that its primary refuses. Pure."""

from __future__ import annotations

from pgwarden.api.objects import Object
from pgwarden.api.reading import objects
from pgwarden.cli.short_messages import described

#: Reason of the condition SameVersion: all works, with what the release before had.
_WORKS = "PodsOwedRestart"


def wrong(repository: Object) -> list[str]:
    return [described(repository, one.get("message")) for one in _false(repository) if one.get("reason") != _WORKS]


def notes(repository: Object) -> list[str]:
    return [described(repository, one.get("message")) for one in _false(repository) if one.get("reason") == _WORKS]


def _false(repository: Object) -> list[Object]:
    """The condition, where it is False."""
    found = objects(repository, "status", "conditions")
    return [one for one in found if one.get("type") == "SameVersion" and one.get("status") == "False"]
