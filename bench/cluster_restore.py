"""A PostgresCluster restored in place, through pgwarden and by hand, alternating, each under a client that writes.

BENCH_SCALE (140: about 2.1 GB), BENCH_ROUNDS (3), BENCH_KEEP=1 keeps the namespace.
"""

from __future__ import annotations

import itertools
import json
import os
import platform
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import median

from bench import ground as grounds
from bench import runs
from bench.ground import Ground, say
from harness.cluster import Cluster, manifest
from harness.kubectl import Kubectl, Object, is_true
from harness.waiting import until
from pgwarden.pgbackrest.commands import restore_argv

STEPS = ("Validated", "Fenced", "Restored", "Replayed", "Stopped", "Recovered", "Swapped", "Started")
HAND_STEPS = ("Patroni paused", "stopped", "restored", "first write over the socket")
ROWS = "SELECT count(*), sum(abalance) FROM pgbench_accounts"
HOW = """Both go to the latest state, under a client that inserts a row at a time through the Service, from a pod of its own.
pgwarden: `kubectl apply` of a Restore. It restores into a new volume while PostgreSQL still runs, and keeps the old one.
By hand: autofail off, then in the instance's pod `pg_ctl stop`, the data folder moved aside, `pgbackrest restore` with
the arguments that pgwarden gives it, `pg_ctl start`, which recovers and promotes. The typing itself takes no time here.
The first write afterwards is the client's own. Confirmed rows and pgbench_accounts were compared after each run."""
#: In the instance's pod, with what is in it. The old data goes only when the clock has stopped.
BY_HAND = """set -eu
data=$PATRONI_POSTGRESQL_DATA_DIR
pg() {{ "$PGWARDEN_BIN/pg_ctl" -D "$data" -s -w -t 86400 "$@" >&2; }}
pg -m fast stop
date +%s.%N
mv "$data" "$data.before"
mkdir -m 700 "$data"
{restore} >&2
date +%s.%N
pg -l /tmp/by-hand.log start
until "$PGWARDEN_BIN/psql" -X -q -d postgres -c 'INSERT INTO beats VALUES (clock_timestamp())' 2> /dev/null; do
  sleep 0.1
done
date +%s.%N
"""


@dataclass
class Run:
    """Seconds since the first command."""

    moments: dict[str, float] = field(default_factory=dict)
    writable: float = 0.0  # the client's first confirmed write afterwards
    downtime: float = 0.0  # the longest time in which none was confirmed
    confirmed: int = 0


@dataclass
class Measured:
    bytes: int
    ours: list[Run] = field(default_factory=list)
    hand: list[Run] = field(default_factory=list)
    load: list[float] = field(default_factory=list)


def lay(scale: int) -> Ground:
    """A PostgresCluster of one instance with *scale* times 15 MB, all of it in a full backup."""
    kubectl = grounds.install("pgwarden", "pgwarden-patroni", "postgres")
    space = grounds.namespace(kubectl)
    wanted = manifest(replicas=1, repository={"local": {"size": "40Gi"}})
    wanted["spec"]["instances"]["storage"]["size"] = "20Gi"
    space.apply(wanted)
    cluster = Cluster(space)
    cluster.wait_ready(300)
    ground = grounds.fill(space, cluster.postgres("hippo-1"), scale)
    runs.through_pgwarden(ground, "pgb", runs.custom("Backup", "filled", type="full"))
    return ground


def through_pgwarden(ground: Ground, name: str) -> Run:
    def restore(began: float) -> dict[str, float]:
        ground.kubectl.apply(runs.custom("Restore", name, reenableAutofail=True))
        moments = {}
        for step in STEPS:
            ground.kubectl.until("pgr", name, is_true(step), f"is {step}", runs.LIMIT)
            moments[step] = time.time() - began
        runs.wait_over(ground.kubectl, "pgr", name)
        return moments | {"Completed": time.time() - began}

    found = _under_a_client(ground, restore)
    Cluster(ground.kubectl).wait_ready(300)
    _discard(ground.kubectl, name)
    return found


def _discard(kubectl: Kubectl, name: str) -> None:
    """The volume from before, so that the disk does not fill."""
    kept = (kubectl.get("pgr", name) or {})["status"]["keptClaim"]
    kubectl.run("delete", "pgr", name, "--wait=true")
    kubectl.run("delete", "pvc", kept, "--wait=false")


