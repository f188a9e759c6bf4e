"""The life of an installation: tested, upgraded, refused, taken away, and put back over what it left.

The last but one of the modules, because it takes pgwarden away for a while; it leaves it installed.
"""

from __future__ import annotations

import pytest
import yaml

from harness.install import NAMESPACE, wait_admission
from harness.kubectl import Kubectl, KubectlError, is_true
from harness.postgres import Postgres, manifests, statefulset
from harness.waiting import until

CONFIGURATIONS = ("mutatingwebhookconfiguration", "validatingwebhookconfiguration")
KINDS = ("repositories", "backups", "backupschedules", "restores")


@pytest.fixture(scope="module")
def postgres(installed, space: Kubectl) -> Postgres:
    """A PostgreSQL that archives, with rows in it."""
    space.apply(*manifests("repository"), *statefulset(installed.postgres_image, storage="1Gi"))
    found = Postgres(space)
    found.wait_ready()
    space.until("pgrepo", "hippo", is_true("Archiving"), "archives", 180)
    found.sql("CREATE TABLE kept AS SELECT i FROM generate_series(1, 1000) AS i")
    return found


@pytest.fixture(scope="module")
def system(installed) -> Kubectl:
    return installed.kubectl.within(NAMESPACE)


def pods(system: Kubectl) -> dict[str, str]:
    """uid and restarts of the release's own pods."""
    found = {}
    for pod in system.list("pods", "app.kubernetes.io/name=pgwarden"):
        restarts = [str(one["restartCount"]) for one in pod["status"].get("containerStatuses", [])]
        found[pod["metadata"]["uid"]] = ",".join(restarts)
    return found


def archived(postgres: Postgres) -> int:
    """Close a segment, and the count of segments archived so far."""
    postgres.sql("CREATE TABLE IF NOT EXISTS tick (i int)")
    postgres.sql("INSERT INTO tick VALUES (1); SELECT pg_switch_wal()")
    return int(postgres.sql("SELECT archived_count FROM pg_stat_archiver"))


def archives_on(postgres: Postgres, seconds: float = 120) -> None:
    """Until PostgreSQL has archived more than it has now, and nothing has failed since."""
    before = archived(postgres)
    until(
        lambda: int(postgres.sql("SELECT archived_count FROM pg_stat_archiver")) > before,
        "another segment is archived",
        seconds,
        lambda: postgres.sql("SELECT * FROM pg_stat_archiver"),
    )


def dry_run(space: Kubectl, name: str, label: str = "") -> str:
    """Empty where such a pod would be created; else what is said instead."""
    labels = {"pgwarden.io/repository": label} if label else {}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels},
        "spec": {"containers": [{"name": "main", "image": "localhost/pause:1"}]},
    }
    return space.run("create", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(pod), check=False).stderr


def test_helm_test_passes(installed):
    said = installed.helm.run("test", "pgwarden", "--timeout=120s").stdout
    assert "Phase:          Succeeded" in said


def test_an_upgrade_without_a_change_restarts_nothing_and_keeps_the_bundle(installed, postgres, system: Kubectl):
    form = "jsonpath={.webhooks[*].clientConfig.caBundle} {.metadata.resourceVersion}"
    before = pods(system), [system.run("get", kind, "pgwarden", "-o", form).stdout for kind in CONFIGURATIONS]
    installed.helm.install(installed.image)
    assert len(before[0]) >= 3
    assert pods(system) == before[0]
    assert [system.run("get", kind, "pgwarden", "-o", form).stdout for kind in CONFIGURATIONS] == before[1]


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ("webhook.replicas=0", "/webhook/replicas"),
        ("webhook.failurePolicy=Maybe", "/webhook/failurePolicy"),
        ("s3.endpoint=https://minio:9000", "/s3/endpoint"),
        ("webhok.replicas=3", "webhok"),
        ("controller.replicas=3", "/controller/replicas"),
    ],
)
def test_a_wrong_value_is_refused_by_name_and_changes_nothing(installed, value: str, named: str):
    revision = installed.helm.run("history", "pgwarden", "-o", "json").stdout
    with pytest.raises(AssertionError) as refused:
        installed.helm.install(installed.image, f"--set={value}")
    assert named in str(refused.value)
    assert installed.helm.run("history", "pgwarden", "-o", "json").stdout == revision


@pytest.fixture(scope="module")
def uninstalled(installed, postgres: Postgres, space: Kubectl):
    """After `helm uninstall`; at the end of the module it is installed whatever happened."""
    installed.helm.uninstall()
    yield space
    installed.helm.install(installed.image)
    wait_admission(installed.kubectl)


def test_after_an_uninstall_no_webhook_stands_in_the_way(uninstalled: Kubectl, system: Kubectl):
    for kind in CONFIGURATIONS:
        names = uninstalled.run("get", kind, "-o", "name").stdout
        assert "pgwarden" not in names
    system.run("wait", "--for=delete", "pod", "-l", "app.kubernetes.io/name=pgwarden", "--timeout=60s", seconds=90)
    assert dry_run(uninstalled, "plain") == ""
    assert dry_run(uninstalled, "labelled", "hippo") == ""


def test_after_an_uninstall_the_kinds_their_objects_and_the_database_are_still_there(
    uninstalled: Kubectl, postgres: Postgres
):
    for kind in KINDS:
        assert uninstalled.get("crd", f"{kind}.pgwarden.io"), kind
    assert uninstalled.get("pgrepo", "hippo")
    assert postgres.sql("SELECT count(*) FROM kept") == "1000"
    archives_on(postgres)  # host and sidecar go on by themselves


def test_a_new_installation_takes_over_what_the_old_one_left(uninstalled: Kubectl, installed, postgres: Postgres):
    before = {
        (kind, name): uninstalled.get(kind, name)["metadata"]["uid"]
        for kind, name in (
            ("pod", "postgres-0"),
            ("pgrepo", "hippo"),
            ("deployment", "hippo-pgbackrest"),
            ("pvc", "hippo-pgbackrest-repo"),
            ("secret", "hippo-pgbackrest-ca"),
        )
    }
    installed.helm.install(installed.image)
    wait_admission(installed.kubectl)
    archives_on(postgres)
    segment = postgres.sql("SELECT last_archived_wal FROM pg_stat_archiver")
    uninstalled.until(
        "pgrepo", "hippo", lambda o: (o["status"]["archive"]["max"] or "") >= segment, f"reports {segment}", 120
    )
    assert {one: uninstalled.get(*one)["metadata"]["uid"] for one in before} == before
    assert postgres.sql("SELECT count(*) FROM kept") == "1000"
    assert uninstalled.get("pgrepo", "hippo")["status"]["phase"] == "Ready"


def test_the_new_installation_guards_admission_again(uninstalled: Kubectl, installed):
    uninstalled.refused(
        {
            "apiVersion": "pgwarden.io/v1alpha1",
            "kind": "Backup",
            "metadata": {"name": "x"},
            "spec": {"repository": "nowhere"},
        }
    )
    assert "there is no Repository of this name" in dry_run(uninstalled, "labelled", "nowhere")
    assert "Succeeded" in installed.helm.run("test", "pgwarden", "--timeout=120s").stdout


def test_refusals_do_not_come_from_the_schema_alone(uninstalled: Kubectl):
    """That the helper above fails where nothing is refused."""
    with pytest.raises(KubectlError, match="was not refused"):
        uninstalled.refused({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "free"}})
