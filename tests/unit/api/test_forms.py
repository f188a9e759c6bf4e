"""Quantities, moments, positions, and the names that pgwarden makes."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgwarden.api import names
from pgwarden.api.quantity import parse_quantity
from pgwarden.api.target import TargetError, parse_lsn, parse_time, pgbackrest_time, rfc3339
from pgwarden.storages.s3.location import folder

QUANTITIES = [
    ("10Gi", 10 * 1024**3),
    ("1.5Ki", 1536),
    ("500m", Fraction(1, 2)),
    ("1e3", 1000),
    ("2E", 2 * 10**18),
    (".5k", 500),
    (3, 3),
    ("10GB", None),
    ("", None),
    ("Gi", None),
    (True, None),
    (None, None),
    ("1e", None),
    ("١", None),
]


@pytest.mark.parametrize(("text", "value"), QUANTITIES, ids=[repr(row[0]) for row in QUANTITIES])
def test_a_quantity_is_an_exact_number(text, value):
    assert parse_quantity(text) == value


TIMES = [
    ("2026-11-23T10:00:00Z", "2026-11-23T10:00:00Z"),
    ("2026-11-23 10:00:00+00", "2026-11-23T10:00:00Z"),
    ("2026-11-23 10:00:00.123+0530", "2026-11-23T04:30:00.123000Z"),
    ("2026-11-23t10:00:00.1234567-03:00", "2026-11-23T13:00:00.123456Z"),
]


@pytest.mark.parametrize(("text", "utc"), TIMES, ids=[row[0] for row in TIMES])
def test_a_moment_is_read_in_both_forms(text, utc):
    assert rfc3339(parse_time(text)) == utc


@pytest.mark.parametrize(
    "text", ["2026-11-23", "2026-11-23T10:00:00", "2026-11-23T25:00:00Z", "0001-01-01T00:00:00+23:00", "x" * 1000]
)
def test_what_is_no_moment_is_refused(text):
    with pytest.raises(TargetError):
        parse_time(text)


@given(st.integers(946_684_800_000_000, 4_102_444_800_000_000), st.integers(-720, 720))
def test_pgbackrest_is_told_the_same_moment(microseconds, minutes):
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    local = moment.astimezone(timezone(timedelta(minutes=minutes)))
    assert parse_time(pgbackrest_time(local.isoformat(sep=" "))) == moment


def test_positions_compare_as_numbers():
    assert parse_lsn("0/3000060") < parse_lsn("0/30000000") < parse_lsn("1/0")


@pytest.mark.parametrize("path", ["", "/", "//"])
def test_an_empty_path_is_a_folder_of_its_own(path):
    assert folder(path, "ns", "hippo") == "/pgwarden/ns/hippo"


REPOSITORIES = st.from_regex(r"[a-z]([-a-z0-9]{0,50}[a-z0-9])?", fullmatch=True)
LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


@given(REPOSITORIES)
def test_every_name_made_for_a_repository_is_a_name_of_a_service_and_there_are_no_two_alike(repository):
    made = [names.host(repository), names.pods(repository), names.ca_secret(repository), names.repo_claim(repository)]
    assert len(set(made)) == len(made)
    for name in made:
        assert len(name) <= 63
        assert LABEL.fullmatch(name)
    assert max(len(names.cn_host(repository)), len(names.cn_pods(repository))) <= 64


@given(st.from_regex(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True))
def test_every_name_made_for_a_job_or_claim_fits_a_label(name):
    due = datetime(2026, 11, 23, tzinfo=UTC)
    made = [
        names.backup_job(name),
        names.restore_job(name),
        names.scheduled_backup(name, due),
        names.restore_backup(name),
        names.restored_claim(name),
        names.kept_claim(name, name),
    ]
    assert all(len(one) <= 63 and LABEL.fullmatch(one) for one in made)
