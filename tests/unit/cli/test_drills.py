"""show drill, its JUnit XML, and the report of what drills have proven in a month."""

from __future__ import annotations

from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import pytest

from pgwarden.cli import junit, proof_report, show_drill
from pgwarden.cli.errors import UsageError
from pgwarden.cli.proof_report import Month

NOW = datetime(2026, 12, 1, 6, 0, tzinfo=UTC)
NOVEMBER = Month(2026, 11)
PASSED = {
    "phase": "Completed", "reason": "Completed", "message": "3 checks passed", "startTime": "2026-11-29T04:00:00Z",
    "completionTime": "2026-11-29T04:05:00Z", "set": "20261129-010000F", "recoveredTo": "2026-11-29 03:59:58+00",
    "bytes": 2147483648, "seconds": {"copy": 60, "replay": 23, "checks": 90},
    "checks": [
        {"name": "pgwarden/start", "outcome": "Passed", "message": "PostgreSQL 17 accepts connections"},
        {"name": "pgwarden/checksums", "outcome": "Skipped", "message": "data checksums are not enabled"},
        {"name": "orders", "outcome": "Passed", "message": "it is t"},
    ],
}  # fmt: skip
FAILED = PASSED | {
    "phase": "Failed", "reason": "ChecksFailed", "message": "1 of 3 checks failed: orders: it is f instead of t",
    "completionTime": "2026-11-22T04:05:00Z",
    "checks": [*PASSED["checks"][:2], {"name": "orders", "outcome": "Failed", "message": "it is f\x1b[2J & <b>"}],
}  # fmt: skip
BROKEN = {
    "phase": "Failed", "reason": "JobFailed", "message": "ERROR: [095]: checksum of bundle 1", "completionTime": "2026-11-15T04:05:00Z",
    "startTime": "2026-11-15T04:00:00Z",
}  # fmt: skip


def drill(name: str, status: dict, **spec) -> dict:
    metadata = {"name": name, "namespace": "zoo", "uid": f"u-{name}"}
    return {"kind": "RestoreDrill", "metadata": metadata, "spec": {"repository": "hippo"} | spec, "status": status}


def cases(text: str) -> dict[str, ET.Element]:
    return {str(one.get("name")): one for one in ET.fromstring(text.encode()).iter("testcase")}


def test_a_drill_is_a_suite_with_its_checks_as_cases_and_its_figures_as_properties():
    root = ET.fromstring(junit.of([drill("weekly", FAILED)]).encode())
    (suite,) = root
    assert (suite.get("name"), suite.get("tests"), suite.get("failures"), suite.get("skipped")) == (
        "weekly",
        "4",
        "1",
        "1",
    )
    found = {one.get("name"): one.get("value") for one in suite.iter("property")}
    assert (found["set"], found["seconds.copy"], found["repository"]) == ("20261129-010000F", "60", "hippo")
    by_name = cases(junit.of([drill("weekly", FAILED)]))
    assert by_name["pgwarden/restore"].get("time") == "83"
    assert list(by_name["pgwarden/restore"]) == []
    failure = by_name["orders"].find("failure")
    assert failure is not None
    assert "& <b>" in str(failure.get("message"))
    assert "\x1b" not in str(failure.get("message"))


def test_what_was_not_restored_fails_as_such_and_what_is_under_way_is_skipped():
    failure = cases(junit.of([drill("weekly", BROKEN)]))["pgwarden/restore"].find("failure")
    assert failure is not None
    assert (failure.get("type"), failure.get("message")) == ("JobFailed", "ERROR: [095]: checksum of bundle 1")
    skipped = cases(junit.of([drill("weekly", {})]))["pgwarden/restore"].find("skipped")
    assert skipped is not None
    assert "the drill is Pending" in str(skipped.get("message"))


def test_a_single_drill_is_shown_with_what_was_measured_and_found():
    text = "\n".join(show_drill.lines([drill("weekly", PASSED)], whole=True))
    assert "weekly  hippo       Completed  2026-11-29 03:59:58+00  1 min 23 s   2026-11-29 04:05:00Z" in text
    assert "  set:         20261129-010000F" in text
    assert "  copied:      2.0 GiB" in text
    assert "  took:        copy 1 min, replay 23 s, checks 1 min 30 s" in text
    assert "pgwarden/checksums  Skipped  data checksums are not enabled" in text
    several = show_drill.lines([drill("weekly", PASSED), drill("bad", FAILED)], whole=False)
    assert several[3:] == ["  bad: 1 of 3 checks failed: orders: it is f instead of t"]


