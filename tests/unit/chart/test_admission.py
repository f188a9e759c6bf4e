"""The two webhook configurations: who is asked about what, and what happens when nobody answers."""

from __future__ import annotations

import pytest

from pgwarden.api import registry
from pgwarden.rules import deletion

KINDS = [kind.plural for kind in registry.KINDS]


@pytest.fixture
def webhooks(render):
    rendered = render()
    mutating = rendered.one("MutatingWebhookConfiguration", "pgwarden")["webhooks"]
    validating = rendered.one("ValidatingWebhookConfiguration", "pgwarden")["webhooks"]
    assert [w["name"] for w in mutating] == ["pods.pgwarden.io", "check.pgwarden.io"]
    apart = ["workloads.pgwarden.io", "deletion.pgwarden.io"]
    assert [w["name"] for w in validating] == ["validate.pgwarden.io", *apart]
    return {w["name"]: w for w in mutating + validating if w["name"] not in apart}


def test_paths(webhooks):
    for name, path in (("pods", "/mutate"), ("check", "/check"), ("validate", "/validate")):
        assert webhooks[f"{name}.pgwarden.io"]["clientConfig"] == {
            "service": {"name": "pgwarden-webhook", "namespace": "pgwarden-system", "path": path, "port": 443},
        }


def test_common_fields(webhooks):
    for webhook in webhooks.values():
        assert webhook["admissionReviewVersions"] == ["v1"]
        assert webhook["sideEffects"] == "None"
        assert webhook["matchPolicy"] == "Equivalent"
        assert webhook["failurePolicy"] == "Fail"
        assert webhook["timeoutSeconds"] == 5
    assert webhooks["pods.pgwarden.io"]["reinvocationPolicy"] == "IfNeeded"
    assert webhooks["check.pgwarden.io"]["reinvocationPolicy"] == "Never"


def test_pods(webhooks):
    webhook = webhooks["pods.pgwarden.io"]
    assert webhook["rules"] == [
        {
            "apiGroups": [""],
            "apiVersions": ["v1"],
            "resources": ["pods"],
            "operations": ["CREATE"],
            "scope": "Namespaced",
        },
    ]
    assert webhook["objectSelector"] == {"matchExpressions": [{"key": "pgwarden.io/repository", "operator": "Exists"}]}
    assert webhook["namespaceSelector"] == {
        "matchExpressions": [
            {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-system", "pgwarden-system"]}
        ],
    }


@pytest.mark.parametrize("name", ["check.pgwarden.io", "validate.pgwarden.io"])
def test_own_kinds(webhooks, name):
    webhook = webhooks[name]
    # No subresource: "backups" does not match "backups/status".
    assert webhook["rules"] == [
        {
            "apiGroups": ["pgwarden.io"],
            "apiVersions": ["v1alpha1"],
            "resources": KINDS,
            "operations": ["CREATE", "UPDATE"],
            "scope": "Namespaced",
        },
    ]
    assert "objectSelector" not in webhook
    assert "namespaceSelector" not in webhook
    (condition,) = webhook["matchConditions"]
    assert condition["expression"] == "request.operation == 'CREATE' || !has(oldObject.metadata.deletionTimestamp)"


def test_kinds_are_those_of_the_crds(render):
    crds = {crd["spec"]["names"]["plural"]: crd for crd in render().all("CustomResourceDefinition")}
    assert sorted(crds) == sorted(KINDS)
    assert {v["name"] for crd in crds.values() for v in crd["spec"]["versions"]} == {"v1alpha1"}


def test_failure_policy_is_a_value_for_pods_only(render):
    rendered = render("--set", "webhook.failurePolicy=Ignore,webhook.timeoutSeconds=3")
    mutating = rendered.one("MutatingWebhookConfiguration", "pgwarden")["webhooks"]
    validating = rendered.one("ValidatingWebhookConfiguration", "pgwarden")["webhooks"]
    assert [w["failurePolicy"] for w in mutating + validating] == ["Ignore", "Fail", "Fail", "Ignore", "Ignore"]
    assert [w["timeoutSeconds"] for w in mutating + validating] == [3, 3, 3, 2, 3]


def test_more_namespaces_can_be_excluded(render):
    rendered = render("--set", "webhook.excludedNamespaces={legacy,kube-system}", namespace="elsewhere")
    selector = rendered.one("MutatingWebhookConfiguration", "pgwarden")["webhooks"][0]["namespaceSelector"]
    assert selector["matchExpressions"][0]["values"] == ["kube-system", "elsewhere", "legacy"]


def test_with_namespaces_named_nothing_of_another_is_asked_about(render):
    rendered = render("--set", "watchNamespaces={a,b}")
    watched = {"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["a", "b"]}]}
    found = [
        webhook["namespaceSelector"]
        for kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
        for webhook in rendered.one(kind, "pgwarden")["webhooks"]
    ]
    assert found == [watched] * 5


def test_a_workload_is_warned_about_and_never_held_up(render):
    webhook = render().one("ValidatingWebhookConfiguration", "pgwarden")["webhooks"][1]
    assert webhook["clientConfig"]["service"]["path"] == "/workloads"
    assert (webhook["failurePolicy"], webhook["timeoutSeconds"]) == ("Ignore", 2)
    assert webhook["rules"] == [
        {
            "apiGroups": ["apps"],
            "apiVersions": ["v1"],
            "resources": ["statefulsets", "deployments"],
            "operations": ["CREATE", "UPDATE"],
            "scope": "Namespaced",
        },
    ]


def test_the_deletion_of_a_repository_or_backup_is_asked_about_but_never_depends_on_the_answer(render):
    webhook = render().one("ValidatingWebhookConfiguration", "pgwarden")["webhooks"][2]
    assert webhook["clientConfig"]["service"]["path"] == "/validate"
    assert webhook["failurePolicy"] == "Ignore"
    assert webhook["rules"] == [
        {
            "apiGroups": ["pgwarden.io"],
            "apiVersions": ["v1alpha1"],
            "resources": [kind.plural for kind in registry.KINDS if kind.guards_deletion],
            "operations": ["DELETE"],
            "scope": "Namespaced",
        },
    ]
    (condition,) = webhook["matchConditions"]
    for cleaner in deletion.CLEANERS:
        assert f"'{cleaner}'" in condition["expression"]
