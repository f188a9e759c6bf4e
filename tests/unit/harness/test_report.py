"""What `make test` says of its tests at its end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness import durations, report
from harness.report import Case, Tier

JUNIT = """<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="pytest">
<testcase classname="tests.e2e.test_a" name="test_good[a b]" time="1.5" />
<testcase classname="tests.e2e.test_a" name="test_bad" time="2"><failure message="x">y</failure></testcase>
<testcase classname="tests.e2e.test_a" name="test_bad" time="0.5"><error message="in its teardown">y</error></testcase>
<testcase classname="tests.e2e.test_b" name="test_left" time="0"><skipped type="pytest.skip">y</skipped></testcase>
<testcase classname="tests.e2e.test_b" name="test_broken" time="61"><error message="setup">y</error></testcase>
<testcase time="0.000" />
</testsuite></testsuites>"""
CASES = [
    Case("e2e.test_a", "test_good[a b]", 1.5),
    Case("e2e.test_a", "test_bad", 2.0, "failed", "x"),
    Case("e2e.test_b", "test_left", 0.0, "skipped"),
    Case("e2e.test_b", "test_broken", 61.0, "error", "setup"),
]


@pytest.fixture
def junit(tmp_path: Path) -> Path:
    path = tmp_path / "e2e.xml"
    path.write_text(JUNIT)
    return path


def test_each_test_is_counted_once_by_the_first_thing_that_went_wrong(junit):
    assert report.read(junit) == CASES


@pytest.mark.parametrize("text", [None, "", "<testsuites><testsuite>"], ids=["no file", "empty", "torn"])
def test_a_run_that_ended_before_its_report_has_none(tmp_path, text):
    path = tmp_path / "unit.xml"
    if text is not None:
        path.write_text(text)
    assert report.read(path) is None


@pytest.mark.parametrize(
    ("tier", "may_skip", "expected"),
    [
        (Tier("unit", 1, [Case("m", "t", 1)]), False, []),
        (Tier("unit", 1, None, 2), False, ["unit: pytest ended without a report, with exit code 2"]),
        (Tier("unit", 1, [Case("m", "t", 1)], 3), False, ["unit: pytest ended with exit code 3"]),
        (Tier("unit", 1, [Case("m", "t", 1)], None), False, ["unit: interrupted before its end"]),
        (Tier("unit", 1, None, None), False, ["unit: interrupted before its end"]),
        (Tier("unit", 1, []), False, ["unit: no test ran"]),
        (Tier("unit", 1, [Case("m", "t", 1, "skipped")]), False, ["unit: 1 skipped; nothing may be skipped here"]),
        (Tier("unit", 1, [Case("m", "t", 1, "skipped")]), True, []),
        (Tier("e2e", 1, CASES, 1), True, ["e2e: 1 failed", "e2e: 1 error"]),
    ],
    ids=[
        "all passed",
        "no report",
        "died",
        "interrupted",
        "interrupted early",
        "no tests",
        "skipped",
        "skipped on somebody's cluster",
        "failed",
    ],
)
def test_why_the_whole_is_not_good(tier, may_skip, expected):
    assert report.faults([tier], may_skip=may_skip) == expected


def test_the_table_has_the_slowest_twenty_of_all_tiers_and_each_tiers_counts():
    quick = [Case("unit.test_q", f"test_{n}", n / 100) for n in range(50)]
    text = report.table([Tier("e2e", 600, CASES), Tier("unit", 90, quick), Tier("hostile", 5, None)], 660)
    lines = text.splitlines()
    assert lines[0] == "The slowest 20 of 54 tests, in seconds, each with the fixtures that it began:"
    assert lines[1:4] == [
        "    61.0  e2e       e2e.test_b::test_broken",
        "     2.0  e2e       e2e.test_a::test_bad",
        "     1.5  e2e       e2e.test_a::test_good[a b]",
    ]
    assert lines[4].endswith("unit.test_q::test_49")
    assert lines[21:] == [
        "",
        "tier       minutes   passed   failed    error  skipped unsteady",
        "e2e           10.0        1        1        1        1        0",
        "unit           1.5       50        0        0        0        0",
        "hostile        0.1        0        0        0        0        0",
        "together      11.0       51        1        1        1        0",
    ]


def test_what_failed_is_named_with_its_words():
    assert report.named([Tier("e2e", 1, CASES), Tier("hostile", 5, None)]) == [
        "failed    e2e.test_a::test_bad: x",
        "error     e2e.test_b::test_broken: setup",
    ]


def test_of_many_failures_the_first_are_named_and_the_rest_counted():
    lines = report.named([Tier("e2e", 1, [Case("m", f"test_{n}", 1, "failed") for n in range(25)])])
    assert len(lines) == 21
    assert lines[-1] == "and 5 more"


def test_the_modules_seconds_are_saved_the_longest_first(junit, tmp_path):
    saved = tmp_path / "durations.json"
    assert durations.main(junit, saved) == 0
    assert list(json.loads(saved.read_text()).items()) == [("test_b", 61), ("test_a", 4)]


def test_without_a_report_nothing_is_saved(tmp_path, capsys):
    saved = tmp_path / "durations.json"
    assert durations.main(tmp_path / "e2e.xml", saved) == 1
    assert "run `make test` first" in capsys.readouterr().err
    assert not saved.exists()
