"""A Backup whose Job Kubernetes creates no pod of: it says why in its words, and makes way sooner than another."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from controller.backup import progress
from controller.backup.waiting import POLL
from pgwarden.kube import paths
from tests.unit.controller.backup.test_following import Agents, Look
from tests.unit.controller.beside import NOW, job, pod, stamp

QUOTA = 'pods "one-backup" is forbidden: exceeded quota: small, requested: limits.cpu=1, used: limits.cpu=0'
SAID = f"Kubernetes creates no pod of it: {QUOTA}"


def look(since: timedelta, *pods: Any, said: datetime | None = NOW, failed: int = 0) -> Look:
    """At a Job that is *since* old. *said*: when Kubernetes last said that it creates no pod of it."""
    made = job(failed=failed)
    made["metadata"]["creationTimestamp"] = made["status"]["startTime"] = stamp(NOW - since)
    found = Look(made, *pods, agents=Agents())
    message = f"Error creating: {QUOTA.replace('one-backup', 'one-backup-x7k2p')}"
    listed = [{"message": message, "lastTimestamp": stamp(said)}] if said else []
    found.client.there[paths.of("events", "ns")] = {"items": listed}
    return found


async def test_it_says_why_in_kubernetes_words_within_seconds():
    found = look(timedelta(seconds=5))
    status = await found.at()
    assert (status["phase"], status["reason"]) == ("Running", "JobWaits")
    assert status["message"] == f"Job one-backup: {SAID}"
    assert ("Backup", "JobWaits", status["message"]) in found.client.events()
    assert (found.deleted, found.again) == ([], POLL)


@pytest.mark.parametrize(("said", "goes"), {"Kubernetes says why": (NOW, True), "it does not": (None, False)}.values())
async def test_it_makes_way_after_two_minutes(said, goes):
    found = look(progress.REFUSED_PATIENCE, said=said)
    status = await found.at()
    assert found.deleted == (["ns/jobs/one-backup"] if goes else [])
    if goes:
        assert status["reason"] == "JobTakenBack"
        assert status["message"] == f"no pod of Job one-backup has started within 2 minutes: {SAID}"


AFTER = {"of the pod before": (-1, "JobRetries"), "of the next one": (1, "JobWaits")}


@pytest.mark.parametrize(("seconds", "reason"), AFTER.values(), ids=AFTER)
async def test_a_pod_that_ran_had_been_created_whatever_was_said_before(seconds, reason):
    ended = timedelta(seconds=30)
    said = NOW - ended + timedelta(seconds=seconds)
    found = look(timedelta(hours=1), pod(1, proxy="", ago=ended), said=said, failed=1)
    assert (await found.at())["reason"] == reason
    assert found.deleted == []
