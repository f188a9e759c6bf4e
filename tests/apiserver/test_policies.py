"""What the API server itself refuses the controller's account and those of PostgresClusters' instances.

No webhook and no controller of ours runs here: real tokens, by kubectl. Each row first shows that RBAC would allow it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.cluster import render
from harness.kubectl import Kubectl, Object
from harness.waiting import until
from tests.apiserver.release import Release

OURS = {"app.kubernetes.io/managed-by": "pgwarden"}
MERGE = ("--type=merge", "-p")


def with_token(release: Release, space: Kubectl, folder: Path, account: str, *bound: str) -> Kubectl:
    """kubectl as *account* of *space*, in no other way than by its token."""
    token = space.run("create", "token", account, *bound).stdout.strip()
    config = yaml.safe_load(release.cluster.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    path = folder / f"{account}-{len(list(folder.iterdir()))}.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return Kubectl(space.program, path, space.namespace)


def patched(by: Kubectl, kind: str, name: str, change: Object) -> str:
    """What the API server says against it; empty where it was done."""
    return by.run("patch", kind, name, *MERGE, json.dumps(change), check=False).stderr


def made(by: Kubectl, obj: Object) -> str:
    return by.run("create", "-f", "-", stdin=yaml.safe_dump(obj), check=False).stderr


def pod(name: str, account: str = "default", **labels: str) -> Object:
    spec = {"serviceAccountName": account, "containers": [{"name": "c", "image": "example.com/image:1"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec}


def secret(name: str, **labels: str) -> Object:
    return {
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "labels": labels}, "stringData": {"a": "1", "uri": "x"},
    }  # fmt: skip


def config_map(name: str, **labels: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}, "data": {"a": "1"}}


def volume(name: str, namespace: str = "") -> Object:
    spec: dict[str, Any] = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "hostPath": {"path": "/x"},
    }
    spec |= {"claimRef": {"namespace": namespace, "name": "data"}} if namespace else {}
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec}


def workload(kind: str, name: str, **labels: str) -> Object:
    template = {"metadata": {"labels": {"app": name}}, "spec": pod(name)["spec"]}
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name, "labels": labels}, "spec": spec}


IMAGE = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "example.com/other:1"}]}}}}


# --- the controller ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def controller(release: Release, space: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    """Its kubectl, once the policy holds: the API server reads it a moment after it was made."""
    folder = tmp_path_factory.mktemp("tokens")
    home = space.within(release.namespace)
    found = with_token(release, home, folder, f"{release.fullname}-controller").within(space.namespace)
    space.apply(
        pod("one"), secret("theirs"), secret("mine", **OURS), workload("StatefulSet", "db"), workload("Deployment", "app"),
        workload("Deployment", "host", **OURS), config_map("theirs"), config_map("mine", **OURS), volume(f"{space.namespace}-pv", space.namespace), volume(f"{space.namespace}-free"),
    )  # fmt: skip
    until(lambda: "never their spec" in patched(found, "pod", "one", POD_IMAGE), "the policy holds", 30)
    return found


POD_IMAGE = {"spec": {"containers": [{"name": "c", "image": "example.com/other:1"}]}}


def claimed(namespace: str) -> Object:
    return {"spec": {"claimRef": {"namespace": namespace, "name": "loot", "uid": None}}}


CONTROLLER: dict[str, tuple[str, str, Callable[[str], Object], str]] = {
    "a volume for another namespace": ("pv", "{}-pv", lambda _: claimed("default"), "to another namespace"),
    "a volume that has no claim": ("pv", "{}-free", claimed, "to another namespace"),
    "a volume for another claim of its namespace": ("pv", "{}-pv", claimed, ""),
    "a volume is kept": ("pv", "{}-pv", lambda _: {"spec": {"persistentVolumeReclaimPolicy": "Retain"}}, ""),
    "a stranger's Secret": ("secret", "theirs", lambda _: {"stringData": {"a": "2"}}, "at most its key uri"),
    "a stranger's Secret is made ours": (
        "secret", "theirs", lambda _: {"metadata": {"labels": OURS}, "stringData": {"a": "2"}}, "at most its key uri",
    ),
    "the uri of a stranger's Secret": ("secret", "theirs", lambda _: {"stringData": {"uri": "y"}}, ""),
    "our Secret": ("secret", "mine", lambda _: {"stringData": {"a": "2"}}, ""),
    "a stranger's ConfigMap": ("configmap", "theirs", lambda _: {"data": {"a": "2"}}, "and no others"),
    "a stranger's ConfigMap is made ours": ("configmap", "theirs", lambda _: {"metadata": {"labels": OURS}}, "and no others"),
    "our ConfigMap": ("configmap", "mine", lambda _: {"data": {"a": "2"}}, ""),
    "a pod's annotation": ("pod", "one", lambda _: {"metadata": {"annotations": {"pgwarden.io/x": "1"}}}, ""),
    "a stranger's StatefulSet": ("statefulset", "db", lambda _: IMAGE, "neither changes their pods"),
    "a stranger's Deployment": ("deployment", "app", lambda _: IMAGE, "neither changes their pods"),
    "a stranger's Deployment is made ours": (
        "deployment", "app", lambda _: IMAGE | {"metadata": {"labels": OURS}}, "neither changes their pods",
    ),
    "the replicas of a stranger's StatefulSet": ("statefulset", "db", lambda _: {"spec": {"replicas": 1}}, ""),
    "our Deployment": ("deployment", "host", lambda _: IMAGE, ""),
    "our Deployment, on the node": (
        "deployment", "host", lambda _: {"spec": {"template": {"spec": {"hostPID": True}}}}, "share the node's namespaces",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CONTROLLER)
def test_of_what_the_controller_may_write(controller: Kubectl, case: str):
    kind, name, change, refused = CONTROLLER[case]
    said = patched(controller, kind, name.format(controller.namespace), change(controller.namespace))
    assert (refused in said) if refused else said == ""


@pytest.mark.parametrize(
    ("namespace", "labels", "refused"),
    [("", OURS, ""), ("", {}, "neither changes their pods"), ("kube-system", OURS, "runs nothing in kube-system")],
    ids=["ours", "without our label", "in kube-system"],
)
def test_of_what_the_controller_may_run(controller: Kubectl, namespace: str, labels: dict[str, str], refused: str):
    made = yaml.safe_dump(workload("Deployment", "x", **labels))
    there = controller.within(namespace or controller.namespace)
    said = there.run("create", "--dry-run=server", "-f", "-", stdin=made, check=False).stderr
    assert (refused in said) if refused else said == ""


@pytest.mark.parametrize(("kind", "name", "allowed"), [("deployment", "app", False), ("deployment", "host", True)])
def test_of_what_the_controller_may_delete(controller: Kubectl, kind: str, name: str, allowed: bool):
    done = controller.run("delete", kind, name, "--dry-run=server", check=False)
    assert (done.returncode == 0) is allowed
    assert allowed or "nor deletes them" in done.stderr


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        pytest.param({}, "", id="as we make it"),
        pytest.param({"rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]}, "and no others", id="Secrets"),
        pytest.param({"metadata": {"name": "hippo-instance"}}, "and no others", id="without our label"),
        pytest.param({"metadata": {"name": "admin", "labels": OURS}}, "and no others", id="of another name"),
    ],
)  # fmt: skip
def test_of_the_roles_that_the_controller_may_make(controller: Kubectl, change: Object, refused: str):
    (_, (_, role), _) = account(controller.namespace)
    said = controller.run("create", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(role | change), check=False)
    assert (refused in said.stderr) if refused else said.stderr == ""


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        pytest.param({}, "", id="as we make it"),
        pytest.param({"subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "x"}]}, "own account", id="of another account"),
        pytest.param({"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}}, "own account", id="to a ClusterRole"),
    ],
)  # fmt: skip
def test_of_the_bindings_that_the_controller_may_make(
    controller: Kubectl, space: Kubectl, change: Object, refused: str
):
    (_, (_, role), (_, binding)) = account(controller.namespace)
    space.apply(role)
    said = controller.run("create", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(binding | change), check=False)
    assert (refused in said.stderr) if refused else said.stderr == ""


# --- an instance ----------------------------------------------------------------------------------------------------


def account(namespace: str, name: str = "hippo") -> list[tuple[str, Object]]:
    """The account of a cluster's instances with its rights, as the controller makes it."""
    cluster = {"apiVersion": "pgwarden.io/v1alpha1", "kind": "PostgresCluster"}
    cluster |= {"metadata": {"name": name, "namespace": namespace, "uid": "1", "generation": 1}}
    made = render.account(cluster)
    for _, obj in made:
        del obj["metadata"]["ownerReferences"]  # there is no such cluster
    return made


