"""What a PostgresCluster may be, and with which words the rest is refused."""

from __future__ import annotations

import pytest

from .conftest import build


def fields(verdict):
    return {fault.field: fault.message for fault in verdict.faults}


def test_a_cluster_needs_nothing_but_a_name(judge):
    assert judge(build("PostgresCluster", "rhino")).ok


REFUSED = {
    "a long name": ({"name": "h" * 41}, "metadata.name", "at most 40"),
    "a volume that holds nothing": ({"instances": {"storage": {"size": "10Mi"}}}, "spec.instances.storage.size", "128Mi"),
    "archive_command": ({"parameters": {"archive_command": "cp"}}, "spec.parameters.archive_command", "pgwarden sets it"),
    "a recovery target": ({"parameters": {"recovery_target_time": "x"}}, "spec.parameters.recovery_target_time", "Restore"),
    "upper case": ({"parameters": {"Work_Mem": "4MB"}}, "spec.parameters.Work_Mem", "write work_mem"),
    "no parameter": ({"parameters": {"work mem": "4MB"}}, "spec.parameters.work mem", "not a parameter name"),
    "wal_level minimal": ({"parameters": {"wal_level": "minimal"}}, "spec.parameters.wal_level", "replica or logical"),
    "wal_level an object": ({"parameters": {"wal_level": {}}}, "spec.parameters.wal_level", "replica or logical"),
    "wal_level a list": ({"parameters": {"wal_level": ["replica"]}}, "spec.parameters.wal_level", "replica or logical"),
    "two lines": ({"parameters": {"search_path": "a\nb"}}, "spec.parameters.search_path", "control"),
    "another version without an image": ({"postgresVersion": 16}, "spec.postgresVersion", "set spec.image"),
    "s3 without a bucket": ({"repository": {"storageType": "s3"}}, "spec.repository.s3.bucket", "bucket"),
    "a storage of another name": ({"repository": {"storageType": "posix"}}, "spec.repository.storageType", "calls it local"),
    "a field of a Repository that is the cluster's": (
        {"repository": {"postgres": {"port": 1}}}, "spec.repository.postgres", "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused(judge, case):
    spec, field, words = REFUSED[case]
    spec = dict(spec)
    found = fields(judge(build("PostgresCluster", spec.pop("name", "rhino"), **spec)))
    assert field in found, found
    assert words in found[field]


def test_a_name_that_a_repository_has_already_is_refused(judge):
    assert "choose another name" in fields(judge(build("PostgresCluster", "hippo")))["metadata.name"]


CHANGES = {
    "the version": ({"postgresVersion": 16, "image": "x"}, {"image": "x"}, "spec.postgresVersion"),
    "the storage class": (
        {"instances": {"storage": {"storageClassName": "a"}}},
        {"instances": {"storage": {"storageClassName": "b"}}},
        "spec.instances.storage.storageClassName",
    ),
    "a smaller volume": (
        {"instances": {"storage": {"size": "2Gi"}}}, {"instances": {"storage": {"size": "1Gi"}}},
        "spec.instances.storage.size",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CHANGES)
def test_what_cannot_be_changed(judge, case):
    before, after, field = CHANGES[case]
    old, new = build("PostgresCluster", "hippo", **before), build("PostgresCluster", "hippo", **after)
    assert field in fields(judge(new, old))


def test_what_replicas_need_as_much_of_as_the_primary_is_lowered_only_without_them(judge):
    old = build("PostgresCluster", "rhino", instances={"replicas": 2})
    new = build("PostgresCluster", "rhino", instances={"replicas": 2}, parameters={"max_connections": "77"})
    assert "cannot be lowered from 100" in fields(judge(new, old))["spec.parameters.max_connections"]
    alone = build("PostgresCluster", "rhino", instances={"replicas": 1}, parameters={"max_connections": "77"})
    assert judge(alone, old).ok


def test_more_instances_and_other_parameters_can_be_asked_for(judge):
    old = build("PostgresCluster", "hippo", instances={"replicas": 1})
    new = build(
        "PostgresCluster", "hippo", instances={"replicas": 3}, parameters={"work_mem": "8MB", "max_connections": 150}
    )
    assert judge(new, old).ok


def test_the_warning_about_retention_names_the_field_of_the_cluster(judge):
    assert (
        "no retention is set: backups are kept forever; set spec.repository.retention.full"
        in judge(build("PostgresCluster", "rhino")).warnings
    )
