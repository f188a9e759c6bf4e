"""A restore under fire: each step of a PostgresCluster's Restore, each fault at it, and the rows compared.

FAULTS_STEPS and FAULTS_ONLY (separated by semicolons) choose. FAULTS_NAMESPACE is used where it is there and left, as
a run may be made in pieces: what the file of results has already is kept. An hour for all of it.
The table is written after each trial: a run that is ended early leaves what it has seen.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import tempfile
import uuid
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from bench import ground
from bench.ground import say
from harness.cluster import Cluster, manifest
from harness.direct import Direct, direct
from harness.faults import FAULTS, STEPS, Outcome, Scene, applies, prepare, trial
from harness.kubectl import Kubectl
from harness.s3 import Store, repository
from localcluster.config import cluster as local

SEEN = Path(tempfile.gettempdir()) / "restore-faults.json"
RESULT = ground.RESULTS / "restore-faults.md"


def scenes(space: Kubectl, api: Direct, faults: list[str]) -> list[Scene]:
    """A cluster whose repository is a volume, and one whose is in S3, as far as the faults need them."""
    found = []
    if any(applies(step, fault, s3=False) for fault in faults for step in STEPS):
        space.apply(manifest("hippo", replicas=1))
        found.append(Scene(Cluster(space, "hippo"), api))
    if any(applies(step, fault, s3=True) for fault in faults for step in STEPS):
        store = Store(local())
        bucket = store.make_bucket(f"{space.namespace}-bucket")  # the same one for each piece of a run
        inside = repository("s3", bucket)["spec"]
        space.apply(*store.secrets(), manifest("bucket", replicas=1, repository=inside))
        found.append(Scene(Cluster(space, "bucket"), api, store))
    for scene in found:
        scene.cluster.wait_ready(300)
        prepare(scene)
    return found


def matrix(space: Kubectl, steps: list[str], faults: list[str]) -> list[Outcome]:
    outcomes, run, number = earlier(), uuid.uuid4().hex[:3], itertools.count(1)
    with direct(space) as api:
        for scene in scenes(space, api, faults):
            for fault in faults:
                for step in steps:
                    if not applies(step, fault, s3=scene.store is not None):
                        continue
                    save(outcomes, one(scene, f"t{run}-{next(number)}", step, fault))
            save(outcomes, one(scene, f"last-{run}-{scene.cluster.name}", STEPS[-1], "none"))
    return outcomes


def earlier() -> list[Outcome]:
    """What the pieces of this run before have seen."""
    if "FAULTS_NAMESPACE" not in os.environ or not SEEN.exists():
        return []
    return [Outcome(**one) for one in json.loads(SEEN.read_text())]


def save(outcomes: list[Outcome], found: Outcome) -> None:
    """In the place of an earlier one of the same cell."""
    outcomes[:] = [o for o in outcomes if (o.step, o.fault) != (found.step, found.fault) or o.fault == "none"]
    outcomes.append(found)
    SEEN.write_text(json.dumps([asdict(o) for o in outcomes]))
    RESULT.write_text(report(outcomes), encoding="utf-8")


def one(scene: Scene, name: str, step: str, fault: str) -> Outcome:
    try:
        found = trial(scene, name, step, fault)
    except AssertionError as error:  # told in the table; the next trial shows whether the cluster still lives
        found = Outcome(step, fault, message=str(error)[:2000])
    mark = "good" if found.good else "BAD "
    say(f"{mark} {name} {step} / {fault}: {found.phase} at {found.hit}, {found.seconds:.0f} s, rows {found.rows}")
    if not found.good or found.phase == "Failed":
        say(f"     {found.message} {found.left}")
    return found


# --- the report --------------------------------------------------------------------------------------------------


def report(outcomes: list[Outcome]) -> str:
    faults = [fault for fault in FAULTS if any(o.fault == fault for o in outcomes) and fault != "none"]
    head = f"""# A restore under fire

{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {ground.commit()}, `make faults`.
A PostgresCluster is restored to a moment, over and over. At each step a fault, within milliseconds of the moment at which
the Restore's status names the step. Pods are ended by SIGKILL and deleted without grace. Then: how it ended, whose rows
PostgreSQL has (all compared), whether it takes writes, and whether any claim or volume was left over. The next trial is
the next Restore. S3 away: repository in S3; all else: on a volume. Seconds from `kubectl apply` to a write, on
{os.cpu_count()} CPUs with other work on the machine.

| step | {" | ".join(faults)} |
|---|{"---|" * len(faults)}
"""
    rows = [f"| `{step}` | {' | '.join(_cell(outcomes, step, fault) for fault in faults)} |" for step in STEPS]
    good = sum(o.good for o in outcomes)
    after = [f"{o.seconds:.0f} s" for o in outcomes if o.fault == "none"]
    tail = [
        "",
        "Completed: with the target's rows. Failed: taken back, with the rows from before and the reason in the status.",
        "Deleted: the rows from before where it was not started yet, else the target's.",
        f"{good} of {len(outcomes)} trials ended whole, and a Restore after them all did: {', '.join(after) or 'not yet'}.",
        *[f"- {o.step}, {o.fault}: {o.phase} {o.message} {' '.join(o.left)}" for o in outcomes if not _plain(o)],
    ]
    return head + "\n".join([*rows, *tail]) + "\n"


def _plain(outcome: Outcome) -> bool:
    return outcome.good and outcome.phase != "Failed"


def _cell(outcomes: list[Outcome], step: str, fault: str) -> str:
    found = next((o for o in outcomes if (o.step, o.fault) == (step, fault)), None)
    if found is None:
        return "no Job" if fault == "Job's pod killed" else ""
    if not found.good:
        return f"**BAD** {found.phase} {found.rows}"
    later = "" if found.hit in {step, "anew"} else f" (came at {found.hit})"
    rows = f", rows {found.rows}" if found.phase == "Undone" else ""
    return f"{found.phase}{rows}, {found.seconds:.0f} s{later}"


def main() -> int:
    steps = [step for step in STEPS if step in os.environ.get("FAULTS_STEPS", ";".join(STEPS)).split(";")]
    chosen = os.environ.get("FAULTS_ONLY", ";".join(FAULTS)).split(";")
    faults = [fault for fault in FAULTS if fault in chosen and fault != "none"]
    kubectl = ground.install("pgwarden", "pgwarden-patroni", "postgres")
    given = os.environ.get("FAULTS_NAMESPACE", "")
    name = given or f"faults-{uuid.uuid4().hex[:5]}"
    kubectl.run("create", "namespace", name, check=not given)
    try:
        outcomes = matrix(kubectl.within(name), steps, faults)
    finally:
        if not given:
            kubectl.run("delete", "namespace", name, "--wait=false")
    print(f"\n{RESULT.read_text(encoding='utf-8')}\nsaved as bench/results/{RESULT.name}")
    return 0 if all(o.good for o in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