def entry(name: str, status: dict, **more) -> dict:
    kept = ("phase", "reason", "message", "set", "recoveredTo")
    found = {"name": name, "uid": f"u-{name}", "endedAt": status["completionTime"], "storage": "local"}
    return found | {key: status[key] for key in kept if key in status} | more


def repository(*drills: dict, proven: str = "True", message: str = "all is well") -> dict:
    conditions = [{"type": "Proven", "status": proven, "message": message}]
    metadata = {"name": "hippo", "namespace": "zoo", "creationTimestamp": "2026-10-01T00:00:00Z"}
    return {"metadata": metadata, "status": {"lastDrills": list(drills), "conditions": conditions}}


def report(repositories: list[dict], drills: list[dict], month: Month = NOVEMBER) -> str:
    return "\n".join(proof_report.lines(repositories, drills, month, NOW))


def test_the_report_has_what_was_proven_when_by_which_set_and_how_long_it_took():
    kept = [
        entry("d-3", PASSED, seconds=83),
        entry("d-2", FAILED, seconds=90),
        entry("d-1", PASSED | {"completionTime": "2026-11-08T04:00:00Z"}, seconds=100),
    ]
    text = report([repository(*kept)], [drill("d-2", FAILED)])
    assert "# Restore drills, November 2026" in text
    assert (
        "| zoo/hippo | yes | 2 | 1 | 2026-11-29 04:05:00Z | 2026-11-29 03:59:58+00 | 20261129-010000F | 1 min 40 s (longest of 2 drills) |"
        in text
    )
    assert (
        "| 2026-11-29 04:05:00Z | d-3 | passed | local | 20261129-010000F | 2026-11-29 03:59:58+00 | 1 min 23 s | - | - |"
        in text
    )
    assert "| **failed** |" in text
    assert (
        "| 1 passed, 1 failed, 1 skipped | ChecksFailed: 1 of 3 checks failed: orders: it is f instead of t |" in text
    )


@pytest.mark.parametrize(
    ("objective", "said"), [("2m", "objective 2m: met |"), ("80s", "objective 80s: **not met** |")]
)
def test_the_longest_restore_is_held_against_the_objective(objective, said):
    wanted = repository(entry("d-3", PASSED, seconds=83)) | {"spec": {"objectives": {"rto": objective}}}
    assert f"| 1 min 23 s (longest of 1 drill); {said}" in report([wanted], [])


def test_what_only_a_restore_drill_tells_is_marked_and_counted_once():
    text = report([repository(entry("d-3", PASSED))], [drill("d-3", PASSED), drill("d-1", BROKEN)])
    assert text.count("d-3") == 1
    assert r"| d-1 \* | **failed** |" in text
    assert "the Repository keeps the newest ten" in text


def test_only_the_month_and_only_its_own_drills_are_in_it():
    other = drill("other", PASSED)
    other["spec"]["repository"] = "rhino"
    abroad = drill("abroad", PASSED)
    abroad["metadata"]["namespace"] = "elsewhere"
    text = report(
        [repository(entry("d-3", PASSED))], [other, abroad, drill("going", {"phase": "Running"})], Month(2026, 12)
    )
    assert "No drill ended in December 2026." in text
    assert "| zoo/hippo | yes | 0 | 0 | - | - | - | - |" in text
    assert not {"d-3", "other", "abroad", "going"} & set(text.split())


def test_a_repository_without_any_drill_and_one_whose_last_drill_failed_are_told_apart():
    assert "| zoo/hippo | no drill yet | 0 | 0 |" in report([repository(proven="Unknown")], [])
    assert "| zoo/hippo | **no** | 0 | 1 |" in report([repository(entry("d-2", FAILED), proven="False")], [])


def test_what_a_check_has_found_neither_ends_a_cell_nor_is_html_or_a_link():
    bad = entry("d-1", FAILED, message="a | b\n<script> [x](http://y)")
    assert r"ChecksFailed: a \| b &lt;script> \[x](http://y) |" in report([repository(bad)], [])


@pytest.mark.parametrize("text", ["2026", "2026-13", "2026-00", "November", "26-11"])
def test_a_month_of_another_form_is_refused_with_the_form(text):
    with pytest.raises(UsageError, match=r"must be a year and a month, such as 2026-12"):
        proof_report.month_of(text, NOW)


def test_the_month_is_the_current_one_where_none_is_given():
    assert str(proof_report.month_of("", NOW)) == "December 2026"
    assert str(proof_report.month_of("2026-02", NOW)) == "February 2026"
