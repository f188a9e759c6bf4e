"""RBAC: exactly these rights, each with its reason."""

from __future__ import annotations

import re

import pytest

from controller.context import Caches
from pgwarden.api import names, registry
from pgwarden.kube.access import Access
from pgwarden.kube.client import KubeClient
from webhook.cache import Store

KINDS = tuple(kind.plural for kind in registry.KINDS)
READ_BY_WEBHOOK = tuple(kind.plural for kind in registry.KINDS if kind.read_by_webhook)
READ = {"get", "list", "watch"}
#: What a watch cache needs.
CACHE = {"list", "watch"}
#: Kinds of which an object owns others, is read by its name, and is changed beside its status. A new kind may be one.
OWNERS = tuple(kind for kind in KINDS if not registry.BY_PLURAL[kind].is_schedule)
CLIENT = KubeClient(Access("http://127.0.0.1", None))
#: The last part of a cache's path, where it is of all namespaces.
CACHED = {
    "webhook": {cache.watchers[0].path.rpartition("/")[2] for cache in Store(CLIENT).caches.values()},
    "controller": {cache.watchers[0].path.rpartition("/")[2] for cache in Caches(CLIENT).all()},
}


def rights(role):
    """resource (with its group, and [names] where it is limited to some) → verbs"""
    found = {}
    for rule in role["rules"]:
        names = f"[{','.join(rule['resourceNames'])}]" if "resourceNames" in rule else ""
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                found.setdefault(f"{group}/{resource}{names}".lstrip("/"), set()).update(rule["verbs"])
    return found


def test_webhook(render):
    rendered = render()
    assert rights(rendered.one("ClusterRole", "pgwarden-webhook")) == {
        "limitranges": CACHE,
        "resourcequotas": CACHE,
        "authorization.k8s.io/subjectaccessreviews": {"create"},
        **{f"pgwarden.io/{kind}": CACHE for kind in READ_BY_WEBHOOK},
        "pgwarden.io/repositories": READ,
    }
    assert rights(rendered.one("Role", "pgwarden-webhook")) == {"secrets[pgwarden-webhook-tls]": CACHE}


def test_the_webhook_asks_about_nobody_where_the_operator_does_not_want_that(render):
    rendered = render("--set", "webhook.checkRequester=false")
    assert "subjectaccessreviews" not in str(rights(rendered.one("ClusterRole", "pgwarden-webhook")))


def test_the_account_that_is_not_asked_about_is_the_one_that_the_controller_runs_as(render):
    for arguments in ((), ("--set", "fullnameOverride=other")):
        rendered = render(*arguments)
        pods = {name.rpartition("-")[2]: spec for name, _, spec in rendered.pods()}
        (env,) = (
            one["value"]
            for one in pods["webhook"]["containers"][0]["env"]
            if one["name"] == "PGWARDEN_CONTROLLER_ACCOUNT"
        )
        assert env == pods["controller"]["serviceAccountName"]


def test_controller(render):
    rendered = render()
    assert rights(rendered.one("ClusterRole", "pgwarden-controller")) == {
        "pgwarden.io/backupschedules": CACHE,
        "pgwarden.io/restoredrillschedules": CACHE,
        "pgwarden.io/postgresclusters": READ | {"patch"},
        "pgwarden.io/backups": READ | {"patch", "create", "delete"},
        "pgwarden.io/repositories": READ | {"patch", "create"},
        "pgwarden.io/restores": READ | {"patch", "create", "delete"},
        "pgwarden.io/restoredrills": READ | {"patch", "create", "delete"},
        **{f"pgwarden.io/{kind}/status": {"patch"} for kind in KINDS},
        **{f"pgwarden.io/{kind}/finalizers": {"update"} for kind in OWNERS},
        "pods": READ | {"patch", "delete"},
        "services": READ | {"create", "patch"},
        "configmaps": READ | {"create", "patch", "update", "delete"},
        "serviceaccounts": {"get", "create", "patch"},
        "rbac.authorization.k8s.io/roles": {"get", "create", "patch"},
        "rbac.authorization.k8s.io/rolebindings": {"get", "create", "patch"},
        "networking.k8s.io/networkpolicies": READ | {"create", "patch", "delete"},
        "policy/poddisruptionbudgets": {"get", "create", "patch"},
        "secrets": {"get", "create", "patch"},
        "persistentvolumeclaims": READ | {"create", "patch", "delete"},
        "persistentvolumes": {"get", "patch"},
        "nodes": {"get", "list"},
        "storage.k8s.io/storageclasses": {"get"},
        "apps/deployments": READ | {"create", "patch", "delete"},
        "apps/replicasets": {"get"},
        "apps/statefulsets": {"get", "list", "patch"},
        "apps/statefulsets/finalizers": {"update"},
        "batch/jobs": READ | {"create", "delete"},
        "resourcequotas": CACHE,
        "limitranges": CACHE,
        "events": {"get", "list", "create", "patch"},
        "admissionregistration.k8s.io/mutatingwebhookconfigurations[pgwarden]": READ | {"patch"},
        "admissionregistration.k8s.io/validatingwebhookconfigurations[pgwarden]": READ | {"patch"},
    }
    assert rights(rendered.one("Role", "pgwarden-controller")) == {
        "coordination.k8s.io/leases": {"create"},
        "coordination.k8s.io/leases[pgwarden-controller]": {"get", "update"},
    }


