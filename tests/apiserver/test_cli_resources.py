"""kubectl pgwarden against a real API server with the real webhook: what a dry run prints is what is created."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
import yaml

from harness.kubectl import Kubectl
from harness.processes import started
from harness.waiting import SLOWER
from pgwarden.api.schema import with_defaults
from tests.apiserver.manifests import backup, repository, schedule
from tests.apiserver.release import Controllers

Run = Callable[..., subprocess.CompletedProcess[str]]
NOW = "2026-11-01T00:10:00Z"
STATUS = {
    "phase": "Ready",
    "conditions": [
        {"type": kind, "status": "True", "reason": "Well", "message": "well", "lastTransitionTime": NOW}
        for kind in ("Ready", "Reachable", "Archiving")
    ],
    "recoveryWindow": [{"storage": "local", "repo": 1, "earliest": NOW, "latest": "2026-11-20T00:00:00Z"}],
    "backups": [
        {
            "label": "20261101-000000F",
            "type": "full",
            "storage": "local",
            "repo": 1,
            "stopTime": NOW,
            "lsnStop": "0/3000060",
        }
    ],
}
MAKING = {
    "backup": (
        "pgb",
        [
            "backup",
            "hippo",
            "--name=one",
            "--backup-opts=--type=full --repo1-retention-full=7 --annotation='why=to see'",
        ],
    ),
    "schedule": (
        "pgbs",
        [
            "create",
            "schedule",
            "hippo",
            "--name=one",
            "--schedule=0 1 * * *",
            "--schedule-type=pgbackrest",
            "--pgbackrest-backup-type=full",
            "--schedule-opts=--repo1-retention-full=21",
        ],
    ),
    "restore": ("pgr", ["restore", "hippo", "--name=one", "--pitr-target=2026-11-10 10:00:00+00", "--yes"]),
    "restore beside": ("pgr", ["restore", "hippo", "--name=two", "--target-lsn=0/4000000", "--volume-claim=look"]),
}


@pytest.fixture(scope="module")
def hippo(webhook, controllers: Controllers, space: Kubectl) -> Iterator[Kubectl]:
    """A Repository whose status says that it is well. No controller runs: statuses are written by hand here."""
    for program in controllers.running:
        program.terminate()
    # as many as the schedule below, and more than the Backup
    space.apply(repository("hippo", retention={"full": 21, "allowShorter": True}))
    set_status(space, "pgrepo", "hippo", STATUS)
    yield space
    controllers.leader()


def set_status(space: Kubectl, kind: str, name: str, status: dict) -> None:
    patch = yaml.safe_dump({"status": status})
    space.run("patch", kind, name, "--subresource=status", "--type=merge", "-p", patch)


@pytest.fixture(scope="module")
def run(hippo: Kubectl) -> Run:
    """The program as a user starts it, without a terminal."""

    def call(
        *words: str, namespace: str = "", stdin: str = "", seconds: float = 60
    ) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "pgwarden.cli.main", *words, "-n", namespace or hippo.namespace]
        argv.append(f"--kubeconfig={hippo.kubeconfig}")
        environment = os.environ | {"PYTHONIOENCODING": "utf-8"}
        return subprocess.run(
            argv, input=stdin, env=environment, capture_output=True, text=True, timeout=seconds * SLOWER, check=False
        )

    return call


@pytest.mark.parametrize(("kind", "words"), MAKING.values(), ids=MAKING)
def test_what_a_dry_run_prints_is_what_is_created(hippo: Kubectl, run: Run, kind: str, words: list[str]):
    """Nothing more than the API server's own defaults is in the object that it then holds."""
    dry = run(*words, "--dry-run", "-o", "yaml")
    assert dry.returncode == 0, dry.stderr
    printed = yaml.safe_load(dry.stdout)
    name = printed["metadata"]["name"]
    assert hippo.get(kind, name) is None
    done = run(*words)
    assert done.returncode == 0, done.stderr
    made = hippo.get(kind, name)
    assert made is not None
    assert made["spec"] == with_defaults(printed)["spec"]
    assert {"name": name, "namespace": hippo.namespace} == printed["metadata"]
    assert made["metadata"].get("labels", {}) == {}
    assert set(made["metadata"].get("annotations", {})) == set()


