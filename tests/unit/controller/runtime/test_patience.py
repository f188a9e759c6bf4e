"""Looking again, at what changes and at what does not."""

from __future__ import annotations

from controller.runtime.backoff import Patience

KEY, OTHER = ("ns", "back"), ("ns", "other")


def test_what_stays_the_same_is_looked_at_more_seldom():
    patience = Patience()
    waits = [patience.wait(KEY, "a volume", 0.5) for _ in range(300)]
    assert waits[:20] == [0.5] * 20
    assert waits == sorted(waits)
    assert all(later <= max(0.5, 0.05 * sum(waits[:n])) for n, later in enumerate(waits))
    assert waits[-1] == 10.0
    assert patience.wait(OTHER, "a volume", 0.5) == 0.5
    assert patience.wait(KEY, "another volume", 0.5) == 0.5


def test_who_waits_longer_anyway_is_not_hurried():
    patience = Patience()
    assert {patience.wait(KEY, "a volume", 30.0) for _ in range(300)} == {30.0}


def test_what_is_over_is_forgotten():
    patience = Patience()
    for _ in range(50):
        patience.wait(KEY, "a volume", 0.5)
    patience.forget(KEY)
    assert patience.wait(KEY, "a volume", 0.5) == 0.5
