"""The webhook's configurations are deleted: what the API server and the controller refuse by themselves.

Only an administrator of the cluster can delete them. Then nobody asks what the author of an object may (H6).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from harness import people
from harness.cluster import manifest
from harness.install import NAMESPACE, wait_admission
from harness.kubectl import Kubectl, Object
from harness.objects import backup, repository
from harness.people import made, rule, said

CONFIGURATIONS = ("mutatingwebhookconfiguration", "validatingwebhookconfiguration")
#: What the API server gives an object by itself.
GIVEN = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields")
OURS = {"app.kubernetes.io/managed-by": "pgwarden"}


@pytest.fixture(scope="module", autouse=True)
def bare(installed) -> Iterator[None]:
    kubectl: Kubectl = installed.kubectl
    kept = [kubectl.get(kind, "pgwarden") for kind in CONFIGURATIONS]
    assert all(kept)
    for kind in CONFIGURATIONS:
        kubectl.run("delete", kind, "pgwarden")
    yield
    for one in kept:
        one["metadata"] = {key: value for key, value in one["metadata"].items() if key not in GIVEN}
        kubectl.run("create", "-f", "-", stdin=json.dumps(one))
    wait_admission(kubectl)


@pytest.fixture(scope="module")
def other(space: Kubectl) -> Iterator[Kubectl]:
    """Another team's namespace, with a Repository, a Secret, a workload and a volume."""
    found = space.within(f"payroll-{uuid.uuid4().hex[:5]}")
    space.run("create", "namespace", found.namespace)
    found.apply(repository("ledger", local={"size": "64Mi"}), workload("app"), volume(found.namespace))
    found.run("create", "secret", "generic", "keys", "--from-literal=keep=me")
    yield found
    space.run("delete", "namespace", found.namespace, "--wait=false")
    space.run("delete", "pv", found.namespace, "--wait=false")


def workload(name: str, kind: str = "Deployment", **pod: Any) -> Object:
    containers = [{"name": "c", "image": "example.com/image:1"}]
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": containers} | pod}
    spec: Object = {"replicas": 0, "selector": {"matchLabels": {"app": name}}, "template": template}
    if kind == "Job":
        template["spec"]["restartPolicy"] = "Never"
        spec = {"suspend": True, "template": template}
    group = "batch/v1" if kind == "Job" else "apps/v1"
    return {"apiVersion": group, "kind": kind, "metadata": {"name": name, "labels": dict(OURS)}, "spec": spec}


def volume(namespace: str) -> Object:
    spec: Object = {
        "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/nowhere"},
        "storageClassName": "none", "claimRef": {"namespace": namespace, "name": "data"},
    }  # fmt: skip
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": namespace}, "spec": spec}


# --- a tenant with our kinds alone -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def orders(space: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    rights = rule(
        "pgwarden.io", "repositories backups backupschedules restores postgresclusters", "get list create delete"
    )
    found = people.hired(space, tmp_path_factory.mktemp("orders"), "orders", rights)
    people.wait_may(found, "create", "pgrepo")
    found.apply(repository("own", retention={"full": 3}, local={"size": "64Mi"}))
    return found


def refused(kubectl: Kubectl, kind: str, name: str) -> str:
    """What the controller says of it, once it does."""
    found = kubectl.until(kind, name, lambda one: one["status"]["message"], "is told why not", 60)
    return str(found["status"]["message"])


def test_a_clone_of_what_does_not_allow_it_is_refused(space: Kubectl, orders: Kubectl, other: Kubectl):
    """M4: whoever came past the webhook was given the source's keys, and was told what there is."""
    source = {"repository": "ledger", "namespace": other.namespace}
    assert made(orders, manifest("thief", replicas=1, dataSource=source)) == ""
    told = refused(space, "pgc", "thief")
    assert "allows clones into namespace" in told
    assert f"ledger in namespace {other.namespace} does not" not in told
    assert space.get("secret", "thief-source") is None
    assert space.get("deployment", "thief-1") is None


def test_a_backup_cannot_shorten_the_history(space: Kubectl, orders: Kubectl):
    """M5: a Backup's options left one full backup of all."""
    assert made(orders, backup("short", "--repo1-retention-full=1", repository="own")) == ""
    assert "retention" in refused(space, "pgb", "short")
    assert space.get("job", "short-backup") is None


@pytest.mark.parametrize("name", ["..", "a/b", "x" * 254])
def test_a_secret_has_a_name_without_the_webhook(orders: Kubectl, name: str):
    """M1: `..` as a Secret's name ended the watch for rotated keys of all Repositories of the cluster."""
    assert "spec.encryption.secretRef.name" in made(orders, repository("x", encryption={"secretRef": {"name": name}}))


# --- the controller's token ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def controller(space: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    """kubectl with the controller's own rights."""
    return people.with_token(space.within(NAMESPACE), tmp_path_factory.mktemp("controller"), "pgwarden-controller")