SOME = ("--set", "watchNamespaces={a,b}")


def test_with_namespaces_named_the_controller_has_in_each_what_it_has_else_in_all(render):
    everywhere = rights(render().one("ClusterRole", "pgwarden-controller"))
    rendered = render(*SOME)
    left = rights(rendered.one("ClusterRole", "pgwarden-controller"))
    assert left == {
        "persistentvolumes": {"get", "patch"},
        "nodes": {"get", "list"},
        "storage.k8s.io/storageclasses": {"get"},
        "admissionregistration.k8s.io/mutatingwebhookconfigurations[pgwarden]": READ | {"patch"},
        "admissionregistration.k8s.io/validatingwebhookconfigurations[pgwarden]": READ | {"patch"},
    }
    for namespace in ("a", "b"):
        assert left | rights(rendered.one("Role", "pgwarden-controller", namespace)) == everywhere
    assert not left.keys() & rights(rendered.one("Role", "pgwarden-controller", "a")).keys()


def test_with_namespaces_named_the_webhook_reads_these_and_asks_who_may_what(render):
    everywhere = rights(render().one("ClusterRole", "pgwarden-webhook"))
    rendered = render(*SOME)
    left = rights(rendered.one("ClusterRole", "pgwarden-webhook"))
    assert left == {"authorization.k8s.io/subjectaccessreviews": {"create"}}
    for namespace in ("a", "b"):
        assert left | rights(rendered.one("Role", "pgwarden-webhook", namespace)) == everywhere
    silent = render(*SOME, "--set", "webhook.checkRequester=false")
    assert "pgwarden-webhook" not in {role["metadata"]["name"] for role in silent.all("ClusterRole")}
    assert "pgwarden-webhook" not in {binding["metadata"]["name"] for binding in silent.all("ClusterRoleBinding")}


def test_with_namespaces_named_two_secrets_of_the_releases_own_are_the_controllers(render):
    rendered = render(*SOME)
    own = rights(rendered.one("Role", "pgwarden-controller", "pgwarden-system"))
    seal = names.plan_seals("pgwarden-controller")
    assert {resource: verbs for resource, verbs in own.items() if "secrets" in resource} == {
        "secrets": {"create"},
        f"secrets[pgwarden-webhook-tls,{seal}]": {"get", "patch"},
    }
    assert rights(rendered.one("Role", "pgwarden-webhook", "pgwarden-system")) == {
        "secrets[pgwarden-webhook-tls]": CACHE
    }


def test_nobody_can_bring_a_webhook_back_after_an_uninstall(render):
    for role in render().all("ClusterRole") + render().all("Role"):
        for resource, verbs in rights(role).items():
            if "webhookconfigurations" in resource:
                assert not verbs & {"create", "delete", "deletecollection"}


def test_users(render):
    rendered = render()
    view, edit = rendered.one("ClusterRole", "pgwarden-view"), rendered.one("ClusterRole", "pgwarden-edit")
    assert rights(view) == {f"pgwarden.io/{kind}": READ for kind in KINDS}
    assert rights(edit) == {
        **{f"pgwarden.io/{kind}": {"create", "update", "patch", "delete", "deletecollection"} for kind in KINDS},
        "pgwarden.io/postgresclusters/scale": {"get", "update", "patch"},
    }
    aggregated = {
        role["metadata"]["name"]: {
            key.rsplit("-", 1)[1] for key in role["metadata"]["labels"] if "/aggregate-to-" in key
        }
        for role in rendered.all("ClusterRole")
    }
    assert aggregated == {
        "pgwarden-view": {"view", "edit", "admin"},
        "pgwarden-edit": {"edit", "admin"},
        "pgwarden-webhook": set(),
        "pgwarden-controller": set(),
    }


