"""docs/metrics.md names every metric that is served, and each follows the conventions of Prometheus."""

from __future__ import annotations

import re

import pytest

from tests.unit.docs import metrics_table

ROWS = metrics_table.rows()
#: Labels whose values users choose: names of objects, one series for each object.
OF_OBJECTS = {"namespace", "repository", "name"}
OF_OURS = {
    "kind",
    "outcome",
    "type",
    "storage",
    "condition",
    "reason",
    "verb",
    "code",
    "path",
    "rule",
    "configured_by",
    "volume",
    "role",
}
UNITS = {"seconds", "bytes"}
#: What a client adds to a name itself, and what the type says already.
NOT_AT_THE_END = ("_count", "_sum", "_bucket", "_created", "_info", "_gauge", "_counter", "_histogram")


def test_the_page_has_the_table_of_the_code():
    assert metrics_table.written() == metrics_table.table(), "run: python -m tests.unit.docs.metrics_table"


def test_the_page_speaks_of_metrics_that_there_are():
    told = set(re.findall(r"pgwarden_[a-z_]+", metrics_table.PAGE.read_text(encoding="utf-8")))
    assert told <= {row[0] for row in ROWS}


def test_each_is_served_by_the_program_whose_module_registers_it():
    served = {row[0]: row[3] for row in ROWS}
    assert served["pgwarden_webhook_certificate_expiry_timestamp_seconds"] == "controller"
    assert served["pgwarden_webhook_certificate_loads_total"] == "webhook"


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_name_and_labels_follow_the_conventions(row):
    """prometheus.io/docs/practices/naming: base units, _total for counters alone, no unit but the last."""
    name, kind, labels, _, about = row
    assert re.fullmatch(r"pgwarden(_[a-z]+)+", name)
    assert not name.endswith(NOT_AT_THE_END)
    assert not UNITS & set(name.removesuffix("_total").split("_")[:-1]), "a unit is the last word"
    assert name.endswith("_total") == (kind == "counter")
    assert not any(word in name for word in ("_ms", "_minutes", "_hours", "_kb", "_mb", "_percent"))
    assert kind != "histogram" or name.endswith(("_seconds", "_bytes"))
    assert set(filter(None, labels.split(", "))) <= OF_OBJECTS | OF_OURS
    assert about.endswith(".")
    assert len(ROWS) > 30
