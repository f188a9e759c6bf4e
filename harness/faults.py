"""What is done to a Restore at work, and what may come of it: a PostgresCluster's rows are compared afterwards.

A fault comes within milliseconds of the moment at which the Restore's status names the step.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from harness.cluster import Cluster
from harness.direct import CUSTOM, Direct
from harness.install import NAMESPACE
from harness.kubectl import Object, is_true, phase
from harness.s3 import Store
from harness.waiting import until

STEPS = (
    "Validated",
    "Fenced",
    "VolumeReady",
    "Restored",
    "Replayed",
    "Stopped",
    "Recovered",
    "Swapped",
    "Started",
    "BackedUp",
)
TERMINAL = {"Completed", "Failed"}
LIMIT = 420
OUTAGE = 30.0
_FINGERPRINT = "SELECT count(*) || ' rows ' || md5(string_agg(said, ',' ORDER BY at)) FROM ledger"


@dataclass(frozen=True)
class Scene:
    """A PostgresCluster that Restores are tried on, and the means to do harm."""

    cluster: Cluster
    direct: Direct
    store: Store | None = None  # where the cluster's repository is in S3

    @property
    def namespace(self) -> str:
        return self.cluster.kubectl.namespace

    def of(self, plural: str, name: str = "") -> str:
        return f"{CUSTOM}/namespaces/{self.namespace}/{plural}{f'/{name}' if name else ''}"

    def core(self, plural: str, name: str = "", namespace: str = "") -> str:
        return f"/api/v1/namespaces/{namespace or self.namespace}/{plural}{f'/{name}' if name else ''}"


@dataclass
class Outcome:
    step: str
    fault: str
    hit: str = ""  # the step at which the fault had been done
    phase: str = ""  # Completed, Failed, or Undone where the Restore was deleted
    rows: str = ""  # of the target, or as before
    seconds: float = 0.0
    message: str = ""
    left: list[str] = field(default_factory=list)  # what lies about and should not

    @property
    def good(self) -> bool:
        """It has ended one way or the other, whole: with the target's rows, or with those from before."""
        fits = {"Completed": {"the target's"}, "Failed": {"as before"}, "Undone": {"the target's", "as before"}}
        return self.rows in fits.get(self.phase, set()) and not self.left and bool(self.hit)


Fault = Callable[[Scene, Object], str]  # does it, and says the name of the Restore to look at then


def _nothing(_scene: Scene, restore: Object) -> str:
    return str(restore["metadata"]["name"])


def _controller(scene: Scene, restore: Object) -> str:
    _end_pods(scene, "app.kubernetes.io/component=controller", NAMESPACE)
    return _nothing(scene, restore)


def _host(scene: Scene, restore: Object) -> str:
    _end_pods(scene, f"pgwarden.io/for-repository={scene.cluster.name},pgwarden.io/component=host")
    return _nothing(scene, restore)


def _job_pod(scene: Scene, restore: Object) -> str:
    """Once it runs; of the step's Job."""
    name = restore["metadata"]["name"]
    selector = f"batch.kubernetes.io/job-name+in+({name}-restore-1,{name}-after-backup)"
    found = until(
        lambda: [one for one in scene.direct.items(scene.core("pods"), selector) if _runs(one)],
        f"a Job's pod of Restore {name} runs",
        60,
        pause=0.02,
    )
    end_pod(scene, found[0])
    return _nothing(scene, restore)


def _s3(scene: Scene, restore: Object) -> str:
    assert scene.store is not None
    scene.store.stop()
    time.sleep(OUTAGE)  # that is what the fault is
    scene.store.start()
    return _nothing(scene, restore)


def _delete(scene: Scene, restore: Object) -> str:
    scene.direct.delete(scene.of("restores", restore["metadata"]["name"]))
    return ""


def _reapply(scene: Scene, restore: Object) -> str:
    path = scene.of("restores", restore["metadata"]["name"])
    scene.direct.delete(path)
    until(lambda: scene.direct.get(path) is None, "the Restore is gone", 60, pause=0.02)
    scene.direct.create(scene.of("restores"), restore)
    return _nothing(scene, restore)


