"""Patroni's configuration as we render it, and its ConfigMaps and pods as we read them."""

from __future__ import annotations

import json
import subprocess

import pytest

from controller import patroni
from controller.cluster import scripts
from pgwarden.api import names
from pgwarden.pgbackrest import commands

from .conftest import spec


def test_it_archives_by_the_command_that_the_webhook_would_set():
    parameters = patroni.dynamic("hippo", spec(), paused=False)["postgresql"]["parameters"]
    assert parameters["archive_mode"] == "on"
    assert parameters["archive_command"] == commands.archive_command("hippo")
    assert names.PGBACKREST_ARCHIVE in parameters["archive_command"]
    local = json.loads(patroni.local("hippo", spec()))
    assert local["postgresql"]["recovery_conf"] == {"restore_command": commands.restore_command("hippo")}


def test_a_web_identity_is_set_by_each_command_that_reaches_the_bucket():
    """PostgreSQL's own environment stays as it is; see pgbackrest/identity.py."""
    arn = "arn:aws:iam::1:role/backups"
    s3 = {"bucket": "b", "endpoint": "e", "region": "r", "keyType": "web-id", "roleARN": arn}
    given = spec(repository={"storageType": "s3", "s3": s3})
    parameters = patroni.dynamic("hippo", given, paused=False)["postgresql"]["parameters"]
    local = json.loads(patroni.local("hippo", given))["postgresql"]
    assert parameters["archive_command"] == commands.archive_command("hippo", arn)
    assert local["recovery_conf"]["restore_command"] == commands.restore_command("hippo", arn)
    replica = scripts.files("hippo", given)["replica.sh"]
    for text in (parameters["archive_command"], local["recovery_conf"]["restore_command"], replica):
        assert f"AWS_ROLE_ARN={arn}" in text
        assert "AWS_WEB_IDENTITY_TOKEN_FILE=/pgwarden/token/token" in text
    assert "AWS_" not in scripts.files("hippo", spec())["replica.sh"]


def test_a_replica_is_made_from_the_next_storage_where_the_first_is_away(tmp_path):
    """pgBackRest, without --repo, ends with HostConnectError at the first."""
    both = spec(repository={"storageType": "local,s3", "s3": {"bucket": "b", "endpoint": "e", "region": "r"}})
    text = scripts.files("hippo", both)["replica.sh"].replace(names.PGBACKREST, str(tmp_path / "pgbackrest"))
    (tmp_path / "pgbackrest").write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\ncase "$*" in *--repo=2*) ;; *) exit 49 ;; esac\n'
    )
    (tmp_path / "pgbackrest").chmod(0o755)
    (tmp_path / "conf").write_text("[global]")
    done = subprocess.run(["sh", "-c", text.replace(names.CONF_FILE, str(tmp_path / "conf"))], check=False)
    first, second = (tmp_path / "asked").read_text().splitlines()
    assert done.returncode == 0
    assert "--repo=1 --io-timeout=15 restore" in first
    assert "--repo=2 restore" in second
    assert "exec " in scripts.files("hippo", spec())["replica.sh"]


def test_while_the_api_server_is_away_the_primary_goes_on_if_all_members_agree():
    assert patroni.dynamic("hippo", spec(), paused=False)["failsafe_mode"] is True


def test_replicas_come_from_the_repository_before_they_come_from_the_primary():
    local = json.loads(patroni.local("hippo", spec()))["postgresql"]
    assert local["create_replica_methods"] == ["pgbackrest", "basebackup"]
    script = scripts.files("hippo", spec())[local["pgbackrest"]["command"].rpartition("/")[2]]
    words = script.split("exec ")[1].split()
    assert words[0] == names.PGBACKREST
    assert words[-1] == "restore"
    assert {"--delta", "--type=standby", "--stanza=hippo"} <= set(words)


def test_what_users_set_wins_but_not_over_the_archive():
    given = spec(parameters={"archive_timeout": "5min", "work_mem": 4096})
    parameters = patroni.dynamic("hippo", given, paused=False)["postgresql"]["parameters"]
    assert parameters["archive_timeout"] == "5min"
    assert parameters["work_mem"] == "4096"


@pytest.mark.parametrize(
    ("repository", "expected"),
    [({}, "60s"), ({"archiveTimeout": "5min"}, "300s"), ({"archiveTimeout": "off"}, None)],
    ids=["default", "given", "off"],
)
def test_archive_timeout_is_the_repositorys(repository, expected):
    parameters = patroni.dynamic("hippo", spec(repository=repository), paused=False)["postgresql"]["parameters"]
    assert parameters.get("archive_timeout") == expected


def test_pause_is_there_only_while_autofail_is_off():
    assert "pause" not in patroni.dynamic("hippo", spec(), paused=False)
    assert patroni.dynamic("hippo", spec(), paused=True)["pause"] is True


def test_no_password_is_in_the_configuration():
    text = patroni.local("hippo", spec()) + patroni.bootstrap("hippo", spec())
    assert "password" not in text.replace("password_encryption", "")


