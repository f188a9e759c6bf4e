"""kubectl pgwarden about PostgresClusters, against a real API server with the real webhook; statuses written by hand."""

from __future__ import annotations

import base64
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
import yaml

from harness.kubectl import Kubectl
from harness.waiting import SLOWER
from pgwarden.api.schema import with_defaults
from tests.apiserver.manifests import cluster
from tests.apiserver.release import Controllers

Run = Callable[..., subprocess.CompletedProcess[str]]
KEY, HIDDEN = "AKIAEXAMPLE", "wJalrXUtnFEMI"
S3_WORDS = [
    "--pgbackrest-storage-type=local,s3",
    "--pgbackrest-s3-bucket=backups",
    "--pgbackrest-s3-endpoint=s3.example.com",
    "--pgbackrest-s3-region=us-east-1",
]


@pytest.fixture(scope="module")
def zoo(webhook, controllers: Controllers, space: Kubectl) -> Iterator[Kubectl]:
    """No controller runs: nothing but the command and the webhook touches the objects."""
    for program in controllers.running:
        program.terminate()
    yield space
    controllers.leader()


@pytest.fixture(scope="module")
def run(zoo: Kubectl) -> Run:
    def call(*words: str, stdin: str = "", namespace: str = "") -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "pgwarden.cli.main", *words, "-n", namespace or zoo.namespace]
        argv.append(f"--kubeconfig={zoo.kubeconfig}")
        environment = os.environ | {"PYTHONIOENCODING": "utf-8"}
        return subprocess.run(
            argv, input=stdin, env=environment, capture_output=True, text=True, timeout=60 * SLOWER, check=False
        )

    return call


def data(secret: dict) -> dict[str, str]:
    return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}


def test_the_cluster_is_what_the_dry_run_printed_and_its_keys_are_in_a_secret(zoo: Kubectl, run: Run):
    words = ["create", "cluster", "hippo", *S3_WORDS, "--pgbackrest-s3-keys-from=-", "--replica-count=1"]
    printed = yaml.safe_load(run(*words, "--dry-run", "-o", "yaml").stdout)
    done = run(*words, stdin=f"{KEY}\n{HIDDEN}\n")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "Secret hippo-s3 created\nPostgresCluster hippo created\n"
    assert HIDDEN not in done.stdout + done.stderr
    made = zoo.get("pgc", "hippo")
    assert made["spec"] == with_defaults(printed)["spec"]
    assert made["spec"]["repository"]["s3"]["credentialsSecretRef"] == {"name": "hippo-s3"}
    secret = zoo.get("secret", "hippo-s3")
    assert data(secret) == {"s3-key": KEY, "s3-key-secret": HIDDEN}
    assert "ownerReferences" not in secret["metadata"]


def test_a_cluster_that_is_refused_leaves_no_secret(zoo: Kubectl, run: Run):
    """The operator has no defaults here: that only the webhook knows."""
    words = ["create", "cluster", "rhino", "--pgbackrest-storage-type=s3", "--pgbackrest-s3-keys-from=-"]
    done = run(*words, stdin=f"{KEY}\n{HIDDEN}\n")
    assert done.returncode == 1
    assert "refused, 3 faults" in done.stderr
    assert "spec.repository.s3.bucket" in done.stderr
    assert zoo.get("secret", "rhino-s3") is None
    assert zoo.get("pgc", "rhino") is None


def test_a_server_dry_run_makes_neither(zoo: Kubectl, run: Run):
    words = ["create", "cluster", "rhino", *S3_WORDS, "--pgbackrest-s3-keys-from=-", "--dry-run=server"]
    done = run(*words, stdin=f"{KEY}\n{HIDDEN}\n")
    assert (done.returncode, "server dry run: valid" in done.stdout) == (0, True), done.stderr
    assert zoo.get("secret", "rhino-s3") is None
    assert zoo.get("pgc", "rhino") is None


NO_KEYS = {
    "none are given and there is no terminal": (
        [],
        "",
        2,
        "storage s3 needs keys: give --pgbackrest-s3-keys-from=FILE",
    ),
    "no such Secret": (["--pgbackrest-s3-secret=nowhere"], "", 1, "there is no Secret nowhere"),
    "half of them": (["--pgbackrest-s3-keys-from=-"], f"s3-key={KEY}\n", 2, "the secret key is missing"),
}


@pytest.mark.parametrize(("words", "stdin", "code", "said"), NO_KEYS.values(), ids=NO_KEYS)
def test_without_keys_nothing_is_made(zoo: Kubectl, run: Run, words: list[str], stdin: str, code: int, said: str):
    done = run("create", "cluster", "rhino", *S3_WORDS, *words, stdin=stdin)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert zoo.get("pgc", "rhino") is None


def test_a_secret_that_is_there_is_used_and_never_changed(zoo: Kubectl, run: Run):
    """After `delete cluster`, its keys are still there; other keys under its name are refused."""
    zoo.run("create", "secret", "generic", "okapi-s3", f"--from-literal=s3-key={KEY}", "--from-literal=s3-key-secret=x")
    words = ["create", "cluster", "okapi", *S3_WORDS]
    other = run(*words, "--pgbackrest-s3-keys-from=-", stdin=f"{KEY}\n{HIDDEN}\n")
    assert other.returncode == 1
    assert "Secret okapi-s3 exists with other keys" in other.stderr
    assert HIDDEN not in other.stderr
    done = run(*words)
    assert done.returncode == 0, done.stderr
    assert "using the S3 keys of the existing Secret okapi-s3" in done.stderr
    assert data(zoo.get("secret", "okapi-s3"))["s3-key-secret"] == "x"


