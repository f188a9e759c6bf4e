"""A PostgreSQL as a user runs it: the demo's StatefulSet, and SQL in its pod."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from harness.kubectl import Kubectl, Object

MANIFESTS = Path(__file__).resolve().parent.parent / "demo" / "manifests"
IMAGE = "localhost/postgres:17"
#: Ends the segment and says which it was. After a switch without a record since, PostgreSQL 17 names the next one, that
#: nobody archives: so a record is written first.
SWITCH = "SELECT pg_walfile_name(pg_switch_wal()) FROM pg_create_restore_point('switched')"


def manifests(name: str) -> list[Object]:
    """The documents of demo/manifests/NAME.yaml."""
    return [doc for doc in yaml.safe_load_all((MANIFESTS / f"{name}.yaml").read_text(encoding="utf-8")) if doc]


def statefulset(image: str, *, name: str = "postgres", repository: str = "hippo", storage: str = "") -> list[Object]:
    """The demo's Service, Secret and StatefulSet with another image, name, Repository or volume size."""
    documents = manifests("postgres")
    for document in documents:
        document["metadata"]["name"] = name
    spec = documents[-1]["spec"]
    spec["serviceName"] = name
    spec["selector"]["matchLabels"]["app"] = name
    spec["template"]["metadata"]["labels"] = {"app": name}
    if repository:
        spec["template"]["metadata"]["labels"]["pgwarden.io/repository"] = repository
    documents[0]["spec"]["selector"]["app"] = name
    container = spec["template"]["spec"]["containers"][0]
    container["image"] = image
    container["env"][0]["valueFrom"]["secretKeyRef"]["name"] = name
    if image.startswith("localhost/"):
        container["imagePullPolicy"] = "Never"
    if storage:
        spec["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"] = storage
    return documents


def reader(image: str, claim: str) -> Object:
    """PostgreSQL on a copy of the data, for looking at it: without the label, as docs/restore.md has it."""
    pod: Object = statefulset(image)[-1]["spec"]["template"]
    container = pod["spec"]["containers"][0]
    container["args"] = ["-c", "archive_mode=off"]
    pod["spec"]["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]
    return {"apiVersion": "v1", "kind": "Pod"} | pod | {"metadata": {"name": "reader"}}


@dataclass(frozen=True)
class Postgres:
    """SQL as the superuser, by psql: inside the pod over the socket, or from the pod *client* by TCP."""

    kubectl: Kubectl
    pod: str = "postgres-0"
    container: str = "postgres"
    client: str = ""

    def sql(self, statement: str, *, database: str = "postgres", seconds: float = 120) -> str:
        """The rows as psql prints them unaligned, one a line, columns parted by |."""
        where = (self.client,) if self.client else (self.pod, "-c", self.container)
        host = (f"--host={self.pod}.{self.pod.rpartition('-')[0]}",) if self.client else ()
        done = self.kubectl.run(
            "exec", "-i", *where, "--",
            "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database, *host, "-f", "-",
            stdin=statement,
            seconds=seconds,
        )  # fmt: skip
        return done.stdout.strip()

    def rows(self, table: str, **more: str) -> str:
        """All rows of *table* in one order, as they are: for comparing row by row."""
        return self.sql(f"SELECT * FROM {table} AS t ORDER BY t", **more)  # noqa: S608  a name that a test wrote

    def run(self, *argv: str, seconds: float = 300) -> str:
        return self.kubectl.run("exec", self.pod, "-c", self.container, "--", *argv, seconds=seconds).stdout

    def wait_ready(self, seconds: float = 180) -> None:
        self.kubectl.until("pod", self.pod, _ready, "is ready", seconds)


def client(image: str, *, name: str = "client") -> Object:
    """A pod with psql that is not protected: for servers whose image has none."""
    password = {"name": "PGPASSWORD", "valueFrom": {"secretKeyRef": {"name": "postgres", "key": "password"}}}
    container: Object = {"name": "client", "image": image, "command": ["sleep", "infinity"], "env": [password]}
    if image.startswith("localhost/"):
        container["imagePullPolicy"] = "Never"
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
    }


def _ready(pod: Object) -> bool:
    if "deletionTimestamp" in pod["metadata"]:
        return False
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod.get("status", {}).get("conditions", []))
