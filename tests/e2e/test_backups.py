"""Backups: their types and options, what the status says of them, retention, turns, and what they survive.

The tests build on one another: later ones find the backups of the earlier ones in the repository.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from harness.install import kill_controller
from harness.kubectl import Kubectl, condition, is_true, phase
from harness.objects import archived, backup, events, info, protect
from harness.postgres import SWITCH, Postgres
from harness.waiting import until

#: As the seed writes them.
SEED_OPTIONS = ("--type=full", "--repo1-retention-full=7")
#: Slow enough to be caught in the act.
SLOW = ("--type=full", "--compress-type=gz", "--compress-level=9", "--process-max=1")


@pytest.fixture(scope="module")
def postgres(installed, space: Kubectl) -> Postgres:
    return protect(space, installed.postgres_image)


@pytest.fixture(scope="module")
def big(postgres: Postgres) -> Postgres:
    """75 MB: with gzip at its slowest a backup of it can be caught while it copies."""
    postgres.run("pgbench", "-U", "postgres", "-i", "-s", "5", "--quiet", "postgres")
    return postgres


def completed(space: Kubectl, name: str, seconds: float = 120) -> dict:
    done = space.until("pgb", name, phase("Completed", "Failed"), "ends", seconds)
    assert done["status"]["phase"] == "Completed", done["status"]["message"]
    return done


@pytest.mark.parametrize(
    ("name", "options", "kind"),
    [
        pytest.param("full", SEED_OPTIONS, "full", id="full, by options as the seed writes them"),
        pytest.param("default", (), "incr", id="incr, where nothing is said"),
        pytest.param("diff", ("--type=diff",), "diff", id="diff"),
        pytest.param("incr", ("--type=incr",), "incr", id="incr"),
    ],
)
def test_a_backup_is_of_the_type_that_was_asked_for(postgres, space: Kubectl, name: str, options: tuple, kind: str):
    space.apply(backup(name, *options))
    done = completed(space, name)
    assert done["status"]["type"] == kind
    assert done["status"]["label"].endswith({"full": "F", "incr": "I", "diff": "D"}[kind])
    assert space.get("job", done["status"]["job"])["spec"]["template"]["spec"]["containers"][0]["args"][-1] == "backup"


def test_the_options_reach_pgbackrest_as_they_were_written(postgres, space: Kubectl):
    args = space.get("job", "full-backup")["spec"]["template"]["spec"]["containers"][0]["args"]
    assert [arg for arg in args if arg in SEED_OPTIONS] == list(SEED_OPTIONS)
    assert sum(arg.startswith("--type") for arg in args) == 1


@pytest.mark.parametrize("name", ["full", "default", "diff", "incr"])
def test_a_backups_status_is_what_pgbackrest_itself_says(postgres, space: Kubectl, name: str):
    found = space.get("pgb", name)
    status, own = found["status"], set_of(space, found)
    assert (status["label"], status["type"]) == (own["label"], own["type"])
    assert status["databaseSize"] == own["info"]["size"]
    assert status["backupSize"] == own["info"]["repository"]["delta"]
    assert (status["lsnStart"], status["lsnStop"]) == (own["lsn"]["start"], own["lsn"]["stop"])
    assert (status["walStart"], status["walStop"]) == (own["archive"]["start"], own["archive"]["stop"])
    assert seconds(status["startTime"]) <= own["timestamp"]["start"]
    assert own["timestamp"]["stop"] <= seconds(status["completionTime"])


def test_a_repository_lists_its_sets_as_pgbackrest_does(postgres, space: Kubectl):
    label = space.get("pgb", "incr")["status"]["label"]
    repository = space.until("pgrepo", "hippo", lambda r: label in labels(r), "lists the last backup", 60)
    own = info(space)["backup"]
    assert labels(repository) == [one["label"] for one in reversed(own)]
    for listed, one in zip(repository["status"]["backups"], reversed(own), strict=True):
        assert (seconds(listed["startTime"]), seconds(listed["stopTime"])) == tuple(
            one["timestamp"][key] for key in ("start", "stop")
        )
    assert {one["backup"] for one in repository["status"]["backups"]} == {"full", "default", "diff", "incr"}


def test_a_storage_tells_of_all_its_sets_in_facts_of_its_own(postgres, space: Kubectl):
    repository = space.get("pgrepo", "hippo")
    storage, own = repository["status"]["storages"][0], info(space)["backup"]
    assert (storage["backupCount"], repository["status"]["backupCount"]) == (4, 4)
    assert storage["backupCounts"] == {"full": 1, "diff": 1, "incr": 2}
    assert (storage["earliestLsn"], storage["earliestTimeline"]) == (own[0]["lsn"]["stop"], 1)
    newest = {kind: [one["label"] for one in own if one["type"] == kind][-1] for kind in ("full", "diff", "incr")}
    assert {kind: storage[f"last{kind.capitalize()}"]["label"] for kind in newest} == newest


def test_two_backups_at_once_take_turns_and_the_second_says_for_whom_it_waits(postgres, space: Kubectl):
    space.apply(backup("turn-1", *SEED_OPTIONS), backup("turn-2", *SEED_OPTIONS))
    waits = space.until("pgb", "turn-2", lambda b: reason(b) == "WaitingForTurn", "waits for its turn", 30)
    assert waits["status"]["message"] == "waiting for Backup turn-1 to finish: only one operation runs on a stanza"
    first, second = set_of(space, completed(space, "turn-1")), set_of(space, completed(space, "turn-2"))
    assert first["timestamp"]["stop"] <= second["timestamp"]["start"]


def test_the_eighth_full_backup_expires_the_first_with_all_that_builds_on_it(postgres, space: Kubectl):
    first = [one["label"] for one in info(space)["backup"]][:4]
    space.apply(*(backup(f"full-{n}", *SEED_OPTIONS) for n in range(4, 9)))
    last = completed(space, "full-8", 180)
    for n in range(4, 8):
        assert "expired" not in completed(space, f"full-{n}")["status"]
    assert sorted(last["status"]["expired"]) == sorted(first)
    assert f"retention expired {', '.join(last['status']['expired'])}" in last["status"]["message"]
    repository = space.until("pgrepo", "hippo", lambda r: len(labels(r)) == 7, "lists seven backups", 60)
    assert not set(first) & set(labels(repository))
    assert labels(repository) == [one["label"] for one in reversed(info(space)["backup"])]


def test_a_backup_whose_set_was_expired_says_so_and_after_which(postgres, space: Kubectl):
    def is_expired(one: dict) -> bool:
        """Which Backup it was is known once that one's status is written; the Repository may have looked before."""
        return condition(one, "Available")["reason"] == "Expired"

    gone = space.until("pgb", "full", is_expired, "knows", 60)
    label = gone["status"]["label"]
    assert condition(gone, "Available")["message"] == f"set {label} was expired by retention after Backup full-8"
    assert not events(space, "Backup", "full", "Gone")
    assert gone["status"]["phase"] == "Completed"
    assert condition(space.get("pgb", "full-8"), "Available")["status"] == "True"


