"""What is over its bounds is one fault, and no rule looks into it; an answer tells 50 faults at most."""

from __future__ import annotations

import json
import time

import pytest

from pgwarden.api import near
from pgwarden.api.defaults import OperatorDefaults
from pgwarden.api.faults import Fault, limited, shortened, summary
from pgwarden.api.registry import BY_NAME as KINDS
from pgwarden.api.schema import crds
from pgwarden.pgbackrest.user_options import parse_options
from pgwarden.rules import validate
from tests.unit.rules.conftest import NOW, Cluster

OVER = [
    ("a text", "Repository", {"s3": {"bucket": "b" * 256}, "storageType": "s3"}, "spec.s3.bucket", "must have at most 255 characters, not 256"),
    ("a schedule", "BackupSchedule", {"schedule": "* " * 200}, "spec.schedule", "must have at most 256 characters, not 400"),
    ("a word of a few", "Repository", {"storageType": "local," * 100}, "spec.storageType", "must be one of local, s3, local,s3"),
    ("a list", "Backup", {"options": ["--a=1"] * 33}, "spec.options", "must have at most 32 entries, not 33"),
    ("an entry", "Backup", {"options": ["--start-fast", "'" * 1025]}, "spec.options[1]", "must have at most 1024 characters, not 1025"),
    ("a map", "PostgresCluster", {"parameters": {f"Work{n}": n for n in range(201)}}, "spec.parameters", "must have at most 200 entries, not 201"),
    ("a name", "PostgresCluster", {"parameters": {"X" * 400: 1}}, f"spec.parameters.{'X' * 80}", "must have a name of at most 317 characters, not 400"),
    ("a name of a Repository", "Backup", {"repository": "h" * 60}, "spec.repository", "must have at most 52 characters, not 60"),
    ("another type", "Backup", {"options": {"a": ["--x"] * 100}}, "spec.options", "must be a list of strings such as --process-max=4"),
    ("an inner Repository's list", "PostgresCluster", {"repository": {"options": ["--a=1"] * 40}}, "spec.repository.options", "must have at most 32 entries, not 40"),
    ("the restore of a clone", "PostgresCluster", {"dataSource": {"repository": "hippo", "options": ["x" * 2000]}}, "spec.dataSource.options[0]", "must have at most 1024 characters, not 2000"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "spec", "field", "message"), [row[1:] for row in OVER], ids=[row[0] for row in OVER])
def test_what_is_over_its_bounds_is_one_fault(judge, make, kind, spec, field, message):
    base = {"repository": "hippo"} if kind in {"Backup", "BackupSchedule"} else {}
    faults = [one for one in judge(make(kind, **(base | spec))).faults if one.field.startswith(field)]
    assert [(one.field, one.message) for one in faults] == [(field, message)]


def test_the_other_fields_are_told_all_the_same(judge, make):
    faults = judge(make("Backup", repository="nobody", options=["--zzz=1", "x" * 2000], typ="full")).faults
    assert [one.field for one in faults] == ["spec.options[1]", "spec.typ", "spec.repository", "spec.options[0]"]


def test_an_object_that_is_too_large_is_one_fault_by_whatever_door_it_comes(make):
    obj = make("Backup", repository="nobody", options=["--zzz=1 " * 40_000])
    obj["metadata"]["generation"] = 1
    for standing in (False, True):
        verdict = validate(obj, old=None, lookup=Cluster(), now=NOW, defaults=OperatorDefaults(), standing=standing)
        assert [(one.field, one.rule) for one in verdict.faults] == [("spec", "size")]
        assert "312 KiB, more than 256 KiB" in verdict.faults[0].message


def test_a_status_of_any_size_is_in_nobodys_way(judge, make):
    backups = [{"label": f"20261101-{number:06}F", "storage": "local"} for number in range(10_000)]
    obj = make("Repository", status={"backups": backups}, retention={"full": 7})
    obj["metadata"]["managedFields"] = [{"manager": "m" * 300_000}]
    assert judge(obj).faults == []


@pytest.mark.parametrize("count", [51, 8000])
def test_fifty_faults_are_told_and_the_others_counted(judge, make, count):
    words = ["--a=1"] * count
    entries = [" ".join(words[at : at + 170]) for at in range(0, count, 170)][:32]
    faults = judge(make("Backup", repository="hippo", options=entries)).faults
    wrong = sum(len(entry.split()) for entry in entries)
    assert len(faults) == 51
    assert str(faults[-1]) == f"spec: and {wrong - 50} more; fix those above first"
    assert len(summary(faults)) < 32_768


def test_unknown_fields_are_counted_too(judge, make):
    faults = judge(make("Backup", repository="hippo", **{f"a{number}": 1 for number in range(5000)})).faults
    assert [one.message for one in faults[50:]] == ["and 4950 more; fix those above first"]


def test_the_options_that_there_are_are_listed_once():
    _, faults = parse_options(["--zzz=1 --yyy=1", "--xxx=1"], command="restore")
    lists = [one.message for one in faults if "allowed are" in one.message]
    assert len(lists) == 1
    assert [one.message for one in faults[1:]] == ["is not an allowed option"] * 2


@pytest.mark.parametrize(
    "value", ["x" * 1_000_000, ["x" * 9000] * 1000, {"a": 1}, 10**4000], ids=["text", "list", "map", "number"]
)
def test_a_fault_is_short_whatever_it_is_about(value):
    (fault,) = limited([Fault("spec." + "f" * 9000, value, "m" * 1_000_000)])
    assert len(str(fault)) < 8000
    assert fault.field.startswith("spec.fff")


def test_all_faults_together_are_short():
    faults = limited([Fault(f"spec.f{number}", "🐘" * 300, "is wrong" * 100, "x") for number in range(50)])
    assert len(json.dumps(summary(faults))) < 32_768
    assert limited(faults) == faults
    assert faults[-1].message == f"and {50 - len(faults) + 1} more; fix those above first"


def test_a_text_is_shortened_in_its_middle():
    assert shortened("abcdefghij", 10) == "abcdefghij"
    assert shortened("a" * 50 + "b" * 50, 9) == "aaaa…bbbb"


def test_of_many_names_those_that_begin_alike_are_compared():
    known = [f"other-{number}" for number in range(20_000)] + ["hippo"]
    began = time.thread_time()
    assert near.near("hipo", known) == ["hippo"]
    assert near.near("o" * 3_000_000, known) == []
    assert time.thread_time() - began < 0.5


@pytest.mark.parametrize("kind", KINDS)
def test_every_map_and_number_that_users_write_is_bounded(kind):
    """Strings and lists: test_crds. The names in a map are bounded by CEL, as a schema cannot say it."""
    bare = []

    def walk(node, path):
        for key, child in node.get("properties", {}).items():
            walk(child, f"{path}.{key}")
        if "items" in node:
            walk(node["items"], f"{path}[]")
        entries = node.get("additionalProperties")
        if isinstance(entries, dict):
            walk(entries, f"{path}{{}}")
            names = [one["rule"] for one in node.get("x-kubernetes-validations", ()) if ".size()" in one["rule"]]
            bare.extend([path] if "maxProperties" not in node or not names else [])
        if "anyOf" in node and "maxLength" not in node:
            bare.append(path)
        if node.get("type") == "integer" and not {"minimum", "maximum"} <= set(node):
            bare.append(path)

    walk(crds()[kind]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"], "spec")
    assert bare == []
