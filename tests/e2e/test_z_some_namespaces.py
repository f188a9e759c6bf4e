"""`watchNamespaces`: pgwarden works in one namespace, and neither looks at another nor may.

One of the last modules, because it upgrades the release to that; it upgrades it back.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.cluster import manifest
from harness.install import NAMESPACE, wait_admission
from harness.kubectl import Kubectl, is_true, phase
from harness.postgres import Postgres, manifests, statefulset

ACCOUNT = f"system:serviceaccount:{NAMESPACE}:pgwarden"
WRONG = {
    "apiVersion": "pgwarden.io/v1alpha1",
    "kind": "Backup",
    "metadata": {"name": "of-nothing"},
    "spec": {"repository": "nowhere"},
}


@pytest.fixture(scope="module")
def other(installed, space: Kubectl) -> Iterator[Kubectl]:
    """A namespace that is not watched."""
    name = f"{space.namespace}-other"
    installed.kubectl.run("create", "namespace", name)
    yield installed.kubectl.within(name)
    installed.kubectl.run("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="module")
def passing(installed, space: Kubectl) -> Iterator[str]:
    """A namespace that is watched, and goes."""
    name = f"{space.namespace}-passing"
    installed.kubectl.run("create", "namespace", name)
    yield name
    installed.kubectl.run("delete", "namespace", name, "--ignore-not-found")


@pytest.fixture(scope="module")
def watched(installed, space: Kubectl, other: Kubectl, passing: str) -> Iterator[Kubectl]:
    """*space*, of which alone the release takes care, beside one that goes."""
    installed.helm.install(installed.image, f"--set=watchNamespaces={{{space.namespace},{passing}}}")
    yield space
    installed.helm.install(installed.image)
    wait_admission(installed.kubectl)


@pytest.fixture(scope="module")
def postgres(installed, watched: Kubectl, other: Kubectl) -> Postgres:
    """The same in both; in the watched one it archives, and a Backup is completed."""
    documents = *manifests("repository"), *statefulset(installed.postgres_image, storage="1Gi")
    other.apply(*documents)
    watched.apply(*documents)
    found = Postgres(watched)
    found.wait_ready()
    watched.until("pgrepo", "hippo", is_true("Archiving"), "archives", 180)
    watched.apply(*manifests("backup"))
    watched.until("pgb", "hippo-first", phase("Completed"), "is completed", 180)
    return found


def may(installed, component: str, *what: str) -> bool:
    asked = installed.kubectl.run("auth", "can-i", *what, f"--as={ACCOUNT}-{component}", check=False)
    assert asked.stdout.strip() in {"yes", "no"}, asked.stderr
    return asked.stdout.strip() == "yes"


def test_in_a_watched_namespace_a_database_archives_and_is_backed_up(postgres: Postgres, watched: Kubectl):
    assert postgres.sql("SELECT current_setting('archive_mode')") == "on"
    assert watched.get("pgrepo", "hippo")["status"]["phase"] == "Ready"


def test_in_another_namespace_neither_pod_nor_repository_is_touched(postgres: Postgres, other: Kubectl):
    elsewhere = Postgres(other)
    elsewhere.wait_ready()
    pod = other.get("pod", "postgres-0")
    assert [one["name"] for one in pod["spec"]["containers"]] == ["postgres"]
    assert elsewhere.sql("SELECT current_setting('archive_mode')") == "off"
    assert not other.get("pgrepo", "hippo").get("status")
    assert [one["metadata"]["name"] for one in other.list("secrets")] == ["postgres"]
    assert other.list("deployments") == []


def test_kinds_are_checked_in_a_watched_namespace_alone(postgres: Postgres, watched: Kubectl, other: Kubectl):
    assert "nowhere" in watched.refused(WRONG)
    other.apply(WRONG)
    assert not other.get("pgb", "of-nothing").get("status")


def test_a_clone_of_what_is_not_watched_is_refused(postgres: Postgres, watched: Kubectl, other: Kubectl):
    source = {"repository": "hippo", "namespace": other.namespace}
    assert "there is no Repository" in watched.refused(manifest("copy", dataSource=source))


@pytest.mark.parametrize(
    "what",
    [
        ("get", "secrets"),
        ("create", "jobs.batch"),
        ("patch", "pods"),
        ("list", "repositories.pgwarden.io"),
        ("create", "rolebindings.rbac.authorization.k8s.io"),
    ],
    ids=" ".join,
)
def test_the_controller_has_rights_in_a_watched_namespace_and_none_in_another(
    installed, watched: Kubectl, other: Kubectl, what: tuple[str, ...]
):
    assert may(installed, "controller", *what, "-n", watched.namespace)
    for namespace in (other.namespace, "default", "kube-system"):
        assert not may(installed, "controller", *what, "-n", namespace)
    assert not may(installed, "controller", *what, "--all-namespaces")


def test_the_webhook_reads_a_watched_namespace_and_no_other(installed, watched: Kubectl, other: Kubectl):
    assert may(installed, "webhook", "list", "repositories.pgwarden.io", "-n", watched.namespace)
    assert not may(installed, "webhook", "list", "repositories.pgwarden.io", "-n", other.namespace)


def test_helm_test_asks_in_a_watched_namespace(installed, postgres: Postgres):
    assert "Succeeded" in installed.helm.run("test", "pgwarden", "--timeout=120s").stdout


def test_a_watched_namespace_that_is_gone_holds_up_nothing(
    installed, postgres: Postgres, watched: Kubectl, passing: str
):
    """Its Roles went with it, so it cannot be listed."""
    watched.run("delete", "namespace", passing)
    system = watched.within(NAMESPACE)
    system.run("rollout", "restart", "deployment")
    for name in ("pgwarden-webhook", "pgwarden-controller"):
        system.run("rollout", "status", f"deployment/{name}", "--timeout=180s", seconds=200)
    assert "nowhere" in watched.refused(WRONG)
    watched.apply(*[one | {"metadata": {"name": "hippo-second"}} for one in manifests("backup")])
    watched.until("pgb", "hippo-second", phase("Completed"), "is completed", 180)


def test_a_namespace_that_is_not_there_is_refused_by_name(installed, postgres: Postgres, watched: Kubectl):
    with pytest.raises(AssertionError, match='namespaces "nowhere" not found'):
        installed.helm.install(installed.image, f"--set=watchNamespaces={{{watched.namespace},nowhere}}", seconds=60)
    assert watched.get("pgrepo", "hippo")["status"]["phase"] == "Ready"


def test_all_namespaces_again_are_taken_up_as_they_are(installed, postgres: Postgres, other: Kubectl):
    """The database without archiving is told; it is not touched."""
    installed.helm.install(installed.image)
    wait_admission(installed.kubectl)
    other.until("pgrepo", "hippo", lambda o: o.get("status", {}).get("phase"), "has a status", 120)
    assert [one["name"] for one in other.get("pod", "postgres-0")["spec"]["containers"]] == ["postgres"]