def test_selftest(render):
    rendered = render()
    assert rights(rendered.one("Role", "pgwarden-selftest", "pgwarden-system")) == {"pgwarden.io/backups": {"create"}}
    assert rights(rendered.one("Role", "pgwarden-selftest", "default")) == {"pods": {"create"}}


@pytest.mark.parametrize("component", ["webhook", "controller"])
def test_the_code_has_the_rights_it_uses(render, root, component):
    """What is named in the code is in a role; what it keeps a cache of can be listed and watched."""
    rendered = render()
    granted = rights(rendered.one("ClusterRole", f"pgwarden-{component}")) | rights(
        rendered.one("Role", f"pgwarden-{component}")
    )
    verbs = {}
    for resource, allowed in granted.items():
        plural = re.sub(r"\[.*\]", "", resource).split("/", 1)[-1]
        verbs.setdefault(plural, set()).update(allowed)
    source = "\n".join(path.read_text() for path in (root / component).rglob("*.py"))
    used = re.findall(r'paths\.of\("(\w+)"', source)
    assert used
    for plural in used:
        assert verbs.get(plural), f"the {component} uses {plural} and has no right to"
    assert CACHED[component] >= set(READ_BY_WEBHOOK)
    for plural in CACHED[component]:
        assert verbs.get(plural, set()) >= CACHE, plural


def test_no_wildcards(render):
    found = [render(), render(*SOME)]
    for role in (role for one in found for role in one.all("ClusterRole") + one.all("Role")):
        for rule in role["rules"]:
            assert "*" not in rule["apiGroups"] + rule["resources"] + rule["verbs"]


@pytest.mark.parametrize("component", ["webhook", "controller"])
def test_every_rule_says_why(chart, component):
    """A comment above the rule, or above the first of several that belong together."""
    lines = (chart / "templates" / component / "rbac.yaml").read_text().splitlines()
    rules = [number for number, line in enumerate(lines) if re.match(r"  - apiGroups:", line)]
    assert rules
    explained = [number for number in rules if lines[number - 1].strip().startswith("#")]
    # The exception: the named Lease, the second half of the rule before it.
    assert len(rules) - len(explained) == {"webhook": 0, "controller": 1}[component]


#: Rights to write that the controller's policy leaves alone, and why.
UNBOUNDED = {
    "pods: delete": "of Jobs and Restores of ours; what an account of a node's own may do anyway",
    "persistentvolumeclaims: create": "a Restore makes the claims of strangers' workloads anew",
    "persistentvolumeclaims: patch": "the same",
    "persistentvolumeclaims: delete": "the same",
    "configmaps: delete": "of an earlier cluster's Patroni, whose labels are Patroni's",
    "events: create": "nobody acts on them",
    "events: patch": "nobody acts on them",
    "apps/statefulsets/finalizers: update": "grants nothing but owner references",
}
#: Of a right → the operations by which the API server asks policies.
OPERATIONS = {"create": {"CREATE"}, "patch": {"UPDATE"}, "update": {"UPDATE"}, "delete": {"DELETE"}}


def test_each_right_of_the_controller_to_write_is_bounded_by_its_policy_or_has_a_reason(render):
    rendered = render()
    policy = rendered.one("ValidatingAdmissionPolicy", "pgwarden-controller")
    bounded = {
        (f"{group}/{resource}".lstrip("/"), operation)
        for rule in policy["spec"]["matchConstraints"]["resourceRules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for operation in rule["operations"]
    }
    free = {
        f"{resource}: {verb}"
        for resource, verbs in rights(rendered.one("ClusterRole", "pgwarden-controller")).items()
        for verb in verbs & OPERATIONS.keys()
        if "[" not in resource and not resource.startswith("pgwarden.io/")
        if not {(resource, one) for one in OPERATIONS[verb]} <= bounded
    }
    assert free == UNBOUNDED.keys()
