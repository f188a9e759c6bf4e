"""Whoever has `edit` in one namespace writes what they like there: nothing of anybody else's changes by that."""

from __future__ import annotations

import copy
import json
import re
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.cluster import manifest
from harness.install import NAMESPACE, kill_controller
from harness.kubectl import Kubectl, Object
from harness.objects import repository, restore
from harness.waiting import until

#: The controller may look at a Restore this often in the ten seconds after it has refused a plan.
LOOKS = 10
_ROW = re.compile(r'pgwarden_reconciles_total\{kind="Restore".*\} (\S+)')


@dataclass(frozen=True)
class Victim:
    """A pod with a file on a volume of its own."""

    kubectl: Kubectl
    claim: str
    pod: str

    @property
    def volume(self) -> str:
        return str(self.seen()["claim"]["spec"]["volumeName"])

    def seen(self) -> dict[str, Any]:
        """What must not change: the claim, its volume, the file."""
        claim = self.kubectl.get("pvc", self.claim)
        assert claim is not None
        volume = self.kubectl.get("pv", claim["spec"]["volumeName"])
        file = self.kubectl.run("exec", self.pod, "--", "cat", "/data/file", check=False).stdout
        return {
            "claim": {"uid": claim["metadata"]["uid"], "spec": claim["spec"], "phase": claim["status"]["phase"]},
            "volume": (volume or {}).get("spec"),
            "file": file.strip(),
        }


def _pod(image: str, claim: str) -> Object:
    container = {
        "name": "keeper",
        "image": image,
        "imagePullPolicy": "Never" if image.startswith("localhost/") else "IfNotPresent",
        "command": ["sh", "-c", "echo ours > /data/file; exec sleep infinity"],
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}] if claim else []
    return {"containers": [container], "volumes": volumes, "terminationGracePeriodSeconds": 0}


def _claim(name: str = "") -> Object:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "64Mi"}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}


def _stateful_set(image: str, name: str, ordinal: int = 0) -> Object:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": name},
        "spec": {
            "replicas": 1,
            "serviceName": name,
            "ordinals": {"start": ordinal},
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete", "whenScaled": "Retain"},
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": _pod(image, "")},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": _claim()["spec"]}],
        },
    }


def _running(kubectl: Kubectl, pod: str) -> None:
    kubectl.until("pod", pod, lambda one: one.get("status", {}).get("phase") == "Running", "runs", 90)


def keep(kubectl: Kubectl, image: str, claim: str) -> Victim:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": claim}, "spec": _pod(image, claim)}
    kubectl.apply(_claim(claim), pod)
    _running(kubectl, claim)
    return Victim(kubectl, claim, claim)


def keep_set(kubectl: Kubectl, image: str, name: str, ordinal: int = 0) -> Victim:
    kubectl.apply(_stateful_set(image, name, ordinal))
    pod = f"{name}-{ordinal}"
    until(lambda: kubectl.get("pod", pod), f"pod {pod} is there", 30)
    _running(kubectl, pod)
    return Victim(kubectl, f"data-{pod}", pod)


