"""The engine of a recovery on the real cluster, in the images of users: rendered by hand, as its pod has to be.

Each recovery fills a claim of its own from the Repository of a StatefulSet that goes on serving; a reader without any
protection is then started on the claim, and rows are compared.
"""

from __future__ import annotations

import base64
import json
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from harness.kubectl import Kubectl, Object
from harness.objects import archived, backed_up, in_host
from harness.postgres import SWITCH, Postgres
from harness.waiting import until
from localcluster.pytest_plugin import ClusterHandle
from pgwarden.api import names
from pgwarden.contract import programs
from pgwarden.pgbackrest import commands

ROOT = "/var/lib/postgresql/data"
#: The pod has one process namespace, so the agent's number is not 1.
KILL_AGENT = """
import os, pathlib
for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
    if b"agent\\0recover" in path.read_bytes():
        os.kill(int(path.parent.name), 9)
"""


@dataclass
class Engine:
    """A recovery's claim, Job and pod."""

    space: Kubectl
    cluster: ClusterHandle
    ours: str
    image: str
    name: str
    uid: int = 999
    data: str = ROOT
    flags: list[str] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)

    def start(self) -> Engine:
        claim = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": self.name},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}},
        }
        self.space.apply(claim, self.job())
        return self

    def job(self) -> Object:
        """By agent/recovery/__init__.py."""
        data = {"name": "data", "mountPath": ROOT}
        tools = {"name": names.VOLUME_TOOLS, "mountPath": names.TOOLS_DIR, "readOnly": True}
        shared = [
            data,
            {"name": names.VOLUME_WORK, "mountPath": names.WORK_DIR},
            {"name": names.VOLUME_RUN, "mountPath": names.RUN_DIR},
            {"name": names.VOLUME_TMP, "mountPath": "/tmp"},
        ]
        source = {"name": names.VOLUME_SOURCE, "mountPath": names.SOURCE_DIR, "readOnly": True}
        conf = {"name": names.VOLUME_CONF, "mountPath": names.CONF_DIR}
        ours = {"image": self.ours, "imagePullPolicy": "Never", "securityContext": _restricted()}
        own = ["--pg-data", self.data, "--volume-root", ROOT, "--uid", f"uid-{self.name}", *self.flags]
        argv = commands.restore_argv("hippo", data_directory=self.data)
        environment = {"PGWARDEN_ROLE": "postgres", "PGWARDEN_STANZA": "hippo", "PGWARDEN_PG_DATA": self.data}
        pod: Object = {
            "restartPolicy": "Never",
            "shareProcessNamespace": True,
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 60,
            "securityContext": {
                "runAsUser": self.uid,
                "runAsGroup": self.uid,
                "fsGroup": self.uid,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "initContainers": [
                ours
                | {
                    "name": "own",
                    "command": programs.JOB,
                    "args": ["own", "--path", ROOT, "--uid", str(self.uid), "--gid", str(self.uid)],
                    "securityContext": {
                        "runAsUser": 0,
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"], "add": ["CHOWN"]},
                    },
                    "volumeMounts": [data],
                },
                {
                    "name": names.CONTAINER_TOOLS,
                    "command": [*programs.INSTALL_TOOLS, "--to", "/pgwarden/tools-target"],
                    "volumeMounts": [{"name": names.VOLUME_TOOLS, "mountPath": "/pgwarden/tools-target"}],
                }
                | ours,
                {
                    "name": "pgbackrest",
                    "restartPolicy": "Always",
                    "command": programs.RECOVER,
                    "args": [*own, "--", *self.arguments, *argv],
                    "env": [{"name": name, "value": value} for name, value in environment.items()],
                    "volumeMounts": [*shared, source, conf],
                }
                | ours,
            ],
            "containers": [
                {
                    "name": "postgres",
                    "image": self.image,
                    "imagePullPolicy": "Never",
                    "command": ["/bin/sh", f"{names.TOOLS_DIR}/{programs.RECOVER_SCRIPT}"],
                    "securityContext": _restricted(),
                    "volumeMounts": [*shared, tools, conf | {"readOnly": True}],
                }
            ],
            "volumes": [
                {"name": "data", "persistentVolumeClaim": {"claimName": self.name}},
                {
                    "name": names.VOLUME_SOURCE,
                    "projected": {
                        "defaultMode": 0o444,
                        "sources": [
                            {
                                "configMap": {
                                    "name": names.host("hippo"),
                                    "items": [{"key": names.KEY_POD_CONF, "path": names.KEY_POD_CONF}],
                                }
                            },
                            {"secret": {"name": names.pods("hippo")}},
                        ],
                    },
                },
                {"name": names.VOLUME_CONF, "emptyDir": {"medium": "Memory"}},
                *({"name": name, "emptyDir": {}} for name in (names.VOLUME_TOOLS, names.VOLUME_WORK, names.VOLUME_RUN)),
                {"name": names.VOLUME_TMP, "emptyDir": {}},
            ],
        }
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": self.name},
            "spec": {"backoffLimit": 3, "template": {"metadata": {"labels": {"recovery": self.name}}, "spec": pod}},
        }

    def pods(self) -> list[Object]:
        return self.space.list("pod", f"recovery={self.name}")

    def pod(self) -> Object | None:
        living = [pod for pod in self.pods() if "deletionTimestamp" not in pod["metadata"]]
        return next((pod for pod in living if pod["status"].get("phase") in {"Pending", "Running"}), None)

    def ask(self, path: str, method: str = "GET") -> Object | None:
        """The agent's answer, asked as the controller does; None where there is none yet."""
        pod = self.pod()
        address = (pod or {}).get("status", {}).get("podIP")
        if not address:
            return None
        secret = self.space.get("secret", names.ca_secret("hippo"))
        assert secret
        name = names.pod_dns("hippo", self.space.namespace, address)
        with tempfile.TemporaryDirectory() as folder:
            for key in ("ca.crt", "controller.crt", "controller.key"):
                (Path(folder) / key).write_bytes(base64.b64decode(secret["data"][key]))
            argv = ["curl", "-s", "-m", "10", "-X", method, "--cacert", f"{folder}/ca.crt"]
            argv += ["--cert", f"{folder}/controller.crt", "--key", f"{folder}/controller.key"]
            argv += ["--resolve", f"{name}:{names.PORT_AGENT}:{address}", f"https://{name}:{names.PORT_AGENT}/{path}"]
            done = subprocess.run(self.cluster.inside(argv), capture_output=True, text=True, timeout=30, check=False)
        return json.loads(done.stdout) if done.returncode == 0 and done.stdout else None

    def status(self) -> Object:
        found = self.ask("status")
        return (found or {}).get("recovery") or {}

    def until(self, good: Callable[[Object], bool], what: str, seconds: float = 120) -> Object:
        def look() -> Object | None:
            found = self.status()
            return found if good(found) else None

        return until(look, what, seconds, lambda: json.dumps(self.status(), indent=1) + self.logs())

    def logs(self) -> str:
        pods = [pod["metadata"]["name"] for pod in self.pods()]
        each = [self.space.run("logs", pod, "--all-containers", "--prefix", check=False).stdout for pod in pods]
        return "\n".join(each)[-8000:]

    def result(self, seconds: float = 180) -> Object:
        """What the last pod has left; the Job need not have ended."""

        def look() -> Object | None:
            for pod in self.pods():
                for one in pod["status"].get("containerStatuses", ()):
                    message = one.get("state", {}).get("terminated", {}).get("message")
                    if message:
                        return dict(json.loads(message))
            return None

        return until(look, f"recovery {self.name} ends", seconds, self.logs)

    def reader(self, image: str) -> Postgres:
        """A PostgreSQL on the claim, once the Job has ended."""
        self.space.until("job", self.name, lambda job: job["status"].get("succeeded") == 1, "has succeeded", 60)
        name = f"{self.name}-reader"
        container: Object = {
            "name": "postgres",
            "image": image,
            "imagePullPolicy": "Never",
            "args": ["postgres", "-c", "archive_mode=off"],
            "env": [{"name": "PGDATA", "value": self.data}, {"name": "POSTGRES_PASSWORD", "value": "unused"}],
            "readinessProbe": {"exec": {"command": ["pg_isready", "-q", "-U", "postgres"]}, "periodSeconds": 1},
            "volumeMounts": [{"name": "data", "mountPath": ROOT}],
        }
        self.space.apply(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name},
                "spec": {
                    "containers": [container],
                    "securityContext": {} if self.uid == 999 else {"runAsUser": self.uid, "runAsGroup": self.uid},
                    "terminationGracePeriodSeconds": 0,
                    "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": self.name}}],
                },
            }
        )
        found = Postgres(self.space, pod=name)
        found.wait_ready(90)
        return found


