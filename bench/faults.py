"""A restore under fire: each step of a Restore, each fault at it, and the rows compared. `--help` says how to choose.

Of a PostgresCluster and of a StatefulSet, to a moment and to the latest state, with the Repository on a volume and in
S3. Several Restores are tried at once, each in a namespace of its own. What harms all of them (the controller, the API
server, the store) is tried by itself: the others meet it too, at whichever step they are.
The results are written after each trial: a run that is ended early leaves what it has seen. `--namespace` names the
namespaces; they are used where they are there, and left, and so is what a run before has seen.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
import threading
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from bench import ground
from bench.fault_report import report
from bench.ground import say
from harness.cluster import Cluster, manifest
from harness.direct import Direct, direct
from harness.faults import FAULTS, STEPS, TARGETS, applies
from harness.fire import Outcome, prepare, trial
from harness.kubectl import Kubectl, is_true
from harness.objects import repository as local_repository
from harness.postgres import IMAGE, statefulset
from harness.s3 import Store, repository
from harness.scene import Scene, StatefulSet
from localcluster.config import cluster as local

RESULT = ground.RESULTS / "restore-faults.md"
KINDS = ("StatefulSet", "PostgresCluster")
STORAGES = ("local", "s3")


@dataclass(frozen=True)
class Cell:
    step: str
    fault: str
    kind: str
    target: str

    def fits(self, scene: Scene) -> bool:
        s3 = scene.store is not None
        return scene.kind == self.kind and applies(self.step, self.fault, s3=s3, target=self.target)


@dataclass
class Results:
    """In the place of earlier ones of the same cell."""

    seen: Path
    outcomes: list[Outcome] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def load(self) -> None:
        if self.seen.exists():
            self.outcomes = [Outcome(**one) for one in json.loads(self.seen.read_text())]

    def save(self, found: Outcome) -> None:
        with self._lock:
            self.outcomes = [o for o in self.outcomes if o.cell != found.cell or o.fault == "none"] + [found]
            self.seen.write_text(json.dumps([asdict(o) for o in self.outcomes]))
            RESULT.write_text(report(self.outcomes), encoding="utf-8")


# --- what is tried ---------------------------------------------------------------------------------------------------


def groups(chosen: argparse.Namespace) -> Iterator[list[Cell]]:
    """What may be tried at once. Each cell for so many of kind and target as are asked for, in turn; opposites first."""
    every = list(itertools.product(KINDS, TARGETS))
    order = [every[0], every[3], every[1], every[2]]
    for number in range(chosen.modes):
        common: dict[str, list[Cell]] = {}
        for (row, step), (column, fault) in itertools.product(enumerate(STEPS), enumerate(FAULTS)):
            if step not in chosen.step or fault not in chosen.fault:
                continue
            at = (row + column) % 2
            possible = [o for o in order if o[0] in chosen.kind and o[1] in chosen.target]
            modes = [o for o in possible if applies(step, fault, s3=True, target=o[1])]
            modes = modes[at * 2 :] + modes[: at * 2]
            if number < len(modes):
                key = fault if FAULTS[fault].common else ""
                common.setdefault(key, []).append(Cell(step, fault, *modes[number]))
        yield from (common[key] for key in sorted(common))


def scenes(kubectl: Kubectl, api: Direct, chosen: argparse.Namespace) -> list[Scene]:
    """A namespace for each, made at once."""
    wanted = [pair for pair in itertools.product(chosen.kind, chosen.storage)]  # noqa: C416
    with ThreadPoolExecutor(len(wanted)) as pool:
        return list(pool.map(lambda pair: _scene(kubectl, api, chosen.namespace, *pair), wanted))


def _scene(kubectl: Kubectl, api: Direct, name: str, kind: str, storage: str) -> Scene:
    space = kubectl.within(f"{name}-{kind.lower()}-{storage}")
    space.run("create", "namespace", space.namespace, check=False)
    store, inside = None, local_repository()
    if storage == "s3":
        store = Store(local())
        inside = repository("s3", store.make_bucket(space.namespace))
        space.apply(*store.secrets())
    if kind == "PostgresCluster":
        space.apply(manifest("hippo", replicas=1, repository=inside["spec"]))
        Cluster(space, "hippo").wait_ready(600)
        scene = Scene(Cluster(space, "hippo"), api, store, local())
    else:
        space.apply(inside, *statefulset(IMAGE, name="hippo"))
        scene = Scene(StatefulSet(space), api, store, local())
    space.until("pgrepo", "hippo", is_true("Archiving"), "archives", 600)
    prepare(scene)
    say(f"{kind} with {storage} is there")
    return scene


# --- trying it -------------------------------------------------------------------------------------------------------


@dataclass
class Matrix:
    results: Results
    run: str = field(default_factory=lambda: uuid.uuid4().hex[:3])
    _number: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def carry_out(self, listed: Sequence[Scene], cells: list[Cell]) -> None:
        """Each scene takes the next cell that fits it, until there is none."""
        with ThreadPoolExecutor(len(listed)) as pool:
            for done in [pool.submit(self._lane, scene, cells) for scene in listed]:
                done.result()

    def _lane(self, scene: Scene, cells: list[Cell]) -> None:
        while True:
            with self._lock:
                cell = next((one for one in cells if one.fits(scene)), None)
                if cell is None:
                    return
                cells.remove(cell)
                name = f"t{self.run}-{next(self._number)}"
            self.results.save(self.one(scene, name, cell))

    def one(self, scene: Scene, name: str, cell: Cell) -> Outcome:
        try:
            found = trial(scene, name, cell.step, cell.fault, cell.target)
        except Exception as error:  # noqa: BLE001  told in the table; the next trial shows whether PostgreSQL still lives
            said = f"{type(error).__name__}: {error}"[:2000]
            storage = "s3" if scene.store else "local"
            found = Outcome(
                cell.step, cell.fault, cell.kind, cell.target, storage, message=said, left=["not tried whole"]
            )
        mark = "late" if found.too_late else "good" if found.good else "BAD "
        what = f"{cell.step} / {cell.fault} / {cell.kind} {found.storage} {cell.target}"
        down = "" if found.down is None else f", down {found.down:.0f} s"
        say(f"{mark} {name} {what}: {found.phase} at {found.hit}, {found.seconds:.0f} s{down}, rows {found.rows}")
        if not found.good or found.phase == "Failed":
            say(f"     {found.reason} {found.message} {found.left}")
        return found


def main() -> int:
    chosen = _chosen()
    # Another lane takes the API server away under our own kubectl.
    kubectl = replace(ground.install("pgwarden", "pgwarden-patroni", "postgres"), patience=120)
    given = bool(chosen.namespace)
    chosen.namespace = chosen.namespace or f"faults-{uuid.uuid4().hex[:5]}"
    results = Results(Path(tempfile.gettempdir()) / f"restore-{chosen.namespace}.json")
    results.load()
    with ExitStack() as leave:
        api = leave.enter_context(direct(kubectl))
        listed = scenes(kubectl, api, chosen)
        matrix = Matrix(results)
        for cells in groups(chosen):
            matrix.carry_out(listed, cells)
        last = [Cell(STEPS[-1], "none", one.kind, "latest") for one in listed]
        for scene, cell in zip(listed, last, strict=True):
            results.save(matrix.one(scene, f"last-{matrix.run}-{scene.store is not None:d}", cell))
        if not given:
            for scene in listed:
                kubectl.run("delete", "namespace", scene.namespace, "--wait=false")
    print(f"\n{RESULT.read_text(encoding='utf-8')}\nsaved as bench/results/{RESULT.name}")
    return 0 if all(o.good or o.too_late for o in results.outcomes) else 1


def _chosen() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    faults = [fault for fault in FAULTS if fault != "none"]
    for option, known in (
        ("step", STEPS),
        ("fault", faults),
        ("kind", KINDS),
        ("target", TARGETS),
        ("storage", STORAGES),
    ):
        text = f"only these of: {', '.join(known)}"
        parser.add_argument(f"--{option}", choices=known, default=list(known), help=text, nargs="+", metavar="NAME")
    parser.add_argument(
        "--modes", type=int, default=2, choices=range(1, 5), help="of kind and target, for each cell (2)"
    )
    parser.add_argument("--namespace", default="", help="what the namespaces' names begin with")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
