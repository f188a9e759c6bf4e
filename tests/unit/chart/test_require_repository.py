"""The policies for the namespace label pgwarden.io/require-repository. What they decide is in tests/apiserver."""

from __future__ import annotations

import pytest

POLICY = "pgwarden-require"
LABEL = "pgwarden.io/require-repository"


def policies(rendered):
    found = [*rendered.all("ValidatingAdmissionPolicy"), *rendered.all("ValidatingAdmissionPolicyBinding")]
    return [one for one in found if one["metadata"]["name"].startswith(POLICY)]


@pytest.mark.parametrize(
    ("arguments", "kubernetes"),
    [(["--set", "requireRepository.enabled=false"], "1.35.0"), ([], "1.29.4")],
    ids=["turned off", "before Kubernetes 1.30"],
)
def test_they_are_left_out(render, arguments, kubernetes):
    assert policies(render(*arguments, kubernetes=kubernetes)) == []


def test_they_do_not_hang_on_the_bounds_of_the_controller(render):
    assert len(policies(render("--set", "admissionPolicies.enabled=false"))) == 7


def test_a_namespace_without_the_label_is_never_looked_at(render):
    rendered = render()
    policy = rendered.one("ValidatingAdmissionPolicy", POLICY)
    selector = policy["spec"]["matchConstraints"]["namespaceSelector"]["matchExpressions"]
    assert selector[-1] == {"key": LABEL, "operator": "In", "values": ["audit", "warn", "enforce"]}


@pytest.mark.parametrize(
    ("values", "names"), [([], ["kube-system", "pgwarden-system"]), (["--set", "watchNamespaces={a,b}"], ["a", "b"])]
)
def test_only_namespaces_in_which_pods_are_injected_are_asked_for(render, values, names):
    """Elsewhere nobody could do what it asks for."""
    policy = render(*values).one("ValidatingAdmissionPolicy", POLICY)
    assert policy["spec"]["matchConstraints"]["namespaceSelector"]["matchExpressions"][0]["values"] == names


def test_only_pods_are_ever_refused_and_only_by_enforce(render):
    rendered = render()
    denying = [
        one["metadata"]["name"]
        for one in rendered.all("ValidatingAdmissionPolicyBinding")
        if one["spec"]["policyName"] == POLICY and "Deny" in one["spec"]["validationActions"]
    ]
    assert denying == [f"{POLICY}-enforce"]
    resources = rendered.one("ValidatingAdmissionPolicyBinding", f"{POLICY}-enforce")["spec"]["matchResources"]
    assert resources["namespaceSelector"] == {"matchLabels": {LABEL: "enforce"}}
    assert [rule["resources"] for rule in resources["resourceRules"]] == [["pods"]]


@pytest.mark.parametrize(
    ("value", "asked"), [("false", "!variables.operated && ("), ("true", "(variables.operated || ")]
)
def test_pods_of_other_operators_count_where_that_is_asked_for(render, value, asked):
    policy = render("--set", f"requireRepository.otherOperators={value}").one("ValidatingAdmissionPolicy", POLICY)
    (expression,) = [one["expression"] for one in policy["spec"]["variables"] if one["name"] == "isPostgres"]
    assert asked in expression
