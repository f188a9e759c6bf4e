"""Names of what is made: valid for Kubernetes whatever the Repository is called, and never those of another."""

from __future__ import annotations

import itertools
import re
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from pgwarden.api import names

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
SERVICE = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
REPOSITORIES = st.from_regex(r"[a-z]([-a-z0-9]{0,50}[a-z0-9])?", fullmatch=True)
OBJECTS = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True)
DUE = datetime(2026, 11, 23, 10, 0, 1, tzinfo=UTC)
OF_REPOSITORY = (names.host, names.pods, names.ca_secret, names.repo_claim)
OF_OBJECT = (names.backup_job, names.restore_job, names.restore_backup, names.restored_claim,
             lambda name: names.scheduled_backup(name, DUE), lambda name: names.kept_claim("data-postgres-0", name))  # fmt: skip


@given(REPOSITORIES)
def test_a_repositorys_objects_have_valid_names(repository):
    for make in OF_REPOSITORY:
        assert SERVICE.fullmatch(make(repository)), make(repository)
    assert max(len(names.cn_host(repository)), len(names.cn_pods(repository))) <= 64


@given(OBJECTS)
def test_jobs_claims_and_backups_have_valid_names(name):
    for make in OF_OBJECT:
        assert LABEL.fullmatch(make(name)), make(name)


@given(st.lists(REPOSITORIES, min_size=2, max_size=4, unique=True))
def test_two_repositories_share_no_object(repositories):
    made = [make(one) for one, make in itertools.product(repositories, OF_REPOSITORY)]
    assert len(set(made)) == len(made)


@given(st.lists(OBJECTS, min_size=2, max_size=4, unique=True))
def test_two_objects_share_no_job(found):
    for make in OF_OBJECT:
        assert len({make(one) for one in found}) == len(found)


def test_long_names_that_begin_alike_stay_apart():
    long = "x" * 60
    for make in OF_OBJECT:
        assert make(f"{long}-a") != make(f"{long}-b")


def test_a_runs_name_follows_from_schedule_and_second():
    assert names.scheduled_backup("nightly", DUE) == "nightly-20261123100001"
