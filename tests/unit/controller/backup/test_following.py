"""A Backup whose Job is at it, has ended, or cannot start: each look of the controller, over plain objects."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from controller import jobs, operations
from controller.agents import AgentError
from controller.backup import report
from controller.backup.reconcile import BackupController
from controller.context import Context
from controller.settings import Settings
from harness.patches import carried_out
from pgwarden.api import names
from pgwarden.contract.status import Status
from pgwarden.kube import paths
from pgwarden.kube.events import Recorder
from tests.unit.controller.backup.test_expire import FULL, Answers, Cache, repository
from tests.unit.controller.backup.test_proof import RUNS, mine, stanza
from tests.unit.controller.beside import NOW, job, pod, stamp
from tests.unit.controller.replicas import hosts

HOST, JOB = "10.0.0.1", "10.0.0.9"
MADE, NONE = stanza(0, uid="u-one"), stanza(0)
EXPIRY = "ERROR: [041]: unable to remove '/repo/backup/hippo/20261101-000000F/x': [1] Operation not permitted"


class Agents:
    """*info* of the repository host, *backup* of the Job's pod; None does not answer."""

    def __init__(self, info: Any = NONE, backup: Any = None) -> None:
        self.answers = {HOST: info, JOB: {"backup": backup} if backup else None}

    async def host(self, _key: Any, ip: str, *_: Any, **__: Any) -> Any:
        if self.answers.get(ip) is None:
            raise AgentError(f"the agent at {ip} cannot be reached")
        return msgspec.convert(self.answers[ip], Status)


class Unknown:
    """Nothing of its kind is in the namespace."""

    def in_namespace(self, _namespace: str) -> list[Any]:
        return []


class Look:
    """One look at Backup `one`, which runs unless *status* says otherwise, with its Job and pods."""

    def __init__(self, the_job: Any, *pods: Any, agents: Agents, backup: Any = None, **status: Any) -> None:
        self.client, self.backup = Answers(), backup or mine(**RUNS | status)
        repo = repository(FULL, generation=1)
        repo["status"] |= {"primary": "pg-0"}
        host = {"metadata": {"name": "host", "labels": {names.LABEL_COMPONENT: "host"}}, "status": {"podIP": HOST}}
        caches = SimpleNamespace(
            repositories=Cache({("ns", "hippo"): repo}), backups=Cache({("ns", "one"): self.backup}), restores=Cache(),
            jobs=Cache({("ns", "one-backup"): the_job} if the_job else {}), own_pods="ours", schedules=None,
            postgres_pods="PostgreSQL's", deployments=Cache(), quotas=Unknown(), limit_ranges=Unknown(),
            labelled=lambda cache, *_: list(pods) if cache == "ours" else [], of_repository=lambda cache, *_: [*cache.values()],
        )  # fmt: skip
        caches.ours = {"backups": caches.backups, "restores": caches.restores}
        for plural in ("backups", "restores"):
            self.client.there[paths.of(plural, "ns")] = {"items": [*caches.ours[plural].values()]}
        if the_job:
            self.client.there[paths.of("jobs", "ns", "one-backup")] = the_job
        settings = Settings.from_environment({"PGWARDEN_IMAGE": "pgwarden:test"})
        recorder = Recorder(self.client, "c")
        self.context = Context(self.client, caches, agents, recorder, settings, clock=lambda: NOW)  # type: ignore[arg-type]
        self.context.hosts = hosts([host])  # type: ignore[method-assign]

    async def at(self) -> dict[str, Any]:
        self.again = await BackupController(self.context).reconcile(("ns", "one"))
        found = self.backup
        for _, path, body in self.client.sent:
            if path == "ns/backups/one/status":
                found = carried_out(found, body)
        return found["status"]

    @property
    def deleted(self) -> list[str]:
        return [path for method, path, _ in self.client.sent if method == "DELETE"]

    def told(self) -> list[tuple[str, str]]:
        return [(kind, reason) for kind, reason, _ in self.client.events()]


async def test_a_proxy_that_never_ends_does_not_keep_a_backup_running_and_its_job_goes():
    look = Look(job(), pod(0, {"ok": True, "label": FULL}), agents=Agents(MADE))
    status = await look.at()
    assert (status["phase"], status["reason"], status["label"]) == ("Completed", "Completed", FULL)
    assert look.deleted == ["ns/jobs/one-backup"]
    assert look.told() == [("Backup", "Completed")]


