"""Names of what is made: valid for Kubernetes whatever the Repository is called, and never those of another."""

from __future__ import annotations

import itertools
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller import certificates
from pgwarden.api import names, numbered_backups
from pgwarden.kube.client import KubeClient
from pgwarden.kube.events import Recorder

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


SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
VALUE = re.compile(r"[A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?")
#: Names as long as each kind's own rule lets them be, of every make.
LONGEST = {"Repository": 52, "PostgresCluster": names.CLUSTER_NAME_LIMIT, "Backup": 63, "BackupSchedule": 63,
           "Restore": 63, "claim": 253}  # fmt: skip
MAKES = {
    "letters": lambda size: "a" * size,
    "dashes": lambda size: "a" + "-" * (size - 2) + "b",
    "dots": lambda size: ("a." * size)[: size - 1] + "b" if size % 2 else ("a." * size)[: size - 2] + "bb",
    "a dot at each place": lambda size: "a" * (size // 2) + "." + "b" * (size - size // 2 - 1),
}
OF_EACH = {
    "Repository": (names.host, names.pods, names.ca_secret, names.repo_claim),
    "PostgresCluster": (
        names.host, names.pods, names.ca_secret, names.repo_claim, names.cluster_primary, names.cluster_replicas,
        names.cluster_credentials, names.cluster_patroni, names.cluster_account, names.clone_secret, names.clone_job, numbered_backups.first_backup,
        lambda name: numbered_backups.first_backup(name, 999), lambda name: names.instance(name, 999),
        *(lambda name, key=key: names.patroni_object(name, key) for key in ("config", "leader", "failover", "sync")),
    ),
    "Backup": (names.backup_job, names.expire_job),
    "BackupSchedule": (lambda name: names.scheduled_backup(name, DUE),),
    "Restore": (
        names.restore_job, names.restore_backup, names.restored_claim, lambda name: names.kept_claim("d" * 253, name),
        lambda name: names.free(names.failed_claim("data", name), {names.failed_claim("data", name)}),
    ),
    "claim": (lambda name: names.kept_claim(name, "r" * 63), lambda name: names.failed_claim(name, "r")),
}  # fmt: skip


@pytest.mark.parametrize("kind", OF_EACH)
@pytest.mark.parametrize("make", MAKES.values(), ids=MAKES)
def test_the_longest_legal_name_makes_legal_names(kind, make):
    dotted = kind not in {"Repository", "PostgresCluster"}  # whose own rules know no dots
    for size in range(LONGEST[kind] - 25, LONGEST[kind] + 1):
        name = make(size)
        if "." in name and not dotted:
            continue
        for made in (each(name) for each in OF_EACH[kind]):
            assert len(made) <= 63, made
            assert SUBDOMAIN.fullmatch(made), made
            assert dotted or SERVICE.fullmatch(made), made
        assert VALUE.fullmatch(names.short(name, 63))
        names.free(names.short(name, 63), {names.short(name, 63)})


@pytest.mark.parametrize("make", MAKES.values(), ids=MAKES)
async def test_an_event_about_the_longest_name_has_a_legal_one(make):
    written: list[dict] = []

    class Client(KubeClient):
        def __init__(self) -> None:
            pass

        async def create(self, path: str, body: dict) -> dict:
            written.append(body)
            return body

    for size in range(190, 254):
        about = {"kind": "StatefulSet", "metadata": {"name": make(size), "namespace": "n" * 63, "uid": "u"}}
        await Recorder(Client(), "pgwarden-controller", "p" * 253).normal(about, "Reason", "x" * 5000)
    for one in written:
        assert SUBDOMAIN.fullmatch(one["metadata"]["name"]), one["metadata"]["name"]
        assert len(one["metadata"]["name"]) <= 253
        assert len(one["message"]) <= 1024


def test_a_common_name_of_any_length_makes_a_certificate():
    now, long = datetime(2026, 11, 23, tzinfo=UTC), "x" * 300
    ca = certificates.new_ca(long, now)
    leaf = certificates.issue(ca, long, [f"{'s' * 63}.{'n' * 63}.svc"], now)
    assert certificates.still_good(leaf, ca, long, [f"{'s' * 63}.{'n' * 63}.svc"], now)
    assert not certificates.still_good(leaf, ca, f"{long}y", [f"{'s' * 63}.{'n' * 63}.svc"], now)
    assert not certificates.still_good(leaf, ca, long, ["other.svc"], now)