def _second(scene: Scene, restore: Object) -> str:
    """To the latest state, so to the first one's. It is the one that ends last."""
    name = f"{restore['metadata']['name']}-2"
    spec = {"repository": restore["spec"]["repository"]}
    scene.direct.create(scene.of("restores"), restore | {"metadata": {"name": name}, "spec": spec})
    return name


FAULTS: dict[str, Fault] = {
    "none": _nothing,
    "controller killed": _controller,
    "Job's pod killed": _job_pod,
    "repository host killed": _host,
    "S3 away for 30 s": _s3,
    "deleted": _delete,
    "deleted, applied again": _reapply,
    "a second Restore": _second,
}
#: Only at these steps is there a Job.
JOB_STEPS = frozenset({"Restored", "BackedUp"})


def applies(step: str, fault: str, *, s3: bool) -> bool:
    if fault == "Job's pod killed":
        return step in JOB_STEPS
    return (fault == "S3 away for 30 s") == s3


def _runs(pod: Object) -> bool:
    return bool(pod.get("status", {}).get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"])


def _end_pods(scene: Scene, selector: str, namespace: str = "") -> None:
    for pod in scene.direct.items(scene.core("pods", namespace=namespace), selector):
        if "deletionTimestamp" not in pod["metadata"]:
            end_pod(scene, pod)


def end_pod(scene: Scene, pod: Object) -> None:
    """As hard as it can be: SIGKILL where its processes are this machine's, and no grace for the object."""
    for process in processes(pod["metadata"]["uid"]):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(process, signal.SIGKILL)
    scene.direct.delete(scene.core("pods", pod["metadata"]["name"], pod["metadata"]["namespace"]), at_once=True)


def processes(pod_uid: str) -> Iterator[int]:
    """Of the local cluster's pods, by their cgroup."""
    for entry in Path("/proc").glob("[0-9]*/cgroup"):
        with suppress(OSError):
            if f"pod{pod_uid}" in entry.read_text().replace("_", "-"):
                yield int(entry.parent.name)


# --- one trial -----------------------------------------------------------------------------------------------------


def prepare(scene: Scene) -> None:
    scene.cluster.sql(
        "CREATE TABLE IF NOT EXISTS ledger (at timestamptz PRIMARY KEY DEFAULT clock_timestamp(), said text)"
    )


def trial(scene: Scene, name: str, step: str, fault: str) -> Outcome:
    """A Restore to a moment, *fault* at *step*, and how it went. Leaves a cluster for the next one."""
    outcome = Outcome(step, fault)
    # A moment that is not archived yet is refused while nobody archives, as just after another trial.
    scene.cluster.kubectl.until("pgrepo", scene.cluster.name, is_true("Archiving"), "archives", LIMIT)
    write = f"INSERT INTO ledger (said) VALUES ('{name} {{}}')"  # noqa: S608  our own words
    said = scene.cluster.sql(
        f"{write.format('kept')}; {_FINGERPRINT}; SELECT clock_timestamp(); {write.format('undone')}; {_FINGERPRINT}"
    )
    wanted, moment, before = said.splitlines()
    spec = {"repository": scene.cluster.name, "target": {"time": moment}}
    restore = {"apiVersion": "pgwarden.io/v1alpha1", "kind": "Restore", "metadata": {"name": name}, "spec": spec}
    began = time.monotonic()
    scene.direct.create(scene.of("restores"), restore)
    look_at = _strike(scene, restore, outcome)
    _await_end(scene, look_at, outcome)
    scene.cluster.kubectl.until("pgc", scene.cluster.name, _has_primary, "has a primary", LIMIT)
    found = until(lambda: _write(scene, name), "PostgreSQL takes writes", LIMIT, lambda: str(scene.cluster.status()))
    outcome.seconds = time.monotonic() - began
    outcome.rows = {wanted: "the target's", before: "as before"}.get(found, f"LOST: {found}, not {wanted} or {before}")
    outcome.left = _left_over(scene, name)
    _tidy(scene)
    return outcome


def _strike(scene: Scene, restore: Object, outcome: Outcome) -> str:
    name = restore["metadata"]["name"]
    for seen in scene.direct.watch(scene.of("restores"), name, LIMIT):
        status = seen.get("status") or {}
        if status.get("phase") in TERMINAL:
            return str(name)
        if status.get("step") == outcome.step:
            look_at = FAULTS[outcome.fault](scene, restore)
            now = scene.direct.get(scene.of("restores", name)) or {}
            outcome.hit = outcome.step if outcome.fault == "S3 away for 30 s" or not now else _step(now)
            return look_at
    raise AssertionError(f"Restore {name} was never at step {outcome.step}")


def _step(restore: Object) -> str:
    status = restore.get("status") or {}
    return str(status.get("step") or status.get("phase") or "anew")


def _await_end(scene: Scene, name: str, outcome: Outcome) -> None:
    if not name:
        until(lambda: not _busy(scene), "nothing of the deleted Restore is at work", LIMIT)
        outcome.phase = "Undone"
        return
    for one in sorted(scene.direct.items(scene.of("restores")), key=lambda one: one["metadata"]["name"] == name):
        done = scene.cluster.kubectl.until("pgr", one["metadata"]["name"], phase(*TERMINAL), "ends", LIMIT)
        outcome.phase, outcome.message = done["status"]["phase"], done["status"]["message"]


def _busy(scene: Scene) -> bool:
    """Whether an instance is stopped by a Restore, or a Restore's Job is there."""
    path = f"/apis/apps/v1/namespaces/{scene.namespace}/deployments"
    stopped = [
        one
        for one in scene.direct.items(path, f"pgwarden.io/cluster={scene.cluster.name}")
        if "pgwarden.io/stopped-by" in one["metadata"].get("annotations", {})
    ]
    jobs = scene.direct.items(f"/apis/batch/v1/namespaces/{scene.namespace}/jobs", "pgwarden.io/component=restore")
    return bool(stopped or jobs)


def _has_primary(cluster: Object) -> bool:
    return bool((cluster.get("status") or {}).get("primary"))


def _write(scene: Scene, name: str) -> str:
    """The fingerprint, once a row can be written and taken back."""
    with suppress(AssertionError):
        row = f"INSERT INTO ledger (said) VALUES ('{name} probe')"  # noqa: S608  our own words
        return scene.cluster.sql(f"{_FINGERPRINT}; BEGIN; {row}; ROLLBACK; CREATE TEMPORARY TABLE probe (i int)")
    return ""


def _left_over(scene: Scene, name: str) -> list[str]:
    """Claims of the Restore's own that nobody keeps, and volumes without a claim or with a policy not their class's."""

    def look() -> list[str]:
        claims = scene.direct.items(scene.core("persistentvolumeclaims"), f"pgwarden.io/restore={name}")
        found = [f"claim {one['metadata']['name']}" for one in claims]
        for volume in scene.direct.items("/api/v1/persistentvolumes"):
            title, spec = volume["metadata"]["name"], volume["spec"]
            if (spec.get("claimRef") or {}).get("namespace") != scene.namespace:
                continue
            if spec["persistentVolumeReclaimPolicy"] != "Delete":
                found.append(f"volume {title} of {spec['claimRef']['name']} is Retain, {volume['status']['phase']}")
        return found

    deadline = time.monotonic() + 20
    while (found := look()) and time.monotonic() < deadline:
        time.sleep(0.5)
    return found


def _tidy(scene: Scene) -> None:
    """So that the disk does not fill: what was kept goes, and the Restores."""
    for one in scene.direct.items(scene.of("restores")):
        scene.direct.delete(scene.of("restores", one["metadata"]["name"]))
    for claim in scene.direct.items(scene.core("persistentvolumeclaims"), "pgwarden.io/kept-by"):
        scene.direct.delete(scene.core("persistentvolumeclaims", claim["metadata"]["name"]))
