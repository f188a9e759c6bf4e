"""`helm upgrade` from the release before, under clients that write, to one whose pgBackRest is another.

What the release before has made is a StatefulSet and a PostgresCluster. Its image is built from its commit; the version
that its pgBackRest tells is changed in the program itself, so that the two refuse each other as real ones do. Each test
goes on where the one before has ended. Of the last modules: pgwarden is away for a moment; it leaves this release.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from harness import images, release
from harness.cluster import Cluster, manifest
from harness.install import wait_admission
from harness.kubectl import Kubectl, Object, condition, is_true, phase
from harness.objects import archived, backup, repository
from harness.postgres import SWITCH, Postgres, statefulset
from harness.s3_steps import figure, says
from harness.waiting import until
from localcluster.image_inputs import OTHER_PGBACKREST

#: As agents tell it.
OLD_VERSION = OTHER_PGBACKREST.removesuffix(".0")
HIPPO, RHINO = "hippo", "rhino"
#: Seconds after a restart of the primary until its WAL is archived: the host is made anew, and PostgreSQL, which gave
#: up meanwhile, tries again a minute later.
ARCHIVES_AGAIN = 150
#: archive_command in that time: three tries a minute.
FAILS_AT_MOST = 9
#: Seconds without an acknowledged row while a PostgresCluster is rolled: a switchover.
LONGEST_GAP = 40
#: Whether the replica's connection is.
ENCRYPTED = "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_replication USING (pid) WHERE state = 'streaming'"


@dataclass
class Scene:
    space: Kubectl
    postgres: Postgres
    cluster: Cluster
    old_image: str
    new_image: str
    failed: dict[str, int] = field(default_factory=dict)  # by Repository: before the upgrade
    uids: dict[str, str] = field(default_factory=dict)  # of PostgreSQL's pods and of the hosts' before the upgrade

    def primary(self, name: str) -> Postgres:
        return self.postgres if name == HIPPO else self.cluster.postgres()

    def failures(self, name: str) -> int:
        return int(self.primary(name).sql("SELECT failed_count FROM pg_stat_archiver"))

    def host_image(self, name: str) -> str:
        found = self.space.get("deployment", f"{name}-pgbackrest")
        return str(found["spec"]["template"]["spec"]["containers"][0]["image"]) if found else ""

    def same_version(self, name: str, reason: str, seconds: float = 90) -> Object:
        def good(one: Object) -> bool:
            return (condition(one, "SameVersion") or {}).get("reason") == reason

        return condition(self.space.until("pgrepo", name, good, f"says {reason}", seconds), "SameVersion") or {}

    def archives(self, name: str, seconds: float) -> None:
        """A segment that is closed now is in the repository within *seconds*, by its files."""
        segment = self.primary(name).sql(SWITCH)
        until(lambda: segment in archived(self.space, name), f"{segment} is archived", seconds)

    def back_up(self, name: str, which: str) -> Object:
        self.space.apply(backup(which, "--type=full", repository=name))
        done = self.space.until("pgb", which, phase("Completed", "Failed"), "ends", 180)
        assert done["status"]["phase"] == "Completed", done["status"]["message"]
        found = self.space.get("job", done["status"]["job"])
        assert found
        return found


def running(space: Kubectl) -> dict[str, str]:
    """uid of each pod of PostgreSQL's and of the repository hosts'."""
    pods = space.list("pods", "pgwarden.io/repository") + space.list("pods", "pgwarden.io/component=host")
    return {str(one["metadata"]["name"]): str(one["metadata"]["uid"]) for one in pods}


def image_of(job: Object) -> str:
    return str(job["spec"]["template"]["spec"]["containers"][0]["image"])


@pytest.fixture(scope="module")
def old_image(installed) -> Iterator[str]:
    where = installed.cluster, installed.kubectl, installed.helm
    with release.before(*where, images.RELEASE_OTHER, installed.image) as image:
        yield image


@pytest.fixture(scope="module")
def begun(installed, space: Kubectl, old_image: str) -> Scene:
    """Made by the release before: archived, backed up, and written to."""
    space.apply(repository(), *statefulset(installed.postgres_image), manifest(RHINO))
    made = Scene(space, Postgres(space), Cluster(space, RHINO), old_image, installed.image)
    made.postgres.wait_ready()
    made.cluster.wait_ready(400)
    for name in (HIPPO, RHINO):
        space.until("pgrepo", name, is_true("Archiving"), "archives", 180)
        made.back_up(name, f"before-{name}")
    made.postgres.sql("CREATE TABLE notes AS SELECT i FROM generate_series(1, 1000) AS i")
    made.cluster.start_writing(installed.postgres_image)
    return made


@pytest.fixture(scope="module")
def scene(installed, begun: Scene) -> Scene:
    """Upgraded, as a user does it."""
    begun.failed = {name: begun.failures(name) for name in (HIPPO, RHINO)}
    begun.uids = running(begun.space)
    installed.helm.install(installed.image)
    wait_admission(installed.kubectl)
    return begun


@pytest.mark.parametrize("name", [HIPPO, RHINO])
def test_the_condition_names_the_pods_that_are_owed_a_restart(scene: Scene, name: str):
    said = scene.same_version(name, "PodsOwedRestart")
    primary = "postgres-0" if name == HIPPO else scene.cluster.pod(scene.cluster.primary())
    assert f"pod {primary} (primary, pgBackRest {OLD_VERSION})" in said["message"]
    assert f"the repository host stays with {OLD_VERSION}" in said["message"]
    events = scene.space.run(
        "get", "events", f"--field-selector=reason=PodsOwedRestart,involvedObject.name={name}", "-o", "name"
    )
    assert events.stdout.strip()
    assert scene.space.get("pgrepo", name)["status"]["phase"] == "Ready"


def test_neither_a_database_nor_its_repository_host_is_restarted(scene: Scene):
    assert running(scene.space) == scene.uids
    assert {scene.host_image(name) for name in (HIPPO, RHINO)} == {scene.old_image}


@pytest.mark.parametrize("name", [HIPPO, RHINO])
def test_archiving_goes_on_without_a_failure_while_no_pod_is_restarted(scene: Scene, name: str):
    scene.archives(name, 60)
    assert scene.failures(name) == scene.failed[name]


@pytest.mark.parametrize("name", [HIPPO, RHINO])
def test_a_backup_is_made_by_the_pgbackrest_of_its_pods(scene: Scene, name: str):
    assert image_of(scene.back_up(name, f"between-{name}")) == scene.old_image


def test_a_statefulsets_host_is_renewed_when_its_pod_is_and_archiving_recovers(scene: Scene):
    before = scene.failures(HIPPO)
    scene.space.delete("pod", "postgres-0")
    scene.postgres.wait_ready()
    scene.same_version(HIPPO, "VersionsMatch", ARCHIVES_AGAIN)
    assert scene.host_image(HIPPO) == scene.new_image
    scene.archives(HIPPO, ARCHIVES_AGAIN)
    assert scene.failures(HIPPO) - before <= FAILS_AT_MOST
    scene.space.until("pgrepo", HIPPO, is_true("Archiving"), "archives again", 60)
    assert scene.postgres.sql("SELECT count(*) FROM notes") == "1000"


def test_a_cluster_from_before_tls_goes_on_as_it_was_and_is_told_how_it_comes_over(scene: Scene):
    found = scene.space.until("pgc", RHINO, says("Encryption", "False", "clear text", "kubectl patch"), "says so", 60)
    assert condition(found, "Encryption")["reason"] == "ClearText"
    assert scene.space.get("secret", f"{RHINO}-instance-tls") is None
    assert scene.cluster.sql(ENCRYPTED) == "f"


def test_a_cluster_that_is_rolled_loses_no_acknowledged_row_and_is_archived_again(scene: Scene):
    assert scene.host_image(RHINO) == scene.old_image
    about = {"annotations": {"example.com/restarted": "for pgBackRest"}}
    scene.cluster.change(instances={"podTemplate": {"metadata": about}})
    scene.cluster.wait_ready(400)
    scene.same_version(RHINO, "VersionsMatch", ARCHIVES_AGAIN)
    assert scene.host_image(RHINO) == scene.new_image
    scene.archives(RHINO, ARCHIVES_AGAIN)
    scene.cluster.wait_written(20)
    rows, gap = scene.cluster.stop_writing()
    assert rows <= scene.cluster.rows()
    figure(f"{gap:.1f} s without a write while it was rolled")
    assert gap < LONGEST_GAP


def test_a_cluster_that_was_rolled_speaks_tls(scene: Scene):
    scene.space.until("pgc", RHINO, says("Encryption", "True", "speak TLS"), "says so", 60)
    scene.cluster.wait_ready()
    clear = (
        'PGPASSWORD=$PGWARDEN_APP_PASSWORD psql -X -d "host=rhino-primary user=app dbname=app sslmode=disable" -c ""'
    )
    argv = ["exec", f"deployment/{scene.cluster.primary()}", "-c", "postgres", "--", "sh", "-c", clear]
    until(lambda: "no encryption" in scene.space.run(*argv, check=False).stderr, "clear text is refused", 60)
    # By a connection of its own, as the one that stands may be from before.
    scene.cluster.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_replication")
    until(lambda: scene.cluster.sql(ENCRYPTED) == "t", "the replica streams by TLS", 90)
    until(lambda: "ca.crt" in scene.space.get("secret", f"{RHINO}-credentials")["data"], "clients have the CA", 60)


@pytest.mark.parametrize("name", [HIPPO, RHINO])
def test_a_backup_after_the_restart_is_made_by_the_new_image(scene: Scene, name: str):
    assert image_of(scene.back_up(name, f"after-{name}")) == scene.new_image


@pytest.mark.parametrize("name", [HIPPO, RHINO])
def test_no_wal_is_missing(scene: Scene, name: str):
    found = scene.space.until("pgrepo", name, is_true("WALContinuous"), "has all WAL", 150)
    assert not [one for one in found["status"]["recoveryWindow"] if one.get("missing")]
    assert len(found["status"]["backups"]) >= 3
