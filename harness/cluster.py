"""A PostgresCluster under test: SQL on whoever is the primary, and a client that writes through the Service."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from datetime import datetime

from harness.kubectl import Kubectl, Object, phase
from harness.postgres import IMAGE, Postgres

#: Inserts one row after the other, from where an earlier writer ended; what was acknowledged, and when, goes to a file.
_WRITE = """
psql -X -q -c 'CREATE TABLE IF NOT EXISTS written (i int PRIMARY KEY)' || exit 1
i=$(psql -X -A -t -c 'SELECT coalesce(max(i), 0) FROM written') || exit 1
while :; do
  i=$((i + 1))
  timeout 5 psql -X -q -c "INSERT INTO written VALUES ($i)" && echo "$i $(date +%s.%N)" >> /tmp/acknowledged
done
"""


def manifest(name: str = "hippo", replicas: int = 2, **spec: object) -> Object:
    """One that may be deleted, unless *spec* says otherwise."""
    instances = {"replicas": replicas, "storage": {"size": "1Gi"}}
    return {
        "apiVersion": "pgwarden.io/v1alpha1",
        "kind": "PostgresCluster",
        "metadata": {"name": name},
        "spec": {"instances": instances, "deletionProtection": False} | spec,
    }


@dataclass(frozen=True)
class Cluster:
    kubectl: Kubectl
    name: str = "hippo"

    @classmethod
    def made(cls, kubectl: Kubectl, document: Object, seconds: float = 300) -> Cluster:
        """That of *document*, as specified."""
        kubectl.apply(document)
        found = cls(kubectl, document["metadata"]["name"])
        found.wait_ready(seconds)
        return found

    def status(self) -> Object:
        found = self.kubectl.get("pgc", self.name)
        return (found or {}).get("status") or {}

    def change(self, **spec: object) -> None:
        patch = json.dumps({"spec": spec})
        self.kubectl.run("patch", "pgc", self.name, "--type=merge", "-p", patch)

    def wait_ready(self, seconds: float = 240) -> Object:
        """All as specified, by a status that speaks of the spec as it is."""

        def good(one: Object) -> bool:
            current = one.get("status", {}).get("observedGeneration") == one["metadata"]["generation"]
            return current and phase("Ready")(one)

        return self.kubectl.until("pgc", self.name, good, "is as specified", seconds)["status"]

    def primary(self) -> str:
        return str(self.status().get("primary") or "")

    def postgres(self, instance: str = "") -> Postgres:
        """SQL on *instance*; on the primary, once there is one, where none is named."""
        from harness.waiting import until

        return Postgres(self.kubectl, f"deployment/{instance or until(self.primary, 'there is a primary', 90)}")

    def sql(self, statement: str, instance: str = "") -> str:
        return self.postgres(instance).sql(statement)

    def pod(self, instance: str) -> str:
        """The name of its pod, once it has one."""
        from harness.waiting import until

        def name() -> str:
            listed = self.status().get("instances", [])
            return next((one["pod"] for one in listed if one["name"] == instance and one.get("pod")), "")

        return until(name, f"{instance} has a pod", 60)

    def wait_returned(self, instance: str, former: str, seconds: float = 180) -> None:
        """The primary again, in another pod than *former*; by one status, as two may be from before and after."""

        def has(one: Object) -> bool:
            status = one.get("status", {})
            pods = {each["name"]: each.get("pod") for each in status.get("instances", [])}
            return status.get("primary") == instance and pods.get(instance) not in {former, None}

        self.kubectl.until("pgc", self.name, has, f"has {instance} as its primary again", seconds)

    def pods(self) -> list[str]:
        """The names of all its instances' pods."""
        listed = self.kubectl.list("pod", f"pgwarden.io/cluster={self.name},pgwarden.io/instance")
        return sorted(one["metadata"]["name"] for one in listed)

    def members(self) -> list[str]:
        """Whom Patroni has noted for when the API server is away."""
        found = self.kubectl.get("configmap", f"{self.name}-leader") or {"metadata": {}}
        return sorted(json.loads((found["metadata"].get("annotations") or {}).get("failsafe") or "{}"))

    def time(self, expression: str, instance: str = "") -> datetime:
        return datetime.fromisoformat(self.sql(f"SELECT to_json({expression}) #>> '{{}}'", instance))

    def promotions(self) -> dict[int, datetime]:
        """Timeline → when it was begun, as Patroni remembers it."""
        kept = self.kubectl.get("configmap", f"{self.name}-config")
        listed = json.loads(kept["metadata"]["annotations"].get("history") or "[]") if kept else []
        return {entry[0] + 1: datetime.fromisoformat(entry[3]) for entry in listed if len(entry) > 3}

    def kill(self, instance: str) -> None:
        """At once: no checkpoint, and Patroni keeps its lock."""
        self.kubectl.run("delete", "pod", self.pod(instance), "--grace-period=0", "--force", "--wait=false")

    # --- a client --------------------------------------------------------------------------------------------------

    def start_writing(self, image: str = IMAGE, node: str = "") -> None:
        """As an application does: by the Secret and the Service; on *node* where one is named."""

        def secret(variable: str, key: str) -> Object:
            return {"name": variable, "valueFrom": {"secretKeyRef": {"name": f"{self.name}-credentials", "key": key}}}

        variables = {"PGHOST": "host", "PGUSER": "username", "PGPASSWORD": "password", "PGDATABASE": "database"}
        container = {
            "name": "writer",
            "image": image,
            "imagePullPolicy": "Never" if image.startswith("localhost/") else "IfNotPresent",
            "command": ["bash", "-c", _WRITE],
            "env": [secret(*pair) for pair in variables.items()] + [{"name": "PGCONNECT_TIMEOUT", "value": "3"}],
        }
        spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
        spec |= {"nodeName": node} if node else {}
        self.kubectl.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "writer"}, "spec": spec})
        self.wait_written(50)

    def acknowledged(self) -> list[tuple[int, float]]:
        done = self.kubectl.run("exec", "writer", "--", "cat", "/tmp/acknowledged", check=False)  # noqa: S108
        return [(int(line.split()[0]), float(line.split()[1])) for line in done.stdout.splitlines()]

    def wait_written(self, rows: int, seconds: float = 120) -> None:
        from harness.waiting import until

        before = len(self.acknowledged())
        until(lambda: len(self.acknowledged()) >= before + rows, f"{rows} more rows are acknowledged", seconds)

    def stop_writing(self) -> tuple[set[int], float]:
        """The rows that were acknowledged, and the longest time in which none was."""
        seen = self.acknowledged()
        self.kubectl.delete("pod", "writer")
        times = [time for _, time in seen]
        gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
        return {row for row, _ in seen}, max(gaps)

    def rows(self, instance: str = "") -> set[int]:
        listed = self.postgres(instance).sql("SELECT i FROM written", database="app")
        return {int(one) for one in listed.split()}
