"""PostgreSQL 14 to 18: archived, backed up whole and in part, restored to a moment, rows compared. `make matrix`."""

from __future__ import annotations

import re

import pytest

from harness import images, matrix, matrix_report
from harness.kubectl import Kubectl, Object, is_true, phase
from harness.matrix import Case, Run, container
from harness.objects import backup, repository
from harness.postgres import SWITCH, Postgres, client, statefulset
from harness.waiting import until
from localcluster.image_inputs import MAJORS

pytestmark = pytest.mark.timeout(1500)  # five servers, four at once


def of_18(documents: list[Object]) -> list[Object]:
    """The official image has its volume one folder further up since then, and the major in the data directory."""
    container(documents)["volumeMounts"][0]["mountPath"] = "/var/lib/postgresql"
    return documents


def case(major: int, image: str) -> Case:
    assert re.search(rf":{major}\.\d+$", image)
    return Case(f"pg{major}", image, of_18) if major >= 18 else Case(f"pg{major}", image)


@pytest.fixture(scope="module")
def runs(installed, space) -> dict[str, Run]:
    cases = [case(major, images.loaded(installed.cluster, f"postgres-major-{major}")) for major in MAJORS]
    found = matrix.run_all(space, cases, installed.postgres_image)
    matrix_report.save("versions", list(found.values()))
    return found


@pytest.mark.parametrize("major", MAJORS)
def test_each_major_is_archived_backed_up_and_restored_to_a_moment(major: int, runs: dict[str, Run]):
    run = runs[f"pg{major}"]
    assert not run.error, run.error
    assert run.version.startswith(f"{major}.")
    assert list(run.seconds) == ["starts", "archives", "full", "incr", "restore", "label off"]
    assert run.before.startswith("2200|")
    assert run.after == run.before


STRANGER = "untracked child process"


@pytest.mark.parametrize("major", MAJORS)
def test_what_archiving_leaves_to_postgresql_restarts_no_session_and_says_nothing(major: int, runs: dict[str, Run]):
    """PostgreSQL is process 1. It takes a child that it does not know, and that fails, for a crashed backend; from 18 on
    it logs those that end well, too, a line for each. There one process stays, and has all of them.
    """
    log = runs[f"pg{major}"].log
    assert log.count("database system is ready to accept connections") >= 2
    assert [line for line in log.splitlines() if STRANGER in line] == []
    assert "all server processes terminated; reinitializing" not in log


KEEPER = (
    "for one in /proc/[0-9]*; do read -r comm < $one/comm; [ $comm = archive-keeper ] && echo ${one#/proc/}; done; :"
)
ARCHIVED = "SELECT archived_count FROM pg_stat_archiver"


def test_a_new_database_of_18_that_is_labelled_from_the_beginning_has_no_such_line_either(installed, space):
    """Its entrypoint's temporary server archives, too, under a shell that becomes PostgreSQL."""
    own, image = space.within(f"{space.namespace}-new"), images.loaded(installed.cluster, "postgres-major-18")
    own.run("create", "namespace", own.namespace)
    postgres = Postgres(own, client="client")
    own.apply(repository(), *of_18(statefulset(image)), client(installed.postgres_image))
    postgres.wait_ready()
    Postgres(own, pod="client").wait_ready()
    own.until("pgrepo", "hippo", is_true("Archiving"), "archives", 120)
    _archive(postgres, 30)
    own.apply(backup("full", "--type=full"))
    done = own.until("pgb", "full", phase("Completed", "Failed"), "ends", 240)
    assert done["status"]["phase"] == "Completed"
    (keeper,) = postgres.run("sh", "-c", KEEPER).split()
    log = _log(own, postgres)
    assert [line for line in log.splitlines() if STRANGER in line] == []
    # One that somebody ends is followed by another, and ends as PostgreSQL takes it for well.
    postgres.run("sh", "-c", f"kill -TERM {keeper}")
    _archive(postgres, 3)
    (another,) = postgres.run("sh", "-c", KEEPER).split()
    assert another != keeper
    log = _log(own, postgres)
    (line,) = [line for line in log.splitlines() if STRANGER in line]
    assert line.endswith(f"{STRANGER} (PID {keeper}) exited with exit code 0")
    assert "terminating any other active server processes" not in log
    # A standby calls restore_command before it lets anybody in, and once more as it is promoted.
    postgres.run("touch", "/var/lib/postgresql/18/docker/standby.signal")
    own.delete("pod", postgres.pod)
    postgres.wait_ready()
    assert postgres.sql("SELECT pg_is_in_recovery()") == "t"
    assert postgres.sql("SELECT pg_promote()") == "t"
    _archive(postgres, 3)
    assert len(postgres.run("sh", "-c", KEEPER).split()) == 1
    log = _log(own, postgres)
    assert "entering standby mode" in log
    assert "archive recovery complete" in log
    assert [line for line in log.splitlines() if STRANGER in line] == []


def _log(own: Kubectl, postgres: Postgres) -> str:
    return own.run("logs", postgres.pod, "-c", "postgres").stdout


def _archive(postgres: Postgres, segments: int) -> None:
    before = int(postgres.sql(ARCHIVED))
    for _ in range(segments):
        postgres.sql(SWITCH)
    until(lambda: int(postgres.sql(ARCHIVED)) >= before + segments, "all of them are archived", 120)
