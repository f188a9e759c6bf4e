"""What is done to a Restore at work. It comes within milliseconds of the moment at which its status names the step.

`FAULTS` has them by name; `applies` says at which step of which Restore there is something to do it to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from harness import killing
from harness.install import NAMESPACE
from harness.kubectl import Object
from harness.scene import COMMON, Scene, runs
from harness.waiting import until
from localcluster import processes

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
TARGETS = ("moment", "latest")
AWAY = 30.0  # seconds
STILL = 20.0


T = TypeVar("T")


class TooLate(Exception):
    """What was to be harmed had ended before."""


Does = Callable[[Scene, Object], str]  # does it, and says the name of the Restore to look at then; empty: of none


@dataclass(frozen=True)
class Fault:
    does: Does
    #: Where the Restore's recovery is at work: to the latest state until the old PostgreSQL has stopped.
    steps: frozenset[str] = frozenset(STEPS)
    moment: frozenset[str] = frozenset(STEPS)  # of these, the ones of a Restore to a moment
    s3: bool = False  # of a Repository in S3 alone
    common: bool = False  # it meets every Restore of the cluster
    lasts: bool = False  # so long that the Restore may have gone on when it is over


def applies(step: str, fault: str, *, s3: bool, target: str = "moment") -> bool:
    one = FAULTS[fault]
    return step in one.steps and (step in one.moment or target != "moment") and (s3 or not one.s3)


def _same(restore: Object) -> str:
    return str(restore["metadata"]["name"])


def _nothing(_scene: Scene, restore: Object) -> str:
    return _same(restore)


# --- what is common to all Restores ----------------------------------------------------------------------------------


def _controller(scene: Scene, restore: Object) -> str:
    listed = scene.direct.items(scene.core("pods", namespace=NAMESPACE), "app.kubernetes.io/component=controller")
    with COMMON:
        _end(scene, listed)
    return _same(restore)


def _api_server(scene: Scene, restore: Object) -> str:
    """It takes requests and answers none; what it had begun comes to pass afterwards."""
    assert scene.machine is not None
    found = processes.running(scene.machine, "kube-apiserver")
    assert found is not None
    with COMMON:
        killing.hold_up([found.pid], STILL)
    return _same(restore)


def _s3_away(scene: Scene, restore: Object) -> str:
    assert scene.store is not None
    with COMMON:
        scene.store.stop()
        try:
            killing.hold_up([], AWAY)
        finally:
            scene.store.start()
    return _same(restore)


def _s3_still(scene: Scene, restore: Object) -> str:
    assert scene.store is not None
    found = processes.running(scene.store.cluster, "versitygw")
    assert found is not None
    with COMMON:
        killing.hold_up([found.pid], STILL)
    return _same(restore)


# --- pods ------------------------------------------------------------------------------------------------------------


def _host(scene: Scene, restore: Object) -> str:
    _end(scene, scene.hosts())
    return _same(restore)


def _host_still(scene: Scene, restore: Object) -> str:
    found = [process for pod in scene.hosts() for process in killing.processes(pod["metadata"]["uid"])]
    killing.hold_up(found, STILL)
    return _same(restore)


def _postgres(scene: Scene, restore: Object) -> str:
    """The old one while it serves, afterwards the new one."""
    _end(scene, until(scene.pods, "a PostgreSQL pod runs", 60, pause=0.02))
    return _same(restore)


def _end(scene: Scene, pods: list[Object]) -> None:
    for pod in pods:
        if "deletionTimestamp" not in pod["metadata"]:
            killing.end_pod(scene.direct, pod)


# --- the recovery and its Job ----------------------------------------------------------------------------------------


def _job_pod(scene: Scene, restore: Object) -> str:
    """Once it runs; of the step's Job."""
    _end(scene, [_once(scene, restore, lambda: _jobs_pod(scene, restore))])
    return _same(restore)


def _server(scene: Scene, restore: Object) -> str:
    killing.kill([_once(scene, restore, lambda: _in_recovery(scene, restore, _is_server))])
    return _same(restore)


def _container(scene: Scene, restore: Object) -> str:
    """All of the server's container, as where its memory does not suffice."""
    script = _once(scene, restore, lambda: _in_recovery(scene, restore, lambda one: "recover.sh" in " ".join(one)))
    killing.kill(killing.beside(script))
    return _same(restore)


def _agent(scene: Scene, restore: Object) -> str:
    killing.kill([_once(scene, restore, lambda: _in_recovery(scene, restore, _is_agent))])
    return _same(restore)


def _is_agent(said: list[str]) -> bool:
    return "agent" in said and "recover" in said


def _is_server(said: list[str]) -> bool:
    """The server itself, not one of its processes, which call themselves `postgres: …`, and no session without it."""
    return said[0].rpartition("/")[2] == "postgres" and "--single" not in said


