"""Volumes: they grow where their class can, and say why where it cannot; how full they are is told before they are full,
and a full backup makes room. And `--backup-standby=y`, with no standby and with one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.cluster import Cluster, manifest
from harness.command_line import pgwarden
from harness.disks import expand, growing_class, small_disk
from harness.install import NAMESPACE
from harness.kubectl import Kubectl, Object, condition, is_true, phase
from harness.objects import backup, in_host, info, protect, repository
from harness.postgres import SWITCH, Postgres
from harness.s3_steps import says
from harness.waiting import until
from localcluster.config import STORAGE_CLASSES
from pgwarden.pgbackrest.standby import FROM_PRIMARY

MEBIBYTES = 200
FILLER = "/pgwarden/repo/filler"
FAILED = "SELECT failed_count FROM pg_stat_archiver"


@pytest.fixture(scope="module")
def disk(installed, space: Kubectl) -> Iterator[Path]:
    installed.cluster._own()
    with small_disk(space, MEBIBYTES) as folder:
        yield folder


@pytest.fixture(scope="module")
def growing(installed, space: Kubectl) -> Iterator[str]:
    """The name of a storage class that allows expansion."""
    name = f"{space.namespace}-growing"
    space.apply(growing_class(name))
    yield name
    space.run("delete", "storageclass", name, "--ignore-not-found", check=False)


@pytest.fixture(scope="module")
def postgres(installed, space: Kubectl, disk: Path) -> Postgres:
    """Under the Repository hippo, whose volume can be filled, with two full backups."""
    found = protect(space, installed.postgres_image, local={"size": f"{MEBIBYTES}Mi"}, retention={"full": 5})
    for name in ("older", "newer"):
        space.apply(backup(name, type="full"))
        completed(space, name)
    return found


@pytest.fixture(scope="module")
def rhino(installed, space: Kubectl, growing: str) -> Cluster:
    """A PostgresCluster of one instance, backed up from a standby."""
    storage = {"size": "1Gi", "storageClassName": growing}
    spec = {"options": ["--backup-standby=y"], "retention": {"full": 5}}
    space.apply(manifest("rhino", instances={"replicas": 1, "storage": storage}, repository=spec))
    found = Cluster(space, "rhino")
    found.wait_ready(300)
    return found


def completed(space: Kubectl, name: str) -> Object:
    done = space.until("pgb", name, phase("Completed", "Failed"), "ends", 180)
    assert done["status"]["phase"] == "Completed", done["status"]["message"]
    return done["status"]


def volume(space: Kubectl) -> Object:
    return space.get("pgrepo", "hippo")["status"]["storages"][0].get("volume") or {}


def gauge(space: Kubectl, name: str) -> list[float]:
    """What the controller that leads says of Repository hippo here."""
    system, found = space.within(NAMESPACE), []
    for pod in system.list("pods", "app.kubernetes.io/component=controller"):
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod['metadata']['name']}:8080/proxy/metrics"
        lines = system.run("get", "--raw", path).stdout.splitlines()
        wanted = (f'namespace="{space.namespace}"', 'repository="hippo"')
        mine = [line for line in lines if line.startswith(f"{name}{{") and all(part in line for part in wanted)]
        found += [float(line.rpartition(" ")[2]) for line in mine]
    return found


def events(space: Kubectl, name: str, reason: str) -> list[str]:
    fields = f"involvedObject.kind=Repository,involvedObject.name={name},reason={reason}"
    listed = json.loads(space.run("get", "events", f"--field-selector={fields}", "-o", "json").stdout)["items"]
    return [one["message"] for one in listed]


def asked(claim: Object) -> str:
    return claim["spec"]["resources"]["requests"]["storage"]


def bound(space: Kubectl, claim: str) -> None:
    space.until("pvc", claim, lambda one: one.get("status", {}).get("phase") == "Bound", "is bound", 90)


def test_a_larger_size_is_refused_by_the_class_and_the_condition_has_its_name(installed, space: Kubectl):
    fixed, claim = STORAGE_CLASSES[0], "plain-pgbackrest-repo"
    space.apply(repository("plain", local={"size": "1Gi", "storageClassName": fixed}))
    bound(space, claim)
    space.until("pgrepo", "plain", is_true("Sized"), "has its size", 60)
    space.apply(repository("plain", local={"size": "2Gi", "storageClassName": fixed}))
    words = (
        f"claim {claim} has 1Gi, not 2Gi: storage class {fixed} does not allow expansion; if its driver can expand "
        "volumes, set allowVolumeExpansion: true in the class"
    )
    told = space.until("pgrepo", "plain", says("Sized", "False", words), "says why it does not grow", 60)
    assert condition(told, "Sized")["reason"] == "ClaimNotExpanded"
    assert asked(space.get("pvc", claim)) == "1Gi"
    until(lambda: any(words in one for one in events(space, "plain", "ClaimNotExpanded")), "an Event says so", 20)


def test_a_larger_size_grows_the_claim_of_a_class_that_allows_it(installed, space: Kubectl, growing: str):
    claim = "elastic-pgbackrest-repo"
    space.apply(repository("elastic", local={"size": "1Gi", "storageClassName": growing}))
    bound(space, claim)
    space.until("pgrepo", "elastic", is_true("Sized"), "has its size", 60)
    space.apply(repository("elastic", local={"size": "2Gi", "storageClassName": growing}))
    words = f"claim {claim} grows from 1Gi to 2Gi: "
    told = space.until("pgrepo", "elastic", says("Sized", "False", words), "waits for the driver", 60)
    assert condition(told, "Sized")["reason"] == "Expanding"
    assert asked(space.get("pvc", claim)) == "2Gi"
    expand(space, claim)
    told = space.until("pgrepo", "elastic", is_true("Sized"), "has its size", 60)
    assert condition(told, "Sized")["message"] == f"claim {claim} has the size that the spec asks for"
    said = space.refused(repository("elastic", local={"size": "1Gi", "storageClassName": growing}))
    assert "cannot shrink from 2Gi" in said


def test_how_full_the_volumes_are_is_in_the_status_and_in_the_metrics(postgres: Postgres, space: Kubectl):
    until(lambda: volume(space), "the volume is measured", 60)
    assert volume(space)["size"] == MEBIBYTES * 1024**2
    assert 0 < volume(space)["usedPercent"] < 80
    told = space.until("pgrepo", "hippo", lambda one: one["status"]["pods"][0].get("dataVolume"), "measures data", 60)
    blocks, used = postgres.run("stat", "-f", "-c", "%S %b", "/var/lib/postgresql/data").split()
    assert told["status"]["pods"][0]["dataVolume"]["size"] == int(blocks) * int(used)
    assert gauge(space, "pgwarden_repository_volume_size_bytes") == [MEBIBYTES * 1024**2]
    (free,) = gauge(space, "pgwarden_repository_volume_free_bytes")
    assert 0 < free < MEBIBYTES * 1024**2
    assert gauge(space, "pgwarden_data_volume_size_bytes")


def test_at_80_percent_it_is_told_with_the_way_to_make_room_and_a_full_backup_goes_by_the_users_word(
    postgres: Postgres, space: Kubectl
):
    oldest, newest = (completed(space, name)["label"] for name in ("older", "newer"))
    used = volume(space)["usedPercent"]
    in_host(space, "dd", "if=/dev/zero", f"of={FILLER}", "bs=1M", f"count={MEBIBYTES * (85 - used) // 100}")
    words = ("the volume of storage local is 8", " % full", f"expire the oldest full backup {oldest}")
    told = space.until("pgrepo", "hippo", says("HasRoom", "False", *words), "says that it fills up", 90)
    assert "kubectl pgwarden expire hippo" in condition(told, "HasRoom")["message"]
    until(
        lambda: any(words[0] in said for said in events(space, "hippo", "VolumeFillsUp")), "an Event says so", 20
    )  # fmt: skip
    assert "the volume of storage local is 8" in pgwarden(space, "status", "hippo").stdout

    done = pgwarden(space, "expire", "hippo", "--yes")
    assert done.returncode == 0, done.stderr
    assert f"full backup {oldest}" in done.stderr + done.stdout
    until(lambda: any(oldest in said for said in events(space, "hippo", "SetExpired")), "it is expired", 60)
    assert [one["label"] for one in info(space)["backup"]] == [newest]
    space.until(
        "pgb", "older", lambda one: (condition(one, "Available") or {}).get("status") == "False", "is not there", 60
    )
    space.until("pgrepo", "hippo", lambda one: "expirable" not in one["status"]["storages"][0], "offers nothing", 60)
    done = pgwarden(space, "expire", "hippo", "--yes")
    assert done.returncode != 0
    assert "the newest full backup stays" in done.stderr

    in_host(space, "rm", FILLER)
    until(lambda: volume(space)["usedPercent"] < 80, "it has room", 90)

    def has_room(one: Object) -> bool:
        return "storage local" not in condition(one, "HasRoom")["message"]

    space.until("pgrepo", "hippo", has_room, "does not speak of the storage any more", 30)


def test_without_a_byte_free_a_backup_is_expired_all_the_same_and_wal_flows_again(postgres: Postgres, space: Kubectl):
    space.apply(backup("newest", type="full"))
    completed(space, "newest")
    oldest, *others = [one["label"] for one in info(space)["backup"]]
    in_host(space, "sh", "-c", f"dd if=/dev/zero of={FILLER} bs=64k || test $(stat -f -c %a {FILLER}) = 0")
    failed, waits = int(postgres.sql(FAILED)), postgres.sql(SWITCH)
    offers = says("HasRoom", "False", f"expire the oldest full backup {oldest}")
    told = space.until("pgrepo", "hippo", offers, "offers to make room", 90)
    assert condition(told, "HasRoom")["reason"] == "VolumeNearlyFull"
    until(lambda: int(postgres.sql(FAILED)) > failed, "the WAL finds no room", 120)

    done = pgwarden(space, "expire", "hippo", "--yes")
    assert done.returncode == 0, done.stderr
    until(lambda: any(oldest in said for said in events(space, "hippo", "SetExpired")), "it is expired", 60)
    assert [one["label"] for one in info(space)["backup"]] == others
    postgres.sql(SWITCH)  # wakes the archiver, which pauses for a minute after three tries
    until(lambda: postgres.sql("SELECT last_archived_wal FROM pg_stat_archiver") >= waits, "WAL flows again", 120)
    assert in_host(space, "ls", FILLER).strip() == FILLER  # the room was made by the backup alone
    in_host(space, "rm", FILLER)
    until(lambda: volume(space)["usedPercent"] < 80, "it has room", 90)


def test_a_larger_instance_grows_its_claim_while_it_runs(rhino: Cluster, space: Kubectl, growing: str):
    (claim,) = [one["metadata"]["name"] for one in space.list("pvc", "pgwarden.io/cluster=rhino")]
    pod = rhino.pod("rhino-1")
    rhino.change(instances={"replicas": 1, "storage": {"size": "2Gi", "storageClassName": growing}})
    words = f"claim {claim} grows from 1Gi to 2Gi: "
    told = space.until("pgc", "rhino", says("Complete", "False", words), "waits for the driver", 60)
    assert condition(told, "Complete")["reason"] == "Expanding"
    assert asked(space.get("pvc", claim)) == "2Gi"
    expand(space, claim)
    rhino.wait_ready(90)
    assert rhino.pod("rhino-1") == pod


def test_a_backup_from_a_standby_takes_the_primary_while_there_is_none_and_says_so(rhino: Cluster, space: Kubectl):
    space.apply(backup("lonely", repository="rhino", type="full"))
    assert FROM_PRIMARY in completed(space, "lonely")["message"]


def test_and_takes_the_standby_once_there_is_one(rhino: Cluster, space: Kubectl, growing: str):
    rhino.change(instances={"replicas": 2, "storage": {"size": "2Gi", "storageClassName": growing}})
    rhino.wait_ready(240)
    space.apply(backup("beside", repository="rhino", type="full"))
    assert FROM_PRIMARY not in completed(space, "beside")["message"]
    log = space.run("logs", "job/beside-backup", "--all-containers").stdout
    assert "wait for replay on the standby" in log
