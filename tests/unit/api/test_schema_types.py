"""The quick answer of the types is never more lenient than the schema's."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgwarden.api import registry, schema
from pgwarden.api.schema_types import type_of
from pgwarden.pgbackrest import user_options
from tests.unit.rules.rules_examples import BACKUP, CLUSTER, DRILL, DRILL_SCHEDULE, REPOSITORY, RESTORE, SCHEDULE
from tests.unit.rules.test_rules_hostile import objects

EXAMPLES = {
    "Repository": REPOSITORY,
    "Backup": BACKUP,
    "BackupSchedule": SCHEDULE,
    "Restore": RESTORE,
    "RestoreDrill": DRILL,
    "RestoreDrillSchedule": DRILL_SCHEDULE,
    "PostgresCluster": CLUSTER,
}


def slow_faults(obj, kind):
    return list(schema.validators()[kind].iter_errors({key: value for key, value in obj.items() if key != "status"}))


@settings(max_examples=600, deadline=None)
@given(data=st.data())
def test_what_fits_has_no_fault(data):
    kind = data.draw(st.sampled_from(sorted(registry.BY_NAME)))
    obj = data.draw(objects(kind))
    if schema._fits({key: value for key, value in obj.items() if key != "status"}, kind):
        assert slow_faults(obj, kind) == []


@pytest.mark.parametrize("kind", registry.BY_NAME)
def test_every_example_of_the_rules_fits_only_where_the_schema_agrees(make, kind):
    fitting = 0
    for _, _, spec in EXAMPLES[kind]:
        obj = make(
            kind, **({"repository": "hippo", "schedule": "0 1 * * *"} | (spec[0] if isinstance(spec, tuple) else spec))
        )
        if kind in {"Repository", "PostgresCluster"}:
            obj["spec"] = {key: value for key, value in obj["spec"].items() if key != "schedule"}
        if schema._fits(obj, kind):
            fitting += 1
            assert slow_faults(obj, kind) == []
    assert schema._fits(SOUND[kind](make), kind), "or the quick way would never be taken"


SOUND = {
    "Repository": lambda make: make("Repository", storageType="local", retention={"full": 7}, options=["--delta"]),
    "Backup": lambda make: make("Backup", repository="hippo", type="full"),
    "BackupSchedule": lambda make: make("BackupSchedule", repository="hippo", schedule="0 1 * * *", suspend=False),
    "Restore": lambda make: make("Restore", repository="hippo", target={"time": "2026-11-15T10:00:00Z"}),
    "RestoreDrill": lambda make: make("RestoreDrill", repository="hippo", checks=[{"name": "a", "sql": "SELECT true"}]),
    "RestoreDrillSchedule": lambda make: make(
        "RestoreDrillSchedule", repository="hippo", schedule="0 1 * * *", template={"checks": [{"name": "a", "sql": "SELECT true"}]}
    ),
    "PostgresCluster": lambda make: make("PostgresCluster", postgresVersion=17),
}  # fmt: skip


@pytest.mark.parametrize(
    "unknown",
    [{"type": "string", "format": "date"}, {"type": "number"}, {"anyOf": []}, {"type": "object", "properties": {}}, {}],
    ids=str,
)
def test_a_schema_that_is_not_understood_fits_nothing(unknown):
    import msgspec

    for value in ("", "2026-11-15", 1, 1.5, {}, [], None):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(value, type_of(unknown))


@settings(max_examples=500, deadline=None)
@given(text=st.text(alphabet="ab =-#$*~`|&;<>(){}!\u00a0\u2003é'\"\\", max_size=30))
def test_options_are_split_as_a_shell_splits_them(text):
    try:
        expected = shlex.split(text)
    except ValueError:
        with pytest.raises(ValueError):
            user_options._split(text)
        return
    assert user_options._split(text) == expected


@settings(max_examples=500, deadline=None)
@given(text=st.text(alphabet="a '\"\\", max_size=24))
def test_what_cannot_be_split_is_said_as_shlex_says_it(text):
    try:
        shlex.split(text)
    except ValueError as error:
        with pytest.raises(ValueError, match=str(error)):
            user_options._split(text)
