"""pgbackrest.conf, as whole texts. pgBackRest 2.60 reads them without a warning."""

from __future__ import annotations

import msgspec
import pytest

from pgwarden import storages
from pgwarden.api.defaults import OperatorDefaults
from pgwarden.api.kinds import PodFacts, RepositorySpec
from pgwarden.pgbackrest.config import (
    PodEndpoint,
    RepoCredentials,
    clone_conf,
    credentials_conf,
    host_conf,
    pod_conf,
    split_endpoint,
    stanza_section,
    without_server,
)

HIPPO = {"metadata": {"name": "hippo", "namespace": "ns"}}
FACTS = PodFacts(
    container="postgres",
    data_directory="/var/lib/postgresql/data/pgdata",
    port=5433,
    socket_directory="/var/run/postgresql",
    user="postgres",
    database="postgres",
    run_as_user=999,
    run_as_group=999,
    configured_by="Arguments",
    data_volume="data",
)
S3 = {"bucket": "backups", "endpoint": "minio.storage.svc:9000", "region": "us-east-1", "uriStyle": "path"}


def spec(**fields) -> RepositorySpec:
    return msgspec.convert(fields, RepositorySpec)


def places(given: RepositorySpec) -> tuple[storages.Place, ...]:
    return storages.places(given, OperatorDefaults(), "ns", "hippo")


def keys(key: str = "", secret: str = "", cipher: str = "") -> RepoCredentials:
    return RepoCredentials({"s3-key": key, "s3-key-secret": secret}, cipher)


def host(given: RepositorySpec, *ips: str) -> str:
    return host_conf(HIPPO, given, places(given), [PodEndpoint(ip, FACTS) for ip in ips])


def pod(given: RepositorySpec) -> str:
    return pod_conf(HIPPO, given, places(given))


LOCAL_HOST = """\
[global]
archive-async=y
archive-timeout=60
compress-type=zst
lock-path=/pgwarden/work/lock
log-level-console=info
log-level-file=off
log-path=/pgwarden/work/log
process-max=2
repo1-block=y
repo1-bundle=y
repo1-path=/pgwarden/repo
repo1-retention-full=7
repo1-retention-full-type=count
repo1-type=posix
spool-path=/pgwarden/work/spool
start-fast=y
tcp-keep-alive-count=3
tcp-keep-alive-idle=30
tcp-keep-alive-interval=10
tls-server-address=*
tls-server-auth=hippo-host=hippo
tls-server-auth=hippo-pods=hippo
tls-server-ca-file=/pgwarden/conf/ca.crt
tls-server-cert-file=/pgwarden/conf/tls.crt
tls-server-key-file=/pgwarden/conf/tls.key
tls-server-port=8432

[hippo]
pg1-database=postgres
pg1-host=10-244-0-7.hippo-pgbackrest-pods.ns.svc
pg1-host-ca-file=/pgwarden/conf/ca.crt
pg1-host-cert-file=/pgwarden/conf/tls.crt
pg1-host-config=/pgwarden/conf/pgbackrest.conf
pg1-host-config-include-path=/pgwarden/conf/conf.d
pg1-host-key-file=/pgwarden/conf/tls.key
pg1-host-port=8432
pg1-host-type=tls
pg1-path=/var/lib/postgresql/data/pgdata
pg1-port=5433
pg1-socket-path=/var/run/postgresql
pg1-user=postgres
"""

LOCAL_POD = """\
[global]
archive-async=y
archive-timeout=60
compress-type=zst
lock-path=/pgwarden/work/lock
log-level-console=warn
log-level-file=off
log-path=/pgwarden/work/log
process-max=2
repo1-host=hippo-pgbackrest.ns.svc
repo1-host-ca-file=/pgwarden/conf/ca.crt
repo1-host-cert-file=/pgwarden/conf/tls.crt
repo1-host-config=/pgwarden/conf/pgbackrest.conf
repo1-host-config-include-path=/pgwarden/conf/conf.d
repo1-host-key-file=/pgwarden/conf/tls.key
repo1-host-port=8432
repo1-host-type=tls
spool-path=/pgwarden/work/spool
tcp-keep-alive-count=3
tcp-keep-alive-idle=30
tcp-keep-alive-interval=10
tls-server-address=*
tls-server-auth=hippo-host=hippo
tls-server-ca-file=/pgwarden/conf/ca.crt
tls-server-cert-file=/pgwarden/conf/tls.crt
tls-server-key-file=/pgwarden/conf/tls.key
tls-server-port=8432

[global:archive-push]
io-timeout=15
log-level-console=off
log-level-stderr=off

[global:archive-get]
io-timeout=15
log-level-console=off
log-level-stderr=off
"""

