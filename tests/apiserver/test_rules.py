"""Every rule, reached as a user reaches it: `kubectl apply`, the API server, the webhook, and the sentence that comes back."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from harness.install import ROOT
from harness.kubectl import Kubectl
from pgwarden.rules.backup_sets import FACTS
from tests.apiserver.manifests import (
    S3,
    backup,
    cluster,
    drill_schedule,
    made,
    postgres_pod,
    repository,
    restore,
    schedule,
)
from tests.apiserver.release import Controllers
from tests.unit.contract import produced
from tests.unit.contract.produced import Set, chain

Object = dict[str, Any]


@dataclass(frozen=True)
class Refusal:
    rule: str
    obj: Object
    said: tuple[str, ...]


def s3(**changed: Any) -> Object:
    return {key: value for key, value in (S3 | changed).items() if value is not None}


NEW = [
    Refusal("schema", repository("x", retention={"full": 0}), ("spec.retention.full: 0",)),
    Refusal("schema", made("Backup", "x"), ("spec.repository: is required",)),
    Refusal("schema", backup("x", type="fulll"), ('spec.type: "fulll"', "full, diff")),
    Refusal("name", repository("9lives"), ('metadata.name: "9lives"', "beginning with a letter")),
    Refusal("name", repository("x" * 53), ("metadata.name", "52 characters, not 53")),
    Refusal("name", backup("x" * 64), ("metadata.name", "63 characters")),
    Refusal("storageType", repository("x", storageType="gcs"), ('spec.storageType: "gcs"', "write local, s3")),
    Refusal("storageType", repository("x", storageType="s3,local", s3=S3), ("write local,s3",)),
    Refusal("size", repository("x", local={"size": "10"}), ("spec.local.size", "did you mean 10Gi?")),
    Refusal("archiveTimeout", repository("x", archiveTimeout="5s"), ('spec.archiveTimeout: "5s"', "from 10s to 24h")),
    Refusal("resources", repository("x", sidecarResources={"limits": {"memory": "16Mi"}}), ("spec.sidecarResources.limits.memory", "use at least 64Mi")),
    Refusal("resources", cluster("x", instances={"resources": {"limits": {"memory": "100Mi"}}}), ("spec.instances.resources.limits.memory", "192Mi")),
    Refusal("podTemplate", repository("x", podTemplate={"spec": {"tolerations": [{"value": "b"}]}}), ("spec.podTemplate.spec.tolerations[0].key", "Exists")),
    Refusal("podTemplate", cluster("x", instances={"podTemplate": {"metadata": {"labels": {"pgwarden.io/role": "x"}}}}), ("spec.instances.podTemplate.metadata.labels", "remove it")),
    Refusal("retention", repository("x", retention={"fullType": "time"}), ("spec.retention.full", "set the number of days")),
    Refusal("retention", repository("x", options=["--repo1-retention-full=3"]), ("spec.retention.full", "one of the two")),
    Refusal("retention", schedule("x", options=["--repo1-retention-full=3"]), ("spec.options", "more than the 2 full backups that Repository hippo keeps")),
    Refusal("retention", backup("x", options=["--repo1-retention-full=3"]), ("spec.options", "set spec.retention.full there to 3, or remove it here")),
    Refusal("retention", schedule("x", options=["--repo1-retention-full=1"]), ("spec.options", "fewer than the 2 full backups", "allowShorter")),
    Refusal("retention", backup("x", options=["--repo1-retention-full=1"]), ("spec.options", "fewer than the 2 full backups", "allowShorter")),
    Refusal("retention", backup("x", repository="endless", options=["--repo1-retention-full=7"]), ("less than the 21 full backups of BackupSchedule long", "allowShorter")),
    Refusal("checks", backup("x", options=["--no-checksum-page"]), ("spec.options", "switches off a check", "allowDisabledChecks")),
    Refusal("options", backup("x", options=["--process-max=64"]), ("spec.options", "at most 32")),
    Refusal("socketDirectory", repository("x", postgres={"socketDirectory": "/etc"}), ("spec.postgres.socketDirectory", "hides")),
    Refusal("schema", repository("x", postgres={"user": "a\nb"}), ("spec.postgres.user",)),
    Refusal("reserved", cluster("x", parameters={"include": "x.conf"}), ("spec.parameters.include", "cannot be set")),
    Refusal("s3.path", repository("x", storageType="s3", s3=s3(path="/taken/within")), ("lies within the folder of",)),
    Refusal("s3", repository("x", s3=S3), ("spec.s3", "storageType is local")),
    Refusal("s3", repository("x", storageType="s3", s3=s3(bucket=None)), ("spec.s3.bucket", "is required")),
    Refusal("s3.bucket", repository("x", storageType="s3", s3=s3(bucket="s3://b")), ("write b",)),
    Refusal("s3.uriStyle", repository("x", storageType="s3", s3=s3(bucket="acme:b", uriStyle=None)), ("spec.s3.uriStyle", "set it to path")),
    Refusal("s3.endpoint", repository("x", storageType="s3", s3=s3(endpoint="https://m:1")), ("write m:1 (",)),
    Refusal("s3.region", repository("x", storageType="s3", s3=s3(region="eu central")), ("spec.s3.region",)),
    Refusal("s3.path", repository("x", storageType="s3", s3=s3(path="a/b")), ("must begin with a slash; write /a/b",)),
    Refusal("s3.path", repository("x", storageType="s3", s3=s3(path="/taken")), ("Repository", "set another path")),
    Refusal("credentials", repository("x", storageType="s3", s3=s3(credentialsSecretRef=None)), ("is required with keyType shared",)),
    Refusal(
        "credentials",
        repository("x", storageType="s3", s3=s3(keyType="auto", credentialsSecretRef=None, podCredentialsSecretRef={"name": "pods"})),
        ("spec.s3.podCredentialsSecretRef", "is not used with keyType auto"),
    ),
    Refusal(
        "credentials",
        repository("x", storageType="s3", s3=s3(keyType="auto", credentialsSecretRef=None, cloneCredentialsSecretRef={"name": "read"})),
        ("spec.s3.cloneCredentialsSecretRef", "is not used with keyType auto"),
    ),
    Refusal("options", repository("x", options=["--proces-max=4"]), ("spec.options[0]", "process-max")),
    Refusal("options", repository("x", options=["--no-repo1-bundle", "--repo1-bundle-size=20MiB"]), ("spec.options", "needs --repo1-bundle")),
    Refusal("options", backup("x", options=["--no-archive-check", "--archive-copy"]), ("spec.options", "needs --archive-check")),
    Refusal("options", backup("x", options=["--repo1-path=/etc"]), ("spec.options[0]", "--repo1-path=/etc")),
    Refusal("repository", backup("x", repository="hipo"), ('spec.repository: "hipo"', "did you mean hippo?")),
    Refusal("storage", backup("x", storage="s3"), ("spec.storage", "has only storage local")),
    Refusal("schedule", schedule("x", schedule="61 0 * * *"), ("spec.schedule", "minutes", "61")),
    Refusal("timeZone", schedule("x", timeZone="Europe/Berln"), ("spec.timeZone", "Europe/Berlin")),
    Refusal("duration", schedule("x", spread="2d"), ('spec.spread: "2d"', "from 1s to 1d")),
    Refusal("notDuring", schedule("x", notDuring=[{"schedule": "* * * * *", "duration": "1h"}]), ("spec.notDuring", "without a gap")),
    Refusal("schedule", drill_schedule("x", schedule="@weekly"), ("spec.schedule", 'write "0 0 * * 0"')),
    Refusal("storage", drill_schedule("x", template={"storage": "s3"}), ("spec.template.storage", "omit spec.template.storage")),
    Refusal("set", drill_schedule("x", template={"set": "20200101-000000F"}), ("spec.template.set", "no such backup")),
    Refusal("schema", drill_schedule("x", template={"checks": [{"name": "a"}]}), ("spec.template.checks[0].sql", "is required")),
    Refusal("seed", drill_schedule("x", template={"seed": 7}), ("spec.template.seed", "add spec.template.target.random: true")),
    Refusal("databases", made("RestoreDrill", "x", repository="hippo", databases=["app"], checks=[{"name": "a", "sql": "SELECT 1", "database": "other"}]), ("spec.checks[0].database", "other")),
    Refusal("podMetadata", backup("x", podLabels={"pgwarden.io/repository": "hippo"}), ("spec.podLabels", "is set by pgwarden")),
    Refusal("volumeClaim", restore("x", volumeClaim="hippo-pgbackrest-repo"), ("spec.volumeClaim", "the claim that holds the backups")),
    Refusal("set", restore("x", set="20200101-000000F"), ("spec.set", "no such backup", "20261101-000000F")),
    Refusal("undo", restore("x", undo="back", target={"immediate": True}), ("spec.undo", "cannot be combined with target")),
    Refusal("target", restore("x", target={"time": "2026-11-02 10:00:00+00", "xid": "77"}), ("sets time and xid",)),
    Refusal("timeline", restore("x", target={"immediate": True}, targetTimeline="3"), ("spec.targetTimeline",)),
    Refusal("schema", restore("x", repoTargetTime="2026-11-02 10:00:00", volumeClaim="c"), ("spec.repoTargetTime",)),
    Refusal("repoTargetTime", restore("x", repoTargetTime="2026-11-02T10:00:00Z"), ("spec.repoTargetTime", "needs spec.volumeClaim")),
    Refusal("window", restore("x", target={"time": "2019-01-01 00:00:00+00"}), ("spec.target.time", "2019")),
    Refusal("window", restore("x", target={"lsn": "0/10"}), ("spec.target.lsn", "0/3000060")),
    Refusal("image", cluster("x", postgresVersion=16), ("spec.postgresVersion: 16", "set spec.image")),
    Refusal("reserved", cluster("x", parameters={"archive_mode": "off"}), ("spec.parameters.archive_mode", "cannot be set")),
    Refusal("tls", cluster("x", parameters={"ssl_min_protocol_version": "TLSv1"}), ("spec.parameters.ssl_min_protocol_version", "TLSv1.2")),
    Refusal("tls", cluster("x", tls={"secretRef": {"name": "x-instance-tls"}}), ("spec.tls.secretRef.name", "choose another name")),
    Refusal("wal-level", cluster("x", parameters={"wal_level": "minimal"}), ("spec.parameters.wal_level", "logical")),
    Refusal("control", cluster("x", parameters={"search_path": "a\x01b"}), ("spec.parameters.search_path", "control")),
    Refusal("dataSource", cluster("x", dataSource={"repository": "hipo"}), ("spec.dataSource.repository", "did you mean hippo?")),
    Refusal("cloneableFrom", cluster("x", dataSource={"repository": "distant", "namespace": "default"}), ("spec.dataSource.namespace", "spec.cloneableFrom")),
    Refusal("window", cluster("x", dataSource={"repository": "hippo", "target": {"time": "2019-01-01 00:00:00+00"}}), ("spec.dataSource.target.time", "2019")),
    Refusal("taken", cluster("hippo"), ("metadata.name", "a Repository of this name exists")),
]  # fmt: skip


@dataclass(frozen=True)
class Change:
    rule: str
    before: Object
    after: Object
    said: tuple[str, ...]
    status: Object | None = None


CHANGES = [
    Change(
        "lowered",
        cluster("c-lowered", instances={"replicas": 2}, parameters={"max_connections": 200}),
        cluster("c-lowered", instances={"replicas": 2}, parameters={"max_connections": 100}),
        ("spec.parameters.max_connections: 100", "cannot be lowered from 200"),
    ),
    Change(
        "immutable",
        cluster("c-source", dataSource={"repository": "hippo"}),
        cluster("c-source"),
        ("spec.dataSource", "create another PostgresCluster"),
    ),
    Change("immutable", backup("c-backup"), backup("c-backup", type="full"), ("a Backup cannot be changed",)),
    Change("immutable", backup("c-mesh"), backup("c-mesh", podAnnotations={"mesh": "no"}), ("a Backup cannot be changed",)),
    Change("immutable", restore("c-restore"), restore("c-restore", set="latest"), ("a Restore cannot be changed",)),
    Change("immutable", repository("c-class"), repository("c-class", local={"storageClassName": "fast"}), ("spec.local.storageClassName",)),
    Change("immutable", repository("c-stanza"), repository("c-stanza", stanza="main"), ("spec.stanza", "create a new Repository")),
    Change("accessMode", repository("c-mode", storageType="s3", s3=s3(path="/mode")), repository("c-mode", storageType="s3", s3=s3(path="/mode"), accessMode="ReadOnly"), ("spec.accessMode", "its pods would not start again")),
    Change("immutable", repository("c-cipher"), repository("c-cipher", encryption={"secretRef": {"name": "k"}}), ("spec.encryption", "re-encrypt")),
    Change("size", repository("c-size", local={"size": "20Gi"}), repository("c-size", local={"size": "5Gi"}), ("cannot shrink from 20Gi",)),
    Change(
        "narrowing",
        repository("c-narrow", storageType="local,s3", s3=s3(path="/narrow")),
        repository("c-narrow", storageType="s3", s3=s3(path="/narrow")),
        ("cannot remove storage local: it still holds a backup",),
        {"backups": [{"label": "20261101-000000F", "type": "full", "storage": "local", "repo": 1, "startTime": "2026-11-01T00:00:00Z", "stopTime": "2026-11-01T00:10:00Z"}]},
    ),
]  # fmt: skip

STATUS = {
    "recoveryWindow": [
        {"storage": "local", "repo": 1, "earliest": "2026-11-01T00:10:00Z", "latest": "2026-11-20T00:00:00Z"}
    ],
    "backups": [
        {"label": "20261101-000000F", "type": "full", "storage": "local", "repo": 1, "startTime": "2026-11-01T00:00:00Z",
         "stopTime": "2026-11-01T00:10:00Z", "lsnStop": "0/3000060"},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def prepared(webhook, space: Kubectl) -> Iterator[Kubectl]:
    """A Repository with one backup, one that lies in the bucket already, one of another namespace, and one without
    retention, of which a schedule keeps 21 backups.
    """
    space.within("default").apply(repository("distant"))
    space.apply(repository("hippo"), repository("neighbour", storageType="s3", s3=s3(path="/taken")))
    space.apply(repository("endless", retention={}))
    space.apply(schedule("long", repository="endless", options=["--repo1-retention-full=21"]))
    space.run(
        "patch", "pgrepo", "hippo", "--subresource=status", "--type=merge", "-p", yaml.safe_dump({"status": STATUS})
    )
    yield space
    space.within("default").delete("pgrepo", "distant")


@pytest.mark.parametrize("case", NEW, ids=[f"{n}-{case.rule}" for n, case in enumerate(NEW)])
def test_a_new_object_is_refused_with_field_and_reason(prepared: Kubectl, case: Refusal):
    said = prepared.refused(case.obj)
    for fragment in case.said:
        assert fragment in said
    assert f'The {case.obj["kind"]} "{case.obj["metadata"]["name"]}" is invalid:' in said
    assert prepared.get(case.obj["kind"], case.obj["metadata"]["name"]) is None


@pytest.mark.parametrize("case", CHANGES, ids=[case.after["metadata"]["name"] for case in CHANGES])
def test_a_change_is_refused_with_field_and_reason(prepared: Kubectl, case: Change):
    kind, name = case.before["kind"], case.before["metadata"]["name"]
    prepared.apply(case.before)
    if case.status:
        patch = yaml.safe_dump({"status": case.status})
        prepared.run("patch", kind, name, "--subresource=status", "--type=merge", "-p", patch)
    generation = prepared.get(kind, name)["metadata"]["generation"]
    said = prepared.refused(case.after)
    for fragment in case.said:
        assert fragment in said
    assert prepared.get(kind, name)["metadata"]["generation"] == generation


@pytest.fixture(scope="module")
def many(prepared: Kubectl) -> list[Set]:
    """The sets of Repository many, 2,000 of them: what the controller would say of them, the API server has stored."""
    sets = chain("F" + "I" * 1999)
    found = produced.repository(sets)["status"]
    status = {key: found[key] for key in ("storages", "backups", "backupCount", "recoveryWindow", "archive")}
    prepared.apply(repository("many"))
    patch = yaml.safe_dump({"status": status})
    prepared.run("patch", "pgrepo", "many", "--subresource=status", "--type=merge", "-p", patch)
    stored = prepared.get("pgrepo", "many")["status"]
    assert stored["backups"] == status["backups"]
    # The controller, which has no host here to ask, has perhaps written its own of the storage since, and kept these.
    assert facts(stored) == facts(status)
    return sets


def facts(status: Object) -> Object:
    return {key: value for key, value in status["storages"][0].items() if key in FACTS}


def test_a_restore_of_a_set_that_is_not_listed_any_more_is_accepted(prepared: Kubectl, many: list[Set]):
    oldest = many[0]
    spec = {"set": oldest.label, "target": {"lsn": oldest.lsn}, "targetTimeline": "1"}
    text = yaml.safe_dump(restore("of-the-oldest", repository="many", **spec))
    done = prepared.run("apply", "--dry-run=server", "-f", "-", stdin=text)
    assert f"{oldest.label} is not among the newest 50 of 2000 backup sets" in done.stderr


def test_a_restore_before_the_oldest_set_is_refused_though_that_is_not_listed(prepared: Kubectl, many: list[Set]):
    said = prepared.refused(restore("too-early", repository="many", target={"lsn": "0/1000000"}))
    assert f"is before {many[0].lsn}, the end of the oldest usable backup; choose a later position" in said


def test_a_repository_in_use_is_not_deleted(prepared: Kubectl, controllers: Controllers):
    """The rule in-use."""
    controllers.leader()
    prepared.apply(repository("used"))
    prepared.apply(postgres_pod("database", "used"))
    prepared.until("pgrepo", "used", lambda o: o.get("status", {}).get("pods"), "knows its pod", 30)
    done = prepared.run("delete", "pgrepo", "used", "--wait=false", check=False)
    assert done.returncode != 0
    assert "is in use" in done.stderr
    prepared.run("delete", "pod", "database", "--force", "--grace-period=0")
    prepared.until("pgrepo", "used", lambda o: not o["status"]["pods"], "has no pod", 30)
    prepared.delete("pgrepo", "used")


def test_a_cluster_is_not_deleted_before_its_protection_is_lifted(prepared: Kubectl):
    """The rule deletion-protection."""
    prepared.apply(cluster("kept"))
    done = prepared.run("delete", "pgc", "kept", "--wait=false", check=False)
    assert done.returncode != 0
    assert "spec.deletionProtection" in done.stderr
    prepared.run("patch", "pgc", "kept", "--type=merge", "-p", '{"spec":{"deletionProtection":false}}')
    prepared.delete("pgc", "kept")


def test_no_rule_of_the_code_is_missing_above():
    """A rule that is added has to be shown here as well."""
    shown = {case.rule for case in NEW} | {case.rule for case in CHANGES} | {"in-use", "deletion-protection"}
    assert _rules_in_code() == shown


#: Where rules about our own kinds are; those about pods are in pgwarden/injection.
ROOMS = ("api", "pgbackrest", "rules", "schedule", "storages")


def _rules_in_code() -> set[str]:
    found = {f"s3.{field}" for field in ("bucket", "endpoint", "region", "path")}  # told by one line of code
    files = [file for room in ROOMS for file in (ROOT / "pgwarden" / room).rglob("*.py")]
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.Call):
                continue
            called = getattr(node.func, "attr", "") or getattr(node.func, "id", "")
            if called in {"refuse", "Fault"} and len(node.args) in {4, 5} and isinstance(node.args[3], ast.Constant):
                found.add(node.args[3].value)
    return found


def test_a_manifest_with_five_faults_is_told_all_five_at_once(prepared: Kubectl):
    wrong = repository(
        "x", storageType="s3", retention={"fullType": "time"}, options=["--proces-max=4"],
        s3={"bucket": "Not A Bucket", "endpoint": "https://minio:9000"},
    )  # fmt: skip
    said = prepared.refused(wrong)
    fields = re.findall(r"^[*] (spec\.[\w.\[\]]+): ", said, re.MULTILINE)
    assert set(fields) >= {
        "spec.s3.bucket",
        "spec.s3.endpoint",
        "spec.s3.region",
        "spec.retention.full",
        "spec.options[0]",
    }
    assert len(fields) == len(set(fields))