STATEFUL_SET = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: postgres}
spec:
  serviceName: postgres
  selector: {matchLabels: {app: postgres}}
  template:
    metadata: {labels: {app: postgres}}
    spec:
      containers:
        - name: postgres
          image: postgres:17
          volumeMounts: [{name: data, mountPath: /var/lib/postgresql/data}]
  volumeClaimTemplates:
    - metadata: {name: data}
      spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
"""


def test_the_line_that_protect_prints_puts_the_label_on_the_pod_template(zoo: Kubectl, run: Run):
    zoo.apply(STATEFUL_SET)
    before = zoo.get("statefulset", "postgres")["metadata"]["resourceVersion"]
    done = run("protect", "statefulset/postgres", "--repository=gnu", "--pgbackrest-pvc-size=2Gi")
    assert done.returncode == 0, done.stderr
    assert zoo.get("pgrepo", "gnu")["spec"]["local"]["size"] == "2Gi"
    assert zoo.get("statefulset", "postgres")["metadata"]["resourceVersion"] == before
    created, line = done.stdout.splitlines()
    assert created == "Repository gnu created"
    program, *words = shlex.split(line)
    assert program == "kubectl"
    zoo.run(*words)
    template = zoo.get("statefulset", "postgres")["spec"]["template"]
    assert template["metadata"]["labels"] == {"app": "postgres", "pgwarden.io/repository": "gnu"}
    again = run("protect", "statefulset/postgres", "--repository=gnu")
    assert "nothing is left to do" in again.stderr
    assert "did you mean postgres?" in run("protect", "sts/postgre").stderr


def test_a_namespace_that_does_not_exist_is_named_as_such(run: Run):
    done = run("status", namespace="nowhere")
    assert (done.returncode, done.stdout) == (1, "nothing is protected: namespace nowhere does not exist\n")


@pytest.fixture(scope="module")
def three(zoo: Kubectl) -> Kubectl:
    zoo.apply(cluster("zebra", instances={"replicas": 3, "storage": {"size": "1Gi"}}, autofail=False))
    instances = [{"name": f"zebra-{n}", "role": "primary" if n == 3 else "replica", "ready": True} for n in (1, 2, 3)]
    status = {
        "phase": "Ready",
        "primary": "zebra-3",
        "ready": "3/3",
        "autofail": "off",
        "message": "well",
        "instances": instances,
    }
    patch = yaml.safe_dump({"status": status})
    zoo.run("patch", "pgc", "zebra", "--subresource=status", "--type=merge", "-p", patch)
    return zoo


def test_autofail_is_turned_on_and_nothing_else_is_changed(three: Kubectl, run: Run):
    before = three.get("pgc", "zebra")
    done = run("update", "cluster", "zebra", "--autofail=true")
    assert done.stdout == "PostgresCluster zebra: spec.autofail is true\n", done.stderr
    after = three.get("pgc", "zebra")
    assert after["spec"] == before["spec"] | {"autofail": True}


def test_scaling_down_asks_and_names_what_goes(three: Kubectl, run: Run):
    asked = run("scale", "zebra", "--replicas=1")
    assert asked.returncode == 2
    assert "2 instances will be removed, with their volumes (zebra-1, zebra-2)" in asked.stderr
    assert three.get("pgc", "zebra")["spec"]["instances"]["replicas"] == 3
    more = run("scale", "zebra", "--replica-count=1")
    assert more.stdout == "PostgresCluster zebra: scaled from 3 to 4 instances\n", more.stderr
    less = run("scale", "zebra", "--replicas=2", "--yes")
    assert less.returncode == 0, less.stderr
    assert three.get("pgc", "zebra")["spec"]["instances"]["replicas"] == 2
    assert run("scale", "zebra", "--replicas=99").returncode == 1


def test_show_status_and_wait_know_it(three: Kubectl, run: Run):
    shown = run("show", "cluster", "zebra").stdout
    assert "zebra-3" in shown
    assert "INSTANCE" in shown
    assert run("show", "cluster", "zebra", "--wait").returncode == 0
    status = run("status")
    assert status.returncode == 1
    assert "zebra: NOT PROTECTED" in status.stdout
    assert "cluster      Ready, primary zebra-3" in status.stdout
    assert "did you mean zebra?" in run("show", "cluster", "zebr").stderr
    completed = run("__complete", "scale", "ze")
    assert completed.returncode == 0


def test_a_deletion_wants_the_name_and_says_what_is_lost(three: Kubectl, run: Run):
    asked = run("delete", "cluster", "zebra")
    assert asked.returncode == 2
    assert "EVERYTHING: there is no finished backup" in asked.stderr
    assert run("delete", "cluster", "zebra", "--dry-run").returncode == 0
    assert three.get("pgc", "zebra") is not None
    refused = run("delete", "cluster", "zebra", "--yes")
    assert (refused.returncode, "add --lift-protection" in refused.stderr) == (2, True), refused.stderr
    assert three.get("pgc", "zebra") is not None
    done = run("delete", "cluster", "zebra", "--yes", "--lift-protection")
    assert done.stdout == "PostgresCluster zebra deleted\n", done.stderr
    assert three.get("pgc", "zebra") is None
    assert "did you mean" in run("delete", "cluster", "hipo", "--yes").stderr