S3_POD = """\
[global]
archive-async=y
archive-timeout=60
compress-type=zst
lock-path=/pgwarden/work/lock
log-level-console=warn
log-level-file=off
log-path=/pgwarden/work/log
process-max=2
repo1-cipher-type=aes-256-cbc
repo1-path=/pgwarden/ns/hippo
repo1-s3-bucket=backups
repo1-s3-endpoint=minio.storage.svc
repo1-s3-key-type=shared
repo1-s3-region=us-east-1
repo1-s3-uri-style=path
repo1-storage-ca-file=/pgwarden/tools/etc/ca-certificates.crt
repo1-storage-port=9000
repo1-type=s3
spool-path=/pgwarden/work/spool
tcp-keep-alive-count=3
tcp-keep-alive-idle=30
tcp-keep-alive-interval=10
tls-server-address=*
tls-server-auth=hippo-host=hippo
tls-server-ca-file=/pgwarden/conf/ca.crt
tls-server-cert-file=/pgwarden/conf/tls.crt
tls-server-key-file=/pgwarden/conf/tls.key
tls-server-port=8432

[global:archive-push]
io-timeout=15
log-level-console=off
log-level-stderr=off

[global:archive-get]
io-timeout=15
log-level-console=off
log-level-stderr=off
"""

BOTH_REPOS = """\
repo1-block=y
repo1-bundle=y
repo1-cipher-type=aes-256-cbc
repo1-path=/pgwarden/repo
repo1-retention-diff=2
repo1-retention-full=14
repo1-retention-full-type=time
repo1-type=posix
repo2-block=y
repo2-bundle=y
repo2-bundle-size=50MiB
repo2-cipher-type=aes-256-cbc
repo2-path=/deep/down
repo2-retention-diff=2
repo2-retention-full=14
repo2-retention-full-type=time
repo2-s3-bucket=backups
repo2-s3-endpoint=s3.eu-central-1.amazonaws.com
repo2-s3-key-type=web-id
repo2-s3-region=eu-central-1
repo2-s3-uri-style=host
repo2-storage-ca-file=/pgwarden/conf/storage-ca.crt
repo2-storage-verify-tls=n
repo2-type=s3
"""


def test_the_host_of_a_local_repository_holds_the_volume_and_calls_the_pods():
    assert host(spec(retention={"full": 7}), "10.244.0.7") == LOCAL_HOST


def test_a_pod_of_a_local_repository_goes_through_the_host():
    assert pod(spec(retention={"full": 7})) == LOCAL_POD


def test_a_pod_of_an_s3_repository_writes_to_the_bucket_itself():
    assert pod(spec(storageType="s3", s3=S3, encryption={"secretRef": {"name": "x"}})) == S3_POD


def test_two_storages_are_repo1_and_repo2_with_all_their_settings():
    given = spec(
        storageType="local,s3",
        s3={
            "bucket": "backups",
            "endpoint": "s3.eu-central-1.amazonaws.com",
            "region": "eu-central-1",
            "path": "/deep//down/",
            "keyType": "web-id",
            "verifyTLS": False,
            "caSecretRef": {"name": "ca"},
        },
        retention={"full": 14, "fullType": "time", "diff": 2},
        encryption={"secretRef": {"name": "x"}},
        options=["--repo2-bundle-size=50MiB"],
    )
    text = host(given)
    assert "".join(line + "\n" for line in text.splitlines() if line.startswith("repo")) == BOTH_REPOS


def test_a_pod_of_two_storages_needs_the_cipher_only_where_it_writes_itself():
    lines = pod(spec(storageType="local,s3", s3=S3, encryption={"secretRef": {"name": "x"}})).splitlines()
    assert [line for line in lines if "cipher" in line] == ["repo2-cipher-type=aes-256-cbc"]


