"""A backup's Job: beside a mesh's proxy, with old sets that cannot be removed, and as a schedule has it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from harness import mesh
from harness.kubectl import Kubectl, Object, condition, phase
from harness.objects import backup, in_host, info, protect, schedule
from harness.postgres import Postgres
from harness.waiting import until
from pgwarden.api import names

OVER = phase("Completed", "Failed")
BACKUPS = {names.LABEL_COMPONENT: "backup"}
SETS = "/pgwarden/repo/backup/hippo"


@pytest.fixture(scope="module")
def postgres(installed, space: Kubectl) -> Postgres:
    return protect(space, installed.postgres_image, retention={"full": 1})


@pytest.fixture(scope="module")
def meshed(installed, postgres: Postgres, space: Kubectl) -> Object:
    """A full Backup whose pod had a proxy beside it, which never ended."""
    with mesh.proxies(space, installed.image, BACKUPS):
        space.apply(backup("meshed", type="full"))
        found = until(lambda: pods_of(space, "meshed"), "the Job has a pod", 60)
        assert mesh.containers(found[0]) == ["pgbackrest", mesh.PROXY]
        return space.until("pgb", "meshed", OVER, "is over", 120)


def test_a_backup_is_complete_beside_a_proxy_that_never_ends_and_its_job_goes(meshed: Object, space: Kubectl):
    assert (meshed["status"]["phase"], meshed["status"]["reason"]) == ("Completed", "Completed"), meshed["status"]
    assert meshed["status"]["label"] in labels(space)
    until(lambda: not space.get("job", "meshed-backup"), "its Job is gone", 30)
    until(lambda: not pods_of(space, "meshed"), "its pod is gone", 60)


def test_a_backup_whose_old_sets_cannot_be_removed_is_complete_says_so_and_copies_once(
    installed, meshed: Object, space: Kubectl
):
    old = meshed["status"]["label"]
    as_root(space, installed.image, "plant", f"mkdir -m 755 {SETS}/{old}/kept && touch {SETS}/{old}/kept/file")
    space.apply(backup("second", type="full"))
    second = space.until("pgb", "second", OVER, "is over", 120)
    status = second["status"]
    assert (status["phase"], status["reason"]) == ("Completed", "ExpiryFailed"), status
    assert "completed, but old sets could not be removed: " in status["message"]
    assert condition(second, "Completed")["status"] == "True"
    mine = [one for one in info(space)["backup"] if names.PGBACKREST_ANNOTATION_UID in (one.get("annotation") or {})]
    uids = [one["annotation"][names.PGBACKREST_ANNOTATION_UID] for one in mine]
    assert uids.count(second["metadata"]["uid"]) == 1, "its data was copied more than once"
    assert labels(space) == [status["label"]]
    assert len(pods_of(space, "second")) == 1
    assert "ExpiryFailed" in {
        one["reason"] for one in space.list("events") if one["involvedObject"]["name"] == "second"
    }
    as_root(space, installed.image, "lift", f"rm -r {SETS}/{old}/kept")
    space.apply(backup("third", type="full"))
    third = space.until("pgb", "third", OVER, "is over", 120)["status"]
    assert (third["phase"], third["reason"]) == ("Completed", "Completed"), third
    assert old not in in_host(space, "ls", SETS).split()


def test_a_backup_that_runs_for_longer_than_its_user_allows_is_ended_and_names_the_field(
    postgres: Postgres, space: Kubectl
):
    space.apply(backup("short", type="full", activeDeadlineSeconds=1))
    # Its pod may be ended in its first second, in which it hears no signal: then its whole grace goes by, and the set of
    # so small a database may be there by then. What was in its way is named all the same.
    status = space.until("pgb", "short", OVER, "is over", 180)["status"]
    assert status["phase"] == "Failed" or status["reason"] == "ExpiryFailed", status
    assert "it ran for longer than 1 s (spec.activeDeadlineSeconds)" in status["message"]


def test_the_jobs_of_a_schedule_have_what_it_says(postgres: Postgres, space: Kubectl):
    limits = {"limits": {"cpu": "1", "memory": "512Mi"}}
    spec = {"activeDeadlineSeconds": 300, "resources": limits, "podLabels": {"team": "db"}}
    space.apply(schedule("quick", "*/5 * * * * *", **spec, podAnnotations={"sidecar.istio.io/inject": "false"}))
    made = until(lambda: space.list("pgb", f"{names.LABEL_SCHEDULE}=quick"), "it has made a Backup", 30)[0]
    space.run("patch", "pgbs", "quick", "--type=merge", "-p", '{"spec":{"suspend":true}}')
    name = made["metadata"]["name"]
    job = until(lambda: space.get("job", f"{name}-backup"), "it has its Job", 90)
    template = job["spec"]["template"]
    assert job["spec"]["activeDeadlineSeconds"] == 300
    assert template["metadata"]["annotations"] == {"sidecar.istio.io/inject": "false"}
    assert template["metadata"]["labels"]["team"] == "db"
    assert template["spec"]["containers"][0]["resources"]["limits"] == limits["limits"]
    done = space.until("pgb", name, OVER, "is over", 120)["status"]
    assert done["phase"] == "Completed", done["message"]


def test_in_a_window_nothing_begins_and_when_it_does_is_said(postgres: Postgres, space: Kubectl):
    now = datetime.now(UTC)
    window = {"schedule": f"0 {now.hour} * * *", "duration": "2h"}
    ends = f"{now.replace(minute=0) + timedelta(hours=2):%Y-%m-%dT%H:%M:00Z}"
    space.apply(schedule("busy", "* * * * * *", notDuring=[window]), backup("busy", notDuring=[window]))
    waits = space.until("pgb", "busy", lambda b: b.get("status", {}).get("reason"), "says for what it waits", 30)
    assert (waits["status"]["phase"], waits["status"]["reason"]) == ("Pending", "InExcludedWindow")
    assert waits["status"]["message"].endswith(f"it begins at {ends}")
    found = space.until("pgbs", "busy", lambda s: s.get("status", {}).get("nextScheduleTimes"), "has its next run", 30)
    assert found["status"]["nextScheduleTimes"][0] == ends
    space.run("patch", "pgbs", "busy", "--type=merge", "-p", '{"spec":{"notDuring":null}}')
    until(lambda: space.list("pgb", f"{names.LABEL_SCHEDULE}=busy"), "without its window it makes Backups", 30)
    space.run("delete", "pgbs", "busy")


def labels(space: Kubectl) -> list[str]:
    return [str(one["label"]) for one in info(space)["backup"]]


def pods_of(space: Kubectl, name: str) -> list[Object]:
    return space.list("pods", f"{names.LABEL_BACKUP}={name},{names.LABEL_COMPONENT}=backup")


def as_root(space: Kubectl, image: str, name: str, script: str) -> None:
    """Do something to the repository's volume that pgwarden's own user may not, or cannot undo."""
    container = {
        "name": name,
        "image": image,
        "command": ["sh", "-ec", script],
        "securityContext": {"runAsUser": 0},
        "volumeMounts": [{"name": "repo", "mountPath": names.REPO_DIR}],
    }
    if image.startswith("localhost/"):
        container["imagePullPolicy"] = "Never"
    volume = {"name": "repo", "persistentVolumeClaim": {"claimName": names.repo_claim("hippo")}}
    spec = {"restartPolicy": "Never", "containers": [container], "volumes": [volume]}
    space.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})
    space.until("pod", name, phase("Succeeded"), "has done it", 60)
    space.delete("pod", name)