@pytest.mark.parametrize("the_job", [job(), job(ended="Failed")], ids=["at once", "after its last attempt"])
async def test_a_proxy_that_ends_with_an_error_does_not_make_a_backup_fail_or_its_expiry(the_job):
    look = Look(the_job, pod(0, {"ok": True, "label": FULL}, proxy="killed"), agents=Agents(MADE))
    status = await look.at()
    assert (status["phase"], status["reason"], status["label"]) == ("Completed", "Completed", FULL)
    assert look.told() == [("Backup", "Completed")]
    assert look.deleted == ([] if jobs.finished(the_job) else ["ns/jobs/one-backup"]), "else Kubernetes tries again"


async def test_a_proxy_that_was_killed_for_want_of_memory_is_named_without_advice_on_ours():
    one = pod(1, {"ok": False, "error": "ERROR: [049]: no network"}, proxy="killed")
    status = await Look(job(ended="Failed"), one, agents=Agents()).at()
    killed = "container proxy of pod one-backup-x was killed for want of memory (OOMKilled)"
    assert status["message"] == f"ERROR: [049]: no network; {killed}"


async def test_what_a_pod_says_that_only_carries_the_labels_of_the_job_counts_for_nothing():
    own = pod(1, {"ok": False, "error": "ERROR: [082]: WAL segment"}, proxy="")
    forged = pod(1, {"ok": False, "error": "ERROR: [099]: forged"}, proxy="", ago=timedelta(0), of="another")
    status = await Look(job(ended="Failed"), own, forged, agents=Agents()).at()
    assert (status["phase"], status["message"]) == ("Failed", "ERROR: [082]: WAL segment")


async def test_a_pod_that_only_carries_the_labels_of_the_job_is_not_ended():
    look = Look(job(), pod(1, {"ok": False, "error": "e"}, of="another"), agents=Agents())
    assert (await look.at())["phase"] == "Running"
    assert "ns/pods/one-backup-x" not in look.deleted


async def test_a_job_that_ends_by_itself_stays_for_its_log():
    look = Look(job(ended="Complete"), pod(0, {"ok": True}, proxy=""), agents=Agents(MADE))
    assert (await look.at())["phase"] == "Completed"
    assert look.deleted == []


async def test_a_job_that_a_proxy_keeps_goes_also_where_the_controller_ended_in_between():
    over = mine(**RUNS | {"phase": "Completed", "reason": "Completed", "label": FULL})
    look = Look(job(), pod(0), agents=Agents(MADE), backup=over)
    await look.at()
    assert look.deleted == ["ns/jobs/one-backup"]
    strangers = Look(job(owner="another"), pod(0), agents=Agents(MADE), backup=over)
    await strangers.at()
    assert strangers.deleted == []


async def test_a_pod_that_has_failed_and_is_kept_by_a_proxy_makes_way_for_the_next_one():
    look = Look(job(), pod(1, {"ok": False, "error": "ERROR: [082]: WAL segment"}), agents=Agents())
    status = await look.at()
    assert look.deleted == ["ns/pods/one-backup-x"]
    assert (status["phase"], status["reason"]) == ("Running", "JobRetries")
    assert status["message"] == "Job one-backup runs again: ERROR: [082]: WAL segment (container proxy kept the pod)"
    going = pod(1, {"ok": False, "error": "e"}, deletionTimestamp=stamp(NOW))
    again = Look(job(), going, agents=Agents(), **{k: status[k] for k in ("reason", "message", "lastError")})
    assert await again.at() == again.backup["status"]
    assert again.deleted == []


async def test_why_the_last_pod_failed_is_told_at_the_end_though_all_pods_are_gone():
    look = Look(job(ended="Failed"), agents=Agents(), lastError="ERROR: [082]: WAL segment", reason="JobRetries")
    status = await look.at()
    assert (status["phase"], status["reason"]) == ("Failed", "BackupFailed")
    assert status["message"] == "ERROR: [082]: WAL segment"


async def test_a_last_pod_that_fails_beside_a_proxy_fails_the_backup_and_its_job_goes():
    look = Look(job(failed=2), pod(1, {"ok": False, "error": "ERROR: [055]"}), agents=Agents())
    status = await look.at()
    assert (status["phase"], status["message"]) == ("Failed", "ERROR: [055]")
    assert look.deleted == ["ns/jobs/one-backup"]


