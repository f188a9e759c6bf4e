"""One Restore under fire: a fault at a step, and then the rows compared, and what lies about."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from harness.faults import FAULTS, STEPS, TERMINAL, TooLate, step_of
from harness.kubectl import KubectlError, Object, condition, is_true, phase
from harness.scene import Scene, Writer, writing
from harness.waiting import until

LIMIT = 420
_ROWS = "SELECT at || '|' || said FROM ledger"
_WHOLE = {"Completed": {"the target's", "all"}, "Failed": {"as before", "all"}}
_STOPPED = STEPS.index("Stopped")


@dataclass
class Outcome:
    step: str
    fault: str
    kind: str = ""  # of what was restored: PostgresCluster or StatefulSet
    target: str = "moment"
    storage: str = ""
    hit: str = ""  # the step at which the fault had been done; empty where that was too late
    phase: str = ""  # Completed, Failed, or Undone where the Restore was deleted
    reason: str = ""
    rows: str = ""  # the target's, as before, or all where these are the same
    seconds: float = 0.0  # from the order to a write
    down: float | None = None  # seconds from Stopped to Started, by the conditions
    message: str = ""
    left: list[str] = field(default_factory=list)  # what lies about and should not, and what should not have ended

    @property
    def cell(self) -> tuple[str, str, str, str]:
        return self.step, self.fault, self.kind, self.target

    @property
    def too_late(self) -> bool:
        return self.phase in TERMINAL and not self.hit

    @property
    def good(self) -> bool:
        """It has ended one way or the other, whole: with the target's rows, or with those from before."""
        return self.rows in _WHOLE.get(self.phase, {"the target's", "as before", "all"}) and not self.left


@dataclass(frozen=True)
class _Before:
    """What there was when the Restore was asked for."""

    wanted: set[str]  # the rows of the moment
    rows: set[str]
    moment: str
    pod: Object


def prepare(scene: Scene) -> None:
    """The table, and a backup to begin with, which a PostgresCluster makes by itself."""
    scene.sql(
        "CREATE TABLE IF NOT EXISTS ledger (at timestamptz PRIMARY KEY DEFAULT clock_timestamp(), said text);"
        "DELETE FROM ledger;"
        "INSERT INTO ledger SELECT '2000-01-01'::timestamptz + i * interval '1 s', 'from the beginning'"
        " FROM generate_series(1, 1000) AS i"
    )
    if scene.kind == "PostgresCluster":
        return
    backup = {"apiVersion": "pgwarden.io/v1alpha1", "kind": "Backup", "metadata": {"name": "base"}}
    scene.kubectl.apply(backup | {"spec": {"repository": scene.name}})
    scene.kubectl.until("pgb", "base", phase("Completed"), "is completed", LIMIT)


def trial(scene: Scene, name: str, step: str, fault: str, target: str = "moment") -> Outcome:
    """A Restore, *fault* at *step*, and how it went. Leaves a PostgreSQL for the next one."""
    outcome = Outcome(step, fault, scene.kind, target, "s3" if scene.store else "local")
    # A moment that is not archived yet is refused while nobody archives, as just after another trial.
    scene.kubectl.until("pgrepo", scene.name, is_true("Archiving"), "archives", LIMIT)
    before = _before(scene, name)
    spec: Object = {"repository": scene.name} | ({"target": {"time": before.moment}} if target == "moment" else {})
    restore = {"apiVersion": "pgwarden.io/v1alpha1", "kind": "Restore", "metadata": {"name": name}, "spec": spec}
    with writing(scene, f"{name} meanwhile") as writer:
        began = time.monotonic()
        scene.direct.create(scene.of("restores"), restore)
        look_at, seen = _strike(scene, restore, outcome)
        done = _await_end(scene, look_at, outcome) or seen
        until(lambda: _takes_writes(scene), "PostgreSQL takes writes", LIMIT)
        outcome.seconds = time.monotonic() - began
    outcome.rows = _rows(scene, before, writer, target)
    outcome.down = _down(done)
    outcome.left = _served_on(scene, before, done, fault) + _left_over(scene, name)
    _tidy(scene)
    return outcome


def _before(scene: Scene, name: str) -> _Before:
    add = f"INSERT INTO ledger (said) VALUES ('{name} {{}}')"  # noqa: S608  our own words
    scene.sql("DELETE FROM ledger WHERE said <> 'from the beginning'")
    scene.sql(add.format("kept"))
    wanted, moment = set(scene.sql(_ROWS).splitlines()), scene.sql("SELECT clock_timestamp()")
    scene.sql(add.format("undone"))
    return _Before(wanted, set(scene.sql(_ROWS).splitlines()), moment, scene.pods()[0])


def _strike(scene: Scene, restore: Object, outcome: Outcome) -> tuple[str, Object]:
    """The Restore to look at, and how it was seen last."""
    name, fault = str(restore["metadata"]["name"]), FAULTS[outcome.fault]
    for seen in scene.direct.watch(scene.of("restores"), name, LIMIT):
        status = seen.get("status") or {}
        if status.get("phase") in TERMINAL:
            return name, seen
        if status.get("step") == outcome.step:
            try:
                look_at = fault.does(scene, restore)
            except TooLate as error:
                outcome.message = str(error)
                return name, seen
            now = scene.direct.get(scene.of("restores", name))
            outcome.hit = outcome.step if now is None or fault.lasts else step_of(now)
            return look_at, seen
    raise AssertionError(f"Restore {name} was never at step {outcome.step}")


