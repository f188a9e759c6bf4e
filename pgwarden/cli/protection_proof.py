"""What restore drills have proven of a Repository, for `status`. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from pgwarden.api.objects import Object
from pgwarden.api.reading import condition, found_condition
from pgwarden.cli.output import clock, span
from pgwarden.cli.short_messages import described
from pgwarden.contract import last_drills


def last(repository: Object) -> Object:
    """The newest drill that passed; empty where none did."""
    return last_drills.last_proof(last_drills.of(repository)) or {}


def line(repository: Object, now: datetime) -> str:
    """Empty where the controller has not said anything yet."""
    proof, state = last(repository), condition(repository, last_drills.CONDITION)
    ended = last_drills.ended(proof)
    if ended is not None:
        return f"{clock(ended)} ({span(now - ended)} ago): {last_drills.told(proof)}"
    return "never: no RestoreDrill has passed" if state else ""


def wrong(repository: Object) -> Iterator[str]:
    found = found_condition(repository, last_drills.CONDITION)
    if found.get("status") == "False":
        yield f"not proven: {described(repository, found.get('message'))}"