def test_a_backup_whose_pod_is_killed_is_run_again_to_its_end(big: Postgres, space: Kubectl):
    space.apply(backup("pod-killed", *SLOW))
    killed = copying(space, "pod-killed")
    space.run("delete", "pod", killed, "--force", "--grace-period=0")
    again = space.until("pgb", "pod-killed", lambda b: reason(b) == "JobRetries", "is tried again", 60)
    assert again["status"]["message"].startswith(
        "Job pod-killed-backup is on attempt 2 of 3; the last one failed: its pod was killed"
    )
    done = completed(space, "pod-killed", 240)
    assert set_of(space, done)["label"] == done["status"]["label"]
    assert killed not in pods_of(space, "pod-killed")
    assert len(pods_of(space, "pod-killed")) >= 1
    space.apply(backup("next"))
    assert completed(space, "next")["status"]["type"] == "incr"


def test_a_controller_that_dies_during_a_backup_finds_it_and_reports_it(big: Postgres, space: Kubectl):
    space.apply(backup("orphan", *SLOW))
    copying(space, "orphan")
    kill_controller(space)
    done = completed(space, "orphan", 240)
    own = set_of(space, done)
    assert (done["status"]["label"], done["status"]["lsnStop"]) == (own["label"], own["lsn"]["stop"])
    assert len(pods_of(space, "orphan")) == 1


