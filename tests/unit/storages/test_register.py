"""One register of the storages: what is made of it knows each of them, and no other module asks for one by its name."""

from __future__ import annotations

import ast
import itertools
from pathlib import Path

import msgspec
import pytest

from pgwarden import storages
from pgwarden.api.defaults import OperatorDefaults
from pgwarden.api.kinds import RepositorySpec
from pgwarden.api.schema import crds
from pgwarden.cli.shared_options import STORAGE
from pgwarden.pgbackrest.config import clone_conf, host_conf, pod_conf

ROOT = Path(__file__).parents[3]
ALL = ("pgwarden", "webhook", "controller", "agent")
HIPPO = {"metadata": {"name": "hippo", "namespace": "ns"}}


def spec(**fields) -> RepositorySpec:
    return msgspec.convert(fields, RepositorySpec)


def part(kind: str, *path: str) -> dict:
    found = crds()[kind]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    for name in path:
        found = found[name]
    return found


@pytest.mark.parametrize("kind", ["Backup", "BackupSchedule", "Restore"])
def test_the_crds_of_operations_take_the_storages_of_the_register(kind):
    assert part(kind, "storage")["enum"] == ["", *storages.NAMES]


@pytest.mark.parametrize("path", [("Repository",), ("PostgresCluster", "repository", "properties")], ids="/".join)
def test_the_crds_with_a_repository_have_a_part_for_each_storage_and_every_type(path):
    found = part(*path)
    assert set(storages.TYPES) == set(found["storageType"]["enum"])
    for storage in storages.REGISTER:
        assert set(storage.secret_fields) | set(storage.defaults) <= set(found[storage.name]["properties"])


def test_each_storage_has_its_field_in_the_spec():
    assert {storage.name for storage in storages.REGISTER} <= {
        field.name for field in msgspec.structs.fields(RepositorySpec)
    }


def test_flags_of_the_command_line_say_what_the_crd_has():
    for storage in storages.REGISTER:
        fields = part("Repository", storage.name)["properties"]
        assert {flag.field for flag in storage.flags if flag.field} <= set(fields)
        assert {flag.text for flag in storage.flags} <= {text for option in STORAGE for text in option.flags}


@pytest.mark.parametrize("kind", storages.TYPES)
def test_any_type_of_storage_makes_a_configuration_for_every_side(kind):
    given = spec(storageType=kind, **{name: {} for name in kind.split(",")})
    places = storages.places(given, storages.assumed_defaults(), "ns", "hippo")
    assert all(place.is_complete for place in places)
    texts = (host_conf(HIPPO, given, places, []), pod_conf(HIPPO, given, places), clone_conf(HIPPO, given, places, {}))
    assert all(text.startswith("[global]\n") for text in texts)
    for number, name in enumerate(kind.split(","), 1):
        assert f"repo{number}-type={storages.BY_NAME[name].repo_type}\n" in texts[0]


def test_a_place_lacks_what_neither_the_repository_nor_the_operator_gives_and_takes_it_from_what_is_in_force():
    for storage in storages.REGISTER:
        bare = storage.place(spec(storageType=storage.name), OperatorDefaults(), "ns", "hippo")
        full = storage.place(spec(storageType=storage.name), storages.assumed_defaults(), "ns", "hippo")
        assert bare.is_complete is not bool(storage.defaults)
        assert bare.in_force(full.settings("/x")) == full


def test_operators_defaults_come_from_the_charts_environment():
    environment = {f"PGWARDEN_{field.upper()}": f"the {field}" for field in storages.default_fields()}
    given = storages.defaults_from(environment)
    for storage, field in itertools.chain(
        *([(one.name, field) for field in one.defaults] for one in storages.REGISTER)
    ):
        assert given.of(storage, field) == f"the {storage}_{field}"
    assert storages.defaults_from({}) == OperatorDefaults()


def test_the_chart_sets_that_environment():
    template = "".join(path.read_text() for path in (ROOT / "charts/pgwarden/templates").rglob("*") if path.is_file())
    assert [field for field in storages.default_fields() if f"PGWARDEN_{field.upper()}" not in template] == []


def test_a_storage_that_does_not_exist_is_none_of_a_repository():
    assert storages.names_of({"spec": {"storageType": "local,nfs"}}) == ("local",)
    assert storages.of(spec(storageType="nfs")) == []


def _compared(tree: ast.AST) -> list[int]:
    """Lines on which something is compared with, looked for in, or looked up by the name of a storage."""

    def is_name(node: ast.AST) -> bool:
        if isinstance(node, ast.Tuple | ast.List | ast.Set):
            return any(map(is_name, node.elts))
        return (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and (node.value in storages.NAMES or (node.value in storages.TYPES))
        )

    found = []
    for node in ast.walk(tree):
        match node:
            case ast.Compare(left=left, comparators=others) if any(map(is_name, [left, *others])):
                found.append(node.lineno)
            case ast.Subscript(slice=index) if is_name(index):
                found.append(node.lineno)
            case ast.Call(func=ast.Attribute(attr="get" | "startswith" | "repo_number"), args=args) if any(
                map(is_name, args)
            ):
                found.append(node.lineno)
            case ast.Assign(value=value) if is_name(value):
                found.append(node.lineno)
            case ast.Attribute(attr=attr) if attr in storages.NAMES and not _is_function(node):
                found.append(node.lineno)
    return found


def _is_function(node: ast.Attribute) -> bool:
    """patroni.local is a function, not spec.local."""
    return isinstance(node.value, ast.Name) and node.value.id == "patroni"


def test_only_the_storages_themselves_are_asked_for_by_name():
    files = [
        path for room in ALL for path in (ROOT / room).rglob("*.py") if "storages" not in path.relative_to(ROOT).parts
    ]
    found = {str(path.relative_to(ROOT)): _compared(ast.parse(path.read_text())) for path in files}
    assert {path: lines for path, lines in found.items() if lines} == {}