def _in_recovery(scene: Scene, restore: Object, is_wanted: Callable[[list[str]], bool]) -> int:
    """The first process that is wanted of the recovery's pod; 0 where there is none yet."""
    pod = _jobs_pod(scene, restore)
    found = killing.processes(pod["metadata"]["uid"]) if pod else ()
    return next((one for one in found if (said := killing.words(one)) and is_wanted(said)), 0)


def _jobs_pod(scene: Scene, restore: Object) -> Object | None:
    name = restore["metadata"]["name"]
    selector = f"batch.kubernetes.io/job-name+in+({name}-restore-1,{name}-after-backup)"
    return next((one for one in scene.direct.items(scene.core("pods"), selector) if runs(one)), None)


def _once(scene: Scene, restore: Object, look: Callable[[], T | None]) -> T:
    """What is looked for, as soon as it is there. TooLate where the Restore has gone on without it."""
    begun = _step(scene, restore)

    def seen() -> tuple[T | None] | None:
        found = look()
        if found:
            return (found,)
        return (None,) if _step(scene, restore) != begun else None

    (found,) = until(seen, f"what is to be harmed of Restore {_same(restore)} is there", 120, pause=0.01)
    if not found:
        raise TooLate(f"nothing of it was there at step {begun}")
    return found


def _step(scene: Scene, restore: Object) -> str:
    found = scene.direct.get(scene.of("restores", _same(restore))) or {}
    return step_of(found)


def step_of(restore: Object) -> str:
    status = restore.get("status") or {}
    if status.get("phase") in TERMINAL:
        return str(status["phase"])
    return str(status.get("step") or "anew")


# --- objects ---------------------------------------------------------------------------------------------------------


def _claim(scene: Scene, restore: Object) -> str:
    path = scene.core("persistentvolumeclaims", f"{_same(restore)}-restored")
    _once(scene, restore, lambda: scene.direct.get(path))
    scene.direct.delete(path)
    return _same(restore)


def _job(scene: Scene, restore: Object) -> str:
    name = _same(restore)

    def look() -> Object | None:
        found = [scene.direct.get(scene.jobs(one)) for one in (f"{name}-restore-1", f"{name}-after-backup")]
        return next((one for one in found if one), None)

    found = _once(scene, restore, look)
    scene.direct.delete(scene.jobs(found["metadata"]["name"]) + "?propagationPolicy=Background")
    return name


def _delete(scene: Scene, restore: Object) -> str:
    scene.direct.delete(scene.of("restores", _same(restore)))
    return ""


def _reapply(scene: Scene, restore: Object) -> str:
    path = scene.of("restores", _same(restore))
    scene.direct.delete(path)
    until(lambda: scene.direct.get(path) is None, "the Restore is gone", 60, pause=0.02)
    scene.direct.create(scene.of("restores"), restore)
    return _same(restore)


def _second(scene: Scene, restore: Object) -> str:
    """To the latest state, so to the first one's. It is the one that ends last."""
    name = f"{_same(restore)}-2"
    spec = {"repository": restore["spec"]["repository"]}
    scene.direct.create(scene.of("restores"), restore | {"metadata": {"name": name}, "spec": spec})
    return name


_JOB = frozenset({"Restored", "Replayed", "Stopped", "Recovered"})
_MOMENT = frozenset({"Restored", "Replayed", "BackedUp"})
_SERVER = _JOB - {"Restored"}
_CLAIM = _JOB | {"VolumeReady"}
_SERVES = frozenset(STEPS) - {"Recovered", "Swapped"}

FAULTS = {
    "none": Fault(_nothing),
    "controller killed": Fault(_controller, common=True),
    "API server away for 20 s": Fault(_api_server, common=True, lasts=True),
    "S3 away for 30 s": Fault(_s3_away, s3=True, common=True, lasts=True),
    "S3 stands still for 20 s": Fault(_s3_still, s3=True, common=True, lasts=True),
    "repository host killed": Fault(_host),
    "repository host stands still for 20 s": Fault(_host_still, lasts=True),
    "PostgreSQL killed": Fault(_postgres, steps=_SERVES),
    "Job's pod killed": Fault(_job_pod, steps=_JOB | {"BackedUp"}, moment=_MOMENT),
    "recovery's container killed": Fault(_container, steps=_JOB, moment=_MOMENT),
    "recovery's server killed": Fault(_server, steps=_SERVER, moment=_MOMENT),
    "recovery's agent killed": Fault(_agent, steps=_JOB, moment=_MOMENT),
    "new claim deleted": Fault(_claim, steps=_CLAIM, moment=_CLAIM - {"Recovered"}),
    "Job deleted": Fault(_job, steps=_JOB | {"BackedUp"}, moment=_MOMENT),
    "deleted": Fault(_delete),
    "deleted, applied again": Fault(_reapply),
    "a second Restore": Fault(_second),
}