def _restricted() -> Object:
    return {
        "runAsNonRoot": True,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@pytest.fixture(scope="module")
def postgres(installed, space: Kubectl) -> Postgres:
    return backed_up(space, installed.postgres_image)


@pytest.fixture(scope="module")
def engine(installed, space: Kubectl) -> Callable[..., Engine]:
    def make(name: str, *arguments: str, **more: Any) -> Engine:
        made = {"image": installed.postgres_image, "arguments": list(arguments)} | more
        return Engine(space, installed.cluster, installed.image, name=name, **made).start()

    return make


def archive(postgres: Postgres) -> str:
    """All so far is in the repository; the name of the last segment."""
    postgres.sql("SELECT txid_current()")  # a segment with nothing in it would not be closed
    name = postgres.sql(SWITCH)
    until(lambda: name in archived(postgres.kubectl), f"{name} is archived", 150)
    return name


def data_of(space: Kubectl) -> str:
    """Where the workload has its data directory."""
    pod = space.get("pod", "postgres-0")
    assert pod
    return str(json.loads(pod["metadata"]["annotations"][names.ANNOTATION_POSTGRES])["dataDirectory"])


def test_a_moment_in_the_past_is_recovered_while_the_server_goes_on(postgres, space, engine, installed):
    postgres.sql("INSERT INTO notes VALUES (2, 'wanted')")
    rows, moment = postgres.rows("notes"), postgres.sql("SELECT clock_timestamp()")
    postgres.sql("INSERT INTO notes VALUES (3, 'too late')")
    archive(postgres)
    one = engine("past", "--type=time", f"--target={moment}", "--target-action=promote", data=data_of(space))
    result = one.result()
    assert result["ok"], one.logs()
    assert (result["timeline"], result["set"][-1]) == (2, "F")
    assert result["reached"] < moment.replace(" ", "T")
    reader = one.reader(installed.postgres_image)
    assert reader.rows("notes") == rows
    assert "pgwarden" not in reader.run("ls", "-A", one.data)
    assert "3|too late" in postgres.rows("notes")


def test_the_latest_state_is_followed_until_it_is_to_finish(postgres, space, engine, installed):
    one = engine("latest", flags=["--follow"], data=data_of(space))
    caught_up = one.until(lambda status: status.get("phase") == "Following", "follows")
    assert caught_up["set"]
    postgres.sql("INSERT INTO notes VALUES (4, 'while it follows')")
    segment = archive(postgres)
    one.until(lambda status: status.get("segment") == segment, f"has replayed {segment}", 30)
    postgres.sql("INSERT INTO notes VALUES (5, 'at the last moment')")
    rows, last = postgres.rows("notes"), archive(postgres)
    assert one.ask("recovery-finish", "POST") == {"ok": True, "error": None, "exitCode": None, "output": None}
    result = one.result(60)
    assert result["ok"], one.logs()
    assert result["segment"] == last
    assert one.reader(installed.postgres_image).rows("notes") == rows


def test_a_moment_after_the_last_commit_is_all_there_is(postgres, space, engine, installed):
    rows = postgres.rows("notes")
    archive(postgres)
    moment = postgres.sql("SELECT clock_timestamp() + '10 seconds'")
    target = ["--type=time", f"--target={moment}", "--target-action=promote"]
    one = engine("after", *target, flags=["--target-time", moment], data=data_of(space))
    result = one.result()
    assert result["ok"], one.logs()
    assert "lies after the end of the archived WAL" in result["note"]
    assert one.reader(installed.postgres_image).rows("notes") == rows


def test_an_image_with_another_c_library_recovers_as_well(postgres, space, engine, installed):
    rows = postgres.rows("notes")
    archive(postgres)
    one = engine("musl", image="localhost/postgres:17-alpine", uid=70, data=data_of(space))
    result = one.result()
    assert result["ok"], one.logs()
    assert one.reader(installed.postgres_image).rows("notes") == rows


def test_an_agent_and_a_pod_that_are_killed_are_gone_on_from(postgres, space, engine, installed):
    rows = postgres.rows("notes")
    archive(postgres)
    one = engine("killed", flags=["--follow"], data=data_of(space))
    one.until(lambda status: status.get("phase") == "Following", "follows")
    pod = one.pod()
    assert pod
    name = pod["metadata"]["name"]
    # What kills it may be killed with it: all in its container end.
    space.run("exec", name, "-c", "pgbackrest", "--", "python3", "-c", KILL_AGENT, check=False)
    until(lambda: restarts(space, name), "the agent is started again", 60)
    one.until(lambda status: status.get("phase") == "Following", "follows again")
    space.run("delete", "pod", name, "--force", "--grace-period=0")
    until(lambda: (found := one.pod()) and found["metadata"]["name"] != name, "another pod goes on", 90)
    one.until(lambda status: status.get("phase") == "Following", "follows in the new pod")
    assert "restore backup set" not in one.logs()  # the copy was there
    one.ask("recovery-finish", "POST")
    assert one.result(60)["ok"], one.logs()
    assert one.reader(installed.postgres_image).rows("notes") == rows


def restarts(space: Kubectl, pod: str) -> int:
    found = space.get("pod", pod) or {}
    statuses = found.get("status", {}).get("initContainerStatuses", ())
    return next((one["restartCount"] for one in statuses if one["name"] == "pgbackrest"), 0)


def test_parameters_that_were_raised_after_the_backup_are_no_obstacle(postgres, space, engine, installed):
    settings = ("max_connections = 300", "max_prepared_transactions = 20", "max_wal_senders = 20")
    for setting in settings:
        postgres.sql(f"ALTER SYSTEM SET {setting}")
    space.run("delete", "pod", postgres.pod)
    space.until("pod", postgres.pod, lambda pod: "deletionTimestamp" not in pod["metadata"], "is another")
    postgres.wait_ready()
    postgres.sql("BEGIN; INSERT INTO notes VALUES (6, 'prepared'); PREPARE TRANSACTION 'one'; COMMIT PREPARED 'one'")
    rows = postgres.rows("notes")
    archive(postgres)
    one = engine("raised", data=data_of(space))
    result = one.result()
    assert result["ok"], one.logs()
    assert one.reader(installed.postgres_image).rows("notes") == rows


def test_a_hole_in_the_wal_is_named_and_nothing_is_promoted(postgres, space, engine):
    postgres.sql("INSERT INTO notes VALUES (7, 'lost')")
    lost = archive(postgres)
    postgres.sql("INSERT INTO notes VALUES (8, 'behind the hole')")
    behind = archive(postgres)
    in_host(space, "sh", "-c", f"rm /pgwarden/repo/archive/hippo/*/{lost[:16]}/{lost}-*")
    one = engine("hole", data=data_of(space))
    result = one.result()
    assert (result["ok"], result["reason"]) == (False, "MissingSegment"), one.logs()
    assert f"{lost} is missing in the archive, {behind} is there" in result["error"]