def _await_end(scene: Scene, name: str, outcome: Outcome) -> Object | None:
    """The Restore as it has ended; None where it was deleted."""
    if not name:
        until(lambda: not _busy(scene), "nothing of the deleted Restore is at work", LIMIT, pause=0.2)
        outcome.phase = "Undone"
        return None
    done: Object | None = None
    for one in sorted(scene.direct.items(scene.of("restores")), key=lambda one: one["metadata"]["name"] == name):
        done = scene.kubectl.until("pgr", one["metadata"]["name"], phase(*TERMINAL), "ends", LIMIT)
        status = done["status"]
        outcome.phase, outcome.reason, outcome.message = status["phase"], status["reason"], status["message"]
    return done


def _busy(scene: Scene) -> list[str]:
    """Workloads that a Restore has stopped, and Restores' Jobs."""
    marked = [one for one in scene.workloads() if "pgwarden.io/stopped-by" in one["metadata"].get("annotations", {})]
    jobs = scene.direct.items(scene.jobs(), "pgwarden.io/component=restore")
    return [f"{one['metadata']['name']} is at work" for one in marked + jobs]


def _takes_writes(scene: Scene) -> bool:
    with suppress(KubectlError, AssertionError):
        scene.sql("CREATE TEMPORARY TABLE probe (i int); BEGIN; INSERT INTO ledger (said) VALUES ('probe'); ROLLBACK")
        return True
    return False


def _rows(scene: Scene, before: _Before, writer: Writer, target: str) -> str:
    found, acknowledged = set(scene.sql(_ROWS).splitlines()), writer.acknowledged()
    if target == "moment" and found == before.wanted:
        return "the target's"
    lost = (before.rows | acknowledged) - found
    # A row of which the session had not heard yet may be there.
    strange = [row for row in found - before.rows - acknowledged if not row.endswith(" meanwhile")]
    if not lost and not strange:
        return "as before" if target == "moment" else "all"
    return (
        f"LOST: {len(lost)} of {len(before.rows | acknowledged)}, such as {sorted(lost)[:2]}; too many: {strange[:2]}"
    )


def _down(restore: Object) -> float | None:
    found = [condition(restore, step) for step in ("Stopped", "Started")]
    times = [datetime.fromisoformat(one["lastTransitionTime"]) for one in found if one and one["status"] == "True"]
    return (times[1] - times[0]).total_seconds() if len(times) == 2 else None


def _served_on(scene: Scene, before: _Before, restore: Object, fault: str) -> list[str]:
    """Whether PostgreSQL, which nobody had a reason to stop, has been ended all the same."""
    status = restore.get("status") or {}
    step = status.get("step") if status.get("phase") != "Completed" else STEPS[-1]
    early = not status.get("stoppedTime") and step in STEPS and STEPS.index(step) < _STOPPED
    if not early or fault in {"PostgreSQL killed", "a second Restore", "deleted, applied again"}:
        return []
    now = [_life(pod) for pod in scene.pods()]
    return [] if now == [_life(before.pod)] else [f"PostgreSQL's pod was {_life(before.pod)}, and is {now}"]


def _life(pod: Object) -> str:
    restarts = [f"{one['name']} {one['restartCount']}" for one in pod["status"].get("containerStatuses", [])]
    return f"{pod['metadata']['uid']} ({', '.join(restarts)})"


def _left_over(scene: Scene, name: str) -> list[str]:
    """Claims of the Restore's own that nobody keeps, Jobs, marks, and volumes without a claim or with a policy not
    their class's.
    """

    def look() -> list[str]:
        claims = scene.direct.items(scene.core("persistentvolumeclaims"), f"pgwarden.io/restore={name}")
        found = [f"claim {one['metadata']['name']}" for one in claims]
        for volume in scene.direct.items("/api/v1/persistentvolumes"):
            title, spec, state = volume["metadata"]["name"], volume["spec"], volume.get("status", {}).get("phase")
            if (spec.get("claimRef") or {}).get("namespace") != scene.namespace:
                continue
            if spec["persistentVolumeReclaimPolicy"] != "Delete" or state != "Bound":
                found.append(f"volume {title} of {spec['claimRef']['name']}: {state}")
        return found + _busy(scene)

    deadline = time.monotonic() + 60
    while (found := look()) and time.monotonic() < deadline:
        time.sleep(0.5)
    return found


def _tidy(scene: Scene) -> None:
    """So that the disk does not fill: what was kept goes, and the Restores."""
    for one in scene.direct.items(scene.of("restores")):
        scene.direct.delete(scene.of("restores", one["metadata"]["name"]))
    for claim in scene.direct.items(scene.core("persistentvolumeclaims"), "pgwarden.io/kept-by"):
        scene.direct.delete(scene.core("persistentvolumeclaims", claim["metadata"]["name"]))