@pytest.fixture(scope="module")
def other(installed) -> Iterator[Kubectl]:
    """A namespace that the stranger has no right in."""
    name = f"payroll-{uuid.uuid4().hex[:5]}"
    installed.kubectl.run("create", "namespace", name)
    yield installed.kubectl.within(name)
    installed.kubectl.run("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="module")
def stranger(space: Kubectl, tmp_path_factory) -> Kubectl:
    """kubectl as a ServiceAccount with `edit` in its namespace, by a token of its own, and a Repository there."""
    space.run("create", "serviceaccount", "mallory")
    who = f"--serviceaccount={space.namespace}:mallory"
    space.run("create", "rolebinding", "mallory", "--clusterrole=edit", who)
    token = space.run("create", "token", "mallory").stdout.strip()
    config = yaml.safe_load(Path(space.kubeconfig).read_text(encoding="utf-8"))
    config["users"] = [{"name": one["name"], "user": {"token": token}} for one in config["users"]]
    path = tmp_path_factory.mktemp("mallory") / "kubeconfig"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    found = replace(space, kubeconfig=path)
    until(lambda: found.run("get", "pods", check=False).returncode == 0, "the rights are there", 30)
    assert found.run("get", "pv", check=False).returncode != 0
    found.apply(repository("bait", local={"size": "64Mi"}))
    return found


def forged(restore_name: str, **fields: Any) -> str:
    facts = {
        "container": "postgres", "dataDirectory": "/data", "port": 5432, "socketDirectory": "/run", "user": "postgres",
        "database": "postgres", "runAsUser": 999, "runAsGroup": 999, "configuredBy": "Arguments", "dataVolume": "data",
    }  # fmt: skip
    plan = {
        "restore": restore_name, "restoreUid": str(uuid.uuid4()), "repository": "bait", "workloadKind": "Deployment",
        "workload": "mine", "replicas": 1, "claimUid": "x", "claimSpec": _claim()["spec"],
        "newClaim": f"{restore_name}-restored", "facts": facts, "mounts": [],
    }  # fmt: skip
    return json.dumps(plan | fields)


def carry(stranger: Kubectl, image: str, name: str, plan: str, ghost: str = "") -> None:
    """A Deployment of the stranger's own, and a Restore *ghost* of theirs that comes and goes."""
    labels = {"app": name}
    template = {
        "metadata": {"labels": labels},
        "spec": _pod(image, "") | {"volumes": [{"name": "data", "emptyDir": {}}]},
    }
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    metadata = {"name": name, "annotations": {"pgwarden.io/stopped-by": plan}}
    stranger.run(
        "create", "-f", "-",
        stdin=json.dumps({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}),
    )  # fmt: skip
    if ghost:
        stranger.apply(restore(ghost, repository="bait"))
        stranger.delete("pgr", ghost)


def refusals(kubectl: Kubectl, name: str) -> list[Object]:
    listed = kubectl.run("get", "events", "-o", "json", f"--field-selector=involvedObject.name={name}").stdout
    return [one for one in json.loads(listed)["items"] if one["reason"] == "PlanRefused"]


def looks(kubectl: Kubectl) -> float:
    """How often Restores have been reconciled, by whichever replica leads."""
    system, total = kubectl.within(NAMESPACE), 0.0
    for pod in system.list("pods", "app.kubernetes.io/component=controller"):
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod['metadata']['name']}:8080/proxy/metrics"
        text = system.run("get", "--raw", path).stdout
        total += sum(float(found[1]) for line in text.splitlines() if (found := _ROW.match(line)))
    return total


def test_a_forged_plan_changes_nothing_of_another_namespace(installed, space, other, stranger):
    """C1: an annotation on a Deployment gave any PersistentVolume of the cluster to the namespace of its author."""
    victim = keep(other, installed.postgres_image, "ledger")
    mine = keep(stranger, installed.postgres_image, "loot-mine")
    before = copy.deepcopy(victim.seen())
    volumes = {"oldVolume": {"name": victim.volume, "reclaim": "Delete"}}
    own = space.get("pvc", mine.claim)["spec"]["volumeName"]
    volumes["newVolume"] = {"name": own, "reclaim": "Delete"}
    carry(stranger, installed.postgres_image, "mine", forged("ghost", claim="loot", **volumes), "ghost")
    # Refused with a word to whoever looks, or, as it was once, done.
    until(lambda: refusals(space, "mine") or victim.seen() != before, "the plan is refused, or carried out", 60)
    counted, began = looks(space), time.monotonic()
    time.sleep(10)  # a rate takes a span of time
    seconds, rate = time.monotonic() - began, looks(space) - counted
    assert victim.seen() == before
    assert space.get("pvc", "loot") is None
    told = refusals(space, "mine")
    assert [(one["type"], one["involvedObject"]["kind"]) for one in told] == [("Warning", "Deployment")]
    assert "pgwarden.io/stopped-by" in told[0]["message"]
    assert rate <= LOOKS, f"{rate} reconciles of Restores in {seconds:.0f} s"


def test_a_forged_plan_changes_nothing_else_of_its_own_namespace(installed, space, stranger):
    """C1: it stopped another StatefulSet, and deleted the Repository's claim, which its author may have no right on."""
    victim = keep_set(space, installed.postgres_image, "victim-db")
    backups = until(lambda: space.get("pvc", "bait-pgbackrest-repo"), "the Repository's claim is there", 60)
    before = copy.deepcopy(victim.seen())
    aimed = {
        "workloadKind": "StatefulSet", "workload": "victim-db", "claim": "data-victim-db-0",
        "newClaim": "bait-pgbackrest-repo", "oldVolume": {"name": victim.volume, "reclaim": "Delete"},
        "newVolume": {"name": backups["spec"].get("volumeName") or victim.volume, "reclaim": "Delete"},
    }  # fmt: skip
    carry(stranger, installed.postgres_image, "aimed", forged("ghost-two", **aimed), "ghost-two")

    def scaled() -> bool:
        return space.get("sts", "victim-db")["spec"]["replicas"] != 1

    until(lambda: refusals(space, "aimed") or scaled(), "the plan is refused, or carried out", 60)
    assert not scaled()
    assert victim.seen() == before
    claim = space.get("pvc", "bait-pgbackrest-repo")
    assert claim["metadata"]["uid"] == backups["metadata"]["uid"]
    assert "deletionTimestamp" not in claim["metadata"]
    assert refusals(space, "aimed")


