"""Every rendered field held against Kubernetes' own types: names, nesting, and what a value may be.

Without a cluster, so that `make check` can ask it; tests/apiserver asks a real API server the same question.
"""

from __future__ import annotations

import re

import pytest
from kubernetes import client

PLAIN = {"str": str, "int": int, "bool": bool, "float": (int, float)}


def model_of(obj) -> type:
    """apps/v1 Deployment → V1Deployment; rbac.authorization.k8s.io/v1 Role → V1Role; v1 Pod → V1Pod."""
    version = obj["apiVersion"].rsplit("/", 1)[-1]
    return getattr(client, version[0].upper() + version[1:] + obj["kind"])


def faults(value, kind: str, path: str) -> list[str]:
    if found := re.fullmatch(r"[Ll]ist\[(.+)\]", kind):
        if not isinstance(value, list):
            return [f"{path}: must be a list"]
        return [fault for n, one in enumerate(value) for fault in faults(one, found[1], f"{path}[{n}]")]
    if found := re.fullmatch(r"[Dd]ict[\[(]str, (.+)[\])]", kind):
        if not isinstance(value, dict):
            return [f"{path}: must be a map"]
        return [fault for key, one in value.items() for fault in faults(one, found[1], f"{path}.{key}")]
    if kind in {"object", "datetime"} or "Quantity" in kind or "IntOrString" in kind:
        return []
    if kind in PLAIN:
        good = isinstance(value, PLAIN[kind]) and isinstance(value, bool) == (kind == "bool")
        return [] if good else [f"{path}: must be {kind}, not {value!r}"]
    return faults_of_model(value, getattr(client, kind), path)


def faults_of_model(value, model: type, path: str) -> list[str]:
    if model.__name__ == "V1JSONSchemaProps":  # a schema's own form: the CRDs have tests of their own
        return []
    if not isinstance(value, dict):
        return [f"{path}: must be an object"]
    attributes = {json: python for python, json in model.attribute_map.items()}
    found = [f"{path}.{name}: no such field of {model.__name__}" for name in value if name not in attributes]
    for name in value.keys() & attributes.keys():
        found += faults(value[name], model.openapi_types[attributes[name]], f"{path}.{name}")
    return found


def test_every_field_is_one_that_kubernetes_knows(render, combination):
    for obj in render("--values", combination).objects:
        if obj["kind"] != "PodMonitor":  # the Prometheus operator's
            assert faults_of_model(obj, model_of(obj), obj["kind"]) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"replica": 2}, "Deployment.spec.replica: no such field of V1DeploymentSpec"),
        ({"replicas": "2"}, "Deployment.spec.replicas: must be int, not '2'"),
        ({"replicas": True}, "Deployment.spec.replicas: must be int, not True"),
        ({"template": {"spec": {"containers": {}}}}, "Deployment.spec.template.spec.containers: must be a list"),
        (
            {"template": {"metadata": {"labels": {"a": 1}}}},
            "Deployment.spec.template.metadata.labels.a: must be str, not 1",
        ),
    ],
)
def test_a_field_that_is_wrong_is_found(render, change, said):
    deployment = render().one("Deployment", "pgwarden-webhook")
    wrong = deployment | {"spec": deployment["spec"] | change}
    assert faults_of_model(wrong, model_of(wrong), "Deployment") == [said]
