"""RBAC beside what was used: each right that the chart grants was asked for in the suites, or says here why it is there; what
was asked for is granted.

The record is tests/redteam/rights-used.txt, which `make test` and then `python -m harness.rights` write. It has what pgwarden
itself asked for, of this release and of the one before, which the test of upgrades runs with this chart's roles for a moment.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest

from controller.cluster import render as cluster_render
from harness import rights

Role = dict[str, object]
REFUSED = " forbidden"
#: Of what is made by server-side apply. The audit log calls that a patch, and RBAC asks for `create` too where nothing is there yet.
APPLIED = (
    "services",
    "serviceaccounts",
    "apps/deployments",
    "policy/poddisruptionbudgets",
    "networking.k8s.io/networkpolicies",
    "rbac.authorization.k8s.io/roles",
    "rbac.authorization.k8s.io/rolebindings",
    "pgwarden.io/repositories",
)
_OWNER = "its objects are owned with blockOwnerDeletion, which OwnerReferencesPermissionEnforcement (OpenShift) asks this for: "
#: Right → the path that needs it, and why the suites do not meet it. A run may meet one: then it is in the record as well.
RARE = {
    "controller create pgwarden.io/restores": (
        "controller/repository/act.py (onExistingBackups: Recover) and controller/cluster/reconcile.py (a lost volume): "
        "tests/e2e/disasters/test_rebuilt.py and test_node_loss_local.py"
    ),
    "controller delete pgwarden.io/restores": "controller/drill/cleaning.py: tests/e2e/test_drills.py",
    **{
        f"controller {verb} pgwarden.io/{what}": "controller/drill/: tests/e2e/test_drills.py"
        for verb, what in (
            ("get", "restoredrills"),
            ("list", "restoredrills"),
            ("watch", "restoredrills"),
            ("patch", "restoredrills"),
            ("patch", "restoredrills/status"),
            ("update", "restoredrills/finalizers"),
        )
    },
    **{
        f"controller {verb} pgwarden.io/{what}": "controller/schedule/: tests/e2e/test_drill_schedules.py"
        for verb, what in (
            ("create", "restoredrills"),
            ("delete", "restoredrills"),
            ("list", "restoredrillschedules"),
            ("watch", "restoredrillschedules"),
            ("patch", "restoredrillschedules/status"),
        )
    },
    "controller delete configmaps": (
        "controller/cluster/reconcile.py: a pod of an earlier PostgresCluster of the name wrote Patroni's state once more. "
        "OwnerReferencesPermissionEnforcement asks for it too, where the cluster takes up those that Patroni has made"
    ),
    "controller delete networking.k8s.io/networkpolicies": (
        "controller/removal.py: those that are there when networkPolicy.workloads is switched off"
    ),
    "controller update pgwarden.io/repositories/finalizers": f"{_OWNER}controller/repository/render.py, recovery/request.py",
    "controller update pgwarden.io/backups/finalizers": f"{_OWNER}controller/backup/render.py",
    "controller update pgwarden.io/restores/finalizers": f"{_OWNER}controller/recovery/job.py",
    "controller update pgwarden.io/postgresclusters/finalizers": f"{_OWNER}controller/cluster/render.py, recovery/job.py",
    "controller update apps/statefulsets/finalizers": f"{_OWNER}controller/restore/render.py, of claims made anew",
}


def of_rules(component: str, rules: Iterable[Role]) -> set[str]:
    return {
        f"{component} {verb} {f'{group}/{resource}' if group else resource}"
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def granted(render, *values: str) -> set[str]:
    return {
        right
        for component in ("controller", "webhook")
        for kind in ("ClusterRole", "Role")
        for role in render(*values).all(kind)
        if role["metadata"]["name"] == f"pgwarden-{component}"
        for right in of_rules(component, role["rules"])
    }


def used() -> set[str]:
    return {line for line in rights.read(rights.SAVED) if not line.endswith(REFUSED)}


def handed_on() -> set[str]:
    """What the instances of a PostgresCluster get. The API server lets nobody grant what they do not hold."""
    cluster = {"apiVersion": "v1", "kind": "PostgresCluster", "metadata": {"name": "a", "namespace": "b", "uid": "c"}}
    ((_, role),) = [one for one in cluster_render.account(cluster) if one[0] == "roles"]
    return of_rules("controller", role["rules"])


def applied() -> set[str]:
    return {f"controller create {resource}" for resource in APPLIED}


def test_what_is_granted_was_asked_for_or_says_why_it_is_there(render):
    assert granted(render) - used() - handed_on() - applied() - RARE.keys() == set()


def test_what_was_asked_for_is_granted(render):
    assert used() - granted(render) == set()


def test_the_same_is_granted_where_namespaces_are_named(render):
    assert granted(render, "--set", "watchNamespaces={a,b}") == granted(render)


def test_what_was_refused_is_granted(render):
    """Refused while the role was away, as where a release is uninstalled. Anything else asks for what no role gives."""
    refused = {line.removesuffix(REFUSED) for line in rights.read(rights.SAVED) if line.endswith(REFUSED)}
    assert refused - granted(render) == set()


def test_what_says_why_it_is_there_is_granted(render):
    assert (handed_on() | applied() | RARE.keys()) - granted(render) == set()


def test_what_is_applied_was_patched():
    assert {one.replace(" create ", " patch ") for one in applied()} - used() == set()


@pytest.mark.parametrize("right", RARE)
def test_the_path_of_a_rare_right_is_there(root, right: str):
    named = re.findall(r"[\w/]+\.py", RARE[right])
    assert named
    folders = ("", "controller/", "tests/e2e/disasters/")
    assert [one for one in named if not any((root / folder / one).exists() for folder in folders)] == []


@pytest.mark.parametrize("component", ["controller", "webhook"])
def test_the_record_is_of_a_whole_run(component: str):
    assert len([line for line in used() if line.startswith(component)]) > 10
