"""Tenants with rights in one namespace: what they reach of others' and of what they have no right to.

`edits` has the ClusterRole edit there, `orders` our kinds alone, `runs` our kinds and pods but no Secrets, `backs` Backup
and BackupSchedule alone.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import yaml

from harness import people
from harness.cluster import manifest
from harness.install import NAMESPACE
from harness.kubectl import Kubectl, Object
from harness.objects import backup, repository, restore, schedule
from harness.people import made, rule
from harness.waiting import SLOWER, until

ALL = "get list watch create update patch delete"
KINDS = rule("pgwarden.io", "repositories backups backupschedules restores postgresclusters", ALL)
BACKUPS = rule("pgwarden.io", "backups backupschedules", ALL)
PODS = rule("", "pods", ALL)
S3 = {"bucket": "backups", "endpoint": "s3.example.com", "region": "us-east-1", "credentialsSecretRef": {"name": "s3"}}
EVIL = "example.com/evil:1"


class Tenants(NamedTuple):
    admin: Kubectl
    other: str  # a namespace that none of them has a right in
    by: dict[str, Kubectl]


@pytest.fixture(scope="module")
def tenants(installed, space: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenants]:
    other = f"payroll-{uuid.uuid4().hex[:5]}"
    space.run("create", "namespace", other)
    space.within(other).apply(in_s3("ledger", path="/books"))
    space.apply(repository("hippo", retention={"full": 3}, local={"size": "64Mi"}))
    folder = tmp_path_factory.mktemp("tokens")
    found = {
        "orders": people.hired(space, folder, "orders", KINDS),
        "runs": people.hired(space, folder, "runs", KINDS, PODS),
        "backs": people.hired(space, folder, "backs", BACKUPS),
    }
    space.run("create", "serviceaccount", "edits")
    space.run("create", "rolebinding", "edits", "--clusterrole=edit", f"--serviceaccount={space.namespace}:edits")
    found["edits"] = people.with_token(space, folder, "edits")
    people.wait_may(found["edits"], "create", "pgrepo")
    people.wait_may(found["runs"], "create", "pods")
    people.wait_may(found["orders"], "create", "pgrepo")
    people.wait_may(found["backs"], "create", "pgb")
    yield Tenants(space, other, found)
    space.run("delete", "namespace", other, "--wait=false")


def in_s3(name: str, **changed: Any) -> Object:
    return repository(name, storageType="s3", local=None, s3=S3 | changed)


def dry(kubectl: Kubectl, obj: Object) -> str:
    """What is said against it."""
    return made(kubectl, obj, "--dry-run=server")


# --- other namespaces ----------------------------------------------------------------------------------------------


def questions(namespace: str) -> list[Object]:
    """Each is refused, and the refusal could tell of what is in *namespace*."""
    return [
        backup("x", repository="ledger"),
        in_s3("x", path="/books"),
        manifest("x", dataSource={"repository": "ledger", "namespace": namespace}),
    ]


@pytest.mark.parametrize("attacker", ["edits", "orders", "runs", "backs"])
def test_refusals_name_nothing_of_another_namespace(tenants: Tenants, attacker: str):
    """M11: they named its Repositories, their buckets and backups, to anybody."""
    by, other = tenants.by[attacker], tenants.other
    for obj in questions(other)[: 1 if attacker == "backs" else 3]:
        admin, answer = dry(tenants.admin, obj), dry(by, obj)
        assert f"{other}" in admin  # there is something to tell
        assert "denied the request" in answer or "is invalid" in answer
        asked = other if obj["kind"] == "PostgresCluster" else ""  # the author wrote that name
        assert asked or other not in answer
        assert f"{other}/ledger" not in answer
        assert f"ledger in namespace {other} does not allow" not in answer


@pytest.mark.parametrize("attacker", ["edits", "orders", "runs", "backs"])
def test_nothing_is_read_there_and_no_status_is_written_here(tenants: Tenants, attacker: str):
    """C1: who writes the status of a Restore writes its plan: the roles of the chart must not have it."""
    by = tenants.by[attacker]
    for kind in ("pgrepo", "pgb", "pgr", "pgc", "secrets", "pods"):
        assert "cannot list resource" in people.said(by.within(tenants.other), "get", kind)
    for verb in ("patch", "update"):
        for kind in ("repositories", "backups", "restores"):
            assert not people.may(by, verb, f"{kind}.pgwarden.io", "--subresource=status")
    forged = ("--subresource=status", "--type=merge", "-p", '{"status":{"plan":{}}}')
    assert 'resource "repositories/status"' in people.said(by, "patch", "pgrepo", "hippo", *forged)


# --- Secrets, accounts, images ---------------------------------------------------------------------------------------


def named(field: str, value: Any, **spec: Any) -> Object:
    """A Repository whose *field* is *value*."""
    for part in reversed(field.split(".")):
        value = {part: value}
    return repository("x", **(value | spec))


SECRETS = {
    "S3 keys": in_s3("x", path="/x"),
    "CA of the store": in_s3("x", path="/x", caSecretRef={"name": "s3", "key": "tls.key"}),
    "passphrase": named("encryption.secretRef", {"name": "s3", "key": "password"}),
    "password": named("postgres.passwordSecretRef", {"name": "s3", "key": "password"}),
    "pull secret": named("podTemplate.spec.imagePullSecrets", [{"name": "s3"}]),
    "of a cluster": manifest("x", repository={"storageType": "s3", "s3": S3 | {"path": "/x"}}),
    "pull secret of a cluster": manifest(
        "x", instances={"replicas": 1, "storage": {"size": "1Gi"}, "podTemplate": {"spec": {"imagePullSecrets": [{"name": "s3"}]}}}
    ),
}  # fmt: skip
PODS_NEEDED = {
    "account": repository("x", serviceAccountName="boss"),
    "account of a cluster": manifest("x", repository={"storageType": "local", "serviceAccountName": "boss"}),
    "the default account, as a cloud's": in_s3("x", path="/x", credentialsSecretRef=None, keyType="web-id"),
    "image of a cluster": manifest("x", image=EVIL),
    "image of a restore": restore("x", volumeClaim="aside", image=EVIL),
}


@pytest.mark.parametrize("case", SECRETS)
def test_a_secret_is_named_by_who_may_read_it(tenants: Tenants, case: str):
    """H6: who had our kinds alone, or pods but no Secrets, read any Secret of the namespace through the controller."""
    for attacker in ("orders", "runs"):
        assert "may not get secrets in namespace" in dry(tenants.by[attacker], SECRETS[case])
    assert dry(tenants.by["edits"], SECRETS[case]) == ""


@pytest.mark.parametrize("case", PODS_NEEDED)
def test_an_account_and_an_image_are_named_by_who_may_run_pods(tenants: Tenants, case: str):
    """H6: who had our kinds alone ran any image, as any account of the namespace."""
    assert "may not create pods in namespace" in dry(tenants.by["orders"], PODS_NEEDED[case])
    assert "may not create pods" not in dry(tenants.by["runs"], PODS_NEEDED[case])


@pytest.mark.parametrize("name", ["..", ".", "a/b", "%2e%2e", "a\nb", "x" * 254, "-", "A"])
def test_a_secret_has_a_name(tenants: Tenants, name: str):
    """M1: `..` as a Secret's name ended the watch for rotated keys of all Repositories of the cluster."""
    obj = in_s3("x", path="/x", credentialsSecretRef={"name": name})
    assert "spec.s3.credentialsSecretRef.name" in dry(tenants.by["edits"], obj)