# --- the set counts, however the Job has ended -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("the_job", "left", "why"),
    [
        pytest.param(
            job(ended="Complete"),
            {"ok": True, "label": FULL, "exitCode": 41, "expiryError": EXPIRY},
            EXPIRY,
            id="agent",
        ),
        pytest.param(job(ended="Failed"), {"ok": False, "exitCode": 41, "error": EXPIRY}, EXPIRY, id="an older agent"),
        pytest.param(job(ended="Failed"), None, "R: m", id="killed after the set was complete"),
    ],
)
async def test_a_backup_whose_set_is_in_info_is_completed_and_says_what_came_after_it(the_job, left, why):
    look = Look(the_job, pod(1, left, proxy=""), agents=Agents(MADE))
    status = await look.at()
    assert (status["phase"], status["reason"], status["label"]) == ("Completed", "ExpiryFailed", FULL)
    assert status["message"].endswith(
        f"; completed, but old sets could not be removed: {why}. The next backup tries again"
    )
    completed = next(one for one in status["conditions"] if one["type"] == "Completed")
    assert (completed["status"], completed["reason"]) == ("True", "ExpiryFailed")
    assert look.told() == [("Backup", "ExpiryFailed"), ("Repository", "ExpiryFailed")]


async def test_a_job_that_has_failed_is_no_failed_backup_before_info_could_be_read():
    look = Look(job(ended="Failed"), pod(1, {"ok": False, "error": EXPIRY}, proxy=""), agents=Agents(None))
    status = await look.at()
    assert (status["phase"], status["reason"]) == ("Running", operations.READING)
    after = look.backup | {"kind": "Backup", "status": status}
    assert operations.holder([after]) is None, "it holds the stanza"
    known = Look(job(ended="Failed"), pod(1, {"ok": False, "error": EXPIRY}, proxy=""), agents=Agents(NONE))
    assert (await known.at())["phase"] == "Failed"


async def test_a_set_that_info_does_not_show_is_waited_for_no_longer_where_a_proxy_keeps_the_job():
    early = Look(job(), pod(0, {"ok": True}, ago=timedelta(minutes=1)), agents=Agents(NONE))
    assert (await early.at())["reason"] == operations.READING
    late = Look(job(), pod(0, {"ok": True}, ago=timedelta(minutes=3)), agents=Agents(NONE))
    assert ((await late.at())["phase"], late.deleted) == ("Failed", ["ns/jobs/one-backup"])


async def test_a_deadline_of_the_users_is_told_by_its_field():
    look = Look(job(ended="Failed", why="DeadlineExceeded"), pod(1, {"ok": False, "error": "ended"}, proxy=""),
                agents=Agents())  # fmt: skip
    look.backup["spec"]["activeDeadlineSeconds"] = 20
    assert (await look.at())["message"] == "it ran for longer than 20 s (spec.activeDeadlineSeconds): ended"


# --- while it is at it -------------------------------------------------------------------------------------------


def said(phase: str, minutes: int = 0, **more: Any) -> dict[str, Any]:
    return {"phase": phase, "advanced": stamp(NOW - timedelta(minutes=minutes))} | more


@pytest.mark.parametrize(
    ("told", "reason", "message"),
    [
        (None, "JobRuns", "Job one-backup runs"),
        (said("Starting"), "JobRuns", "Job one-backup runs"),
        (said("Copying", copiedPercent=43.21, copiedBytes=2**30), "JobRuns", "Job one-backup copies: 43 % (1.0 GiB)"),
        (said("Copying", 4, copiedPercent=1.0), "JobRuns", "Job one-backup copies: 1 %"),
        (
            said("Copying", 7, copiedPercent=1.0),
            "StandsStill",
            "Job one-backup copies: 1 %; it has not advanced for 7 min",
        ),
        (
            said("Archiving"),
            "JobRuns",
            "Job one-backup has copied everything and waits for its WAL to be archived",
        ),
        (
            said("Expiring"),
            "JobRuns",
            "Job one-backup has completed the set and removes what retention no longer covers",
        ),
    ],
)
async def test_how_far_a_backup_is_and_that_it_stands_still_is_told(told, reason, message):
    look = Look(job(), pod(None), agents=Agents(backup=told), message="")
    status = await look.at()
    assert (status["reason"], status["message"]) == (reason, message)
    assert look.told() == ([("Backup", "StandsStill")] if reason == "StandsStill" else [])


