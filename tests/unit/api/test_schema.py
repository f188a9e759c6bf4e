"""The schema's faults, in our words."""

from __future__ import annotations

import json

import pytest
import yaml

from pgwarden.api.schema import crd_files, read_crd, schema_faults, with_defaults

FAULTS = [
    ("an enum lists its values", "Backup", {"repository": "hippo", "type": "fulll"}, 'spec.type: "fulll": must be one of full, diff, incr'),
    ("a type names both", "Backup", {"repository": 5}, "spec.repository: 5: must be a string, not a number"),
    ("true is no number", "Backup", {"repository": "hippo", "activeDeadlineSeconds": True}, "spec.activeDeadlineSeconds: true: must be a whole number, not a boolean"),
    ("null is null", "Backup", {"repository": None}, "spec.repository: must be a string, not null"),
    ("a required field says what it is", "Backup", {}, "spec.repository: is required: name of the Repository, in the same namespace"),
    ("an unknown field has a neighbour", "Backup", {"repository": "hippo", "typ": "full"}, 'spec.typ: "full": is not a field of spec; did you mean type?'),
    ("case is no matter for a neighbour", "Repository", {"s3": {"verifyTls": True}}, "spec.s3.verifyTls: true: is not a field of spec.s3; did you mean verifyTLS?"),
    ("a stranger sees the fields", "Repository", {"local": {"zz": 1}}, "spec.local.zz: 1: is not a field of spec.local; allowed are size, storageClassName"),
    ("an item has its number", "Backup", {"repository": "hippo", "options": ["--start-fast", 3]}, "spec.options[1]: 3: must be a string, not a number"),
    ("a range has both ends", "Repository", {"postgres": {"port": 0}}, "spec.postgres.port: 0: must be between 1 and 65535"),
    ("an empty string", "Backup", {"repository": ""}, 'spec.repository: "": must not be empty'),
    ("a quantity", "Repository", {"resources": {"limits": {"cpu": []}}}, 'spec.resources.limits.cpu: "(a list)": must be a quantity such as 500m or 1Gi'),
    ("a line break at the end", "Restore", {"repository": "hippo", "volumeClaim": "data\n"}, 'spec.volumeClaim: "data\\n": must be a name: lower-case letters, digits and -, a letter or digit at both ends'),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "spec", "fault"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS])
def test_a_fault_has_its_path_its_value_and_what_is_allowed(make, kind, spec, fault):
    assert [str(one) for one in schema_faults(make(kind, **spec))] == [fault]


def test_all_faults_are_told_at_once_in_order_of_their_fields(make):
    faults = schema_faults(make("Backup", type="x", storage="y", zzz=1))
    assert [fault.field for fault in faults] == ["spec.repository", "spec.storage", "spec.type", "spec.zzz"]


def test_status_is_not_looked_at(make):
    assert schema_faults(make("Backup", repository="hippo", status={"anything": 1})) == []


@pytest.mark.parametrize("obj", [None, 5, "x", [], [[]], True], ids=repr)
def test_what_is_no_object_is_one_fault(obj):
    (fault,) = schema_faults(obj)
    assert fault.message == "must be an object with apiVersion, kind, metadata and spec"


def test_an_unknown_kind_says_which_there_are():
    faults = schema_faults({"apiVersion": "v1", "kind": ["Pod"]})
    assert [str(fault) for fault in faults] == [
        'apiVersion: "v1": must be pgwarden.io/v1alpha1',
        'kind: "(a list)": must be one of Repository, Backup, BackupSchedule, Restore, RestoreDrill, RestoreDrillSchedule, PostgresCluster (group pgwarden.io)',
    ]


def test_a_huge_value_is_shown_in_brief(make):
    (fault,) = schema_faults(make("Backup", repository="x" * 1_000_000))
    assert len(str(fault)) < 400


def test_defaults_are_those_that_the_api_server_would_fill_in(make):
    obj = make("BackupSchedule", repository="hippo", schedule="0 1 * * *", type="full")
    assert with_defaults(obj)["spec"] == {
        "repository": "hippo",
        "schedule": "0 1 * * *",
        "type": "full",
        "timeZone": "UTC",
        "suspend": False,
        "successfulHistoryLimit": 3,
        "failedHistoryLimit": 3,
    }
    assert "timeZone" not in obj["spec"]


@pytest.mark.skipif(not yaml.__with_libyaml__, reason="PyYAML without libyaml")
@pytest.mark.parametrize("entry", crd_files(), ids=lambda entry: entry.name)
def test_both_loaders_make_the_same_of_a_crd(entry):
    text = entry.read_text("utf-8")
    assert yaml.load(text, Loader=yaml.CSafeLoader) == yaml.safe_load(text)


@pytest.mark.parametrize("entry", crd_files(), ids=lambda entry: entry.name)
def test_a_crd_is_the_same_as_yaml_and_as_json(entry, tmp_path):
    as_json = tmp_path / "crd.json"
    as_json.write_text(json.dumps(yaml.safe_load(entry.read_text("utf-8"))), "utf-8")
    assert read_crd(as_json) == read_crd(entry)
