"""The seed's commands on the real cluster, as a user types them, in the order of a cluster's life.

The tests build on one another. `pytest -s` shows the terminal.
"""

from __future__ import annotations

import base64
import html
import json
import os
import re
import shlex
import signal
import subprocess
import urllib.request
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from harness import dashboard
from harness.cluster import Cluster
from harness.command_line import argv
from harness.kubectl import Kubectl, condition, is_true, phase
from harness.objects import archived
from harness.processes import started
from harness.s3 import ENDPOINT, REGION, Store
from harness.s3_steps import says
from harness.waiting import SLOWER, until
from localcluster.config import STORAGE_CLASSES

Run = Callable[..., subprocess.CompletedProcess[str]]
SECRET_KEY = "s3-key-secret"
LABEL = re.compile(r"\d{8}-\d{6}F")


@pytest.fixture(scope="module")
def run(installed, space: Kubectl) -> Run:
    """The command, whose exit code is 0 unless *code* says otherwise."""

    def call(*words: str, code: int = 0, seconds: float = 240) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"PYTHONIOENCODING": "utf-8", "COLUMNS": "100"}
        done = subprocess.run(
            argv(space, *words), env=environment, capture_output=True, text=True, timeout=seconds * SLOWER, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        shown = [
            word if "secret=" not in word or "ca-secret" in word else "--pgbackrest-s3-key-secret=…" for word in words
        ]
        print(f"\n$ kubectl pgwarden {' '.join(shown)}\n{done.stderr}{done.stdout}")  # noqa: T201  the terminal
        assert done.returncode == code, done.stderr + done.stdout
        return done

    return call


@pytest.fixture(scope="module")
def hippo(run: Run, space: Kubectl, installed) -> Cluster:
    """create cluster, with the seed's flags."""
    store = Store(installed.cluster._own())
    bucket = store.make_bucket(f"cli-{uuid.uuid4().hex[:6]}")
    _, ca = store.secrets()
    space.apply(ca)
    key, secret = store.keys
    done = run(
        "create", "cluster", "hippo", "--pgbackrest-storage-type=local,s3", f"--pgbackrest-s3-bucket={bucket}",
        f"--pgbackrest-s3-endpoint={ENDPOINT}", f"--pgbackrest-s3-key={key}", f"--pgbackrest-s3-key-secret={secret}",
        f"--pgbackrest-s3-region={REGION}", f"--pgbackrest-storage-class={STORAGE_CLASSES[0]}", "--pvc-size=1Gi",
        "--pgbackrest-pvc-size=2Gi", "--pgbackrest-s3-uri-style=path", "--pgbackrest-s3-ca-secret=s3-ca", "--wait",
        seconds=300,
    )  # fmt: skip
    assert "Secret hippo-s3 created\nPostgresCluster hippo created\n" in done.stdout
    assert "PostgresCluster hippo Ready: everything matches the spec" in done.stdout
    assert secret not in done.stdout + done.stderr
    return Cluster(space)


def test_backup_with_the_seeds_options_shows_progress_until_its_end(hippo: Cluster, run: Run, space: Kubectl):
    done = run("backup", "hippo", "--name=full", "--backup-opts=--type=full --repo1-retention-full=7", "--wait")
    assert "Backup full Completed after " in done.stdout
    assert re.search(r"^Running  \d+ s  \S", done.stderr, re.MULTILINE)  # a quick machine may be past the Job's name
    assert space.get("pgb", "full")["spec"]["options"] == ["--repo1-retention-full=7"]


def test_ctrl_c_leaves_the_backup_running_and_says_how_to_look_again(hippo: Cluster, run: Run, space: Kubectl):
    options = "--type=full --compress-type=gz --compress-level=9 --process-max=1 --log-level-console=detail"
    words = argv(space, "backup", "hippo", "--name=left", f"--backup-opts={options}", "--wait")
    with started(words, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as looking:
        space.until("pgb", "left", phase("Running"), "runs", 180)
        looking.send_signal(signal.SIGINT)
        _, said = looking.communicate(timeout=30 * SLOWER)
    print(said)  # noqa: T201  the terminal
    assert looking.returncode == 130
    again = f"watch it with: kubectl pgwarden show backup left -n {space.namespace} --wait"
    assert f"Backup left continues in the cluster; {again}" in said
    assert "Backup left Completed" in run("show", "backup", "left", "--wait").stdout


def test_create_schedule_is_the_seeds_and_delete_ends_it(hippo: Cluster, run: Run, space: Kubectl):
    run(
        "create", "schedule", "hippo", "--schedule=0 1 * * *", "--schedule-type=pgbackrest",
        "--pgbackrest-backup-type=full", "--schedule-opts=--repo1-retention-full=21",
    )  # fmt: skip
    spec = space.get("pgbs", "hippo-full")["spec"]
    assert (spec["schedule"], spec["type"], spec["options"]) == ("0 1 * * *", "full", ["--repo1-retention-full=21"])
    space.until("pgbs", "hippo-full", phase("Active"), "is active", 30)
    assert "01:00:00Z" in run("show", "schedule", "hippo").stdout


def test_a_backup_that_would_expire_what_the_schedule_keeps_is_refused(run: Run, space: Kubectl):
    said = run("backup", "hippo", "--name=less", "--backup-opts=--repo1-retention-full=7", code=1).stderr
    assert "is less than the 21 full backups of BackupSchedule hippo-full" in said
    assert "spec.repository.retention.allowShorter" in said
    assert space.get("pgb", "less") is None


def test_update_cluster_turns_autofail_off_and_on(hippo: Cluster, run: Run):
    run("update", "cluster", "hippo", "--autofail=false")
    until(lambda: hippo.status()["autofail"] == "off", "autofail is off", 60)
    assert "autofail is off" in run("status", "hippo", code=1).stdout  # s3 is empty so far
    run("update", "cluster", "hippo", "--autofail=true")
    until(lambda: hippo.status()["autofail"] == "on", "autofail is on", 60)


def test_show_backup_draws_the_recovery_window_of_both_storages(hippo: Cluster, run: Run):
    text = run("show", "backup", "hippo").stdout
    assert "storage local: any moment from " in text
    assert re.search(r"^  [● ]*●[●━]*┫?", text, re.MULTILINE)
    assert len(set(LABEL.findall(text))) == 3  # the cluster's own first one, and two by hand
    assert "F full" in text
    assert run("show", "backup", "hippo", "--ascii").stdout.isascii()


def test_status_is_well_once_both_storages_hold_a_backup_and_shows_the_cluster(hippo: Cluster, run: Run):
    missing = "storage s3 holds no backup: `kubectl pgwarden backup hippo --pgbackrest-storage-type=s3` takes one"
    text = run("status", "hippo", code=1).stdout
    assert f"WRONG        {missing}" in text
    assert re.search(r"^  storage      s3     NO BACKUP(; bucket: versioning .*)?$", text, re.MULTILINE)
    run("backup", "hippo", "--pgbackrest-storage-type=s3", "--backup-opts=--type=full", "--wait")
    text = run("status", "hippo").stdout
    assert "hippo: protected since " in text
    assert "cluster      Ready, primary hippo-1, 1/1 instances ready, autofail on" in text
    assert "hippo-1" in run("show", "cluster", "hippo").stdout


def test_clone_is_a_cluster_with_the_rows_of_a_moment(hippo: Cluster, run: Run, space: Kubectl):
    hippo.sql("CREATE TABLE copied AS SELECT i FROM generate_series(1, 1000) AS i")
    moment = datetime.fromisoformat(hippo.sql("SELECT clock_timestamp()")).astimezone(UTC)
    hippo.sql("DROP TABLE copied")
    last = hippo.sql("SELECT pg_walfile_name(pg_current_wal_lsn())")
    hippo.sql("SELECT pg_switch_wal()")
    until(lambda: last in archived(space), "all is archived", 60)
    words = ["clone", "hippo", "rhino", f"--pitr-target={moment:%Y-%m-%d %H:%M:%S.%f}+00", "--pvc-size=1Gi"]
    assert "dataSource:\n    repository: hippo\n" in run(*words, "--dry-run", "-o", "yaml").stdout
    assert "PostgresCluster rhino Ready" in run(*words, "--pgbackrest-pvc-size=2Gi", "--wait", seconds=300).stdout
    assert Cluster(space, "rhino").sql("SELECT count(*), sum(i) FROM copied") == "1000|500500"
    assert hippo.sql("SELECT to_regclass('copied')") == ""
    run("delete", "cluster", "rhino", "--yes", "--lift-protection")


def test_restore_to_a_moment_loses_what_came_after_it(hippo: Cluster, run: Run):
    hippo.sql("CREATE TABLE kept AS SELECT 1 AS i")
    moment = datetime.fromisoformat(hippo.sql("SELECT now()")).astimezone(UTC)
    hippo.sql("DROP TABLE kept")
    words = ["restore", "hippo", f"--pitr-target={moment:%Y-%m-%d %H:%M:%S.%f}+00", "--name=back"]
    asked = run(*words, code=2)  # nobody is there
    assert "every transaction committed after" in asked.stderr
    done = run(*words, "--yes", "--wait")
    assert "Restore back Completed" in done.stdout
    assert hippo.sql("SELECT i FROM kept") == "1"
    assert "autofail is off" in run("status", "hippo").stdout
    run("update", "cluster", "hippo", "--autofail=true")


def test_undo_brings_back_what_the_restore_lost(hippo: Cluster, run: Run, space: Kubectl):
    """By the command; the last statement before the restore was the DROP TABLE."""
    hippo.sql("CREATE TABLE since AS SELECT 1 AS i")
    said = run("undo", "back", "--plan").stdout
    assert "EVERYTHING committed since Restore back stopped PostgreSQL at " in said
    assert run("undo", "bakc", code=1).stderr.endswith("did you mean back?\n")
    assert space.get("pgr", "back-undo") is None  # --plan has changed nothing
    done = run("undo", "back", "--reenable-autofail", "--yes", "--wait")
    assert "Restore back-undo Completed" in done.stdout
    assert hippo.sql("SELECT to_regclass('kept'), to_regclass('since')") == "|"
    hippo.wait_ready(300)
    assert hippo.status()["autofail"] == "on"
    shown = run("show", "restore", "back-undo").stdout
    assert "undoes:      Restore back" in shown


def test_the_dashboard_shows_what_status_and_the_plan_say(hippo: Cluster, run: Run, space: Kubectl):
    with dashboard.running(space) as made:

        def shown(path: str = "") -> str:
            with urllib.request.urlopen(f"{made.address}{path}", timeout=30 * SLOWER) as answer:
                return html.unescape(re.sub(r"<[^>]*>", "", answer.read().decode()))

        def alike() -> tuple[str, dict] | None:
            """Both read at one time: RPO and window go on."""
            (told,) = json.loads(run("status", "hippo", "-o", "json").stdout)
            text = shown()
            same = f"{datetime.fromisoformat(told['since']):%Y-%m-%d %H:%M:%SZ}" in text and told["protected"]
            return (text, told) if same and all(one in text for one in told["wrong"]) else None

        text, told = until(alike, "the page says what status says", 60, shown)
        assert f"Cluster: {told['cluster']}" in text
        one = shown(f"repository/{space.namespace}/hippo")
        for label in (entry["label"] for entry in space.get("pgrepo", "hippo")["status"]["backups"]):
            assert label in one
        for name in ("back", "back-undo"):
            assert re.search(rf"Restore\s*{name}\s*Completed", one), name
        moment = int(datetime.fromisoformat(hippo.sql("SELECT now()")).timestamp())
        one = shown(f"repository/{space.namespace}/hippo?at={moment}")
        (command,) = set(re.findall(r"kubectl pgwarden restore hippo .*?--pitr-target=\S+Z(?= Copy)", one))
        words = shlex.split(command)[2:]
        forecast = json.loads(run(*words, "--plan", "-o", "json").stdout)["forecast"]
        assert f"{forecast['set']} ({forecast['type']}, storage {forecast['storage']})" in one
        assert "about " in one.partition("Takes")[2].partition("Lost")[0]  # two restores have measured it
        assert "hippo-full" in shown("week")


def test_scale_makes_a_replica_out_of_the_repository(hippo: Cluster, run: Run):
    assert "scaled from 1 to 2 instances" in run("scale", "hippo", "--replica-count=1").stdout
    assert "PostgresCluster hippo Ready" in run("show", "cluster", "hippo", "--wait").stdout
    assert "hippo-2" in run("show", "cluster", "hippo").stdout
    assert "hippo-2" in run("scale", "hippo", "--replicas=1", code=2).stderr


def test_with_a_wrong_key_of_one_storage_the_other_one_is_told_to_protect_it(hippo: Cluster, run: Run, space: Kubectl):
    def put(secret: str) -> None:
        space.run("patch", "secret", "hippo-s3", "--type=merge", "-p", json.dumps({"stringData": {SECRET_KEY: secret}}))

    known = base64.b64decode(space.get("secret", "hippo-s3")["data"][SECRET_KEY]).decode()
    words = "; storage s3: the secret key does not belong to the access key"
    space.until("pgc", "hippo", is_true("BackedUp"), "is backed up", 60)
    put("wrong")
    try:
        told = space.until("pgc", "hippo", says("BackedUp", "True", words), "says which storage is away", 90)
        reason = condition(told, "BackedUp")["reason"]
        assert reason == "StorageAway"
        assert "the last backup in storage local is " in told["status"]["message"]
        fields = f"involvedObject.kind=PostgresCluster,involvedObject.name=hippo,reason={reason}"
        until(
            lambda: words in space.run("get", "events", f"--field-selector={fields}", "-o", "json").stdout,
            "an Event says so", 20,
        )  # fmt: skip
        text = run("status", "hippo", code=1).stdout
        assert "hippo: AT RISK, recoverable from " in text
    finally:
        put(known)
    space.until("pgc", "hippo", lambda one: condition(one, "BackedUp")["reason"] == "HasBackup", "is as before", 90)


def test_delete_cluster_says_what_is_lost_and_leaves_the_backups(hippo: Cluster, run: Run, space: Kubectl):
    assert "Type" not in run("delete", "cluster", "hippo", code=2).stdout
    done = run("delete", "cluster", "hippo", "--yes", "--lift-protection")
    assert "2 instances with all data" in done.stderr
    assert "wait --for=delete postgrescluster/hippo" in done.stderr
    assert "claim hippo-pgbackrest-repo and in bucket " in done.stderr
    until(lambda: space.get("deployment", "hippo-1") is None, "the instance is gone", 90)
    assert space.get("pvc", "hippo-pgbackrest-repo") is not None
    assert space.get("secret", "hippo-s3") is not None