@pytest.fixture(scope="module")
def instance(release: Release, space: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    space.apply(*(obj for _, obj in account(space.namespace)))
    space.apply(pod("hippo-1", "hippo-instance", app="hippo"), pod("hippo-pgbackrest", app="host"))
    bound = ("--bound-object-kind=Pod", "--bound-object-name=hippo-1")
    found = with_token(release, space, tmp_path_factory.mktemp("tokens"), "hippo-instance", *bound)
    until(lambda: "its own pod alone" in patched(found, "pod", "hippo-pgbackrest", POD_IMAGE), "the policy holds", 30)
    return found


INSTANCE = {
    "another pod's image": ("hippo-pgbackrest", POD_IMAGE, "its own pod alone"),
    "another pod's annotation": (
        "hippo-pgbackrest",
        {"metadata": {"annotations": {"status": "1"}}},
        "its own pod alone",
    ),
    "its own image": ("hippo-1", POD_IMAGE, "and nothing else"),
    "its own label": ("hippo-1", {"metadata": {"labels": {"pgwarden.io/component": "host"}}}, "and nothing else"),
    "a label of its own goes": ("hippo-1", {"metadata": {"labels": {"app": None}}}, "and nothing else"),
    "its own annotation": ("hippo-1", {"metadata": {"annotations": {"pgwarden.io/facts": "{}"}}}, "and nothing else"),
    "a finalizer": ("hippo-1", {"metadata": {"finalizers": ["example.com/stays"]}}, "and nothing else"),
    "its role": ("hippo-1", {"metadata": {"labels": {"pgwarden.io/role": "primary"}}}, ""),
    "its status": ("hippo-1", {"metadata": {"annotations": {"status": "{}"}}}, ""),
}


@pytest.mark.parametrize("case", INSTANCE)
def test_of_what_an_instance_may_write_on_pods(instance: Kubectl, case: str):
    name, change, refused = INSTANCE[case]
    said = patched(instance, "pod", name, change)
    assert (refused in said) if refused else said == ""


def test_a_token_that_is_of_no_pod_writes_on_none(release: Release, space: Kubectl, instance: Kubectl, tmp_path):
    stolen = with_token(release, space, tmp_path, "hippo-instance")
    said = patched(stolen, "pod", "hippo-1", {"metadata": {"annotations": {"status": "2"}}})
    assert "its own pod alone" in said


@pytest.mark.parametrize(
    ("name", "refused"), [("hippo-leader", ""), ("hippo-config", ""), ("rhino-leader", "and no others")]
)
def test_of_the_configmaps_that_an_instance_may_make(instance: Kubectl, name: str, refused: str):
    said = made(instance, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})
    assert (refused in said) if refused else said == ""


def test_an_account_of_that_name_that_is_not_ours_is_left_alone(
    release: Release, space: Kubectl, instance: Kubectl, tmp_path
):
    (_, own), (_, role), (_, binding) = account(space.namespace, "other")
    own["metadata"]["labels"] = {}
    space.apply(own, role, binding)
    other = with_token(release, space, tmp_path, "other-instance")
    assert patched(other, "pod", "hippo-pgbackrest", {"metadata": {"labels": {"team": "x"}}}) == ""
