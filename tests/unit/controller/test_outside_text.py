"""Text that others wrote, of whatever content: each reader has an answer, and none of them breaks."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from agent import calls
from agent.pgbackrest import Result
from controller import jobs, patroni
from controller.pods import postgres_facts
from pgwarden.api import names
from pgwarden.api.kinds import PodFacts
from pgwarden.contract.job_result import JobResult
from pgwarden.pgbackrest.info import InfoError, parse_info

FACTS = {
    "container": "postgres", "dataDirectory": "/var/lib/postgresql/data", "port": 5432, "user": "postgres",
    "socketDirectory": "/var/run/postgresql", "database": "postgres", "runAsUser": 999, "runAsGroup": 999,
    "configuredBy": "Arguments", "dataVolume": "data",
}  # fmt: skip
TEXTS = {
    "nothing": "",
    "nested lists": "[" * 100_000,
    "nested lists of 4,000": "[" * 4_000,
    "nested objects": '{"a":' * 100_000,
    "nested lists in a field": '{"info":' + "[" * 100_000,
    "a megabyte": json.dumps({"error": "x" * 2**20}),
    "NaN": "NaN",
    "NaN in a field": '{"ok": NaN}',
    "a lone surrogate": '{"error": "\\ud800"}',
    "a lone surrogate in the text": '{"error": "\ud800"}',
    "null": "null",
    "a number": "5",
    "a huge number": "1" * 10_000,
    "a list": '["ok"]',
    "a string": '"ok"',
    "cut off": '{"ok": tr',
    "wrong types": json.dumps({key: [{}] for key in [*FACTS, "ok", "error", "label", "expired", "set", "seconds"]}),
    "numbers for names": json.dumps({"expired": [1, 2], "error": 5}),
}
ALL = pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)


def ended(message: Any) -> dict[str, Any]:
    return {"status": {"containerStatuses": [{"state": {"terminated": {"message": message, "finishedAt": "x"}}}]}}


@ALL
def test_a_termination_message_that_is_no_result_says_nothing(text):
    assert jobs.result([ended(text)]) is None


@pytest.mark.parametrize("message", [None, 5, ["x"], b"\xff"])
def test_a_termination_message_that_is_no_text_says_nothing(message):
    assert jobs.result([ended(message)]) is None


def test_a_result_among_poisonous_ones_is_read():
    good = {"ok": True, "exitCode": 0, "error": "", "label": "20261123-110000F", "expired": ["x"], "seconds": 3.5}
    assert jobs.result(
        [*map(ended, TEXTS.values()), ended(json.dumps(good)), *map(ended, TEXTS.values())]
    ) == msgspec.convert(good, JobResult)


def test_a_result_steers_no_terminal():
    said = ended(json.dumps({"ok": False, "error": "no\x1b[2J\x9b space\nleft"}))
    assert jobs.result([said]).error == "no[2J space\nleft"


def annotated(text: Any, key: str = names.ANNOTATION_POSTGRES) -> dict[str, Any]:
    return {"metadata": {"name": "p", "annotations": {key: text}}}


@ALL
def test_an_annotation_that_is_no_facts_is_that_of_a_pod_without(text):
    assert postgres_facts(annotated(text)) is None


WRONG = {
    "a line break in a path": {"dataDirectory": "/data\n[global]\nrepo1-path=/elsewhere"},
    "an escape sequence in a name": {"user": "\x1b[2J"},
    "a line separator": {"database": "a\u2028b"},
    "no path": {"dataDirectory": "data"},
    "no port": {"port": 0},
    "too large a port": {"port": 65536},
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_facts_that_the_webhook_never_writes_are_none(change):
    assert postgres_facts(annotated(json.dumps(FACTS))) == msgspec.convert(FACTS, PodFacts)
    assert postgres_facts(annotated(json.dumps(FACTS | change))) is None


@pytest.mark.parametrize("metadata", [{}, {"annotations": None}, {"annotations": {}}], ids=str)
def test_a_pod_without_annotations_has_no_facts(metadata):
    assert postgres_facts({"metadata": metadata}) is None


@ALL
def test_what_patroni_cannot_have_said_is_not_heard(text):
    assert patroni.member(annotated(text, patroni.STATUS)) == patroni.Member() or text.startswith('{"err')
    named = {names.patroni_object("zoo", patroni.CONFIG): annotated(text, patroni.CONFIG)}
    assert not patroni.store("zoo", named).paused


@ALL
def test_what_is_no_answer_of_info_is_one_error(text):
    with pytest.raises(InfoError):
        parse_info(text or "x", "hippo")


@pytest.mark.parametrize("depth", [4_000, 100_000])
def test_a_nested_element_of_info_is_one_error(depth):
    nested: list[Any] = []
    for _ in range(depth):
        nested = [nested]
    entry = {"name": "hippo", "status": {"code": 0, "message": "ok"}, "backup": nested}
    with pytest.raises(InfoError):
        parse_info([entry], "hippo")


@dataclass
class Says:
    """A Runner whose pgBackRest prints that."""

    text: str
    asked: list[Any] = field(default_factory=list)

    async def run(self, args: Any, _seconds: float | None) -> Result:
        self.asked.append(args)
        return Result(0, self.text, "", 0.1)


@ALL
async def test_the_agent_answers_whatever_info_prints(text):
    repository = calls.Repository("hippo", Says(text))  # type: ignore[arg-type]
    known = await repository.info(refresh=True)
    assert known.info is None
    assert "cannot be read" in known.error


async def test_the_agent_answers_no_element_where_there_is_no_stanza():
    known = await calls.Repository("hippo", Says("[]")).info()  # type: ignore[arg-type]
    assert (known.info, known.error) == (None, "")


async def test_control_characters_that_pgbackrest_quotes_are_no_fault_and_references_are_not_sent():
    printed = '[{"name": "hippo", "message": "a\tb\x01", "backup": [{"label": "x", "reference": ["y"]}]}]'
    known = await calls.Repository("hippo", Says(printed)).info()  # type: ignore[arg-type]
    assert known.info == {"name": "hippo", "message": "a\tb\x01", "backup": [{"label": "x"}]}
