"""The CRDs agree with the types, and say what each field is for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from harness.crds import CRDS, PARTS, embedded
from pgwarden.api.names import GROUP, VERSION
from pgwarden.api.registry import BY_NAME as KINDS
from pgwarden.api.schema import crds, schema_faults
from pgwarden.contract.recovery import Recovery
from pgwarden.forecast.forecast import Forecast


def version(kind: str) -> dict[str, Any]:
    return crds()[kind]["spec"]["versions"][0]


def schema(kind: str) -> dict[str, Any]:
    return version(kind)["schema"]["openAPIV3Schema"]


def walk(node: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from walk(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            yield from walk(node[key], f"{path}[]")


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_has_a_description_that_is_a_sentence(kind):
    fields = [(path, node) for path, node in walk(schema(kind)) if path != ".metadata"]  # Kubernetes allows none there
    assert [path for path, node in fields if not node.get("description", "").endswith(".")] == []


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_left_open(kind):
    for path, node in walk(schema(kind)):
        assert "x-kubernetes-preserve-unknown-fields" not in node, path


@pytest.mark.parametrize("kind", KINDS)
def test_every_string_and_list_that_users_write_is_bounded(kind):
    """CEL's cost estimate needs it, and so does etcd."""
    for path, node in walk(schema(kind)["properties"]["spec"]):
        if node.get("type") == "string":
            assert "maxLength" in node or "enum" in node, path
        if node.get("type") == "array":
            assert "maxItems" in node, path


@pytest.mark.parametrize("kind", KINDS)
def test_the_kind_is_served_with_its_names_and_a_status(kind):
    spec = crds()[kind]["spec"]
    assert (spec["group"], version(kind)["name"], spec["scope"]) == (GROUP, VERSION, "Namespaced")
    assert spec["names"]["shortNames"] == [KINDS[kind].short_name]
    assert (spec["names"]["kind"], spec["names"]["plural"]) == (kind, KINDS[kind].plural)
    assert spec["names"]["categories"] == ["pgwarden"]
    assert version(kind)["subresources"]["status"] == {}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if KINDS[kind].names_repository])
def test_objects_can_be_selected_by_their_repository(kind):
    assert version(kind)["selectableFields"] == [{"jsonPath": ".spec.repository"}]


def compare(model: type[msgspec.Struct], node: dict[str, Any], path: str) -> None:
    fields = {field.encode_name: field for field in msgspec.structs.fields(model)}
    extra = {"key"} if path.lower().endswith("credentialssecretref") else set()  # two keys there, with fixed names
    assert set(node["properties"]) == set(fields) - extra, path
    for name, child in node["properties"].items():
        default = fields[name].default
        if "default" in child and child["default"] != {}:
            assert child["default"] == default, f"{path}.{name}"
        elif default not in {None, ""} and default is not msgspec.NODEFAULT and not callable(default):
            assert child.get("type") == "array", f"{path}.{name} has default {default!r} in kinds.py only"
        info = msgspec.inspect.type_info(fields[name].type)
        for one in getattr(info, "types", [info]):
            if isinstance(one, msgspec.inspect.StructType):
                compare(one.cls, child, f"{path}.{name}")


@pytest.mark.parametrize("kind", KINDS)
def test_fields_and_defaults_are_those_of_the_types(kind):
    compare(KINDS[kind].spec, schema(kind)["properties"]["spec"], "spec")


TOLD = {"recovery": Recovery, "forecast": Forecast}


@pytest.mark.parametrize("field", TOLD)
def test_what_is_told_of_a_recovery_has_the_fields_of_its_type(field):
    """`status.recovery` as the agent tells it, `status.forecast` as it is worked out: the API server drops others."""
    node = schema("Restore")["properties"]["status"]["properties"][field]
    assert set(node["properties"]) == {one.encode_name for one in msgspec.structs.fields(TOLD[field])}


#: What only a Repository has that pgwarden did not create.
ALONE = {"postgres", "stanza", "accessMode"}


def test_the_repository_in_a_cluster_has_the_schema_of_a_repository():
    """Where it has not: python3 -m harness.crds."""
    assert embedded("postgrescluster.yaml") == (CRDS / "postgrescluster.yaml").read_text(encoding="utf-8")
    whole = schema("Repository")["properties"]["spec"]
    part = schema("PostgresCluster")["properties"]["spec"]["properties"]["repository"]
    assert part["x-kubernetes-validations"] == whole["x-kubernetes-validations"]
    assert part["properties"] == {name: one for name, one in whole["properties"].items() if name not in ALONE}


def test_the_drill_in_a_schedule_has_the_schema_of_a_drill():
    """Where it has not: python3 -m harness.crds."""
    assert set(PARTS) == {"postgrescluster.yaml", "restoredrillschedule.yaml"}
    assert embedded("restoredrillschedule.yaml") == (CRDS / "restoredrillschedule.yaml").read_text(encoding="utf-8")
    whole = schema("RestoreDrill")["properties"]["spec"]
    part = schema("RestoreDrillSchedule")["properties"]["spec"]["properties"]["template"]
    kept = [rule for rule in whole["x-kubernetes-validations"] if "oldSelf" not in rule["rule"]]
    assert part.get("x-kubernetes-validations", []) == kept
    assert part["properties"] == {name: one for name, one in whole["properties"].items() if name != "repository"}
    assert whole["required"] == ["repository"], "another field that is required is so in the template, too"


#: Fields that name an object, a container, a key or the like; all other strings are free text of a form of their own.
NAMING = re.compile(r"(\.name|Name|\.repository|\.namespace|\.volumeClaim|\.container|\.key)$|cloneableFrom\[\]$")
NO_OBJECTS = {
    ".spec.target.name",
    ".spec.dataSource.target.name",
    ".spec.template.target.name",
}  # of a restore point, by PostgreSQL's rules
#: Names of labels and taints have a slash, and are no part of any path.
OF_LABELS = re.compile(r"(tolerations|matchExpressions|matchFields)\[\]\.key$")
UNUSABLE = [".", "..", "a/b", "a%2fb", "x\ny", "x\n", "-a", "a-", "a b", "\x00", "\x1b[2J", "ü", "a..b/"]


def naming() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for kind in KINDS:
        for path, node in walk(schema(kind)["properties"]["spec"], ".spec"):
            if node.get("type") == "string" and NAMING.search(path) and path not in NO_OBJECTS:
                if OF_LABELS.search(path):
                    continue
                yield kind, path, node


@pytest.mark.parametrize(
    ("kind", "path", "node"), list(naming()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_field_that_names_something_takes_nothing_that_could_be_a_path(kind, path, node):
    taken = re.compile(node["pattern"].removesuffix("$") + r"\Z")
    refused = [name for name in UNUSABLE if taken.match(name)]
    assert refused == ([] if not path.endswith(".key") else [".", "..", "-a", "a-"]), f"{kind}{path}"


def test_there_are_such_fields():
    assert len(list(naming())) > 20


@pytest.mark.parametrize("name", ["..", ".", "a/b", "x\ny"])
def test_the_rule_says_what_is_wrong_with_the_name(name):
    spec = {"storageType": "s3", "s3": {"credentialsSecretRef": {"name": name}}}
    found = schema_faults({"apiVersion": f"{GROUP}/{VERSION}", "kind": "Repository", "metadata": {}, "spec": spec})
    assert [(one.field, one.message[:23]) for one in found] == [
        ("spec.s3.credentialsSecretRef.name", "must be an object name:")
    ]
