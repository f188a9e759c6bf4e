"""An Event for each turn, and none twice."""

from __future__ import annotations

from controller.runtime.event_memory import EventMemory

KEY = ("ns", "hippo")


def seen(uid: str = "one", **status: object) -> dict:
    """As the cache shows it."""
    return {"metadata": {"namespace": KEY[0], "name": KEY[1], "uid": uid}, "status": status}


def test_what_was_told_counts_though_the_cache_is_behind():
    told = EventMemory()
    assert told.before(seen(phase="Pending"), {"phase": "Ready"}) == {"phase": "Pending"}
    assert told.before(seen(phase="Pending"), {"phase": "Ready"}) == {"phase": "Ready"}


def test_another_object_of_the_name_has_nothing_told_of_it():
    told = EventMemory()
    told.before(seen(phase="Pending"), {"phase": "Ready"})
    assert told.before(seen("two"), {"phase": "Pending"}) == {}


def test_a_forgotten_one_is_as_the_cache_shows_it():
    told = EventMemory()
    told.before(seen(), {"phase": "Ready"})
    told.forget(KEY)
    assert told.before(seen(phase="Degraded"), {}) == {"phase": "Degraded"}
