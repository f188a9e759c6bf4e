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
BACKUP = {"kind": "Backup", "metadata": {"name": "nightly", "namespace": "ns", "uid": "b"}}


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
