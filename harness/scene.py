"""A PostgreSQL that Restores are tried on: a PostgresCluster's, or a StatefulSet's."""

from __future__ import annotations

import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Protocol

from harness.direct import CUSTOM, Direct
from harness.kubectl import Kubectl, Object
from harness.postgres import Postgres
from harness.processes import with_default_signals
from harness.s3 import Store
from localcluster.config import Machine

#: There is one API server, one store and one controller for all: one at a time does something to them.
COMMON = threading.Lock()
_WORKLOADS = {"PostgresCluster": "deployments", "StatefulSet": "statefulsets"}


class Subject(Protocol):
    @property
    def kubectl(self) -> Kubectl: ...
    @property
    def name(self) -> str: ...


@dataclass(frozen=True)
class StatefulSet:
    """Of one name with its Repository."""

    kubectl: Kubectl
    name: str = "hippo"


@dataclass(frozen=True)
class Scene:
    """What Restores are tried on, and the means to do harm."""

    subject: Subject  # its Repository has the same name
    direct: Direct
    store: Store | None = None  # where the Repository is in S3
    machine: Machine | None = None  # the local cluster's first node, where its own processes are harmed

    @property
    def kubectl(self) -> Kubectl:
        return self.subject.kubectl

    @property
    def name(self) -> str:
        return self.subject.name

    @property
    def namespace(self) -> str:
        return self.kubectl.namespace

    @property
    def kind(self) -> str:
        return "StatefulSet" if isinstance(self.subject, StatefulSet) else "PostgresCluster"

    def of(self, plural: str, name: str = "") -> str:
        return f"{CUSTOM}/namespaces/{self.namespace}/{plural}{f'/{name}' if name else ''}"

    def core(self, plural: str, name: str = "", namespace: str = "") -> str:
        return f"/api/v1/namespaces/{namespace or self.namespace}/{plural}{f'/{name}' if name else ''}"

    def jobs(self, name: str = "") -> str:
        return f"/apis/batch/v1/namespaces/{self.namespace}/jobs{f'/{name}' if name else ''}"

    def workloads(self) -> list[Object]:
        path = f"/apis/apps/v1/namespaces/{self.namespace}/{_WORKLOADS[self.kind]}"
        wanted = f"pgwarden.io/cluster={self.name}" if self.kind == "PostgresCluster" else ""
        return self.direct.items(path, wanted)

    def pods(self) -> list[Object]:
        """PostgreSQL's that run."""
        listed = self.direct.items(self.core("pods"), f"pgwarden.io/repository={self.name}")
        return [pod for pod in listed if runs(pod)]

    def hosts(self) -> list[Object]:
        wanted = f"pgwarden.io/for-repository={self.name},pgwarden.io/component=host"
        return [pod for pod in self.direct.items(self.core("pods"), wanted) if runs(pod)]

    def sql(self, statement: str) -> str:
        found = self.pods()
        if not found:
            raise AssertionError("no PostgreSQL pod runs")
        return Postgres(self.kubectl, found[0]["metadata"]["name"]).sql(statement)


def runs(pod: Object) -> bool:
    return bool(pod.get("status", {}).get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"])


class Writer:
    """A session that adds rows to `ledger` twice a second, until PostgreSQL ends."""

    def __init__(self, scene: Scene, said: str) -> None:
        self._scene, self._said = scene, said
        kubectl, pod = scene.kubectl, scene.pods()[0]["metadata"]["name"]
        self._seen = tempfile.TemporaryFile()  # noqa: SIM115  closed when it is stopped
        self._last = ""
        argv = [kubectl.program, f"--kubeconfig={kubectl.kubeconfig}", f"--namespace={kubectl.namespace}"]
        argv += ["exec", "-i", pod, "-c", "postgres", "--", "psql", "-XqAt", "-U", "postgres", "-f", "-"]
        self._process = subprocess.Popen(
            with_default_signals([*argv, "-d", "dbname=postgres application_name=writer"]),
            stdin=subprocess.PIPE,
            stdout=self._seen,
            stderr=subprocess.DEVNULL,
        )
        text = f"INSERT INTO ledger (said) VALUES ('{said}') RETURNING at || '|' || said \\watch i=0.5 c=900\n"  # noqa: S608
        assert self._process.stdin is not None
        self._process.stdin.write(text.encode())
        self._process.stdin.close()

    def stop(self) -> None:
        with suppress(AssertionError, subprocess.TimeoutExpired):
            self._scene.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'writer'")
        self._process.kill()
        self._process.wait()
        self._last = self._read()
        self._seen.close()

    def acknowledged(self) -> set[str]:
        """Its rows that PostgreSQL has confirmed, each as `at|said`."""
        lines = (self._last if self._seen.closed else self._read()).split("\n")[:-1]
        return {line for line in lines if line.endswith(f"|{self._said}")}

    def _read(self) -> str:
        self._seen.seek(0)
        return self._seen.read().decode()


@contextmanager
def writing(scene: Scene, said: str) -> Iterator[Writer]:
    found = Writer(scene, said)
    try:
        yield found
    finally:
        found.stop()