# --- the history, and what guards it ---------------------------------------------------------------------------------

SHORTER = [
    "--repo1-retention-full=1", "--repo1-retention-archive=1", "--no-archive-check",
    "--archive-check=n", "--no-checksum-page", "--no-page-header-check", "--process-max=999", "--no-archive-mode-check",
    "--expire-auto=n --repo1-retention-full=1", "--repo1-path=/", "--repo1-host=evil.example.com", "--config=/tmp/x",
    "--pg1-path=/etc", "--cmd=/bin/sh", "--repo1-retention-full-type=time --repo1-retention-full=1",
]  # fmt: skip


@pytest.mark.parametrize("option", SHORTER)
def test_who_may_back_up_cannot_shorten_the_history(tenants: Tenants, option: str):
    """M5: a Backup's options left one full backup of all, or made sets that nobody can restore."""
    backs = tenants.by["backs"]
    for obj in (backup("x", *option.split()), schedule("x", "0 1 * * *", options=option.split())):
        assert "spec.options" in dry(backs, obj)


@pytest.mark.parametrize(
    "key", ["pgwarden.io/component", "pgwarden.io/for-repository", "job-name", "pgwarden.io/repository"]
)
def test_who_may_back_up_does_not_choose_what_the_job_passes_for(tenants: Tenants, key: str):
    """M7: the pod of a Backup's Job, with labels of its author's, behind the Service of the repository host."""
    assert f"spec.podLabels.{key}" in dry(tenants.by["backs"], backup("x", podLabels={key: "host"}))


