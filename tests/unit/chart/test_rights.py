"""RBAC: exactly these rights, each with its reason."""

from __future__ import annotations

import re

import pytest

from controller.context import Caches
from pgwarden.api import registry
from pgwarden.kube.access import Access
from pgwarden.kube.client import KubeClient
from webhook.cache import Store

KINDS = tuple(kind.plural for kind in registry.KINDS)
READ_BY_WEBHOOK = tuple(kind.plural for kind in registry.KINDS if kind.read_by_webhook)
READ = {"get", "list", "watch"}
OURS = {f"pgwarden.io/{kind}": READ | {"patch"} for kind in KINDS}
CLIENT = KubeClient(Access("http://127.0.0.1", None))
#: The last part of a cache's path, where it is of all namespaces.
CACHED = {
    "webhook": {cache.path.rpartition("/")[2] for cache in Store(CLIENT).caches.values()},
    "controller": {cache.path.rpartition("/")[2] for cache in Caches(CLIENT).all()},
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
        f"pgwarden.io/{kind}": READ for kind in READ_BY_WEBHOOK
    }
    assert rights(rendered.one("Role", "pgwarden-webhook")) == {"secrets[pgwarden-webhook-tls]": READ}


def test_controller(render):
    rendered = render()
    assert rights(rendered.one("ClusterRole", "pgwarden-controller")) == OURS | {
        "pgwarden.io/backups": READ | {"patch", "create", "delete"},
        "pgwarden.io/repositories": READ | {"patch", "create"},
        "pgwarden.io/restores": READ | {"patch", "create"},
        **{f"pgwarden.io/{kind}/status": {"update", "patch"} for kind in KINDS},
        **{f"pgwarden.io/{kind}/finalizers": {"update"} for kind in KINDS},
        "pods": READ | {"patch", "delete"},
        "services": {"get", "create", "patch"},
        "configmaps": READ | {"create", "patch", "update", "delete"},
        "serviceaccounts": {"get", "create", "patch"},
        "rbac.authorization.k8s.io/roles": {"get", "create", "patch"},
        "rbac.authorization.k8s.io/rolebindings": {"get", "create", "patch"},
        "policy/poddisruptionbudgets": {"get", "create", "patch"},
        "secrets": {"get", "create", "patch"},
        "persistentvolumeclaims": READ | {"create", "patch", "delete"},
        "persistentvolumes": {"get", "patch"},
        "nodes": {"get", "list"},
        "storage.k8s.io/storageclasses": {"get"},
        "apps/deployments": READ | {"create", "patch", "delete"},
        "apps/statefulsets": READ | {"patch"},
        "apps/statefulsets/scale": {"get", "patch"},
        "apps/statefulsets/finalizers": {"update"},
        "batch/jobs": READ | {"create", "patch", "delete"},
        "events": {"get", "create", "patch"},
        "admissionregistration.k8s.io/mutatingwebhookconfigurations[pgwarden]": READ | {"patch"},
        "admissionregistration.k8s.io/validatingwebhookconfigurations[pgwarden]": READ | {"patch"},
    }
    assert rights(rendered.one("Role", "pgwarden-controller")) == {
        "coordination.k8s.io/leases": {"create"},
        "coordination.k8s.io/leases[pgwarden-controller]": {"get", "update"},
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
        assert verbs.get(plural, set()) >= READ, plural


def test_no_wildcards(render):
    for role in render().all("ClusterRole") + render().all("Role"):
        for rule in role["rules"]:
            assert "*" not in rule["apiGroups"] + rule["resources"] + rule["verbs"]


@pytest.mark.parametrize("component", ["webhook", "controller"])
def test_every_rule_says_why(chart, component):
    """A comment above the rule, or above the first of several that belong together."""
    lines = (chart / "templates" / component / "rbac.yaml").read_text().splitlines()
    rules = [number for number, line in enumerate(lines) if re.match(r"  - apiGroups:", line)]
    assert rules
    explained = [number for number in rules if lines[number - 1].strip().startswith("#")]
    # The exceptions: statefulsets/scale and the named Lease, each the second half of the rule before it.
    assert len(rules) - len(explained) == {"webhook": 0, "controller": 2}[component]
