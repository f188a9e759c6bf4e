"""PostgreSQL 14 to 18: archived, backed up whole and in part, restored to a moment, rows compared. `make matrix`."""

from __future__ import annotations

import re

import pytest

from harness import images, matrix, matrix_report
from harness.kubectl import Object
from harness.matrix import Case, Run, container
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


@pytest.mark.parametrize("major", MAJORS)
def test_what_archiving_leaves_to_postgresql_ends_well_and_no_session_is_restarted_for_it(
    major: int, runs: dict[str, Run]
):
    """What waits for archive-push's background process becomes PostgreSQL's child where that is process 1. It takes any
    other exit code than 0 for a crashed backend; from 18 on it logs those with 0 too, a line for each.
    """
    log = runs[f"pg{major}"].log
    assert "database system is ready to accept connections" in log
    strangers = [line for line in log.splitlines() if "untracked child process" in line]
    assert bool(strangers) is (major >= 18)
    assert [line for line in strangers if not line.endswith("exited with exit code 0")] == []
    assert "all server processes terminated; reinitializing" not in log