def test_a_cluster_named_for_it_gets_no_claim_of_a_stateful_set(installed, space, stranger):
    """H5: a PostgresCluster of the right name mounted a StatefulSet's volume, and deleted it when it went."""
    victim = keep_set(space, installed.postgres_image, "hippo", ordinal=1)
    before = copy.deepcopy(victim.seen())
    stranger.apply(manifest("data-hippo", replicas=1))

    def told() -> str:
        message = str((space.get("pgc", "data-hippo").get("status") or {}).get("message") or "")
        return message if "PersistentVolumeClaim data-hippo-1" in message else ""

    until(lambda: told() or space.get("deployment", "data-hippo-1"), "it is refused, or an instance is made", 60)
    assert space.get("deployment", "data-hippo-1") is None
    assert told()
    stranger.delete("pgc", "data-hippo")
    assert victim.seen() == before


def test_a_nested_annotation_ends_no_controller(installed, space, stranger):
    """H1: one annotation ended the controller at each start, for the whole cluster."""
    carry(
        stranger,
        installed.postgres_image,
        "deep",
        forged("ghost-three", claimSpec={"nested": "@"}).replace('"@"', "[" * 100_000),
    )
    carry(stranger, installed.postgres_image, "dots", forged(".."))
    kill_controller(space)  # whoever leads looks at all of them when it begins
    stranger.apply(repository("later", local={"size": "64Mi"}))
    space.until("pgrepo", "later", lambda one: bool(one["status"]["conditions"]), "is looked at", 120)
    pods = space.within(NAMESPACE).list("pods", "app.kubernetes.io/component=controller")
    assert {one["status"]["containerStatuses"][0]["restartCount"] for one in pods} == {0}


def test_what_a_cluster_or_repository_finds_under_its_names_is_not_taken_over(space, stranger):
    """M8: an account with rights of its own ran the cluster's image; a claim was written with backups."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "taken-instance"}}
    service = {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "bell-pgbackrest"},
        "spec": {"selector": {"app": "mine"}, "ports": [{"port": 80}]},
    }  # fmt: skip
    space.apply(account, service, _claim("shelf-pgbackrest-repo"))
    found = {
        "account": space.get("serviceaccount", "taken-instance"),
        "service": space.get("service", "bell-pgbackrest"),
        "claim": space.get("pvc", "shelf-pgbackrest-repo"),
    }
    small = {"size": "64Mi"}
    stranger.apply(manifest("taken", replicas=1), repository("shelf", local=small), repository("bell", local=small))

    def told(kind: str, name: str, condition: str, words: str) -> bool:
        status = (space.get(kind, name) or {}).get("status") or {}
        return any(
            one["type"] == condition and one["status"] == "False" and words in one["message"]
            for one in status.get("conditions", [])
        )

    until(lambda: told("pgc", "taken", "Ready", "ServiceAccount taken-instance"), "the cluster says what it found", 60)
    until(
        lambda: told("pgrepo", "shelf", "Ready", "PersistentVolumeClaim shelf-pgbackrest-repo"),
        "the Repository says what it found", 60,
    )  # fmt: skip
    until(lambda: told("pgrepo", "bell", "Ready", "Service bell-pgbackrest"), "so does the other one", 60)
    assert space.get("deployment", "taken-1") is None
    stranger.delete("pgc", "taken")
    stranger.delete("pgrepo", "shelf")
    stranger.delete("pgrepo", "bell")
    after = {
        "account": space.get("serviceaccount", "taken-instance"),
        "service": space.get("service", "bell-pgbackrest"),
        "claim": space.get("pvc", "shelf-pgbackrest-repo"),
    }
    for name, before in found.items():
        now = after[name]
        assert now is not None, name
        for field in ("uid", "ownerReferences", "labels"):
            assert now["metadata"].get(field) == before["metadata"].get(field), (name, field)
    assert after["service"]["spec"]["selector"] == {"app": "mine"}
