"""lint on a folder in which much is wrong, and on what a folder may hold besides."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from pgwarden.cli.documents import read
from pgwarden.cli.lookup import Objects

FAULTY = Path(__file__).parent / "faulty"
DEMO = Path(__file__).parents[3] / "demo" / "manifests"
EXPECTED = [
    ("backups.yaml", 6, "Backup", "spec.repository", "repository"),
    ("backups.yaml", 7, "Backup", "spec.options[0]", "options"),
    ("backups.yaml", 8, "Backup", "spec.storge", "schema"),
    ("backups.yaml", 10, "Backup", "spec.type", "yaml"),
    ("backups.yaml", 18, "Backup", "spec.storage", "storage"),
    ("backups.yaml", 23, "Backup", "metadata.name", "twice"),
    ("deeper/workloads.yml", 9, "StatefulSet", "metadata.labels[pgwarden.io/repository]", "misplaced-label"),
    ("deeper/workloads.yml", 26, "Deployment", "spec.template.spec.containers[0].volumeMounts", "data-volume"),
    ("deeper/workloads.yml", 30, "Deployment", "spec.template.spec.containers[0].args[1]", "archive-mode"),
    ("deeper/workloads.yml", 38, "Pod", "metadata.labels[pgwarden.io/repository]", "no-repository"),
    ("repository.json", 5, "Repository", "spec.retention.full", "schema"),
    ("template.yaml", 2, "", "", "yaml"),
]
#: What SARIF 2.1.0 asks of the properties that are written here (the standard's sections 3.13 to 3.52).
SARIF = {
    "type": "object",
    "required": ["version", "runs"],
    "additionalProperties": False,
    "properties": {
        "$schema": {"type": "string", "pattern": "^https://.*sarif-schema-2.1.0.json$"},
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["tool", "results"],
                "additionalProperties": False,
                "properties": {
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "artifacts": {
                        "type": "array",
                        "uniqueItems": True,
                        "items": {"properties": {"location": {"$ref": "#/$defs/location"}}},
                    },
                    "tool": {
                        "type": "object",
                        "required": ["driver"],
                        "properties": {
                            "driver": {
                                "type": "object",
                                "required": ["name"],
                                "properties": {
                                    "rules": {
                                        "type": "array",
                                        "uniqueItems": True,
                                        "items": {"required": ["id"], "properties": {"id": {"type": "string"}}},
                                    }
                                },
                            }
                        },
                    },
                    "results": {"type": "array", "items": {"$ref": "#/$defs/result"}},
                },
            },
        },
    },
    "$defs": {
        "location": {
            "type": "object",
            "additionalProperties": False,
            "required": ["uri"],
            "properties": {"uri": {"type": "string", "pattern": r"^[A-Za-z0-9._~:/?#@!$&'()*+,;=%-]+$"}},
        },
        "result": {
            "type": "object",
            "required": ["message"],
            "additionalProperties": False,
            "properties": {
                "ruleId": {"type": "string"},
                "ruleIndex": {"type": "integer", "minimum": 0},
                "level": {"enum": ["none", "note", "warning", "error"]},
                "message": {
                    "type": "object",
                    "required": ["text"],
                    "properties": {"text": {"type": "string", "minLength": 1}},
                },
                "locations": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "additionalProperties": False,
                        "properties": {
                            "physicalLocation": {
                                "type": "object",
                                "required": ["artifactLocation"],
                                "properties": {
                                    "artifactLocation": {"$ref": "#/$defs/location"},
                                    "region": {
                                        "type": "object",
                                        "properties": {"startLine": {"type": "integer", "minimum": 1}},
                                    },
                                },
                            },
                            "logicalLocations": {
                                "type": "array",
                                "items": {"properties": {"fullyQualifiedName": {"type": "string"}}},
                            },
                        },
                    },
                },
            },
        },
    },
}


def errors(done):
    found = [one for one in json.loads(done.out)["findings"] if one["level"] == "error"]
    return [
        (one["file"].removeprefix(f"{FAULTY.as_posix()}/"), one["line"], one["kind"], one["field"], one["rule"])
        for one in found
    ]


def test_every_fault_of_a_folder_is_found_on_its_line(run):
    done = run("lint", str(FAULTY), "--output", "json")
    assert done.code == 1
    assert errors(done) == EXPECTED


def test_text_is_one_finding_a_line_and_a_sum(run):
    done = run("lint", str(FAULTY))
    *lines, total = done.out.splitlines()
    faults = [line for line in lines if ": error: " in line]
    assert len(faults) == len(EXPECTED)
    assert faults[1] == (
        f"{FAULTY}/backups.yaml:7: error: Backup one: spec.options[0]: "
        '"--typ=full": is not an allowed option; did you mean --type? [options]'
    )
    assert "helm template" in faults[-1]
    assert total.startswith("12 faults and ")
    assert total.endswith(" in 9 documents of 4 files")


def test_sarif_is_valid_and_points_at_rules_and_lines(run):
    done = run("lint", str(FAULTY), "--output", "sarif")
    log = json.loads(done.out)
    Draft202012Validator.check_schema(SARIF)
    assert [error.message for error in Draft202012Validator(SARIF).iter_errors(log)] == []
    (only,) = log["runs"]
    rules = [rule["id"] for rule in only["tool"]["driver"]["rules"]]
    for result in only["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
    faults = [result for result in only["results"] if result["level"] == "error"]
    lines = [result["locations"][0]["physicalLocation"]["region"]["startLine"] for result in faults]
    assert sorted(lines) == sorted(line for _, line, *_ in EXPECTED)


@pytest.mark.parametrize("form", ["text", "json", "sarif"])
def test_the_demo_is_clean_in_every_form(run, form):
    done = run("lint", str(DEMO), "--output", form)
    assert (done.code, done.err) == (0, "")


def test_one_file_of_many_needs_to_be_told_what_is_in_the_cluster(run):
    """A Backup names its Repository, which another file may hold."""
    alone = run("lint", str(DEMO / "backup.yaml"))
    assert alone.code == 1
    assert "there is no Repository hippo in namespace default" in alone.out
    assert run("lint", str(DEMO / "backup.yaml"), "--repository", "hippo").code == 0
    assert run("lint", str(DEMO / "backup.yaml"), str(DEMO / "repository.yaml")).code == 0


def test_standard_input_is_read(run):
    done = run("lint", "-", stdin=(FAULTY / "repository.json").read_text("utf-8"))
    assert done.code == 1
    assert "stdin:5: error: Repository hippo: spec.retention.full: 0: must be" in done.out


def test_the_operators_s3_defaults_can_be_given(run):
    text = (
        "apiVersion: pgwarden.io/v1alpha1\nkind: Repository\nmetadata: {name: hippo}\nspec:\n  storageType: s3\n"
        "  retention: {full: 7}\n  s3: {credentialsSecretRef: {name: keys}}\n"
    )
    bare = run("lint", "-", stdin=text)
    given = ("--default-s3-bucket=b1b", "--default-s3-endpoint=s3.example.com", "--default-s3-region=eu-1")
    told = run("lint", "-", *given, stdin=text)
    assert (bare.code, told.code) == (1, 0)
    assert all(f"spec.s3.{name}" in bare.out for name in ("bucket", "endpoint", "region"))


UNREADABLE = {
    "a file that is not there": (["lint", "nowhere.yaml"], "nowhere.yaml: no such file or directory"),
    "a folder without manifests": (["lint", "{empty}"], "has no .yaml, .yml, .json file"),
    "a file that is no text": (["lint", "{binary}"], "cannot read"),
    "an unknown form": (["lint", ".", "--output=xml"], '--output: "xml": must be text or json or sarif'),
}


@pytest.mark.parametrize(("words", "said"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read_ends_with_2(run, tmp_path, words, said):
    (tmp_path / "empty").mkdir()
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00\x00")
    done = run(*(word.format(empty=tmp_path / "empty", binary=binary) for word in words))
    assert (done.code, done.out) == (2, "")
    assert said in done.err


HOSTILE = {
    "aliases within aliases": "a: &a [x,x,x,x,x,x,x,x,x]\n"
    + "".join(f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
    "an alias of itself": "a: &a [*a]\n",
    "a thousand brackets": "[" * 1200,
    "a tag that would build an object": "kind: Backup\nx: !!python/object/apply:os.system [id]\n",
    "a set": "apiVersion: pgwarden.io/v1alpha1\nkind: Backup\nspec: !!set {a, b}\n",
    "a key that is a list": "? [a, b]\n: c\n",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_documents_are_faults_and_end_nothing(run, text):
    done = run("lint", "-", stdin=text)
    assert done.code == 1
    assert "[yaml]" in done.out
    assert done.err == ""


SHAPES = ["null", "[]", "7", "kind: Backup", "kind: 7", "kind: StatefulSet\nspec: [1]", "kind: Pod\nmetadata: x",
          "kind: Pod\nmetadata: {labels: {pgwarden.io/repository: hippo}}\nspec: {containers: 3}",
          "apiVersion: pgwarden.io/v1alpha1\nkind: Backup\nmetadata: x\nspec: 3",
          "apiVersion: pgwarden.io/v1alpha1\nkind: [x]\n1: 2", "kind: List\nitems: {}"]  # fmt: skip


@pytest.mark.parametrize("text", SHAPES, ids=range(len(SHAPES)))
def test_no_shape_of_a_document_breaks_it(run, text):
    for command in ("lint", "inject"):
        done = run(command, "-", stdin=text)
        assert done.code in {0, 1}
        assert "should not happen" not in done.err


def test_times_stay_text(run):
    """YAML 1.1 reads a bare time as one; kubectl does not."""
    (document,) = read("f", "spec: {target: {time: 2026-11-23 10:00:00+00}}")
    assert document.obj == {"spec": {"target": {"time": "2026-11-23 10:00:00+00"}}}


def test_lookup_keeps_namespaces_apart(make):
    there = Objects(
        [make("Repository", "hippo", "a"), make("Backup", "x", "a", repository="hippo")], "default", ["known"]
    )
    assert there.repository("a", "hippo") is not None
    assert there.repository("b", "hippo") is None
    assert there.repository("b", "known")["spec"]["storageType"] == "local,s3"
    assert [len(there.backups(where, "hippo")) for where in ("a", "b")] == [1, 0]


def test_what_only_informs_is_a_note_and_no_warning(run, tmp_path):
    """A CI that counts warnings stays quiet on good files."""
    (tmp_path / "all.yaml").write_text(
        "apiVersion: pgwarden.io/v1alpha1\nkind: Repository\nmetadata: {name: hippo}\n"
        "spec: {storageType: local, retention: {full: 7}}\n---\n"
        "apiVersion: pgwarden.io/v1alpha1\nkind: BackupSchedule\nmetadata: {name: nightly}\n"
        "spec: {repository: hippo, schedule: '0 1 * * *', type: full}\n"
    )
    found = run("lint", str(tmp_path))
    assert found.code == 0
    assert ": note: BackupSchedule nightly: next backups: " in found.out
    assert "no faults and no warnings in" in found.out


def test_the_own_example_has_one_number_and_a_schedule_of_another_is_found(run, tmp_path):
    assert run("lint", str(DEMO)).code == 0
    text = (DEMO / "schedule.yaml").read_text() + '  options: ["--repo1-retention-full=30"]\n'
    (tmp_path / "schedule.yaml").write_text(text)
    (tmp_path / "repository.yaml").write_text((DEMO / "repository.yaml").read_text())
    found = run("lint", str(tmp_path))
    assert found.code == 1
    assert "is more than the 21 full backups that Repository hippo keeps" in found.out
    alone = run("lint", str(tmp_path / "schedule.yaml"), "--repository", "hippo")  # nothing is known of it
    assert alone.code == 0, alone.out
