"""Which turns of a PostgresCluster's conditions are Events."""

from __future__ import annotations

import pytest

from controller.cluster import news


def status(kind: str, value: str, reason: str, **more: object) -> dict:
    return {"conditions": [{"type": kind, "status": value, "reason": reason, "message": "why"}], **more}


TURNS = {
    "its Repository breaks": (("True", "HasBackup"), ("Unknown", "CannotConnect"), [(False, "CannotConnect", "why")]),
    "and is well again": (("Unknown", "CannotConnect"), ("True", "HasBackup"), [(True, "HasBackup", "why")]),
    "another cause": (("Unknown", "CannotConnect"), ("Unknown", "SecretMissing"), []),
    "as before": (("False", "WALMissing"), ("False", "WALMissing"), []),
    "a cause with an Event of its own": (
        ("True", "HasBackup"),
        ("False", "VolumeLost"),
        [(False, "VolumeLost", "why")],
    ),
}


@pytest.mark.parametrize("case", TURNS)
def test_what_becomes_of_its_backups_is_told_as_it_turns(case):
    before, after, told = TURNS[case]
    assert list(news.of(status("BackedUp", *before), status("BackedUp", *after))) == told


def test_the_first_look_is_no_news():
    assert list(news.of({}, status("BackedUp", "False", "NoBackup"))) == []
    assert list(news.of({}, status("Complete", "False", "PodRefused"))) == [(False, "PodRefused", "why")]


def test_a_rule_that_refuses_it_by_now_is_told_as_a_rejection():
    assert list(news.of({}, status("Rejected", "True", "NoLongerValid"))) == [(False, "Rejected", "why")]


def test_another_primary_is_told():
    was, now = status("Ready", "True", "HasPrimary", primary="a"), status("Ready", "True", "HasPrimary", primary="b")
    assert list(news.of(was, now)) == [(True, "NewPrimary", "b is the primary, after a")]
    assert list(news.of(was, was)) == []
