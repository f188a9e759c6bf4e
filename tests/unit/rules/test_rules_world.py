"""Each fault is the object's own, or the world's: found out by judging every example of docs/rules.md in other worlds.

A fault that is the object's own is there in every world. One that is the world's goes away in a better one. So a rule
that looks something up and forgets to say so (`Case.refuse(…, waits=…)`) is named here, and one that claims to.
"""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import pytest

from pgwarden.api.defaults import OperatorDefaults
from pgwarden.api.faults import Fault, Waits
from pgwarden.rules import validate
from tests.unit.rules import rules_examples as examples
from tests.unit.rules import rules_table
from tests.unit.rules.conftest import NOW, STATUS, Cluster, build

LATER = datetime(2099, 1, 1, tzinfo=UTC)
NONE, ALL = OperatorDefaults(), OperatorDefaults(s3_bucket="b-b", s3_endpoint="e.example", s3_region="r")


class Generous(Cluster):
    """Every Repository that is asked for is there, has both storages, and serves and allows everybody; nothing is known of it."""

    def repository(self, namespace: str, name: str) -> Any:
        allowed = {"cloneableFrom": ["*"], "allowDisabledChecks": True}
        found = build("Repository", name, namespace, storageType="local,s3", s3=examples.S3, **allowed)
        found["metadata"]["ownerReferences"] = [{"kind": "PostgresCluster"}]
        return found


WORLDS = {
    "of the document": (rules_table.world(), NOW, NONE),
    "empty": (Cluster(), NOW, NONE),
    "generous": (Generous(), LATER, ALL),
}


def cases() -> list[Any]:
    rows = [(kind, rule, field, spec, "one") for kind, of in rules_table.KINDS.items() for rule, field, spec in of]
    rows += [(kind, rule, "metadata.name", {}, name) for kind, rule, name in examples.NAMES]
    return [pytest.param(*row, id=f"{row[0]}-{row[2]}-{number}") for number, row in enumerate(rows)]


def judged(kind: str, spec: Any, name: str, where: str) -> list[Fault]:
    lookup, now, defaults = WORLDS[where]
    spec, before = spec if isinstance(spec, tuple) else (spec, None)
    base: dict[str, Any] = {} if kind in {"Repository", "PostgresCluster"} else {"repository": "hippo"}
    base |= {"schedule": "0 1 * * *"} if kind == "BackupSchedule" else {}
    old = None
    if before is not None:
        old = build(kind, name, status=copy.deepcopy(STATUS), **(base | before))
        old["status"]["backups"] = [{"storage": "local"}, {"storage": "s3"}]
    return validate(build(kind, name, **(base | spec)), old=old, lookup=lookup, now=now, defaults=defaults).faults


def of_source(faults: list[Fault]) -> bool:
    """A source that is not there, or not for everybody, is not looked into."""
    return any(fault.waits and fault.field.startswith("spec.dataSource") for fault in faults)


@pytest.mark.parametrize(("kind", "rule", "field", "spec", "name"), cases())
def test_a_fault_that_the_world_cannot_mend_is_there_in_every_world(kind, rule, field, spec, name):
    found = [one for one in judged(kind, spec, name, "of the document") if (one.rule, one.field) == (rule, field)]
    assert found
    everywhere = {where: judged(kind, spec, name, where) for where in WORLDS}
    for fault in found:
        absent = [
            where
            for where, faults in everywhere.items()
            if not any((one.rule, one.field, one.waits) == (rule, field, fault.waits) for one in faults)
        ]
        if fault.waits:
            assert "generous" in absent, f"{fault} is said to wait ({fault.waits}), but no world mends it"
        else:
            own = [where for where in absent if not of_source(everywhere[where])]
            assert own == [], f"{fault} depends on the world ({own}), and does not say what it waits for"


def test_of_every_reason_to_wait_there_is_an_example():
    told = {
        str(fault.waits)
        for case in cases()
        for fault in judged(case.values[0], case.values[3], case.values[4], "of the document")
        if fault.waits
    }
    assert told == {*Waits} - {Waits.REPOSITORY_GOING}, "REPOSITORY_GOING is the controller's own"


def test_what_no_repository_could_be_named_is_not_waited_for():
    """The rule's words replace the schema's; that the fault is final stays."""
    (fault,) = judged("Backup", {"repository": "x" * 300}, "one", "empty")
    assert (fault.field, fault.waits) == ("spec.repository", None)
