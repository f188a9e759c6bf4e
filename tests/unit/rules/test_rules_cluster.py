"""What a PostgresCluster may be, and with which words the rest is refused."""

from __future__ import annotations

import pytest

from pgwarden.api.defaults import OperatorDefaults
from pgwarden.rules import validate

from .conftest import NOW, build


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
    "a certificate by parameters": ({"parameters": {"ssl_cert_file": "/x"}}, "spec.parameters.ssl_cert_file", "spec.tls.secretRef"),
    "a broken protocol": ({"parameters": {"ssl_min_protocol_version": "TLSv1"}}, "spec.parameters.ssl_min_protocol_version", "TLSv1.2"),
    "pgwarden's own certificates": (
        {"tls": {"secretRef": {"name": "rhino-instance-tls"}}}, "spec.tls.secretRef.name", "another name",
    ),
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


LATER = ["include", "include_dir", "include_if_exists", "ssl_passphrase_command"]


@pytest.mark.parametrize("name", LATER)
def test_a_parameter_that_runs_or_reads_what_nobody_checks_is_refused_where_it_is_new(judge, name):
    old, changed = ({"parameters": {name: "x", "work_mem": size}} for size in ("4MB", "8MB"))
    assert "cannot be set" in fields(judge(build("PostgresCluster", "rhino", **old)))[f"spec.parameters.{name}"]
    verdict = judge(build("PostgresCluster", "rhino", **changed), build("PostgresCluster", "rhino", **old))
    assert verdict.ok
    assert any(text.startswith(f"spec.parameters.{name}: cannot be set") for text in verdict.warnings)


@pytest.mark.parametrize(
    ("name", "value", "warned"),
    [
        ("fsync", "off", True), ("fsync", "f", True), ("full_page_writes", 0, True), ("fsync", "on", False),
        ("zero_damaged_pages", "true", True), ("ignore_checksum_failure", 1, True), ("zero_damaged_pages", "no", False),
    ],
)  # fmt: skip
def test_a_parameter_that_harms_what_backups_are_for_is_warned_of(judge, name, value, warned):
    verdict = judge(build("PostgresCluster", "rhino", parameters={name: value}))
    assert verdict.ok
    assert any(text.startswith(f"spec.parameters.{name} ") for text in verdict.warnings) is warned


EARLIER = (
    "if its volume or folder is there, too, this one will not begin: set spec.repository.onExistingBackups to Recover"
)


def of_earlier(phase: str = "Completed", **condition: str) -> dict:
    status = {"phase": phase, "conditions": [{"type": "Available"} | condition] if condition else []}
    return build("Backup", "old-1", repository="orders", status=status)


def test_a_name_of_which_there_are_backups_is_warned_of_where_it_is_given_again(judge, cluster):
    cluster.present.append(of_earlier(status="True"))
    verdict = judge(build("PostgresCluster", "orders"))
    (warning,) = [text for text in verdict.warnings if "earlier" in text]
    assert verdict.ok
    assert warning.startswith(
        "metadata.name orders: Backup old-1 is of an earlier cluster or Repository of this name; "
    )
    assert EARLIER in warning


@pytest.mark.parametrize(
    ("there", "spec"),
    [
        pytest.param(of_earlier(), {"repository": {"onExistingBackups": "Recover"}}, id="its data are wanted"),
        pytest.param(of_earlier(status="False"), {}, id="the set is gone"),
        pytest.param(of_earlier("Failed"), {}, id="it never had a set"),
    ],
)
def test_what_begins_all_the_same_is_not_warned_of(judge, cluster, there, spec):
    cluster.present.append(there)
    assert not any("earlier" in text for text in judge(build("PostgresCluster", "orders", **spec)).warnings)


def test_a_cluster_that_runs_is_not_warned_of_its_own_backups(judge, cluster):
    cluster.present.append(of_earlier())
    before, after = (build("PostgresCluster", "orders", instances={"replicas": n}) for n in (1, 2))
    assert not any("earlier" in text for text in judge(after, before).warnings)
    verdict = validate(before, old=None, lookup=cluster, now=NOW, defaults=OperatorDefaults(), standing=True)
    assert not any("earlier" in text for text in verdict.warnings)
