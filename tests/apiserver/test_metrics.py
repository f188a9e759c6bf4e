"""What each endpoint serves, once there was something to count, is what `promtool check metrics` takes without a word."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.kubectl import Kubectl, condition
from harness.waiting import SLOWER
from localcluster.tools import Tools, prepare_host
from tests.apiserver.manifests import backup, repository, schedule
from tests.apiserver.release import Controllers, Release

CLEAN = (0, "")


@pytest.fixture(scope="module")
def check() -> Callable[[str], tuple[int, str]]:
    """promtool's exit code and words about a page of metrics."""
    tools = Tools()
    prepare_host(tools, ("promtool",))
    program: Path = tools.path("promtool")

    def checked(text: str) -> tuple[int, str]:
        done = subprocess.run(
            [program, "check", "metrics"], input=text, text=True, capture_output=True, timeout=30 * SLOWER, check=False
        )
        return done.returncode, (done.stdout + done.stderr).strip()

    return checked


@pytest.fixture(scope="module")
def used(webhook, controllers: Controllers, space: Kubectl) -> Kubectl:
    """A namespace whose objects the webhook has judged, one of them with a refusal, and the leader has looked at."""
    controllers.leader()
    space.apply(repository("hippo"), schedule("nightly"), backup("first"))
    space.refused(schedule("broken", schedule="never"))
    space.until("pgrepo", "hippo", lambda one: condition(one, "Ready"), "was looked at", 30)
    space.until("pgb", "first", lambda one: one.get("status", {}).get("phase"), "was looked at", 30)
    return space


def test_of_the_leader(used: Kubectl, release: Release, controllers: Controllers, check):
    served = release.ask(controllers.leader().port, "/metrics")
    assert 'pgwarden_reconciles_total{kind="Repository",outcome="ok"}' in served
    assert check(served) == CLEAN


def test_of_one_that_stands_by(used: Kubectl, release: Release, controllers: Controllers, check):
    leader = controllers.leader()
    other = controllers.start()
    try:
        assert controllers.leader() is leader
        served = release.ask(other.port, "/metrics")
    finally:
        other.terminate()
    assert "pgwarden_" in served
    assert check(served) == CLEAN


def test_of_the_webhook(used: Kubectl, release: Release, webhook, check):
    served = release.ask(webhook.program.port, "/metrics")
    assert "pgwarden_webhook_" in served
    assert check(served) == CLEAN


def test_promtool_tells_what_breaks_the_conventions(check):
    code, words = check("# TYPE pgwarden_backups counter\npgwarden_backups 1\n")
    assert code != 0
    assert "no help text" in words
    assert 'counter metrics should have "_total" suffix' in words