@pytest.mark.parametrize("field", ["podLabels", "podAnnotations"])
def test_what_a_pod_carries_is_for_who_may_create_pods(tenants: Tenants, field: str):
    """M7: with a Service's labels the pod of a Backup's Job stood behind it, whoever had asked for the Backup."""
    asked = backup("x", **{field: {"app": "web"}})
    assert f"a Backup may put {'labels' if field == 'podLabels' else 'annotations'} on pods only" in dry(
        tenants.by["backs"], asked
    )
    assert dry(tenants.by["runs"], asked) == ""


@pytest.mark.parametrize("component", ["host", "backup", "spare", "x"])
def test_no_label_switches_injection_off(tenants: Tenants, component: str):
    """M6: a pod with the label pgwarden.io/component, and archive_mode=off and all, was passed over."""
    labels = {"pgwarden.io/repository": "hippo", "pgwarden.io/component": component}
    container = {
        "name": "postgres", "image": "postgres:17", "volumeMounts": [{"name": "data", "mountPath": "/var/lib/postgresql/data"}],
    }  # fmt: skip
    spec = {"containers": [container], "volumes": [{"name": "data", "emptyDir": {}}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "labels": labels}, "spec": spec}
    runs, text = tenants.by["runs"], yaml.safe_dump(pod)
    shown = json.loads(runs.run("create", "--dry-run=server", "-o", "json", "-f", "-", stdin=text).stdout)
    both = [*shown["spec"].get("initContainers", []), *shown["spec"]["containers"]]
    assert "pgwarden" in {one["name"] for one in both}


# --- many at once, and large -----------------------------------------------------------------------------------------

LARGE = {
    "many options": {"options": ["--a=1 " * 50_000]},
    "one quoted word": {"options": ["'" + "x" * 1_000_000 + "'"]},
    "near misses": {"options": ["--process-maxx=1"] * 60_000},
    "a long name": {"repository": "x" * 1_000_000},
    "many labels": {"podLabels": {f"a{n}": "b" for n in range(40_000)}},
}


def restarts(kubectl: Kubectl, component: str) -> dict[str, int]:
    pods = kubectl.within(NAMESPACE).list("pods", f"app.kubernetes.io/component={component}")
    return {one["metadata"]["uid"]: one["status"]["containerStatuses"][0]["restartCount"] for one in pods}


@pytest.mark.parametrize("case", LARGE)
def test_a_large_object_costs_the_webhook_nothing(tenants: Tenants, case: str):
    """H2: one dry run of a Backup of 300 kB took minutes of CPU, or more memory than the webhook's pod may have."""
    before = restarts(tenants.admin, "webhook")
    obj = json.dumps(backup("x") | {"spec": {"repository": "hippo"} | LARGE[case]})
    began = time.monotonic()
    answer = made(tenants.by["backs"], obj, "--dry-run=server")
    assert time.monotonic() - began < 5 * SLOWER
    assert "denied the request" in answer or "is invalid" in answer
    assert len(answer) < 1_000_000
    assert restarts(tenants.admin, "webhook") == before


# --- names that collide ----------------------------------------------------------------------------------------------


