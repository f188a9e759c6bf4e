"""A Repository that something depends on is not deleted by accident, and never in the way of the cluster's own cleaning."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pgwarden.api import names
from pgwarden.rules.deletion import CLEANERS, deletable, judge
from tests.unit.contract import produced
from tests.unit.contract.produced import NOW, chain

PODS = {"pods": [{"name": "db-1"}, {"name": "db-0"}]}


@pytest.fixture
def used(make):
    return make("Repository", "hippo", status=PODS)


def test_a_repository_of_pods_says_what_would_become_of_them_and_the_ways_out(used, cluster):
    (fault,) = deletable(used, lookup=cluster).faults
    assert (fault.field, fault.value, fault.rule) == ("status.pods", ["db-0", "db-1"], "in-use")
    assert fault.message == (
        "is in use: without it these pods cannot archive WAL and their volumes fill up; delete the pods first, or remove "
        "their label pgwarden.io/repository; to delete it anyway: "
        "kubectl -n ns annotate repository hippo pgwarden.io/delete-in-use=true"
    )


@pytest.mark.parametrize("kind", ["Backup", "Restore"])
def test_what_runs_is_waited_for_and_what_is_done_is_not(make, cluster, kind):
    repository = make("Repository", "hippo")
    for name, phase in (("a", "Completed"), ("b", "Failed"), ("c", "Running"), ("d", None)):
        cluster.present.append(make(kind, name, repository="hippo", status={"phase": phase}))
    (fault,) = deletable(repository, lookup=cluster).faults
    assert (fault.field, fault.value) == (f"{kind.lower()}s", ["c", "d"])
    assert f"a {kind} that has not finished; wait for it, or delete it first" in fault.message


def test_the_repository_of_a_cluster_says_to_delete_the_cluster(used, cluster):
    used["metadata"]["ownerReferences"] = [{"kind": "PostgresCluster", "name": "rhino"}]
    (fault,) = deletable(used, lookup=cluster).faults
    assert "it belongs to PostgresCluster rhino: delete that instead; to delete it anyway" in fault.message


def test_what_is_itself_being_deleted_blocks_nothing(make, cluster):
    going = make("Backup", "a", repository="hippo", status={"phase": "Running"})
    going["metadata"]["deletionTimestamp"] = "2026-11-23T00:00:00Z"
    cluster.present.append(going)
    assert deletable(make("Repository", "hippo"), lookup=cluster).ok


@pytest.mark.parametrize("user", sorted(CLEANERS))
def test_the_cluster_cleans_up_unhindered(used, cluster, user):
    assert deletable(used, lookup=cluster, user=user).ok
    assert not deletable(used, lookup=cluster, user=f"{user}-impostor").ok


def test_a_user_may_insist(used, cluster):
    used["metadata"]["annotations"] = {names.ANNOTATION_DELETE_IN_USE: "true"}
    assert deletable(used, lookup=cluster).ok


def test_many_pods_are_counted_not_listed(make, cluster):
    repository = make("Repository", "hippo", status={"pods": [{"name": f"db-{n}"} for n in range(9)]})
    (fault,) = deletable(repository, lookup=cluster).faults
    assert fault.value == ["db-0", "db-1", "db-2", "db-3", "db-4", "and 4 more"]


@pytest.mark.parametrize("status", [None, [], {"pods": 5}, {"pods": [None, {}]}, "x"], ids=repr)
def test_a_status_of_any_shape_gets_a_verdict(make, cluster, status):
    repository = make("Repository", "hippo")
    repository["status"] = status
    assert deletable(repository, lookup=cluster).warnings == []


OF_LOCAL = [*chain("FDIID", last=NOW - timedelta(hours=2)), *chain("F")]
FULL, DIFF, NEXT, INCR, DIFF_2, LATER = (one.label for one in OF_LOCAL)
SETS = [*OF_LOCAL, *chain("F", repo=2)]
WARNED = {
    "a full one": (FULL, 1, f"will be expired, and 4 that depend on it: {DIFF}, {NEXT}, {INCR}, {DIFF_2}"),
    "a diff": (DIFF, 1, f"will be expired, and 2 that depend on it: {NEXT}, {INCR}"),
    "an incr": (INCR, 1, "will be expired; no other set depends on it"),
    "a full one alone": (LATER, 1, "will be expired; no other set depends on it"),
    "the only full one of a storage": (
        LATER,
        2,
        "is kept: pgBackRest never expires the only full backup",
    ),
}


@pytest.mark.parametrize(("label", "repo", "said"), WARNED.values(), ids=WARNED)
def test_who_deletes_a_backup_with_its_set_is_told_what_goes_with_it(make, cluster, label, repo, said):
    cluster.present[:] = [produced.repository(SETS, "local,s3")]
    status = {"phase": "Completed", "label": label, "repo": repo}
    backup = make("Backup", repository="hippo", deletionPolicy="Delete", status=status)
    verdict = judge(backup, lookup=cluster)
    assert (verdict.faults, verdict.warnings) == ([], [f"backup set {label} {said}"])
    backup["spec"]["deletionPolicy"] = "Retain"
    assert judge(backup, lookup=cluster).warnings == []


def test_a_set_whose_repository_is_gone_stays(make, cluster):
    cluster.present.clear()
    backup = make("Backup", repository="hippo", deletionPolicy="Delete", status={"label": "1F", "repo": 1})
    assert judge(backup, lookup=cluster).warnings == ["backup set 1F is kept: its Repository was deleted"]


def test_a_protected_cluster_is_not_deleted_and_the_message_says_how_it_is(make, cluster):
    protected = make("PostgresCluster", "rhino", deletionProtection=True)
    (fault,) = judge(protected, lookup=cluster).faults
    assert (fault.field, fault.value, fault.rule) == ("spec.deletionProtection", True, "deletion-protection")
    lift = """kubectl -n ns patch postgrescluster rhino --type=merge -p '{"spec":{"deletionProtection":false}}'"""
    assert fault.message.endswith(lift)


@pytest.mark.parametrize("given", [{"deletionProtection": False}, {}], ids=["lifted", "of a CRD without the field"])
def test_a_cluster_without_protection_is_deleted(make, cluster, given):
    assert judge(make("PostgresCluster", "rhino", **given), lookup=cluster).ok


@pytest.mark.parametrize("user", sorted(CLEANERS))
def test_a_namespace_with_a_protected_cluster_does_not_hang(make, cluster, user):
    assert judge(make("PostgresCluster", "rhino", deletionProtection=True), lookup=cluster, user=user).ok