def test_a_backup_deleted_with_its_set_takes_along_what_builds_on_it_and_nothing_else(big: Postgres, space: Kubectl):
    """`pod-killed` is a full one, `next` an incr on it, `orphan` a full one after them."""
    first, second = (space.get("pgb", name)["status"]["label"] for name in ("pod-killed", "next"))
    before = [one["label"] for one in info(space)["backup"]]
    space.run("patch", "pgb", "pod-killed", "--type=merge", "-p", '{"spec":{"deletionPolicy":"Delete"}}')
    space.until("pgb", "pod-killed", lambda b: b["metadata"].get("finalizers"), "is held", 30)
    said = space.run("delete", "pgb", "pod-killed", "--wait=false").stderr
    assert f"backup set {first} will be expired, and 1 that depends on it: {second}" in said
    until(lambda: space.get("pgb", "pod-killed") is None, "pod-killed is gone", 120)
    assert [one["label"] for one in info(space)["backup"]] == [one for one in before if one not in {first, second}]
    events = {one["reason"]: one["message"] for one in space.list("events") if one["involvedObject"]["name"] == "hippo"}
    assert events["SetExpired"].startswith("Backup pod-killed was deleted: expired ")
    assert {first, second} <= set(events["SetExpired"].replace(",", "").split())
    gone = space.until("pgb", "next", is_false("Available"), "says that its set is gone", 60)
    assert (
        condition(gone, "Available")["message"] == f"set {second} was expired with Backup pod-killed, which was deleted"
    )


def test_while_the_repository_host_is_away_wal_waits_and_all_of_it_arrives_later(postgres, space: Kubectl):
    with node_closed(space):
        space.run("delete", "pod", "-l", "pgwarden.io/component=host", "--force", "--grace-period=0")
        for n in range(5):
            postgres.sql(f"CREATE TABLE away_{n} (i int); SELECT pg_switch_wal()")
        waiting = space.until(
            "pgrepo", "hippo", lambda r: r["status"].get("unarchivedWAL", 0) >= 5, "sees WAL wait", 90
        )
        assert condition(waiting, "Reachable")["reason"] == "PodUnschedulable"
        assert "cannot be scheduled" in condition(waiting, "Ready")["message"]
        failing = space.until("pgrepo", "hippo", is_false("Archiving"), "says that archiving fails", 120)
        assert condition(failing, "Archiving")["reason"] == "ArchiveCommandFailing"
        assert "PostgreSQL retries within a minute" in condition(failing, "Archiving")["message"]
        assert postgres.sql("SELECT count(*) FROM pg_tables WHERE tablename LIKE 'away%'") == "5"
    last = postgres.sql(SWITCH)
    space.until("pgrepo", "hippo", is_true("Archiving"), "archives again", 180)
    until(lambda: last in archived(space), f"{last} is in the repository", 60)
    assert holes(archived(space)) == []
    space.until("pgrepo", "hippo", lambda r: r["status"]["unarchivedWAL"] == 0, "has no WAL waiting", 60)


def labels(repository: dict) -> list[str]:
    return [one["label"] for one in repository["status"].get("backups", [])]


def reason(obj: dict) -> str:
    return obj.get("status", {}).get("reason", "")


def is_false(kind: str):
    return lambda obj: (condition(obj, kind) or {}).get("status") == "False"


def seconds(time: str) -> float:
    return datetime.fromisoformat(time).astimezone(UTC).timestamp()


def set_of(space: Kubectl, found: dict) -> dict:
    """The set that carries the Backup's uid, as `pgbackrest info --set` has it."""
    marked = [one for one in info(space)["backup"] if one["label"] == found["status"]["label"]]
    assert len(marked) == 1, f"pgbackrest info knows no set {found['status']['label']}"
    return marked[0]


def pods_of(space: Kubectl, name: str) -> list[str]:
    return [pod["metadata"]["name"] for pod in space.list("pods", f"pgwarden.io/backup={name}")]


def copying(space: Kubectl, name: str) -> str:
    """The Backup's pod, once pgBackRest has begun to copy files; it has not ended."""

    def look() -> str:
        for pod in pods_of(space, name):
            said = space.run("logs", pod, check=False).stdout
            if "backup start archive" in said:
                assert "backup stop archive" not in said, "too late: the data is too small"
                return pod
        return ""

    return until(look, f"Backup {name} copies", 60, pause=0.2)


def holes(segments: list[str]) -> list[str]:
    """The segments after which one is missing, on the timeline of the last."""
    numbers = {int(one[8:16], 16) * 256 + int(one[16:], 16): one for one in segments}
    return [name for number, name in sorted(numbers.items())[:-1] if number + 1 not in numbers]


@contextmanager
def node_closed(space: Kubectl) -> Iterator[None]:
    """No pod can be scheduled inside."""
    names = [node["metadata"]["name"] for node in space.list("nodes")]
    space.run("cordon", *names)
    try:
        yield
    finally:
        space.run("uncordon", *names)
