"""No change is accepted that does nothing: each field of each kind is refused to change, or its change shows somewhere.

The rules are those of the webhook; what shows is what the code makes that carries the spec out.
"""

from __future__ import annotations

from typing import Any

import pytest

from controller import certificates
from pgwarden.api.defaults import OperatorDefaults
from pgwarden.api.schema import with_defaults
from pgwarden.rules import Verdict, validate
from tests.unit.fields import leaves
from tests.unit.fields.effects import objects
from tests.unit.fields.leaves import Spec
from tests.unit.fields.table import LOCAL, S3, TABLE, Row
from tests.unit.rules.conftest import NOW, Cluster, build

CASES = [pytest.param(kind, path, row, id=f"{kind}-{path}") for kind, of in TABLE.items() for path, row in of.items()]


@pytest.fixture(autouse=True)
def certificates_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "still_good", lambda leaf, *_: bool(leaf.cert))


def changed(kind: str, before: Spec, after: Spec, status: Spec | None = None) -> Verdict:
    """What the webhook says to the update, of objects that have the schema's defaults."""
    there = Cluster(
        *(build("Repository", name, storageType="local", retention={"full": 7}) for name in ("hippo", "rhino"))
    )
    old, new = (with_defaults(build(kind, **spec)) for spec in (before, after))
    old |= {"status": status} if status else {}
    return validate(new, old=old, lookup=there, now=NOW, defaults=OperatorDefaults())


@pytest.mark.parametrize("kind", leaves.kinds())
def test_each_field_has_its_row(kind: str):
    assert sorted(TABLE[kind]) == sorted(leaves.of(kind))


@pytest.mark.parametrize(("kind", "path", "row"), CASES)
async def test_a_change_is_refused_or_shows(kind: str, path: str, row: Row):
    before, after = row.specs(path)
    assert leaves.at(before, path) != leaves.at(after, path)
    verdict = changed(kind, before, after)
    if row.effect is None:
        whole = {"Backup": "spec", "Restore": "spec", "RestoreDrill": "spec"}.get(kind)
        fields = [fault.field for fault in verdict.faults]
        assert any(one == whole or (one.startswith("spec.") and f"spec.{path}".startswith(one)) for one in fields), (
            fields
        )
        return
    assert verdict.faults == []
    was, becomes = await row.effect(before, after)
    assert was != becomes, f"spec.{path} of {kind} may be changed, and nothing comes of it"


@pytest.mark.parametrize("spec", [LOCAL, S3], ids=["local", "s3"])
async def test_without_a_change_nothing_shows(spec: dict[str, Any]):
    """Else the test above could not fail."""
    was, becomes = await objects(spec, spec)
    assert was == becomes
    assert any("/deployments/" in path for path in was)
    assert any("/configmaps/" in path for path in was)


RUNNING = {"Repository": {"pods": [{"name": "db-0"}]}, "PostgresCluster": {"instances": [{"name": "hippo-1"}]}}
_AT_START = [
    case for case in CASES if str(case.values[1]).removeprefix("repository.").startswith(("postgres.", "sidecarR"))
]


@pytest.mark.parametrize(("kind", "path", "row"), _AT_START)
def test_what_only_new_pods_get_is_told_where_some_run(kind: str, path: str, row: Row):
    if path.endswith("majorVersion"):
        return
    before, after = row.specs(path)
    said = changed(kind, before, after, RUNNING[kind]).warnings
    field = ".".join(part for part in path.split(".")[: 2 if kind == "PostgresCluster" else 1])
    assert f"spec.{field}: pods that run keep what they started with until they are restarted (1 of them)" in said
    assert not any("pods that run" in one for one in changed(kind, before, after).warnings)