def config_map(key, **annotations):
    return {"metadata": {"name": f"hippo-{key}", "annotations": annotations}}


def test_the_store_is_read():
    config = {"ttl": 30, "pause": True}
    maps = [
        config_map("config", config=json.dumps(config), initialize="741"),
        config_map("leader", leader="hippo-1-x"),
        config_map("failover", leader="hippo-1-x"),
        config_map("sync", sync_standby="hippo-2-y"),
    ]
    found = patroni.store("hippo", {one["metadata"]["name"]: one for one in maps})
    assert found.leader == "hippo-1-x"
    assert found.system_identifier == "741"
    assert found.config == config
    assert found.paused
    assert found.switching
    assert found.synchronous == {"hippo-2-y"}


def test_a_switchover_for_later_is_not_under_way_and_one_for_now_takes_its_place():
    later = config_map("failover", leader="hippo-1-x", member="hippo-2-y", scheduled_at="2026-12-01T03:00:00+00:00")
    assert not patroni.store("hippo", {later["metadata"]["name"]: later}).switching
    patch = patroni.switchover_patch(patroni.switchover("hippo", "hippo-1-x", "hippo-2-y"))
    asked = {"leader": "hippo-1-x", "member": "hippo-2-y", "scheduled_at": None}
    assert patch == {"metadata": {"annotations": asked}}


def test_an_empty_store_and_broken_annotations_are_read_too():
    assert patroni.store("hippo", {}) == patroni.Store()
    assert patroni.member({"metadata": {"annotations": {"status": "{"}}}) == patroni.Member()
    assert patroni.member({"metadata": {}}) == patroni.Member()


def test_what_is_patched_is_what_is_read_back():
    config = patroni.dynamic("hippo", spec(), paused=True)
    patch = patroni.config_patch(config)
    read = patroni.store("hippo", {"hippo-config": {"metadata": patch["metadata"]}})
    assert read.config == config


def test_scripts_are_whole_shell_scripts(tmp_path):
    made = scripts.files("hippo", spec())
    compile(made.pop("keep_place.py"), "keep_place.py", "exec")
    for name, text in made.items():
        assert text.startswith("#!/bin/sh\n")
        path = tmp_path / name
        path.write_text(text)
        assert subprocess.run(["sh", "-n", path], check=False).returncode == 0
        assert "{" not in text.replace("{ echo", "")


def test_the_parameters_of_a_start_without_patroni_are_lines_of_postgresql_conf():
    lines = patroni.parameters("hippo", spec(parameters={"max_connections": 220, "search_path": '"it\'s", a\\b'}))
    assert "max_connections = '220'\n" in lines
    assert "max_worker_processes = '8'\n" in lines
    assert "search_path = '\"it''s\", a\\\\b'\n" in lines


def lines(**asked: object) -> list[str]:
    return patroni.dynamic("hippo", spec(**asked), paused=False)["postgresql"]["pg_hba"]


def test_by_the_network_nobody_gets_in_without_tls_and_the_superuser_not_at_all():
    found = [line for line in lines() if not line.startswith("local ")]
    assert found[-1] == "hostssl all all all scram-sha-256"
    assert all(line.startswith("hostssl ") or line.endswith(" reject") for line in found)
    assert found.index("host all postgres,replicator,rewind all reject") < len(found) - 1
    assert "hostssl replication replicator all scram-sha-256 clientcert=verify-ca" in found


def test_clients_that_cannot_are_let_in_where_the_spec_says_so():
    assert lines(tls={"required": True}) == lines()
    assert lines(tls={"required": False}) == [*lines()[:-1], "host all all all scram-sha-256"]


def test_until_all_instances_speak_tls_they_are_let_in_as_before_and_encrypt_where_they_can():
    before = patroni.dynamic("hippo", spec(), paused=False, encrypted=False)["postgresql"]["pg_hba"]
    assert before[-2:] == ["host replication replicator all scram-sha-256", "host all all all scram-sha-256"]
    modes = [json.loads(patroni.tls(encrypted=yes))["postgresql"]["authentication"] for yes in (False, True)]
    assert [one["replication"]["sslmode"] for one in modes] == ["prefer", "verify-ca"]
    assert [one["rewind"]["sslmode"] for one in modes] == ["prefer", "verify-ca"]


def test_patronis_rest_asks_for_a_certificate_where_something_is_ordered_and_verifies_the_others():
    found = json.loads(patroni.tls(encrypted=True))
    assert found["restapi"]["verify_client"] == "optional"
    assert found["restapi"]["cafile"] == found["ctl"]["cacert"] == "/etc/pgwarden-tls/instance-ca.crt"
    # `insecure` with a certificate of one's own is the name alone (patroni/request.py).
    assert found["ctl"]["insecure"] is True
    assert found["ctl"]["certfile"] == "/etc/pgwarden-tls/instance.crt"