def test_what_is_printed_can_be_applied(hippo: Kubectl, run: Run):
    """`… --dry-run -o yaml | kubectl apply -f -` is the same as the command."""
    printed = run("backup", "hippo", "--name=by-apply", "--backup-opts=--type=diff", "--dry-run", "-o", "yaml").stdout
    hippo.apply(printed)
    made = hippo.get("pgb", "by-apply")
    assert made is not None
    assert made["spec"]["type"] == "diff"


def test_a_dry_run_on_the_server_asks_the_webhook_and_leaves_nothing(hippo: Kubectl, run: Run):
    done = run("backup", "hippo", "--name=dry", "--dry-run=server", "-o", "json")
    assert done.returncode == 0, done.stderr
    assert hippo.get("pgb", "dry") is None


def test_two_of_the_same_second_get_two_names(hippo: Kubectl, run: Run):
    before = {one["metadata"]["name"] for one in hippo.list("pgb")}
    argv = [run("backup", "hippo", "-o", "name").stdout.strip() for _ in range(2)]
    after = {one["metadata"]["name"] for one in hippo.list("pgb")} - before
    assert {name.removeprefix("backup.pgwarden.io/") for name in argv} == after
    assert len(after) == 2


def test_faults_are_told_one_by_one_before_anything_is_asked(run: Run):
    done = run("restore", "hipo", "--pitr-target=2030-01-01 00:00:00Z", "--set=20260101-010000F")
    assert done.returncode == 1
    head, *faults = done.stderr.splitlines()
    assert "refused, 2 faults:" in head
    assert "did you mean hippo?" in faults[0]
    assert "is in the future" in faults[1]


def test_a_target_out_of_the_window_is_refused(run: Run):
    done = run("restore", "hippo", "--pitr-target=2026-10-01 00:00:00Z")
    assert done.returncode == 1
    assert "is before 2026-11-01T00:10:00Z, the earliest time that Repository hippo can recover to" in done.stderr


def test_nobody_to_ask_nothing_done(hippo: Kubectl, run: Run):
    """It says what would be lost, and how to go on."""
    before = len(hippo.list("pgr"))
    done = run("restore", "hippo", "--pitr-target=2026-11-10 10:00:00+00")
    assert done.returncode == 2
    assert "every transaction committed after 2026-11-10 10:00:00Z" in done.stderr
    assert "begins with: backup 20261101-000000F (full" in done.stderr
    assert "give --yes to continue, or --dry-run" in done.stderr
    assert len(hippo.list("pgr")) == before


def test_a_name_that_is_taken_is_refused(hippo: Kubectl, run: Run):
    hippo.apply(backup("taken"))
    done = run("backup", "hippo", "--name=taken")
    assert done.returncode == 1
    assert "already exists" in done.stderr
    assert "Traceback" not in done.stderr


def test_show_finds_by_repository_and_by_name(hippo: Kubectl, run: Run):
    hippo.apply(backup("shown"), schedule("shown"))
    picture = run("show", "backup", "hippo")
    assert "storage local: any moment from 2026-11-01 00:10:00Z" in picture.stdout
    assert "●━━" in picture.stdout
    assert "20261101-000000F  full" in picture.stdout
    plain = run("show", "backup", "hippo", "--ascii").stdout
    assert "o==" in plain
    assert plain.isascii()
    assert "shown" in run("show", "schedule", "shown").stdout
    one = yaml.safe_load(run("show", "backup", "shown", "-o", "yaml").stdout)
    assert (one["kind"], one["metadata"]["name"]) == ("Backup", "shown")
    listed = yaml.safe_load(run("show", "backup", "hippo", "-o", "json").stdout)
    assert listed["kind"] == "List"
    assert "shown" in [item["metadata"]["name"] for item in listed["items"]]
    assert "Archiving True: well" in run("show", "repository", "hippo").stdout