@pytest.mark.parametrize(("storage_type", "lets_in"), [("local", True), ("local,s3", True), ("s3", False)])
def test_the_hosts_server_lets_pods_in_where_it_has_a_volume_for_them_alone(storage_type, lets_in):
    """It acts with all of the host's keys, and pgBackRest lets a client say what is done."""
    given = spec(storageType=storage_type, s3=S3)
    lines = host(given).splitlines()
    assert ("tls-server-auth=hippo-pods=hippo" in lines) == lets_in
    assert "tls-server-auth=hippo-host=hippo" in lines
    assert ("repo1-host=hippo-pgbackrest.ns.svc" in pod(given)) == lets_in


def test_the_order_of_pods_does_not_change_the_text():
    assert host(spec(), "10.0.0.9", "10.0.0.10", "fd00::1") == host(spec(), "fd00::1", "10.0.0.10", "10.0.0.9")


def test_eleven_pods_are_numbered_in_order_and_written_in_order():
    hosts = [
        line
        for line in host(spec(), *(f"10.0.0.{n}" for n in range(10, 21))).splitlines()
        if line.startswith("pg") and "-host=" in line
    ]
    assert [line.split("=")[0] for line in hosts] == [f"pg{n}-host" for n in range(1, 12)]


def test_without_pods_the_stanza_is_there_and_empty():
    assert host(spec()).endswith("\n[hippo]\n")


def test_each_tag_of_an_object_is_a_line():
    lines = host(spec(storageType="s3", options=["--repo1-storage-tag=team=data", "--repo1-storage-tag=tier=gold"]))
    assert [line for line in lines.splitlines() if "storage-tag" in line] == [
        "repo1-storage-tag=team=data",
        "repo1-storage-tag=tier=gold",
    ]


def test_without_bundles_there_are_no_blocks():
    lines = host(spec(options=["--no-repo1-bundle"])).splitlines()
    assert "repo1-bundle=n" in lines
    assert "repo1-block=y" not in lines


def test_a_standby_that_the_repository_requires_is_preferred():
    assert "backup-standby=prefer" in host(spec(options=["--backup-standby=y"])).splitlines()
    assert "backup-standby=n" in host(spec(options=["--backup-standby=n"])).splitlines()


def test_the_users_options_win_over_ours():
    lines = host(spec(options=["--process-max=6 --no-start-fast", "--compress-type=lz4"])).splitlines()
    assert {"process-max=6", "start-fast=n", "compress-type=lz4"} <= set(lines)
    assert len([line for line in lines if line.startswith("process-max")]) == 1


def test_the_users_timeout_and_log_level_reach_what_postgresql_calls():
    text = pod(spec(options=["--io-timeout=40 --log-level-console=detail"]))
    assert text.endswith(
        "\n[global:archive-push]\nlog-level-stderr=off\n\n[global:archive-get]\nlog-level-stderr=off\n"
    )
    assert {"io-timeout=40", "log-level-console=detail"} <= set(text.splitlines())


def test_an_option_that_admission_would_refuse_never_reaches_the_file():
    text = host(spec(options=["--repo1-host-cmd=/bin/sh", "--cmd=/bin/sh", "--repo1-path=/etc"]))
    assert "/bin/sh" not in text
    assert "repo1-path=/pgwarden/repo" in text


CPUS = [("500m", "1"), ("2", "2"), (3, "3"), ("3500m", "4"), ("64", "8"), (None, "2")]


@pytest.mark.parametrize(("cpu", "processes"), CPUS, ids=[str(row[0]) for row in CPUS])
def test_there_is_a_process_for_each_cpu_up_to_eight(cpu, processes):
    resources = {"limits": {"cpu": cpu}} if cpu is not None else None
    assert f"process-max={processes}" in host(spec(resources=resources)).splitlines()


def test_the_section_of_a_pod_is_its_own_postgresql():
    assert stanza_section("hippo", FACTS) == (
        "[hippo]\n"
        "pg1-database=postgres\n"
        "pg1-path=/var/lib/postgresql/data/pgdata\n"
        "pg1-port=5433\n"
        "pg1-socket-path=/var/run/postgresql\n"
        "pg1-user=postgres\n"
    )


def test_credentials_are_a_file_of_their_own_and_lose_the_line_break_of_their_secret():
    repos = {2: keys("key", "se=cret\n", "pass phrase"), 1: RepoCredentials(cipher_pass="pass phrase\r\n")}
    assert credentials_conf(repos) == (
        "[global]\n"
        "repo1-cipher-pass=pass phrase\n"
        "repo2-cipher-pass=pass phrase\n"
        "repo2-s3-key=key\n"
        "repo2-s3-key-secret=se=cret\n"
    )


