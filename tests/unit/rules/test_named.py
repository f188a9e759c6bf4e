"""What an object names that its author must be allowed to use: each such field of each kind, and only where it is new."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from pgwarden.api.registry import KINDS
from pgwarden.rules.named import Named, What, named, newly_named

from .conftest import build

CRDS = Path(__file__).parents[3] / "crds"
#: Fields of this look name something that somebody else has made, or that runs as somebody.
LOOKS = re.compile(r"secret|account|image|credential|password|token|configmap", re.IGNORECASE)
Schema = dict[str, Any]
NEEDED = {
    "Backup": {"repository": "r"},
    "BackupSchedule": {"repository": "r", "schedule": "0 1 * * *"},
    "Restore": {"repository": "r"},
    "RestoreDrill": {"repository": "r"},
    "RestoreDrillSchedule": {"repository": "r", "schedule": "0 1 * * *"},
}


def suspects(schema: Schema, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Schema]]:
    """Fields that look as if they named something, below everything of a known form; `[]` is an entry of a list."""
    for name, inner in (schema.get("properties") or {}).items():
        if LOOKS.search(name):
            yield (*path, name), inner
        else:
            yield from suspects(inner, (*path, name))
    if isinstance(schema.get("items"), dict):
        yield from suspects(schema["items"], (*path, "[]"))


def of_the_kinds() -> dict[str, tuple[str, tuple[str, ...], Schema]]:
    found = {}
    for kind in KINDS:
        document = yaml.safe_load((CRDS / f"{kind.name.lower()}.yaml").read_text(encoding="utf-8"))
        (version,) = document["spec"]["versions"]
        for path, schema in suspects(version["schema"]["openAPIV3Schema"]["properties"]["spec"]):
            found[f"{kind.name} {'.'.join(path)}"] = kind.name, path, schema
    return found


FIELDS = of_the_kinds()


def value_of(schema: Schema) -> Any:
    """The smallest that names something."""
    if schema["type"] == "array":
        return [value_of(schema["items"])]
    return {"name": "named"} if schema["type"] == "object" else "named"


def put(path: tuple[str, ...], value: Any) -> Any:
    for part in reversed(path):
        value = [value] if part == "[]" else {part: value}
    return value


def test_the_walk_finds_what_is_known_to_be_there():
    assert {
        "Repository s3.credentialsSecretRef",
        "Repository s3.podCredentialsSecretRef",
        "Repository s3.cloneCredentialsSecretRef",
        "Repository s3.caSecretRef",
        "Repository postgres.passwordSecretRef",
        "Repository encryption.secretRef",
        "Repository podTemplate.spec.imagePullSecrets",
        "Repository serviceAccountName",
        "PostgresCluster image",
        "PostgresCluster instances.podTemplate.spec.imagePullSecrets",
        "PostgresCluster repository.s3.credentialsSecretRef",
        "PostgresCluster repository.s3.podCredentialsSecretRef",
        "PostgresCluster repository.serviceAccountName",
        "Restore image",
    } <= set(FIELDS)


@pytest.mark.parametrize("case", FIELDS)
def test_every_field_that_looks_as_if_it_named_something_is_asked_about(case):
    """A new field of this look that is not found: give it the type SecretKeyRef or SecretRef, or add it in rules/named."""
    kind, path, schema = FIELDS[case]
    obj = build(kind, **(NEEDED.get(kind, {}) | put(path, value_of(schema))))
    found = [one for one in named(obj) if one.name == "named"]
    field = "spec." + ".".join(path)
    assert [re.sub(r"\[\d+\]|\.name$", "", one.field) for one in found] == [field]


def secret(field: str, name: str = "keys", key: str = "") -> Named:
    return Named(field, What.SECRET, name, key)


def s3(**given: Any) -> dict[str, Any]:
    return {"storageType": "s3", "s3": {"bucket": "b", "credentialsSecretRef": {"name": "keys"}} | given}


def pulls(*names: str) -> dict[str, Any]:
    return {"podTemplate": {"spec": {"imagePullSecrets": [{"name": one} for one in names]}}}


WEB_ID = {"storageType": "s3", "s3": {"keyType": "web-id"}}
CA = "spec.s3.caSecretRef.name"
#: before, after → what is named newly
CHANGES: dict[str, tuple[dict[str, Any] | None, dict[str, Any], list[Named]]] = {
    "a new object": (None, s3(), [secret("spec.s3.credentialsSecretRef.name")]),
    "the name stays": (s3(), s3(region="x") | {"retention": {"full": 3}}, []),
    "the name changes": (s3(), s3(credentialsSecretRef={"name": "loot"}), [secret("spec.s3.credentialsSecretRef.name", "loot")]),
    "pods get keys of their own": (
        s3(), s3(podCredentialsSecretRef={"name": "loot"}), [secret("spec.s3.podCredentialsSecretRef.name", "loot")],
    ),
    "the name goes": (s3(), {"storageType": "local"}, []),
    "the same Secret in another field": (s3(), s3(caSecretRef={"name": "keys", "key": "s3-key"}), [secret(CA, "keys", "s3-key")]),
    "another key of the same Secret": (
        s3(caSecretRef={"name": "ca"}), s3(caSecretRef={"name": "ca", "key": "tls.key"}), [secret(CA, "ca", "tls.key")],
    ),
    "entries of a list move": (pulls("a", "b"), pulls("b", "a"), []),
    "an entry of a list is added": (
        pulls("a"), pulls("b", "a"), [secret("spec.podTemplate.spec.imagePullSecrets[0].name", "b")],
    ),
    "an account": ({}, {"serviceAccountName": "boss"}, [Named("spec.serviceAccountName", What.ACCOUNT, "boss")]),
    "the default account gets to reach the storage": (
        {}, WEB_ID, [Named("spec.serviceAccountName", What.ACCOUNT, "default")],
    ),
    "the account takes another role": (
        WEB_ID, {"storageType": "s3", "s3": {"keyType": "web-id", "roleARN": "arn:x"}},
        [Named("spec.serviceAccountName", What.ACCOUNT, "default", "arn:x")],
    ),
    "a pod's label": (
        {"podTemplate": {"metadata": {"labels": {"a": "b"}}}}, {"podTemplate": {"metadata": {"labels": {"a": "b", "app": "web"}}}},
        [Named("spec.podTemplate.metadata.labels.app", What.LABEL, "app", "web")],
    ),
    "a label's value": (
        {"podTemplate": {"metadata": {"labels": {"a": "b"}}}}, {"podTemplate": {"metadata": {"labels": {"a": "c"}}}},
        [Named("spec.podTemplate.metadata.labels.a", What.LABEL, "a", "c")],
    ),
    "a pod's annotation": (
        {}, {"podTemplate": {"metadata": {"annotations": {"mesh/image": "x"}}}},
        [Named("spec.podTemplate.metadata.annotations.mesh/image", What.ANNOTATION, "mesh/image", "x")],
    ),
    "what was there cannot be read": ({"s3": 5}, s3(), [secret("spec.s3.credentialsSecretRef.name")]),
}  # fmt: skip


@pytest.mark.parametrize("case", CHANGES)
def test_only_what_was_not_named_before_counts(case):
    before, after, expected = CHANGES[case]
    old = None if before is None else build("Repository", **before)
    assert newly_named(build("Repository", **after), old) == expected


def test_the_repository_of_a_cluster_is_looked_into_like_any_other():
    cluster = build("PostgresCluster", image="x:1", repository=s3() | {"serviceAccountName": "boss"})
    assert {(one.field, one.name) for one in named(cluster)} == {
        ("spec.image", "x:1"),
        ("spec.repository.s3.credentialsSecretRef.name", "keys"),
        ("spec.repository.serviceAccountName", "boss"),
    }


@pytest.mark.parametrize(("kind", "more"), [("Backup", {}), ("BackupSchedule", {"schedule": "0 1 * * *"})])
def test_the_labels_and_annotations_of_a_jobs_pod_are_found(kind, more):
    spec = {"repository": "r", "podLabels": {"app": "web"}, "podAnnotations": {"mesh/inject": "false"}} | more
    assert list(named(build(kind, **spec))) == [
        Named("spec.podLabels.app", What.LABEL, "app", "web"),
        Named("spec.podAnnotations.mesh/inject", What.ANNOTATION, "mesh/inject", "false"),
    ]


@pytest.mark.parametrize("spec", [{"s3": 5}, {"s3": {"caSecretRef": {}}}, {"podTemplate": []}])
def test_a_spec_that_is_none_is_not_taken_for_one_that_names_nothing(spec):
    with pytest.raises(msgspec.ValidationError):
        newly_named(build("Repository", **spec), None)
