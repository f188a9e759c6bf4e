"""The recovery that fills the first instance's volume: from its source, or from the cluster's own Repository."""

from __future__ import annotations

from typing import Any

import pytest

from controller.cluster import filling
from controller.cluster.clone import Source
from controller.recovery import job as recovery_job
from controller.settings import Settings
from pgwarden.api import names
from pgwarden.pgbackrest import commands
from pgwarden.pgbackrest.info import BackupSet, Database, Info, RepoStatus

from .conftest import NOW, facts, spec

SETTINGS = Settings(*[""] * 7, validating_webhook="", defaults=None, http_port=0, lease="")  # type: ignore[arg-type]
BOTH = {"storageType": "local,s3", "s3": {"bucket": "b"}}
ROLE = "arn:aws:iam::1:role/x"


def info(repo: int) -> Info:
    size = {"database_size": 1, "database_delta": 1, "repository_delta": 1}
    sets = (BackupSet(label="F", type="full", repo=repo, database_id=1, start=NOW, stop=NOW, **size),)
    repos = tuple(RepoStatus(repo=number, code=0, message="ok", cipher="none") for number in (1, 2))
    databases = (Database(repo=repo, id=1, system_id="7", version="17"),)
    return Info(stanza="rhino", code=0, message="ok", backups=sets, repos=repos, databases=databases)


def source(repo: int = 2, **postgres: Any) -> Source:
    metadata = {"name": "rhino", "namespace": "ns"}
    return Source({"metadata": metadata, "spec": BOTH, "status": {"postgres": postgres}}, info(repo))


def made(*, own: bool = False, found: Source | None = None, **given: Any) -> dict[str, Any]:
    wanted = spec(**given)
    cluster = {"metadata": {"name": "hippo", "namespace": "ns", "uid": "c"}, "kind": "PostgresCluster"}
    seen = {"own": found} if own else {"source": found or source()}
    return recovery_job.job(filling.order(facts(spec=wanted, cluster=cluster, **seen), SETTINGS, own=own), SETTINGS)


def pod(job: dict[str, Any]) -> dict[str, Any]:
    return job["spec"]["template"]["spec"]


def container(job: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in [*pod(job)["initContainers"], *pod(job)["containers"]] if one["name"] == name)


ASKED = {
    "repository": "rhino",
    "target": {"time": "2026-11-23T12:00:00Z"},
    "set": "F",
    "options": ["--db-include=mine"],
}


def test_a_clone_reads_its_source_by_the_sources_own_configuration_alone():
    agent = container(made(dataSource=ASKED), "pgbackrest")
    assert agent["args"] == [
        "--pg-data", "/pgdata/clone", "--volume-root", "/pgdata", "--uid", "c", "--bin", "/usr/lib/postgresql/17/bin",
        "--target-time", "2026-11-23T12:00:00Z", "--config", names.CLONE_CONF_FILE, "--copy", "--",
        "--stanza=rhino", "--repo=2", "--pg1-path=/pgdata/clone", "--reset-pg1-host", "--set=F",
        f"--recovery-option=restore_command={commands.clone_restore_command('rhino')}",
        "--type=time", "--target=2026-11-23 12:00:00+00", "--target-action=promote", "--db-include=mine", "restore",
    ]  # fmt: skip
    assert {"name": "PGWARDEN_STANZA", "value": "rhino"} in agent["env"]


@pytest.mark.parametrize("name", ["pgbackrest", "postgres", "needs"])
def test_whoever_reads_the_source_has_its_secret(name: str):
    job = made(dataSource=ASKED)
    mounts = {one["name"]: one for one in container(job, name)["volumeMounts"]}
    assert mounts["elsewhere"] == {"name": "elsewhere", "mountPath": names.CLONE_SOURCE, "readOnly": True}
    volume = next(one for one in pod(job)["volumes"] if one["name"] == "elsewhere")
    assert volume["secret"] == {"secretName": "hippo-source", "defaultMode": 0o440}


