"""A schedule that fires each second, while the controller that serves it is killed: each run once, or said to be missed."""

from __future__ import annotations

import json
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from harness.kubectl import Kubectl, condition
from harness.processes import with_default_signals
from harness.runs_seen import run_in
from harness.waiting import until
from tests.apiserver.manifests import repository, schedule
from tests.apiserver.release import Controllers


class Seen:
    """Every Backup that was ever made, by a watch from the beginning; each is ended at once, as if its Job had run."""

    def __init__(self, space: Kubectl) -> None:
        self.uids: dict[str, set[str]] = {}
        self.due: list[str] = []
        self._space = space
        form = "{.metadata.name} {.metadata.uid} {.metadata.annotations.pgwarden\\.io/due}{'\\n'}"
        argv = [space.program, f"--kubeconfig={space.kubeconfig}", "-n", space.namespace, "get", "pgb", "-w"]
        argv = with_default_signals([*argv, "-o", f"jsonpath={form}"])
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            name, uid, due = line.split()
            known = self.uids.setdefault(name, set())
            if uid not in known:
                known.add(uid)
                self.due.append(due)
                self._end(name)

    def _end(self, name: str) -> None:
        status = {"status": {"phase": "Completed", "completionTime": "2026-11-23T10:00:00Z"}}
        self._space.run(
            "patch", "pgb", name, "--subresource=status", "--type=merge", "-p", json.dumps(status), check=False
        )

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)
        self._thread.join(10)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def seen(webhook, controllers: Controllers, space: Kubectl) -> Iterator[Seen]:
    controllers.alone()
    space.apply(repository("hippo"))
    watching = Seen(space)
    yield watching
    watching.stop()


def test_each_second_is_one_backup_or_one_missed_run_across_a_kill(
    seen: Seen, space: Kubectl, controllers: Controllers
):
    space.apply(schedule("second", schedule="* * * * * *", successfulHistoryLimit=2))
    until(lambda: len(seen.uids) >= 4, "four Backups are made", 90, lambda: str(seen.due))
    leader, _standby = controllers.leader(), controllers.start()
    made = len(seen.uids)
    leader.kill()
    until(lambda: len(seen.uids) >= made + 3, "the next leader goes on", 120, lambda: str(seen.due[-3:]))
    space.run("patch", "pgbs", "second", "--type=merge", "-p", '{"spec":{"suspend":true}}')
    space.until("pgbs", "second", lambda o: o["status"].get("phase") == "Suspended", "is suspended", 10)

    assert {len(uids) for uids in seen.uids.values()} == {1}, "a run's Backup was made twice"
    assert [due for due, count in Counter(seen.due).items() if count > 1] == []
    assert set(seen.due) & missed(space) == set(), "a run that was started is said to be missed"
    first, last = min(seen.due), max(seen.due)
    assert set(seconds(first, last)) - set(seen.due) <= missed(space), "a run is neither made nor said to be missed"


def test_a_repository_that_is_made_again_finds_its_schedule_waiting_and_gets_its_backups(
    seen: Seen, space: Kubectl, controllers: Controllers
):
    space.apply(schedule("steady", schedule="*/2 * * * * *", successfulHistoryLimit=1))
    until(lambda: of(seen, "steady"), "a Backup is made", 30)
    space.run("annotate", "pgrepo", "hippo", "pgwarden.io/delete-in-use=true")
    space.delete("pgrepo", "hippo")
    gone = datetime.now(UTC)
    waits = space.until("pgbs", "steady", lambda o: next_run(o) > gone + timedelta(seconds=8), "has let runs pass", 30)
    assert (waits["status"]["phase"], waits["status"]["reason"]) == ("Pending", "NoRepository")
    assert 'spec.repository: "hippo": there is no Repository hippo' in waits["status"]["message"]
    assert condition(waits, "Ready")["status"] == "False"
    assert next_run(waits) > gone
    before = len(of(seen, "steady"))
    space.apply(repository("hippo"))
    until(lambda: len(of(seen, "steady")) > before + 1, "Backups are made again", 30)
    goes_on = space.until("pgbs", "steady", lambda o: o["status"]["phase"] == "Active", "is Active", 10)
    assert next_run(goes_on) > datetime.now(UTC) - timedelta(seconds=3)
    told = [one for one in space.list("events") if one["reason"] == "NoRepository"]
    assert [one["type"] for one in told if one["involvedObject"]["name"] == "steady"] == ["Warning"]


def of(seen: Seen, name: str) -> list[str]:
    return [one for one in seen.uids if one.startswith(f"{name}-")]


def next_run(found: dict) -> datetime:
    times = found.get("status", {}).get("nextScheduleTimes") or ["2026-01-01T00:00:00Z"]
    return datetime.fromisoformat(times[0]).astimezone(UTC)


def missed(space: Kubectl) -> set[str]:
    """The runs of which an Event says that they were not started."""
    events = [one for one in space.list("events") if one["reason"] == "RunMissed"]
    return {run_in(one["message"]) for one in events}


def seconds(first: str, last: str) -> list[str]:
    at, end = datetime.fromisoformat(first), datetime.fromisoformat(last)
    found = []
    while at <= end:
        found.append(f"{at:%Y-%m-%dT%H:%M:%SZ}")
        at += timedelta(seconds=1)
    return found