@pytest.mark.parametrize("what", ["backup", "schedule", "restore", "repository"])
def test_a_wrong_name_meets_the_right_one(run: Run, what: str):
    done = run("show", what, "hipppo")
    assert done.returncode == 1
    assert "did you mean hippo" in done.stderr


def test_status_says_what_is_wrong_by_its_exit_code(hippo: Kubectl, run: Run):
    well = run("status", "hippo")
    assert (well.returncode, "WRONG" in well.stdout) == (0, False), well.stdout
    assert "hippo: protected since 2026-11-01 00:10:00Z" in well.stdout
    hippo.apply(repository("rhino"))
    both = run("status")
    assert both.returncode == 1
    assert "rhino: NOT PROTECTED" in both.stdout
    assert run("status", namespace="default").returncode == 1
    hippo.run("delete", "pgrepo", "rhino")


def test_delete_asks_and_says_what_goes(hippo: Kubectl, run: Run):
    hippo.apply(schedule("going"))
    refused = run("delete", "schedule", "going")
    assert refused.returncode == 2
    assert "takes no more incr backups of Repository hippo" in refused.stderr
    assert hippo.get("pgbs", "going") is not None
    assert run("delete", "schedule", "hippo", "--yes").returncode == 1
    assert run("delete", "schedule", "going", "--yes").stdout == "BackupSchedule going deleted\n"
    assert hippo.get("pgbs", "going") is None


def test_waiting_ends_with_the_phase(hippo: Kubectl, run: Run):
    """The status is the controller's to write; here it is written by hand."""
    hippo.apply(backup("waited"))
    looked = run("show", "backup", "waited", "--wait", "--timeout=2")
    assert looked.returncode == 2
    assert "watch it with: kubectl pgwarden show backup waited" in looked.stderr
    for phase, code in (("Completed", 0), ("Failed", 1)):
        set_status(hippo, "pgb", "waited", {"phase": phase, "message": f"it is {phase}"})
        done = run("show", "backup", "waited", "--wait")
        assert (done.returncode, f"Backup waited {phase}: it is {phase}" in done.stdout) == (code, True)


def test_ctrl_c_leaves_the_work_alone(hippo: Kubectl):
    hippo.apply(backup("left"))
    argv = [sys.executable, "-m", "pgwarden.cli.main", "show", "backup", "left", "--wait", "-n", hippo.namespace]
    argv.append(f"--kubeconfig={hippo.kubeconfig}")
    with started(argv, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as looking:
        assert looking.stderr is not None
        assert looking.stderr.readline().startswith("Pending")
        looking.send_signal(signal.SIGINT)
        _, said = looking.communicate(timeout=30 * SLOWER)
    assert looking.returncode == 130
    assert said == (
        "Backup left continues in the cluster; "
        f"watch it with: kubectl pgwarden show backup left -n {hippo.namespace} --wait\n"
    )
    assert hippo.get("pgb", "left") is not None


def test_names_are_completed_from_the_cluster(hippo: Kubectl, run: Run):
    words = [f"--kubeconfig={hippo.kubeconfig}", "-n", hippo.namespace]
    argv = [sys.executable, "-m", "pgwarden.cli.main", "__complete", *words, "backup", "hi"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30 * SLOWER, check=True)
    assert done.stdout == "hippo\n"


def test_wrong_credentials_and_wrong_contexts_are_sentences(hippo: Kubectl, run: Run, tmp_path):
    config = yaml.safe_load(hippo.kubeconfig.read_text())
    config["users"] = [{"name": user["name"], "user": {"token": "wrong"}} for user in config["users"]]
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(config))
    argv = [sys.executable, "-m", "pgwarden.cli.main", "status", f"--kubeconfig={path}"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30 * SLOWER, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "authentication failed" in done.stderr
    name = config["contexts"][0]["name"]
    assert run("show", "repository", "hippo", f"--context={name}").returncode == 0
    wrong = run("status", f"--context={name}x")
    assert wrong.returncode == 2
    assert f"did you mean {name}?" in wrong.stderr
