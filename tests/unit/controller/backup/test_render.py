"""The Job of a Backup: what it mounts, and where it runs."""

from __future__ import annotations

import msgspec
import pytest

from controller.backup import render
from pgwarden.api import names
from pgwarden.api.kinds import BackupSpec, RepositorySpec
from tests.unit.controller.restore.fake_cluster import SETTINGS

SPEC = msgspec.convert({"storageType": "local,s3", "s3": {"bucket": "b"}}, RepositorySpec)
REPOSITORY = {"kind": "Repository", "metadata": {"name": "hippo", "namespace": "ns", "uid": "r"}}
BACKUP = {
    "kind": "Backup",
    "metadata": {"name": "nightly", "namespace": "ns", "uid": "b"},
    "spec": {"repository": "hippo"},
}


@pytest.mark.parametrize(("storage", "mounts"), [("local", True), ("s3", False)])
def test_only_a_job_of_the_local_storage_mounts_its_volume_and_runs_beside_it(storage, mounts):
    """A volume that is lost must not keep a backup to the other storage from starting."""
    made = render.job(BACKUP, BackupSpec(repository="hippo"), REPOSITORY, SPEC, ["backup"], SETTINGS, storage=storage)
    expires = render.expire_job(BACKUP, REPOSITORY, SPEC, ["expire"], SETTINGS, storage=storage)
    for job in (made, expires):
        pod = job["spec"]["template"]["spec"]
        volumes = {one["name"] for one in pod["volumes"]}
        mounted = {one["mountPath"] for one in pod["containers"][0]["volumeMounts"]}
        assert (names.VOLUME_REPO in volumes) is mounts
        assert (names.REPO_DIR in mounted) is mounts
        assert ("affinity" in pod) is mounts


def job(**spec):
    wanted = msgspec.convert({"repository": "hippo"} | spec, BackupSpec)
    return render.job(BACKUP, wanted, REPOSITORY, SPEC, ["backup"], SETTINGS, storage="local")


def test_a_backup_has_a_deadline_only_where_the_user_gives_it_one():
    assert "activeDeadlineSeconds" not in job()["spec"]
    assert job(activeDeadlineSeconds=20)["spec"]["activeDeadlineSeconds"] == 20
    backup = BACKUP | {"spec": {"repository": "hippo", "activeDeadlineSeconds": 20}}
    expires = render.expire_job(backup, REPOSITORY, SPEC, ["expire"], SETTINGS, storage="local")
    assert "activeDeadlineSeconds" not in expires["spec"]


def test_the_users_labels_annotations_and_resources_are_those_of_the_jobs_pod():
    limits = {"limits": {"cpu": "2"}}
    given = {"podLabels": {"team": "a", names.LABEL_BACKUP: "x"}, "podAnnotations": {"mesh/inject": "false"}}
    made = job(resources=limits, **given)
    template = made["spec"]["template"]
    assert template["metadata"]["annotations"] == {"mesh/inject": "false"}
    assert template["metadata"]["labels"] == made["metadata"]["labels"] | {"team": "a"}
    assert template["metadata"]["labels"][names.LABEL_BACKUP] == "nightly"
    assert "team" not in made["metadata"]["labels"]
    assert template["spec"]["containers"][0]["resources"] == limits
    assert "annotations" not in job()["spec"]["template"]["metadata"]
    backup = BACKUP | {"spec": {"repository": "hippo", "resources": limits} | given}
    expires = render.expire_job(backup, REPOSITORY, SPEC, ["expire"], SETTINGS, storage="local")["spec"]["template"]
    assert expires["metadata"]["annotations"] == {"mesh/inject": "false"}
    assert expires["metadata"]["labels"][names.LABEL_COMPONENT] == "expire"
    assert expires["spec"]["containers"][0]["resources"] == limits
