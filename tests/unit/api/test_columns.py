"""`kubectl get` of each kind fits into a terminal of 120 columns, with names as teams give them."""

from __future__ import annotations

from typing import Any

import pytest

from controller.restore.decide import ROLLED_BACK
from controller.restore.steps import STEPS
from pgwarden.api.registry import BY_NAME as KINDS
from pgwarden.api.schema import crds

TERMINAL = 120
#: What kubectl puts between two columns.
BETWEEN = 3
TIME, AGE = "2026-11-30T18:53:52Z", "9m59s"
REPOSITORY, SCHEDULE = "orders-production", "orders-production-full"
NAMES = {
    "Repository": REPOSITORY,
    "PostgresCluster": REPOSITORY,
    "BackupSchedule": SCHEDULE,
    "Backup": f"{SCHEDULE}-20261130010000",
    "Restore": "orders-production-back",
    "RestoreDrill": "orders-production-weekly",
    "RestoreDrillSchedule": SCHEDULE,
}
#: As long as they usually become; what a schema lists, and dates, are taken from there.
LONG = {
    ".spec.repository": REPOSITORY,
    ".spec.schedule": "*/30 8-18 * * 1-5",
    ".spec.suspend": "false",
    ".spec.timeZone": "America/New_York",
    ".status.autofail": "turning off",
    ".status.label": "20261123-010000F_20261124-010000I",
    ".status.lastBackup.type": "full",
    ".status.nextScheduledBackup": TIME,
    ".status.primary": f"{REPOSITORY}-1",
    ".status.ready": "3/3",
    ".status.recoveredTo": "2026-11-30 18:53:52.123456+00",
    ".status.recoveryWindow.earliest": TIME,
    ".status.recoveryWindow.latest": TIME,
    ".status.step": max((*STEPS, ROLLED_BACK), key=len),
    ".status.unarchivedWAL": "12345",
    '.status.conditions[?(@.type=="Archiving")].status': "Unknown",
    ".status.nextScheduleTimes[0]": TIME,
}


def version(kind: str) -> dict[str, Any]:
    return crds()[kind]["spec"]["versions"][0]


def listed(kind: str, path: str) -> list[str]:
    """What the schema allows there, where it lists that."""
    node = version(kind)["schema"]["openAPIV3Schema"]
    for name in path.removeprefix(".").split("."):
        node = node.get("properties", {}).get(name, {})
    return node.get("enum", [])


def width(kind: str, column: dict[str, Any]) -> int:
    path = column["jsonPath"]
    values = listed(kind, path) or [AGE if column["type"] == "date" else LONG[path]]
    return max(len(one) for one in (column["name"], *values))


@pytest.mark.parametrize("kind", KINDS)
def test_a_line_of_kubectl_get_fits_into_a_terminal(kind: str):
    shown = [one for one in version(kind)["additionalPrinterColumns"] if not one.get("priority")]
    widths = {"Name": len(NAMES[kind])} | {one["name"]: width(kind, one) for one in shown}
    whole = sum(widths.values()) + BETWEEN * len(shown)
    assert whole <= TERMINAL, f"{whole} columns: {widths}; give what is needed least `priority: 1`"


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_shown_by_default_comes_before_what_wide_adds(kind: str):
    priorities = [one.get("priority", 0) for one in version(kind)["additionalPrinterColumns"]]
    assert priorities == sorted(priorities)


@pytest.mark.parametrize("kind", KINDS)
def test_reasons_and_messages_of_any_length_are_for_wide_alone(kind: str):
    texts = [one for one in version(kind)["additionalPrinterColumns"] if one["name"] in {"Reason", "Message"}]
    assert all(one.get("priority") for one in texts)
