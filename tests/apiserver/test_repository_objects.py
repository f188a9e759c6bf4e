"""What the controller makes for a Repository, how little it writes, and what it makes again."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography import x509

from harness.kubectl import Kubectl, condition
from harness.waiting import until
from tests.apiserver.manifests import repository, schedule
from tests.apiserver.release import Controllers, Release

Object = dict[str, Any]
OWNED = [
    ("deployment", "hippo-pgbackrest"),
    ("service", "hippo-pgbackrest"),
    ("service", "hippo-pgbackrest-pods"),
    ("configmap", "hippo-pgbackrest"),
    ("secret", "hippo-pgbackrest"),
    ("secret", "hippo-pgbackrest-pods"),
    ("secret", "hippo-pgbackrest-ca"),
]
CLAIM = ("pvc", "hippo-pgbackrest-repo")
ALL = [*OWNED, CLAIM]


@pytest.fixture(scope="module")
def hippo(webhook, controllers: Controllers, space: Kubectl) -> Kubectl:
    controllers.leader()
    space.apply(repository("hippo", local={"size": "3Gi", "storageClassName": "standard"}))
    until(lambda: all(space.get(*one) for one in ALL), "all objects are made", 30)
    return space


def versions(space: Kubectl, *more: tuple[str, str]) -> dict[tuple[str, str], str]:
    return {one: space.get(*one)["metadata"]["resourceVersion"] for one in (*ALL, *more)}


def wait_reconciles(release: Release, controllers: Controllers, count: int) -> None:
    """Until the leader has looked at Repositories *count* times more."""
    leader = controllers.leader()
    label = 'pgwarden_reconciles_total{kind="Repository",outcome="ok"}'

    def looks() -> float:
        rows = [row for row in release.ask(leader.port, "/metrics").splitlines() if row.startswith(label)]
        return float(rows[0].rsplit(" ", 1)[1]) if rows else 0.0

    before = looks()
    until(lambda: looks() >= before + count, f"{count} more looks", 30)


@pytest.mark.parametrize(("kind", "name"), OWNED, ids=[f"{kind}-{name}" for kind, name in OWNED])
def test_what_is_made_belongs_to_the_repository(hippo: Kubectl, kind: str, name: str):
    uid = hippo.get("pgrepo", "hippo")["metadata"]["uid"]
    found = hippo.get(kind, name)["metadata"]
    assert found["ownerReferences"] == [
        {
            "apiVersion": "pgwarden.io/v1alpha1",
            "kind": "Repository",
            "name": "hippo",
            "uid": uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]
    assert found["labels"]["pgwarden.io/for-repository"] == "hippo"
    assert "pgwarden.io/repository" not in found["labels"]


def test_the_backups_volume_belongs_to_nobody(hippo: Kubectl):
    claim = hippo.get(*CLAIM)
    assert "ownerReferences" not in claim["metadata"]
    assert claim["spec"]["resources"]["requests"]["storage"] == "3Gi"
    assert claim["spec"]["storageClassName"] == "standard"


def test_the_host_mounts_no_certificate_authoritys_key(hippo: Kubectl):
    deployment = hippo.get("deployment", "hippo-pgbackrest")
    mounted = str(deployment["spec"]["template"]["spec"]["volumes"])
    assert "hippo-pgbackrest-ca" not in mounted
    assert "ca.key" in hippo.get("secret", "hippo-pgbackrest-ca")["data"]
    for name in ("hippo-pgbackrest", "hippo-pgbackrest-pods"):
        assert "ca.key" not in hippo.get("secret", name)["data"]


def test_certificates_are_of_the_repositorys_own_authority_and_for_its_names(hippo: Kubectl):
    authority = certificate(hippo, "hippo-pgbackrest-ca", "ca.crt")
    host = certificate(hippo, "hippo-pgbackrest", "tls.crt")
    host.verify_directly_issued_by(authority)
    names = host.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert f"hippo-pgbackrest.{hippo.namespace}.svc" in names.get_values_for_type(x509.DNSName)


def certificate(space: Kubectl, secret: str, key: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(base64.b64decode(space.get("secret", secret)["data"][key]))


def test_status_says_what_is_still_missing(hippo: Kubectl):
    found = hippo.until("pgrepo", "hippo", lambda o: condition(o, "Ready"), "has conditions", 20)
    assert condition(found, "Ready")["reason"] == "HostNotReady"
    assert condition(found, "Archiving")["status"] == "Unknown"
    assert found["status"]["phase"] == "Pending"
    assert found["status"]["observedGeneration"] == found["metadata"]["generation"]


def test_looking_again_writes_nothing(hippo: Kubectl, release: Release, controllers: Controllers):
    hippo.apply(schedule("nightly"))
    hippo.until("pgrepo", "hippo", lambda o: o["status"].get("nextScheduledBackup"), "knows its schedule", 20)
    watched = [("pgrepo", "hippo"), ("pgbs", "nightly")]
    wait_reconciles(release, controllers, 1)
    before = versions(hippo, *watched)
    wait_reconciles(release, controllers, 2)
    assert versions(hippo, *watched) == before


def test_another_controller_that_starts_with_nothing_in_memory_writes_nothing(
    hippo: Kubectl, release: Release, controllers: Controllers
):
    before = versions(hippo, ("pgrepo", "hippo"))
    controllers.restart()
    wait_reconciles(release, controllers, 2)
    assert versions(hippo, ("pgrepo", "hippo")) == before


@pytest.mark.parametrize(("kind", "name"), [*OWNED[:6], CLAIM], ids=lambda value: value)
def test_what_was_deleted_is_made_again(hippo: Kubectl, kind: str, name: str):
    before = hippo.get(kind, name)["metadata"]["uid"]
    # The API server holds claims by a finalizer that a controller of the full size takes off.
    hippo.run("patch", kind, name, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    hippo.delete(kind, name, wait=False)
    made = hippo.until(kind, name, lambda o: o["metadata"]["uid"] != before, "is made again", 30)
    assert made["metadata"].get("ownerReferences") or (kind, name) == CLAIM


def test_a_lost_authority_takes_all_certificates_with_it(hippo: Kubectl):
    """Leaves that no authority vouches for are of no use: all are made anew, of one new authority."""
    before = hippo.get("secret", "hippo-pgbackrest-ca")["metadata"]["uid"]
    hippo.delete("secret", "hippo-pgbackrest-ca", wait=False)
    hippo.until("secret", "hippo-pgbackrest-ca", lambda o: o["metadata"]["uid"] != before, "is made again", 30)
    authority = certificate(hippo, "hippo-pgbackrest-ca", "ca.crt")

    def vouched() -> bool:
        leaves = [certificate(hippo, name, "tls.crt") for name in ("hippo-pgbackrest", "hippo-pgbackrest-pods")]
        return all(leaf.issuer == authority.subject and _issued(leaf, authority) for leaf in leaves)

    until(vouched, "both leaves are of the new authority", 30)


def _issued(leaf: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        leaf.verify_directly_issued_by(authority)
    except Exception:  # noqa: BLE001  cryptography has several for this
        return False
    return True


def test_a_field_that_somebody_else_changed_is_set_back_by_the_next_change(hippo: Kubectl):
    hippo.run("scale", "deployment", "hippo-pgbackrest", "--replicas=3")
    hippo.apply(
        repository(
            "hippo", local={"size": "3Gi", "storageClassName": "standard"}, resources={"limits": {"memory": "2Gi"}}
        )
    )
    made = hippo.until("deployment", "hippo-pgbackrest", lambda o: o["spec"]["replicas"] == 1, "has one replica", 30)
    both = made["spec"]["template"]["spec"]["containers"]
    assert [one["resources"] for one in both] == [{"limits": {"memory": "1536Mi"}}, {"limits": {"memory": "512Mi"}}]


def test_a_repository_on_s3_alone_has_no_volume_and_names_a_secret_that_is_missing(hippo: Kubectl):
    from tests.apiserver.manifests import S3

    hippo.apply(repository("far", storageType="s3", s3=S3))
    found = hippo.until("pgrepo", "far", lambda o: condition(o, "Reachable"), "has conditions", 20)
    assert condition(found, "Reachable")["reason"] == "SecretMissing"
    assert "there is no Secret s3 in namespace" in condition(found, "Reachable")["message"]
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s3"},
        "stringData": {"s3-key": "k", "s3-key-secret": "hush-hush"},
    }
    hippo.apply(secret)
    until(lambda: hippo.get("deployment", "far-pgbackrest"), "its host is made", 30)
    assert hippo.get("pvc", "far-pgbackrest-repo") is None
    assert "hush-hush" not in str(hippo.get("configmap", "far-pgbackrest")) + str(hippo.get("pgrepo", "far"))


def test_deleting_the_repository_leaves_the_volume_and_a_new_one_adopts_it(hippo: Kubectl):
    claim = hippo.get(*CLAIM)["metadata"]["uid"]
    hippo.delete("pgrepo", "hippo")
    hippo.apply(repository("hippo", local={"size": "3Gi", "storageClassName": "standard"}))
    hippo.until("pgrepo", "hippo", lambda o: condition(o, "Ready"), "has conditions", 20)
    assert hippo.get(*CLAIM)["metadata"]["uid"] == claim
    assert "deletionTimestamp" not in hippo.get(*CLAIM)["metadata"]
