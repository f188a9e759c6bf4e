"""One measured run each: through pgwarden, and the same pgBackRest command by hand."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from bench.ground import Ground, say
from harness.kubectl import Kubectl, KubectlError, is_true, phase

PGBACKREST = (
    "/pgwarden/tools/bin/pgbackrest",
    "--config=/pgwarden/conf/pgbackrest.conf",
    "--config-include-path=/pgwarden/conf/conf.d",
    "--log-level-console=info",
    "--log-level-stderr=off",
)
LIMIT = 1800.0
#: What a Job does before pgBackRest runs: copies of its configuration that nobody else can read.
CONFIGURE = """umask 077; cd /pgwarden/source; mkdir -p /pgwarden/conf/conf.d /pgwarden/work/spool /pgwarden/work/lock
cp pod.conf /pgwarden/conf/pgbackrest.conf; cp ca.crt tls.crt tls.key /pgwarden/conf/
test ! -e credentials.conf || cp credentials.conf /pgwarden/conf/conf.d/"""


@dataclass
class Parts:
    """Moments of one run through pgwarden, in seconds since `kubectl apply` began."""

    total: float = 0.0
    pod_made: float = 0.0
    pod_runs: float = 0.0
    pod_ended: float = 0.0
    pgbackrest: float = 0.0  # as the Job itself has measured it
    moments: dict[str, float] = field(default_factory=dict)


class PodWatch:
    """When the Job's pod was made, ran and ended, stamped as the API server's watch tells it."""

    def __init__(self, kubectl: Kubectl, selector: str) -> None:
        argv = [kubectl.program, f"--kubeconfig={kubectl.kubeconfig}", f"--namespace={kubectl.namespace}"]
        argv += ["get", "pods", f"--selector={selector}", "--watch", "--output", 'jsonpath={.status.phase}{"\\n"}']
        self.seen: dict[str, float] = {}
        self._process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.seen.setdefault(line.strip(), time.monotonic())

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()
        self._thread.join()


def custom(kind: str, name: str, **spec: Any) -> dict[str, Any]:
    full = {"repository": "hippo"} | spec
    return {"apiVersion": "pgwarden.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": full}


def through_pgwarden(ground: Ground, short: str, document: dict[str, Any]) -> Parts:
    """Apply the Backup or Restore and wait for its end."""
    kubectl, name = ground.kubectl, document["metadata"]["name"]
    label = "backup" if short == "pgb" else "restore"
    ground.postgres.sql("CHECKPOINT", seconds=300)
    watch = PodWatch(kubectl, f"pgwarden.io/{label}={name}")
    began = time.monotonic()
    kubectl.apply(document)
    try:
        wait_over(kubectl, short, name)
        parts = Parts(total=time.monotonic() - began)
    finally:
        watch.stop()
    parts.pod_made = watch.seen.get("Pending", began) - began
    parts.pod_runs = watch.seen.get("Running", began) - began
    parts.pod_ended = watch.seen.get("Succeeded", began) - began
    parts.pgbackrest = _own_seconds(kubectl, f"pgwarden.io/{label}={name}")
    return parts


def wait_over(kubectl: Kubectl, short: str, name: str) -> None:
    done = kubectl.until(short, name, phase("Completed", "Failed"), "ends", LIMIT)
    if done["status"]["phase"] != "Completed":
        raise KubectlError(f"{short} {name} failed: {done['status'].get('message')}")


def _own_seconds(kubectl: Kubectl, selector: str) -> float:
    for pod in kubectl.list("pods", selector):
        for status in pod.get("status", {}).get("containerStatuses", []):
            ended = status.get("state", {}).get("terminated") or {}
            if ended.get("message"):
                return float(json.loads(ended["message"]).get("seconds", 0))
    return 0.0


def job_arguments(kubectl: Kubectl, job: str) -> list[str]:
    """pgBackRest's arguments in the Job that pgwarden made, without the mark that ties the set to the Backup."""
    found = kubectl.get("job", job)
    assert found is not None
    words = _program(found["spec"]["template"]["spec"])["args"]
    return [word for word in words[words.index("--") + 1 :] if not word.startswith("--annotation=")]