def test_credentials_do_not_show_in_a_log():
    assert "hush" not in repr(keys("hush", "hush", "hush")) + str(keys("hush", "hush", "hush"))


@pytest.mark.parametrize("value", ["a\nrepo1-path=/etc", "a\0b", "a\rb"], ids=["line", "nul", "return"])
def test_a_value_cannot_add_a_line(value):
    with pytest.raises(
        ValueError, match=r"^repo1-s3-key: a value .* is one line without control characters$"
    ) as caught:
        credentials_conf({1: keys(value)})
    assert "/etc" not in str(caught.value)


ENDPOINTS = [
    ("minio:9000", ("minio", "9000")),
    ("s3.amazonaws.com", ("s3.amazonaws.com", "")),
    ("[fd00::1]:9000", ("[fd00::1]", "9000")),
    ("[fd00::1]", ("[fd00::1]", "")),
]


@pytest.mark.parametrize(("endpoint", "parts"), ENDPOINTS, ids=[row[0] for row in ENDPOINTS])
def test_an_endpoint_is_a_host_and_maybe_a_port(endpoint, parts):
    assert split_endpoint(endpoint) == parts


# --- a clone ------------------------------------------------------------------------------------------------------


def clone(given: RepositorySpec, *numbers: int) -> dict[str, str]:
    text = clone_conf(HIPPO, given, places(given), dict.fromkeys(numbers, keys("AK", "SK", "phrase")))
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def test_a_clone_reaches_a_local_storage_through_the_sources_host_with_a_certificate_of_its_own():
    made = clone(spec(), 1)
    assert made["repo1-host"] == "hippo-pgbackrest.ns.svc"
    assert made["repo1-host-config"] == "/pgwarden/conf/pgbackrest.conf"  # on the host
    for key, file in (("ca", "ca.crt"), ("cert", "tls.crt"), ("key", "tls.key")):
        assert made[f"repo1-host-{key}-file"] == f"/etc/pgwarden-source/{file}"
    assert not any("s3" in key or "cipher" in key for key in made)


def test_a_clone_reads_a_bucket_itself_with_the_sources_credentials():
    given = spec(storageType="local,s3", s3=S3, encryption={"secretRef": {"name": "x"}})
    made = clone(given, 1, 2)
    assert (made["repo2-s3-key"], made["repo2-s3-key-secret"], made["repo2-cipher-pass"]) == ("AK", "SK", "phrase")
    assert made["repo2-path"] == "/pgwarden/ns/hippo"
    assert "repo1-s3-key" not in made


def test_a_clone_asks_the_service_as_its_source_does():
    options = ["--repo2-s3-requester-pays", "--repo2-s3-service=s3-outposts", "--process-max=4"]
    made = clone(spec(storageType="local,s3", s3=S3, options=options), 1, 2)
    assert (made["repo2-s3-requester-pays"], made["repo2-s3-service"]) == ("y", "s3-outposts")
    assert made["process-max"] == "2"


def test_a_storage_that_a_clone_does_not_use_is_not_in_its_configuration():
    given = spec(storageType="local,s3", s3=S3)
    assert not any(key.startswith("repo2") for key in clone(given, 1))
    assert not any(key.startswith("repo1") for key in clone(given, 2))


def test_nothing_of_a_clones_configuration_meets_that_of_its_own_repository():
    made = clone(spec(storageType="local,s3", s3=S3 | {"caSecretRef": {"name": "x"}}), 1, 2)
    ours = {key: value for key, value in made.items() if value.startswith("/pgwarden/") and "host-config" not in key}
    assert set(ours) == {"lock-path", "log-path", "spool-path", "repo2-path"}
    assert all(ours[key].startswith("/pgwarden/work/clone/") for key in ("lock-path", "log-path", "spool-path"))
    assert made["pg1-path"] == "/pgdata/clone"


def test_a_configuration_without_the_server_has_its_storages_alone():
    text = "[global]\nrepo1-path=/r\npg1-x=1\nlog-path=/pg1-y\n\n[hippo]\npg1-path=/d\n pg1-port=5432\npg2-host=h\n"
    assert without_server(text) == "[global]\nrepo1-path=/r\nlog-path=/pg1-y\n\n[hippo]\n"
