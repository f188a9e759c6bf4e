"""Two hundred schedules, and the controller that leads killed again and again: no run is lost, none comes twice.

PGWARDEN_KILLS says how often. The lease is made short, so that a takeover takes seconds. Where other tests have the CPU
there are fewer schedules and a longer lease: ten runs a second take a core of it.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from harness.install import NAMESPACE
from harness.kubectl import Kubectl
from harness.runs_seen import Run, RunsSeen, run_in
from harness.waiting import SLOWER, until
from tests.apiserver.manifests import repository, schedule
from tests.apiserver.release import LEASE as LEASE_NAME
from tests.apiserver.release import Controllers, Release

KILLS = int(os.environ.get("PGWARDEN_KILLS", "4"))
SCHEDULES = int(200 / SLOWER)
EVERY = timedelta(seconds=20)  # each; together ten a second
LEASE = str(int(5 * SLOWER))


@pytest.fixture
def pool(webhook, release: Release, controllers: Controllers) -> Iterator[Controllers]:
    """Controllers with a short lease, and no others."""
    for program in controllers.running:
        program.kill()
    release.kubectl.within(NAMESPACE).run("delete", "lease", LEASE_NAME, "--ignore-not-found")
    made = Controllers(release, count=100, extra={"PGWARDEN_LEASE_SECONDS": LEASE})
    made.start()
    yield made
    for program in made.running:
        program.kill()
    release.kubectl.within(NAMESPACE).run("delete", "lease", LEASE_NAME, "--ignore-not-found")


@pytest.fixture
def seen(pool: Controllers, space: Kubectl) -> Iterator[RunsSeen]:
    space.apply(repository("hippo"))
    with RunsSeen(space.kubeconfig, space.namespace) as watching:
        quick = {"type": "full", "successfulHistoryLimit": 1}
        space.apply(*(schedule(f"s{n:03}", schedule=f"{n % 20}-59/20 * * * * *", **quick) for n in range(SCHEDULES)))
        until(lambda: len(watching.runs) >= SCHEDULES, "each has had a run", 180, lambda: str(len(watching.runs)))
        yield watching
        space.run("delete", "pgbs", "--all", "--wait=false", seconds=300)


def test_the_leader_is_killed_and_no_run_is_lost_or_doubled(pool: Controllers, seen: RunsSeen, space: Kubectl):
    takeovers = [kill(pool, seen) for _ in range(KILLS)]
    end = datetime.now(UTC)
    expected = {(name, due) for name, first in firsts(made(seen)).items() for due in every(first, end)}

    def lost() -> list[tuple[str, datetime]]:
        return sorted(expected - made(seen) - missed(space))

    until(lambda: not lost(), "each run is made, or said to be missed", 180, lambda: str(lost()[:20]), pause=3)
    runs = list(seen.runs.values())
    assert [run.name for run in runs if len(run.uids) > 1] == [], "a run's Backup was made twice"
    assert [key for key, count in Counter(map(of_schedule, runs)).items() if count > 1] == []
    said = missed(space)
    assert made(seen) & said == set(), "a run that was started is said to be missed"
    print(  # noqa: T201  figures
        f"{KILLS} kills, taken over after {min(takeovers):.1f} to {max(takeovers):.1f} s; of {len(expected)} runs "
        f"{len(expected & made(seen))} were made, {len(expected & said)} passed over with a reason, 0 lost, 0 doubled"
    )


def kill(pool: Controllers, seen: RunsSeen) -> float:
    """Seconds until the next leader's first run is seen. The one that stands by is in step before."""
    leader = pool.leader()
    if len(pool.running) < 2:
        pool.start()
    leader.kill()
    killed = time.time()
    heir = pool.leader()
    assert heir is not leader
    until(lambda: any(run.seen > killed + 1 for run in list(seen.runs.values())), "runs go on", 60, pause=0.1)
    return min(run.seen for run in list(seen.runs.values()) if run.seen > killed + 1) - killed


def of_schedule(run: Run) -> tuple[str, datetime]:
    return run.name.rpartition("-")[0], datetime.fromisoformat(run.due)


def made(seen: RunsSeen) -> set[tuple[str, datetime]]:
    return {of_schedule(run) for run in list(seen.runs.values())}


def firsts(made: set[tuple[str, datetime]]) -> dict[str, datetime]:
    found: dict[str, datetime] = {}
    for name, due in made:
        found[name] = min(due, found.get(name, due))
    return found


def every(first: datetime, end: datetime) -> list[datetime]:
    return [first + n * EVERY for n in range(max(0, int((end - first) / EVERY) + 1))]


def missed(space: Kubectl) -> set[tuple[str, datetime]]:
    """The runs of which an Event says that they were not started."""
    events = [one for one in space.list("events") if one["reason"] == "RunMissed"]
    return {(one["involvedObject"]["name"], datetime.fromisoformat(run_in(one["message"]))) for one in events}