async def test_that_it_still_stands_still_is_an_event_once():
    look = Look(job(), pod(None), agents=Agents(backup=said("Copying", 9)), reason="StandsStill", message="before")
    assert "for 9 min" in (await look.at())["message"]
    assert look.told() == []


async def test_what_was_noted_of_a_pod_that_is_gone_is_told_while_the_next_one_runs():
    look = Look(job(failed=1), pod(None), agents=Agents(backup=said("Copying")), lastError="ERROR: [082]")
    status = await look.at()
    assert status["reason"] == "JobRetries"
    said_of_it = "Job one-backup is on attempt 2 of 3; the last one failed: ERROR: [082]"
    assert status["message"] == f"{said_of_it}; it copies"
    silent = Look(job(failed=1), pod(None), agents=Agents(), lastError="ERROR: [082]")
    assert (await silent.at())["message"] == said_of_it


# --- one that stands still ---------------------------------------------------------------------------------------

STILL = said("Copying", 61, copiedPercent=43.21, watched=True)
WHY = "it stood still for 61 min (copies: 43 %)"


async def test_a_backup_that_stands_still_for_an_hour_is_ended_and_that_was_a_try():
    look = Look(job(), pod(None), agents=Agents(backup=STILL))
    status = await look.at()
    assert look.deleted == ["ns/pods/one-backup-x"]
    assert (status["phase"], status["reason"]) == ("Running", "StoodStill")
    assert status["message"] == f"attempt 1 of 3 of Job one-backup is ended: {WHY}"
    assert (status["lastError"], status["podEndedTime"]) == (WHY, stamp(NOW))
    assert look.told() == [("Backup", "StoodStill")]


@pytest.mark.parametrize(
    "told",
    [
        pytest.param(None, id="its agent does not answer"),
        pytest.param(said("Copying", 600, copiedPercent=1.0), id="an agent that knows of lines alone"),
        pytest.param(said("Copying", 59, watched=True), id="not for an hour"),
        pytest.param({"phase": "Starting", "watched": True}, id="it does not know since when"),
    ],
)
async def test_where_nobody_knows_that_it_stands_still_it_goes_on(told):
    look = Look(job(), pod(None), agents=Agents(backup=told))
    assert (await look.at())["phase"] == "Running"
    assert look.deleted == []


@pytest.mark.parametrize("where", ["the Backup", "the Repository"])
async def test_what_pgbackrest_was_told_to_wait_for_is_no_standstill(where):
    for minutes, deleted in ((179, []), (181, ["ns/pods/one-backup-x"])):
        look = Look(job(), pod(None), agents=Agents(backup=said("Archiving", minutes, watched=True)))
        obj = look.backup if where == "the Backup" else look.context.caches.repositories.get("ns", "hippo")
        obj["spec"]["options"] = ["--archive-timeout=2h --io-timeout=60"]
        await look.at()
        assert look.deleted == deleted


ENDED = {"reason": "StoodStill", "message": "m", "lastError": WHY, "podEndedTime": stamp(NOW - timedelta(minutes=1))}


async def test_until_its_pod_has_gone_nothing_else_is_said_of_it():
    look = Look(job(), pod(None, deletionTimestamp=stamp(NOW)), agents=Agents(backup=STILL), **ENDED)
    assert await look.at() == look.backup["status"]
    assert (look.deleted, look.told()) == ([], [])


async def test_the_next_try_is_waited_for_as_after_any_pod_though_the_job_is_old():
    look = Look(job(failed=1), agents=Agents(), **ENDED)
    status = await look.at()
    assert (look.deleted, status["reason"]) == ([], "JobRetries")
    assert status["message"] == f"Job one-backup is on attempt 2 of 3; the last one failed: {WHY}"
    late = ENDED | {"podEndedTime": stamp(NOW - timedelta(minutes=11))}
    gone = Look(job(failed=1), agents=Agents(), **late)
    assert (await gone.at())["reason"] == "JobTakenBack"