def _program(pod: dict[str, Any]) -> dict[str, Any]:
    """The container of a Job's pod that runs pgBackRest: of a recovery it is the agent beside the server."""
    every = [*pod.get("initContainers", []), *pod["containers"]]
    return next(one for one in every if one["name"] == "pgbackrest")


def backup_by_hand(ground: Ground, arguments: list[str]) -> float:
    ground.postgres.sql("CHECKPOINT", seconds=300)
    return _timed(ground.kubectl, "deployment/hippo-pgbackrest", *PGBACKREST, *arguments)


def restore_by_hand(ground: Ground, job: str, name: str) -> float:
    """A pod like the Job's, with a claim of its own, in which the command is typed instead of run by pgwarden."""
    kubectl = ground.kubectl
    template = kubectl.get("job", job)
    assert template is not None
    spec = template["spec"]["template"]["spec"]
    data = next(volume for volume in spec["volumes"] if volume["name"] == "data")["persistentVolumeClaim"]
    like = kubectl.get("pvc", data["claimName"])
    assert like is not None
    claim = {key: like["spec"][key] for key in ("accessModes", "resources", "storageClassName")}
    data["claimName"] = name
    container = _program(spec)
    spec.pop("initContainers", None)
    spec["containers"] = [container]
    arguments = job_arguments(kubectl, job)
    container.pop("args")
    container.pop("restartPolicy", None)
    container["command"] = ["sleep", "infinity"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
    kubectl.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": claim}, pod)
    kubectl.until("pod", name, is_true("Ready"), "is ready", 120)
    kubectl.run("exec", name, "--", "sh", "-ec", CONFIGURE)
    ground.postgres.sql("CHECKPOINT", seconds=300)
    seconds = _timed(kubectl, name, *PGBACKREST, *arguments)
    kubectl.run("delete", "pod", name, "--grace-period=1", seconds=60)
    kubectl.run("delete", "pvc", name, "--wait=false")
    return seconds


def _timed(kubectl: Kubectl, where: str, *command: str) -> float:
    began = time.monotonic()
    kubectl.run("exec", where, "--", *command, seconds=LIMIT)
    return time.monotonic() - began


class Writer:
    """A client that inserts a row as often as it can: when it could, and how many rows were confirmed."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._stop = threading.Event()
        self.confirmed: list[float] = []
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def _write(self) -> None:
        while not self._stop.is_set():
            try:
                self._ground.postgres.sql("INSERT INTO beats VALUES (clock_timestamp())", seconds=20)
            except (KubectlError, subprocess.TimeoutExpired):
                continue
            self.confirmed.append(time.monotonic())

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def longest_gap(self) -> float:
        return max((b - a for a, b in zip(self.confirmed, self.confirmed[1:], strict=False)), default=0.0)


def restore_in_place(ground: Ground) -> Parts:
    """To the latest state, under a writing client; with what that client saw."""
    kubectl, name = ground.kubectl, "in-place"
    rows = ground.postgres.sql("SELECT count(*), sum(abalance) FROM pgbench_accounts", seconds=300)
    writer = Writer(ground)
    began = time.monotonic()
    kubectl.apply(custom("Restore", name))
    parts, moments = Parts(), dict[str, float]()
    try:
        for step in ("Validated", "Restored", "Replayed", "Stopped", "Recovered", "Swapped", "Started"):
            kubectl.until("pgr", name, is_true(step), f"is {step}", LIMIT)
            moments[step] = time.monotonic() - began
        wait_over(kubectl, "pgr", name)
    finally:
        parts.total = time.monotonic() - began
        writer.stop()
    moments["BackedUp"] = parts.total
    present = int(ground.postgres.sql("SELECT count(*) FROM beats"))
    same = ground.postgres.sql("SELECT count(*), sum(abalance) FROM pgbench_accounts", seconds=300) == rows
    if not same or present < len(writer.confirmed):
        raise AssertionError(f"rows differ after the restore: {present} of {len(writer.confirmed)} confirmed rows")
    say(f"{len(writer.confirmed)} rows confirmed to the writer, {present} there afterwards")
    parts.moments = moments | {"downtime": writer.longest_gap(), "confirmed": len(writer.confirmed), "present": present}
    return parts