def by_hand(ground: Ground) -> Run:
    cluster = Cluster(ground.kubectl)

    def restore(began: float) -> dict[str, float]:
        cluster.change(autofail=False)
        until(lambda: _patroni(ground.kubectl).get("pause"), "Patroni is paused", 120, pause=0.1)
        moments = [time.time()]
        script = BY_HAND.format(restore=shlex.join([*runs.PGBACKREST, *restore_argv("hippo")]))
        said = ground.postgres.run("sh", "-c", script, seconds=runs.LIMIT)
        moments += [float(line) for line in said.split()]
        return dict(zip(HAND_STEPS, (at - began for at in moments), strict=True))

    found = _under_a_client(ground, restore)
    ground.postgres.run("sh", "-c", 'rm -rf "$PATRONI_POSTGRESQL_DATA_DIR.before"')
    cluster.change(autofail=True)
    cluster.wait_ready(300)
    return found


def _patroni(kubectl: Kubectl) -> Object:
    """What Patroni says of itself, as `patronictl pause --wait` reads it."""
    pods = kubectl.list("pods", "pgwarden.io/instance=hippo-1")
    return json.loads(pods[0]["metadata"]["annotations"].get("status", "{}")) if pods else {}


def _under_a_client(ground: Ground, restore: Callable[[float], dict[str, float]]) -> Run:
    """What the client saw of *restore*, which is given when it began and says its moments."""
    cluster = Cluster(ground.kubectl)
    ground.postgres.sql("CHECKPOINT", seconds=300)
    rows = ground.postgres.sql(ROWS, seconds=300)
    cluster.start_writing()
    began = time.time()
    moments = restore(began)
    cluster.wait_written(50)
    times = [at for _, at in cluster.acknowledged()]
    confirmed, _ = cluster.stop_writing()
    downtime, first = max((later - earlier, later) for earlier, later in itertools.pairwise(times))
    if ground.postgres.sql(ROWS, seconds=300) != rows or not confirmed <= cluster.rows():
        raise AssertionError(f"rows differ: of {len(confirmed)} confirmed, missing {confirmed - cluster.rows()}")
    return Run(moments, first - began, downtime, len(confirmed))


def measure(ground: Ground, rounds: int) -> Measured:
    found = Measured(ground.bytes())
    say(f"{found.bytes / 1e9:.2f} GB of data; {rounds} rounds")
    for number in range(1, rounds + 1):
        found.load.append(os.getloadavg()[0])
        found.ours.append(through_pgwarden(ground, f"round-{number}"))
        found.hand.append(by_hand(ground))
        for who, run in (("pgwarden", found.ours[-1]), ("by hand", found.hand[-1])):
            say(f"round {number}, {who}: {run.writable:.1f} s to a write, {run.downtime:.1f} s without one")
    return found


# --- the report ---------------------------------------------------------------------------------------------------


def report(found: Measured, scale: int) -> str:
    loads = ", ".join(f"{one:.1f}" for one in found.load)
    head = f"""# A PostgresCluster restored in place: pgwarden beside pgBackRest and pg_ctl by hand

{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {grounds.commit()}, `make bench`.
pgbench scale {scale}, {found.bytes / 1e9:.2f} GB, one instance. PostgreSQL 17, pgBackRest 2.60, local storage, zst, process-max 2.
{os.cpu_count()} CPUs ({platform.machine()}), one node. Load average before each round: {loads}; what is above 2
came from other work on the same machine.

| medians of {len(found.ours)} | pgwarden | by hand | ratio |
|---|---|---|---|
"""
    lines = [
        _row("first command to the client's first write", found, lambda run: run.writable),
        _row("**downtime: last confirmed write before to first one after**", found, lambda run: run.downtime),
        f"\n{HOW}\n",
        "| every run, seconds | first command to first write | downtime | rows confirmed, all there afterwards |",
        "|---|---|---|---|",
        *_all_runs("pgwarden", found.ours),
        *_all_runs("by hand", found.hand),
        *_steps("pgwarden: `kubectl apply` to", found.ours, (*STEPS, "Completed")),
        *_steps("by hand: first command to", found.hand, HAND_STEPS),
        "\nCompleted is with the new full backup, which by hand nobody has taken yet.",
    ]
    return head + "\n".join(lines) + "\n"


def _row(what: str, found: Measured, figure: Callable[[Run], float]) -> str:
    ours, hand = (median(figure(run) for run in some) for some in (found.ours, found.hand))
    return f"| {what} | {ours:.1f} s | {hand:.1f} s | {ours / hand:.2f} |"


def _all_runs(who: str, some: list[Run]) -> list[str]:
    return [f"| {who} | {run.writable:.1f} | {run.downtime:.1f} | {run.confirmed} |" for run in some]


def _steps(what: str, some: list[Run], steps: Sequence[str]) -> list[str]:
    rows = [f"| {step} | {median(run.moments[step] for run in some):.1f} |" for step in steps]
    return ["", f"| {what} (medians) | seconds |", "|---|---|", *rows]


def main() -> int:
    return grounds.measured(
        "cluster_restore", lay, lambda ground, rounds, scale: report(measure(ground, rounds), scale)
    )


if __name__ == "__main__":
    sys.exit(main())