def patch(kind: str, name: str, change: Object) -> tuple[str, ...]:
    return "patch", kind, name, f"--type={'strategic' if kind == 'pod' else 'merge'}", "-p", json.dumps(change)


#: kubectl begins with a GET, to which the API server says no more than that.
SHELL = "unable to upgrade connection"
EVIL = {"containers": [{"name": "c", "image": "example.com/evil:1"}]}


def deeds(volume_name: str, space: str) -> dict[str, tuple[tuple[str, ...], str]]:
    """What is tried in another team's namespace → with which words of kubectl, and what is said against it."""
    claim = {"namespace": space, "name": "loot", "uid": None}
    return {
        "its ConfigMap": (patch("configmap", "kube-root-ca.crt", {"data": {"ca.crt": ""}}), "and no others"),
        "its volume": (patch("pv", volume_name, {"spec": {"claimRef": claim}}), "to another namespace"),
        "its Secret": (patch("secret", "keys", {"stringData": {"keep": "out"}}), "at most its key uri"),
        "its Secret, made ours": (patch("secret", "keys", {"metadata": {"labels": OURS}, "stringData": {"keep": "out"}}), "at most its key uri"),
        "its Secrets' names": (("get", "secrets"), "cannot list"),
        "its Secret's end": (("delete", "secret", "keys"), "cannot delete"),
        "its account": (patch("serviceaccount", "default", {"metadata": {"labels": OURS}}), "and no others"),
        "a pod": (("run", "x", "--image=example.com/evil:1"), "cannot create"),
        "a shell": (("exec", "deployment/ledger-pgbackrest", "--", "id"), SHELL),
        "another's rights": (("get", "pods", "--as=system:admin"), "cannot impersonate"),
        "a binding": (("create", "rolebinding", "x", "--clusterrole=view", f"--serviceaccount={space}:orders"), "not currently held"),
        "a Role": (("create", "role", "x-instance", "--verb=get", "--resource=secrets"), "and no others"),
        "a ClusterRole": (("create", "clusterrole", "x", "--verb=get", "--resource=pods"), "cannot create"),
        "its own policy": (("delete", "validatingadmissionpolicy", "pgwarden-controller"), "cannot delete"),
        "another webhook": (("delete", "validatingwebhookconfiguration", "other"), "cannot delete"),
    }  # fmt: skip


def test_the_controllers_token_is_bounded(controller: Kubectl, space: Kubectl, other: Kubectl):
    """H7, C1: it was as good as cluster-admin, and nothing second held it: no volume of another namespace, either."""
    strangers = workload("theirs")
    del strangers["metadata"]["labels"]
    other.apply(strangers)
    host = other.list("pods", "pgwarden.io/component=host")[0]["metadata"]["name"]
    tried = deeds(other.namespace, space.namespace) | {
        "its Deployment": (patch("deployment", "theirs", {"spec": {"template": {"spec": EVIL}}}), "neither changes their pods"),
        "its Deployment's end": (("delete", "deployment", "theirs"), "nor deletes them"),
        "a pod's image": (patch("pod", host, {"spec": {"containers": [{"name": "pgbackrest", "image": "evil"}]}}), "never their spec"),
    }  # fmt: skip
    there = controller.within(other.namespace)
    done = {what: (said(there, *words), refused) for what, (words, refused) in tried.items()}
    assert {what: text for what, (text, refused) in done.items() if refused not in text} == {}


RUN = {
    "in kube-system": ("kube-system", {"serviceAccountName": "clusterrole-aggregation-controller"}, "runs nothing in kube-system"),
    "in its own namespace": (NAMESPACE, {"serviceAccountName": "pgwarden-webhook"}, "and in its own namespace"),
    "privileged": ("", {"containers": [EVIL["containers"][0] | {"securityContext": {"privileged": True}}]}, "no pods that are privileged"),
    "privileged at first": ("", {"initContainers": [EVIL["containers"][0] | {"name": "i", "securityContext": {"privileged": True}}]}, "no pods that are privileged"),
    "with the node's folders": ("", {"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}, "or mount its folders"),
    "with the node's processes": ("", {"hostPID": True}, "share the node's namespaces"),
    "with the node's network": ("", {"hostNetwork": True}, "share the node's namespaces"),
    "and nothing else": ("", {}, ""),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["Deployment", "Job"])
@pytest.mark.parametrize("case", RUN)
def test_the_controllers_token_runs_no_pods_that_own_the_node(
    controller: Kubectl, other: Kubectl, kind: str, case: str
):
    """H7: a Job in kube-system, as an account there or as root on the node, was cluster-admin."""
    namespace, pod, refused = RUN[case]
    answer = made(controller.within(namespace or other.namespace), workload("x", kind, **pod), "--dry-run=server")
    assert (refused in answer) if refused else answer == ""
