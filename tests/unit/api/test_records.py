"""What an order is, and the mark that tells of it."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime

import pytest

from pgwarden import rules
from pgwarden.api import names, records
from pgwarden.api.defaults import OperatorDefaults
from pgwarden.cli.lookup import Objects

RESTORE = {
    "apiVersion": names.API_VERSION,
    "kind": "Restore",
    "metadata": {"name": "back", "namespace": "ns", "uid": "u-1"},
    "spec": {"repository": "hippo", "target": {"time": "2026-11-23 10:00:00+00"}},
}
BACKUP = RESTORE | {"kind": "Backup", "spec": {"repository": "hippo", "type": "full"}}


def changed(obj, word="", **spec):
    made = copy.deepcopy(obj) | {"spec": obj["spec"] | spec}
    if word:
        made["metadata"]["annotations"] = {names.ANNOTATION_RUN_AGAIN: word}
    return made


SAME = {
    "a default that the API server wrote": (RESTORE, changed(RESTORE, keepOldVolume=True, recoveryTimeoutSeconds=3600)),
    "how long a recovery may stand still": (RESTORE, changed(RESTORE, recoveryTimeoutSeconds=60)),
    "an empty list": (BACKUP, changed(BACKUP, options=[])),
    "what becomes of the set at its deletion": (BACKUP, changed(BACKUP, deletionPolicy="Delete")),
    "no word, done with one": (BACKUP, changed(BACKUP, "monday")),
    "the same word": (changed(BACKUP, "monday"), changed(BACKUP, "monday")),
    "a field that this version does not know": (RESTORE, changed(RESTORE, later=1)),
}
OTHER = {
    "another target": (RESTORE, changed(RESTORE, target={"immediate": True})),
    "an undo of another one": (changed(RESTORE, undo="a"), changed(RESTORE, undo="b")),
    "no target": (RESTORE, changed(RESTORE, target=None)),
    "another type": (BACKUP, changed(BACKUP, type="incr")),
    "a word, done without": (changed(BACKUP, "monday"), BACKUP),
    "another word": (changed(BACKUP, "monday"), changed(BACKUP, "tuesday")),
    "a long word that ends otherwise": (changed(BACKUP, "m" * 5000 + "1"), changed(BACKUP, "m" * 5000 + "2")),
    "another kind": (RESTORE | {"spec": {"repository": "hippo"}}, BACKUP | {"spec": {"repository": "hippo"}}),
}


@pytest.mark.parametrize(("order", "done"), SAME.values(), ids=SAME)
def test_it_asks_for_what_was_done(order, done):
    assert records.repeats(records.order_of(order), records.order_of(done))


@pytest.mark.parametrize(("order", "done"), OTHER.values(), ids=OTHER)
def test_it_asks_for_something_else(order, done):
    assert not records.repeats(records.order_of(order), records.order_of(done))


def test_an_order_stays_the_same_from_version_to_version():
    """Sets in repositories and marks in dumps name it: a change of how it is made would let all of them run again."""
    assert records.order_of(BACKUP) == "080357cd42315ca851cf6f698f06cdb4"
    assert records.order_of(changed(RESTORE, "monday")) == "aad0d479bd90edb6b430c50d8534bd6d.d618fb157a4b382e"


def test_what_version_0_1_did_with_a_timeout_is_known_again():
    """There a timeout was part of the order: a Restore in Git with one must not run again after the upgrade."""
    order = changed(RESTORE, recoveryTimeoutSeconds=60)
    assert not records.repeats(records.order_of(order), "63eebaf049afb9973a4a3e36c2fa72bc")
    assert records.was_done(order, "63eebaf049afb9973a4a3e36c2fa72bc")
    assert not records.was_done(
        changed(RESTORE, target={"immediate": True}, recoveryTimeoutSeconds=60), "63eebaf049afb9973a4a3e36c2fa72bc"
    )


STATUS = {
    "phase": "Completed", "reason": "Completed", "message": "x" * 5000, "label": "20261123-100000F", "repo": 1,
    "startTime": "2026-11-23T10:00:00Z", "completionTime": "2026-11-23T10:01:00Z", "type": "full", "storage": "local",
}  # fmt: skip


def test_a_mark_holds_what_was_done_and_is_short():
    mark = records.ended(BACKUP | {"status": STATUS})
    assert records.mark_of(marked(BACKUP, mark.dump())) == mark
    assert (mark.label, mark.repo, mark.began, mark.completion_time) == (
        "20261123-100000F",
        1,
        True,
        "2026-11-23T10:01:00Z",
    )
    assert len(mark.dump()) < 1500


def test_what_does_not_fit_into_a_mark_is_left_out():
    status = STATUS | {"startTime": "yesterday", "label": "l" * 400, "repo": -1, "type": "huge", "timeline": "two"}
    mark = records.ended(BACKUP | {"status": status})
    assert (mark.start_time, mark.label, mark.repo, mark.type, mark.timeline) == ("", "", None, "", None)
    assert mark.completion_time == STATUS["completionTime"]


def test_one_that_came_past_the_webhook_is_marked_however_long_its_name_is():
    refused = {"phase": "Failed", "conditions": [{"type": "Rejected", "status": "True", "message": "too long"}]}
    obj = BACKUP | {"metadata": BACKUP["metadata"] | {"name": "b" * 253}, "status": refused}
    mark = records.ended(obj)
    assert (mark.name, mark.phase, mark.message) == ("b" * 253, "Failed", "too long")
    assert records.mark_of(marked(obj, mark.dump())) == mark


def marked(obj, text):
    return obj | {"metadata": obj["metadata"] | {"annotations": {names.ANNOTATION_DONE: text}}}


def verdict(obj, **given):
    lookup = Objects([], "ns")
    now = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    return rules.validate(obj, **({"old": None, "lookup": lookup, "now": now, "defaults": OperatorDefaults()} | given))


@pytest.mark.parametrize("obj", [RESTORE, BACKUP], ids=["Restore", "Backup"])
def test_one_that_comes_back_is_let_in_whatever_has_become_of_the_world_and_a_warning_says_what_it_is(obj):
    obj = copy.deepcopy(obj)
    del obj["metadata"]["uid"]
    assert verdict(obj).faults
    record = marked(obj, records.Mark(uid="u-1", name="back", phase="Completed").dump())
    assert verdict(record).faults == []
    (said,) = verdict(record).warnings
    assert names.ANNOTATION_RUN_AGAIN in said
    assert verdict(record | {"spec": {}}).faults, "the schema holds for it too"


NO_RECORDS = {
    "another's": records.Mark(uid="u", name="another", phase="Completed").dump(),
    "not readable": "{",
    "of one that was refused": records.Mark(uid="u", name="back", phase="Failed", began=False).dump(),
}


@pytest.mark.parametrize("text", NO_RECORDS.values(), ids=NO_RECORDS)
def test_an_order_keeps_all_rules_whatever_is_written_on_it(text):
    assert verdict(marked(BACKUP, text)).faults
    word = {names.ANNOTATION_RUN_AGAIN: "monday"}
    again = marked(BACKUP, records.Mark(uid="u", name="back", phase="Completed").dump())
    again["metadata"]["annotations"] |= word
    assert verdict(again).faults
    assert verdict(marked(BACKUP, records.begun(BACKUP).dump()), standing=True).faults


@pytest.mark.parametrize("time", ["9999-99-99T99:99:99Z", "2026-11-23T10:00:00Z\n", "2026-02-30T10:00:00Z"])
@pytest.mark.parametrize("field", ["startTime", "completionTime"])
def test_a_mark_with_a_time_of_no_calendar_is_none(field, time):
    mark = {"uid": "x", "name": "back", "phase": "Completed", field: "2026-11-23T10:00:00Z"}

    def marked(value):
        annotations = {names.ANNOTATION_DONE: json.dumps(mark | {field: value})}
        return RESTORE | {"metadata": RESTORE["metadata"] | {"annotations": annotations}}

    assert records.mark_of(marked("2026-11-23T10:00:00Z")) is not None
    assert records.mark_of(marked(time)) is None