async def test_a_backup_whose_last_try_stood_still_has_failed_for_that():
    before = pod(1, {"ok": False, "error": "ERROR: [082]"}, proxy="", ago=timedelta(hours=1))
    going = pod(1, {"ok": False, "error": "ended by SIGTERM"}, proxy="", ago=timedelta(), deletionTimestamp=stamp(NOW))
    look = Look(job(failed=3, ended="Failed"), before, going, agents=Agents(), **ENDED)
    status = await look.at()
    assert (status["phase"], status["reason"], status["message"]) == ("Failed", "StoodStill", WHY)
    assert look.told() == [("Backup", "BackupFailed"), ("Repository", "BackupFailed")]


async def test_a_try_after_it_that_fails_by_itself_says_why():
    after = pod(1, {"ok": False, "error": "ERROR: [082]"}, proxy="", ago=timedelta())
    look = Look(job(failed=3, ended="Failed"), after, agents=Agents(), **ENDED)
    status = await look.at()
    assert (status["reason"], status["message"]) == ("BackupFailed", "ERROR: [082]")


async def test_one_that_stood_still_with_its_set_complete_is_completed():
    look = Look(job(failed=3, ended="Failed"), agents=Agents(MADE), **ENDED)
    status = await look.at()
    assert (status["phase"], status["reason"]) == ("Completed", "ExpiryFailed")


# --- a Job that cannot start -------------------------------------------------------------------------------------


def pending(minutes: int, message: str = "no node fits") -> dict[str, Any]:
    found = pod(None, creationTimestamp=stamp(NOW - timedelta(minutes=minutes)))
    conditions = [{"type": "PodScheduled", "status": "False", "message": message}]
    return found | {"status": {"phase": "Pending", "conditions": conditions}}


async def test_a_job_none_of_whose_pods_starts_is_taken_back_after_ten_minutes():
    early = Look(job(), pending(9), agents=Agents())
    assert ((await early.at())["reason"], early.deleted) == ("JobWaits", [])
    late = Look(job(), pending(11), agents=Agents())
    status = await late.at()
    assert late.deleted == ["ns/jobs/one-backup"]
    assert (status["phase"], status["reason"]) == ("Running", "JobTakenBack")
    assert "no node fits" in status["message"]


async def test_a_job_without_any_pod_is_taken_back_too():
    look = Look(job(), agents=Agents())
    status = await look.at()
    assert (look.deleted, status["reason"]) == (["ns/jobs/one-backup"], "JobTakenBack")
    assert "it has no pod" in status["message"]


async def test_what_runs_is_never_taken_back():
    assert (await Look(job(), pod(None), agents=Agents()).at())["reason"] == "JobRuns"


async def test_the_stanza_is_free_once_nothing_of_the_job_is_left_and_the_next_try_has_its_time():
    taken = {"reason": "JobTakenBack", "message": "no pod has started", "startFailures": 1}
    left = Look(None, pod(None), agents=Agents(), **taken)
    assert await left.at() == left.backup["status"]
    look = Look(None, agents=Agents(), **taken)
    status = await look.at()
    assert (status["phase"], status["reason"], status["startFailures"]) == ("Pending", "JobStuck", 2)
    assert status["nextStartTime"] == stamp(NOW + 2 * report.START_PACE.first)
    assert status["message"] == f"no pod has started; its Job is created again at {status['nextStartTime']}"
    after = look.backup | {"kind": "Backup", "status": status}
    assert operations.holder([after]) is None
    assert look.told() == [("Backup", "JobStuck")]


async def test_a_pod_that_started_all_the_same_has_made_its_set():
    look = Look(None, agents=Agents(MADE), reason="JobTakenBack")
    assert (await look.at())["phase"] == "Completed"


async def test_it_begins_again_at_its_time_and_not_before():
    waits = {"phase": "Pending", "reason": "JobStuck", "message": "m", "job": None, "startFailures": 1}
    early = Look(None, agents=Agents(), **waits, nextStartTime=stamp(NOW + timedelta(minutes=3)))
    assert (await early.at(), early.again) == (early.backup["status"], 180.0)
    due = Look(None, agents=Agents(), **waits, nextStartTime=stamp(NOW))
    status = await due.at()
    assert (status["reason"], len(due.client.jobs())) == ("JobStarting", 1)
    assert "nextStartTime" not in status
