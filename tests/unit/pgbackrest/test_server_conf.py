"""What the host's own server is configured with: its clients can read all of it."""

from __future__ import annotations

import msgspec
import pytest

from pgwarden import storages
from pgwarden.api.defaults import OperatorDefaults
from pgwarden.api.kinds import RepositorySpec
from pgwarden.pgbackrest.config import server_conf

S3 = {"bucket": "backups", "endpoint": "minio.storage.svc:9000", "region": "us-east-1", "uriStyle": "path"}
HIPPO = {"metadata": {"name": "hippo", "namespace": "ns"}}
OPTIONS = ["--repo2-s3-requester-pays=y", "--io-timeout=90", "--repo1-storage-upload-chunk-size=1GiB"]


def conf(**fields) -> str:
    spec = msgspec.convert({"s3": S3} | fields, RepositorySpec)
    return server_conf(HIPPO, spec, storages.places(spec, OperatorDefaults(), "ns", "hippo"))


def test_nothing_where_no_pod_reaches_a_storage_through_the_host():
    assert conf(storageType="s3") == ""


@pytest.mark.parametrize("storage_type", ["local", "local,s3"])
def test_it_has_the_storage_on_the_volume_and_lets_in_the_pods_alone(storage_type):
    lines = conf(storageType=storage_type, encryption={"secretRef": {"name": "cipher"}}).splitlines()
    assert [one for one in lines if one.startswith("repo")] == [
        "repo1-cipher-type=aes-256-cbc",
        "repo1-path=/pgwarden/repo",
        "repo1-type=posix",
    ]
    assert [one for one in lines if one.startswith("tls-server-auth")] == ["tls-server-auth=hippo-pods=hippo"]


def test_a_users_options_are_in_force_but_those_of_another_storage():
    lines = conf(storageType="local,s3", options=OPTIONS).splitlines()
    assert "io-timeout=90" in lines
    assert not [one for one in lines if one.startswith("repo2")]