def seen(kubectl: Kubectl, kind: str, name: str) -> Object:
    """What must not change of it."""
    found = kubectl.get(kind, name)
    assert found is not None, f"{kind} {name} is gone"
    metadata = {key: found["metadata"].get(key) for key in ("uid", "labels", "ownerReferences", "annotations")}
    return {"metadata": metadata, "content": {k: v for k, v in found.items() if k not in {"metadata", "status"}}}


def refused(kubectl: Kubectl, kind: str, name: str) -> str:
    """What the controller may not take, as the status of an object of ours tells it."""
    status = (kubectl.get(kind, name) or {}).get("status", {})
    listed = [one["message"] for one in status.get("conditions", []) if one["reason"] in {"NotOurs", "Fault"}]
    return listed[0] if listed else ""


@pytest.mark.parametrize("suffix", ["pgbackrest", "pgbackrest-pods"])
def test_a_repository_takes_no_secret_over(tenants: Tenants, suffix: str):
    """M8: a Repository of the right name replaced somebody's Secret, and it went with the Repository."""
    admin, orders, own = tenants.admin, tenants.by["orders"], f"loot-{len(suffix)}"
    secret = f"{own}-{suffix}"
    admin.run("create", "secret", "generic", secret, "--from-literal=keep=me")
    before = seen(admin, "secret", secret)
    assert made(orders, repository(own, local={"size": "64Mi"})) == ""
    until(lambda: refused(admin, "pgrepo", own) or seen(admin, "secret", secret) != before, "it is told, or taken", 60)
    assert secret in refused(admin, "pgrepo", own)
    orders.delete("pgrepo", own)
    assert seen(admin, "secret", secret) == before


TAKEN = {
    "spoil-pgbackrest": {"apiVersion": "v1", "kind": "ConfigMap", "data": {"keep": "me"}},
    "waste-pgbackrest": {"apiVersion": "v1", "kind": "Service", "spec": {"selector": {"app": "theirs"}, "ports": [{"port": 80}]}},
    "doors-pgbackrest": {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "spec": {"podSelector": {"matchLabels": {"app": "theirs"}}}},
    "booty-pgbackrest-pods": {"apiVersion": "v1", "kind": "Service", "spec": {"selector": {"app": "theirs"}, "ports": [{"port": 80}]}},
}  # fmt: skip


@pytest.mark.parametrize("name", TAKEN)
def test_a_repository_takes_nothing_else_over(tenants: Tenants, name: str):
    """M8: the same of a ConfigMap, of a Service, whose clients it led elsewhere, and of a NetworkPolicy."""
    admin, orders, own = tenants.admin, tenants.by["orders"], name.partition("-")[0]
    kind = TAKEN[name]["kind"].lower()
    admin.apply(TAKEN[name] | {"metadata": {"name": name}})
    before = seen(admin, kind, name)
    assert made(orders, repository(own, local={"size": "64Mi"})) == ""
    until(lambda: refused(admin, "pgrepo", own) or seen(admin, kind, name) != before, "it is told, or taken", 60)
    assert name in refused(admin, "pgrepo", own)
    orders.delete("pgrepo", own)
    assert seen(admin, kind, name) == before


def test_a_cluster_takes_no_account_over(tenants: Tenants):
    """M8: an existing account X-instance, with a cloud's rights perhaps, was run by the pods of a PostgresCluster X."""
    admin, orders, account = tenants.admin, tenants.by["orders"], "boss-instance"
    admin.run("create", "serviceaccount", account)
    admin.run("annotate", "serviceaccount", account, "eks.amazonaws.com/role-arn=arn:aws:iam::1:role/boss")
    before = seen(admin, "serviceaccount", account)
    assert made(orders, manifest("boss", replicas=1)) == ""
    until(
        lambda: refused(admin, "pgc", "boss") or seen(admin, "serviceaccount", account) != before,
        "it is told, or taken", 60,
    )  # fmt: skip
    assert account in refused(admin, "pgc", "boss")
    assert admin.get("deployment", "boss-1") is None
    orders.delete("pgc", "boss")
    assert seen(admin, "serviceaccount", account) == before