@pytest.mark.parametrize("account", [{}, {"serviceAccountName": "backup"}], ids=["none", "one of the user's"])
def test_no_pod_that_recovers_another_ones_data_has_a_token(account: dict[str, str]):
    stored = {"storageType": "local"} | account
    assert pod(made(dataSource=ASKED, repository=stored))["automountServiceAccountToken"] is False


def test_the_image_is_looked_at_before_anything_is_copied():
    job = made(dataSource=ASKED, image="mine:17")
    assert [one["name"] for one in pod(job)["initContainers"]] == ["pgwarden-tools", "needs", "pgbackrest"]
    look = container(job, "needs")
    assert look["image"] == "mine:17"
    assert look["command"] == [
        "/bin/sh", "/pgwarden/tools/bin/needs.sh", names.CLONE_NEEDS_FILE, "/usr/lib/postgresql/17/bin",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("parameters", "libraries"),
    [({}, "pgaudit"), ({"shared_preload_libraries": "pg_cron, timescaledb"}, "pg_cron,timescaledb")],
    ids=["of the source", "of the clone"],
)
def test_libraries_that_wal_may_need_are_known(parameters: dict[str, str], libraries: str):
    found = source(sharedPreloadLibraries=["pgaudit"])
    arguments = container(made(dataSource=ASKED, found=found, parameters=parameters), "pgbackrest")["args"]
    assert arguments[arguments.index("--preload") + 1] == libraries


def test_what_the_own_repository_holds_is_recovered_as_a_pod_of_the_cluster_reads_it():
    stored = {"storageType": "s3", "s3": {"bucket": "b", "keyType": "web-id", "roleARN": ROLE}}
    own = Source({"metadata": {"name": "hippo"}, "spec": stored}, info(1))
    job = made(own=True, found=own, repository=stored)
    agent = container(job, "pgbackrest")
    assert agent["args"][agent["args"].index("--copy") :] == [
        "--copy", "--", "--stanza=hippo", "--pg1-path=/pgdata/clone", "--reset-pg1-host",
        next(one for one in agent["args"] if one.startswith("--recovery-option=")), "restore",
    ]  # fmt: skip
    assert f" && AWS_ROLE_ARN={ROLE} " in " ".join(agent["args"])
    assert {"name": "PGWARDEN_PG_DATA", "value": "/pgdata/clone"} in agent["env"]
    assert {"name": "PGWARDEN_STANZA", "value": "hippo"} in agent["env"]
    assert "elsewhere" not in {one["name"] for one in pod(job)["volumes"]}
    assert "--config" not in agent["args"]


def test_its_pod_is_on_the_first_instances_volume_and_none_of_the_clusters_own():
    job = made(dataSource=ASKED)
    assert job["metadata"]["name"] == "hippo-recovery"
    assert job["metadata"]["ownerReferences"][0]["uid"] == "c"
    assert pod(job)["volumes"][0] == {"name": "data", "persistentVolumeClaim": {"claimName": "hippo-1"}}
    labels = job["spec"]["template"]["metadata"]["labels"]
    assert not {names.LABEL_CLUSTER, names.LABEL_REPOSITORY, names.LABEL_INSTANCE} & labels.keys()
    assert (pod(job)["securityContext"]["fsGroup"], pod(job)["securityContext"]["runAsUser"]) == (999, 999)


def test_a_clone_as_of_an_earlier_time_reads_s3_alone_and_everywhere_as_it_was():
    asked = {"repository": "rhino", "repoTargetTime": "2026-11-23T12:00:00Z"}
    job = made(dataSource=asked)
    for name in ("pgbackrest", "postgres"):
        found = {one["name"]: one["value"] for one in container(job, name)["env"]}
        assert found["PGBACKREST_REPO"] == "2"
        assert found["PGBACKREST_REPO_TARGET_TIME"] == "2026-11-23 12:00:00+00"
    assert "--repo=2" in container(job, "pgbackrest")["args"]
