"""kubectl pgwarden discover against a real API server: what its manifests do there, and what a user's rights leave out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from harness.kubectl import Kubectl
from harness.waiting import SLOWER
from tests.apiserver.manifests import postgres_pod, repository
from tests.apiserver.release import Release
from tests.apiserver.test_policies import with_token

Object = dict[str, object]


def stateful_set(name: str, image: str = "postgres:17", label: str = "") -> Object:
    template = postgres_pod(name, label)
    template["spec"]["containers"][0]["image"] = image
    spec = {"replicas": 0, "serviceName": name, "selector": {"matchLabels": {"app": "postgres"}}}
    spec["template"] = {"metadata": {"labels": template["metadata"]["labels"]}, "spec": template["spec"]}
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": name}, "spec": spec}


def discover(kubectl: Kubectl, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "pgwarden", "discover", "--kubeconfig", str(kubectl.kubeconfig), *words]
    return subprocess.run(
        argv, check=False, env=os.environ | {"COLUMNS": "120"}, text=True, capture_output=True, timeout=60 * SLOWER
    )


@pytest.fixture(scope="module")
def databases(space: Kubectl, webhook: object) -> Kubectl:
    """Three of which one is protected, and something else."""
    space.apply(repository("safe"))
    space.apply(
        stateful_set("orders"),
        stateful_set("places", "kartoza/postgis:13.0"),
        stateful_set("safe", label="safe"),
        stateful_set("web", "nginx:1"),
    )
    return space


def states(done: subprocess.CompletedProcess[str], namespace: str) -> dict[str, str]:
    assert done.returncode == 0, done.stderr
    return {one["name"]: one["state"] for one in json.loads(done.stdout) if one["namespace"] == namespace}


def test_each_is_found_with_its_state(databases: Kubectl):
    done = discover(databases, "-n", databases.namespace, "-o", "json")
    assert states(done, databases.namespace) == {"orders": "injectable", "places": "refused", "safe": "protected"}
    assert states(discover(databases, "-A", "-o", "json"), databases.namespace).keys() == {"orders", "places", "safe"}


def test_the_users_own_rights_are_all_that_it_sees(release: Release, databases: Kubectl, tmp_path: Path):
    """A developer who may view one namespace, and no Secret, asks for all of them."""
    where = databases.namespace
    databases.run("create", "serviceaccount", "developer")
    role = ("--verb=list", "--resource=statefulsets.apps,deployments.apps,pods")
    databases.run("create", "role", "developer", *role)
    databases.run("create", "rolebinding", "developer", "--role=developer", f"--serviceaccount={where}:developer")
    developer = with_token(release, databases, tmp_path, "developer")
    done = discover(developer, "-n", where, "-o", "json")
    assert states(done, where)["orders"] == "injectable"
    assert f"not looked at: repositories of {where}" in done.stderr
    everywhere = discover(developer, "-A")
    assert everywhere.returncode == 2
    assert "not looked at: statefulsets of all namespaces" in everywhere.stderr


def test_the_manifests_for_git_protect_what_was_found(databases: Kubectl):
    """Last: it changes what the others look at."""
    words = ("-n", databases.namespace, "-o", "yaml", "--pgbackrest-pvc-size=2Gi")
    done = discover(databases, *words)
    made = list(yaml.safe_load_all(done.stdout))
    assert [(one["kind"], one["metadata"]["name"]) for one in made] == [
        ("Repository", "orders"),
        ("StatefulSet", "orders"),
    ]
    databases.run("apply", "--server-side", "--field-manager=git", "-f", "-", stdin=done.stdout)
    after = databases.get("statefulset", "orders")["spec"]["template"]
    assert after["metadata"]["labels"] == {"app": "postgres", "pgwarden.io/repository": "orders"}
    assert after["spec"]["containers"][0]["image"] == "postgres:17"
    assert databases.get("pgrepo", "orders")["spec"]["local"] == {"size": "2Gi"}
    assert (
        states(discover(databases, "-n", databases.namespace, "-o", "json"), databases.namespace)["orders"]
        == "protected"
    )
