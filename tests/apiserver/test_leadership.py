"""Two controllers, one Lease: who leads after a death, and after a farewell."""

from __future__ import annotations

import time

import pytest

from controller.runtime.leadership import LEASE_SECONDS, Timing
from harness.install import NAMESPACE
from harness.waiting import SLOWER, until
from tests.apiserver.release import LEASE, Controllers, Program, Release


@pytest.fixture
def pair(webhook, controllers: Controllers) -> tuple[Program, Program]:
    """The one that leads, and one that stands by."""
    leader = controllers.alone()
    return leader, controllers.start()


def test_only_the_leader_works_and_the_other_is_ready(pair, release: Release):
    leader, standby = pair
    assert release.ask(standby.port, "/readyz") == "ok\n"
    until(lambda: release.metric(leader, "pgwarden_leader") == 1, "it counts itself as the leader", 15)
    assert release.metric(standby, "pgwarden_leader") == 0
    assert release.metric(standby, "pgwarden_reconciles_total") == 0


def test_the_lease_is_written_as_kubernetes_writes_leases(pair, release: Release):
    spec = release.kubectl.within(NAMESPACE).get("lease", LEASE)["spec"]
    assert spec["holderIdentity"].startswith(pair[0].name)
    assert spec["leaseDurationSeconds"] == LEASE_SECONDS
    assert spec["renewTime"].endswith("Z")
    assert spec["renewTime"] >= spec["acquireTime"]


def test_after_a_kill_the_other_leads_within_the_lease_time(pair, release: Release, controllers: Controllers):
    leader, standby = pair
    leader.kill()
    killed = time.monotonic()
    until(lambda: release.holder().startswith(standby.name), "the other leads", 40, release.holder, 0.2)
    # It has seen the last renewal up to one retry late, and looks once a retry, which is jittered by a fifth.
    assert time.monotonic() - killed < (LEASE_SECONDS + 3 * Timing().retry) * SLOWER
    until(lambda: release.metric(standby, "pgwarden_leader") == 1, "it works", 5)


def test_after_sigterm_the_other_leads_at_once(pair, release: Release):
    leader, standby = pair
    assert leader.terminate() == 0
    assert not release.holder().startswith(leader.name), "it has given the lease back"
    began = time.monotonic()
    until(lambda: release.holder().startswith(standby.name), "the other leads", 40, release.holder, 0.1)
    assert time.monotonic() - began < LEASE_SECONDS / 2 * SLOWER
    until(lambda: release.metric(standby, "pgwarden_leader") == 1, "it works", 5)


def test_a_leader_whose_lease_was_taken_stops_its_work_and_stands_by(pair, release: Release):
    """Two that act would be worse than none. Its process stays: the kubelet would start it later each time."""
    leader, standby = pair
    system = release.kubectl.within(NAMESPACE)
    standby.terminate()
    taken = '{"spec":{"holderIdentity":"somebody-else","renewTime":"2099-01-01T00:00:00.000000Z"}}'
    system.run("patch", "lease", LEASE, "--type=merge", "-p", taken)
    until(lambda: release.metric(leader, "pgwarden_leader") == 0, "the former leader has stopped its work", 30)
    assert release.holder() == "somebody-else"
    system.run("delete", "lease", LEASE)
    until(lambda: release.metric(leader, "pgwarden_leader") == 1, "it leads again", 40)
    assert leader.alive
    assert leader.terminate() == 0
