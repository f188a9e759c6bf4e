"""Web identity: the two variables that pgBackRest reads, and the token's volume, wherever a bucket is reached."""

from __future__ import annotations

import os
import subprocess

import msgspec
import pytest

from controller.backup import render as backup_render
from controller.recovery import job as recovery_job
from controller.recovery.plan import Plan
from controller.repository import render as repository_render
from controller.restore import render as restore_render
from controller.settings import Settings
from pgwarden import storages
from pgwarden.api.kinds import BackupSpec, PodFacts, RepositorySpec, RestoreSpec
from pgwarden.pgbackrest import commands
from pgwarden.pgbackrest.user_options import parse_options

ROLE = "arn:aws:iam::1:role/backups"
WEB_ID = {"keyType": "web-id", "bucket": "b", "endpoint": "e", "region": "r", "uriStyle": "path"}
REPOSITORY = {"kind": "Repository", "metadata": {"name": "hippo", "namespace": "ns", "uid": "u", "generation": 1}}
RESTORE = {"kind": "Restore", "metadata": {"name": "r", "namespace": "ns", "uid": "x"}}
DATA = {"name": "data", "mountPath": "/var/lib/postgresql/data"}
FACTS = PodFacts(
    container="postgres", data_directory="/var/lib/postgresql/data/pgdata", port=5432, user="postgres", database="postgres",
    socket_directory="/var/run/postgresql", run_as_user=999, run_as_group=999, configured_by="Arguments", data_volume="data",
)  # fmt: skip
BACKUP = {"kind": "Backup", "metadata": {"name": "one", "namespace": "ns", "uid": "b"}}


def spec(**s3) -> RepositorySpec:
    return msgspec.convert({"storageType": "s3", "serviceAccountName": "backups", "s3": WEB_ID | s3}, RepositorySpec)


def pods(given: RepositorySpec) -> dict:
    settings = Settings.from_environment({"PGWARDEN_IMAGE": "pgwarden:test"})
    host = repository_render.deployment(REPOSITORY, given, settings)
    job = backup_render.job(
        BACKUP, BackupSpec(repository="hippo"), REPOSITORY, given, ["backup"], settings, storage="local"
    )
    plan = Plan(restore="r", restore_uid="x", repository="hippo", new_claim="c", facts=FACTS, mounts=[DATA])
    restore = recovery_job.job(restore_render.order(RESTORE, plan, RestoreSpec(repository="hippo"), given), settings)
    found = {"host": host, "backup": job, "restore": restore}
    return {name: made["spec"]["template"]["spec"] for name, made in found.items()}


@pytest.mark.parametrize("where", ["host", "backup", "restore"])
def test_host_and_jobs_run_as_the_service_account_with_role_and_token(where):
    pod = pods(spec(roleARN=ROLE))[where]
    container = next(
        (one for one in pod.get("initContainers", []) if one["name"] == "pgbackrest"), pod["containers"][0]
    )
    variables = {one["name"]: one["value"] for one in container["env"]}
    assert pod["serviceAccountName"] == "backups"
    assert variables["AWS_ROLE_ARN"] == ROLE
    assert variables["AWS_WEB_IDENTITY_TOKEN_FILE"] == "/pgwarden/token/token"
    assert {"name": "pgwarden-token", "mountPath": "/pgwarden/token", "readOnly": True} in container["volumeMounts"]
    source = next(one for one in pod["volumes"] if one["name"] == "pgwarden-token")["projected"]["sources"][0]
    assert source == {
        "serviceAccountToken": {"path": "token", "audience": "sts.amazonaws.com", "expirationSeconds": 3600}
    }


@pytest.mark.parametrize("given", [{}, {"keyType": "auto"}, {"keyType": "shared"}], ids=["no role", "auto", "shared"])
def test_without_a_role_of_ours_there_are_no_variables_and_no_token(given):
    for pod in pods(spec(**given)).values():
        assert pod["serviceAccountName"] == "backups"
        assert "AWS_" not in str(pod)
        assert "pgwarden-token" not in str(pod)


def test_the_commands_for_postgresql_set_the_variables_for_themselves_alone(tmp_path):
    """Run by a shell as PostgreSQL does it, with a program that shows what it was given."""
    program = tmp_path / "show"
    program.write_text('#!/bin/sh\necho "$AWS_ROLE_ARN $AWS_WEB_IDENTITY_TOKEN_FILE $6 $7"\n')
    program.chmod(0o755)
    for command in (commands.archive_command("hippo", ROLE), commands.restore_command("hippo", ROLE)):
        assert commands.is_for_postgres(command)
        shown = (
            command.replace("/pgwarden/tools/bin/pgbackrest-archive", str(program))
            .replace("%f", "F")
            .replace("%p", "P")
        )
        done = subprocess.run(shown, shell=True, text=True, capture_output=True, check=True, env=dict(os.environ))
        assert done.stdout.startswith(f"{ROLE} /pgwarden/token/token ")
    assert commands.archive_command("hippo").startswith("/pgwarden/tools/bin/pgbackrest-archive ")
    assert not commands.is_for_postgres("AWS_ROLE_ARN=x cp %p /tmp")


def test_a_restore_hands_the_role_on_to_recovery():
    argv = commands.restore_argv("hippo", options=parse_options([], command="restore")[0], role_arn=ROLE)
    assert f"--recovery-option=restore_command={commands.kept(commands.restore_command('hippo', ROLE))}" in argv


def test_a_pod_gets_the_account_only_with_web_identity():
    assert storages.uses_service_account(spec())
    assert not storages.uses_service_account(spec(keyType="auto"))
    local = msgspec.convert({"storageType": "local", "s3": WEB_ID | {"roleARN": ROLE}}, RepositorySpec)
    assert storages.role(local) == ""
