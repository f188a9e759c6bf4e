"""One example for each refusal and each warning: docs/rules.md is made of them, and tested against the code.

A row is (rule, field, what is asked for). `python -m tests.unit.rules.rules_table` writes the document anew.
"""

from __future__ import annotations

from typing import Any

Spec = dict[str, Any]
S3: Spec = {
    "bucket": "backups",
    "endpoint": "minio.storage.svc:9000",
    "region": "us-east-1",
    "credentialsSecretRef": {"name": "s3"},
}
INCR = "20261101-000000F_20261110-000000I"


def s3(**changes: Any) -> Spec:
    given = {name: value for name, value in (S3 | changes).items() if value is not None}
    return {"storageType": "s3", "s3": given, "retention": {"full": 7}}


def source(**given: Any) -> Spec:
    return {"dataSource": {"repository": "hippo"} | given}


def option(text: Any) -> Spec:
    return {"options": [text]}


REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
SPREAD: Spec = {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}


def node_term(**term: Any) -> Spec:
    return {"spec": {"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [term]}}}}}


#: Repository: (rule, field, spec); a third entry may also be (spec, spec before the update).
REPOSITORY = [
    *(("storageType", "spec.storageType", {"storageType": value}) for value in ("", "posix", "gcs", "local,", "s3,s3", "s3,local", "local, s3")),
    ("narrowing", "spec.storageType", ({"storageType": "s3"}, {"storageType": "local,s3"})),
    ("size", "spec.local.size", {"local": {"size": "ten"}}),
    ("size", "spec.local.size", {"local": {"size": "0"}}),
    ("size", "spec.local.size", {"local": {"size": "10"}}),
    ("size", "spec.local.size", ({"local": {"size": "5Gi"}}, {"local": {"size": "20Gi"}})),
    ("immutable", "spec.local.storageClassName", ({"local": {"storageClassName": "fast"}}, {})),
    ("immutable", "spec.stanza", ({"stanza": "main"}, {})),
    ("accessMode", "spec.accessMode", {"accessMode": "ReadOnly"}),
    ("accessMode", "spec.accessMode", (s3() | {"accessMode": "ReadOnly"}, s3())),
    ("immutable", "spec.encryption", ({"encryption": {"secretRef": {"name": "x"}}}, {})),
    ("retention", "spec.retention.full", ({"retention": {"full": 7}}, {"retention": {"full": 21}})),
    ("s3", "spec.s3", {"s3": S3}),
    *(("s3", f"spec.s3.{field}", s3(**{field: None})) for field in ("bucket", "endpoint", "region")),
    *(("s3.bucket", "spec.s3.bucket", s3(bucket=value)) for value in ("s3://backups", "backups/pg", "my bucket", "-b")),
    *(("s3.uriStyle", "spec.s3.uriStyle", s3(bucket=value)) for value in ("tenant:backups", "Backups", "b" * 64, "a.b")),
    *(("s3.endpoint", "spec.s3.endpoint", s3(endpoint=value)) for value in ("http://minio:9000", "https://minio", "minio/pg", "minio:99999", "mi nio")),
    ("s3.region", "spec.s3.region", s3(region="eu central")),
    *(("s3.path", "spec.s3.path", s3(path=value)) for value in ("pg", "/a/../b", "/a b", "/taken", "/taken/within", "/theirs")),
    ("credentials", "spec.s3.credentialsSecretRef", s3(credentialsSecretRef=None)),
    ("credentials", "spec.s3.credentialsSecretRef", s3(keyType="auto")),
    ("credentials", "spec.s3.podCredentialsSecretRef", s3(keyType="web-id", credentialsSecretRef=None, podCredentialsSecretRef={"name": "s3-pods"})),
    ("credentials", "spec.s3.cloneCredentialsSecretRef", s3(keyType="auto", credentialsSecretRef=None, cloneCredentialsSecretRef={"name": "s3-read"})),
    ("credentials", "spec.s3.roleARN", s3(roleARN="arn:aws:iam::1:role/x")),
    ("schema", "spec.serviceAccountName", {"serviceAccountName": "x" * 300}),
    ("schema", "spec.resources.limits", {"resources": {"limits": {f"example.com/{number}": 1 for number in range(33)}}}),
    ("schema", "spec.resources.limits." + "x" * 80, {"resources": {"limits": {"x" * 400: 1}}}),
    ("resources", "spec.sidecarResources.limits.memory", {"sidecarResources": {"limits": {"memory": "16Mi"}}}),
    ("resources", "spec.sidecarResources.limits.cpu", {"sidecarResources": {"limits": {"cpu": "10m"}}}),
    ("resources", "spec.resources.limits.memory", {"resources": {"limits": {"memory": "16Mi"}}}),
    ("resources", "spec.resources.limits.memory", {"resources": {"limits": {"memory": "1 GB"}}}),
    ("resources", "spec.resources.requests.cpu", {"resources": {"requests": {"cpu": -1}}}),
    ("resources", "spec.resources.limits.cpus", {"resources": {"limits": {"cpus": "1"}}}),
    ("resources", "spec.resources.requests.memory", {"resources": {"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}}}),
    *(
        ("podTemplate", f"spec.podTemplate.{field}", {"podTemplate": template})
        for field, template in (
            ("metadata.labels.pgwarden.io/backup", {"metadata": {"labels": {"pgwarden.io/backup": "x"}}}),
            ("metadata.annotations.a b", {"metadata": {"annotations": {"a b": "x"}}}),
            ("spec.nodeSelector.a/b/c", {"spec": {"nodeSelector": {"a/b/c": "x"}}}),
            ("spec.tolerations[0].value", {"spec": {"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]}}),
            ("spec.tolerations[0].key", {"spec": {"tolerations": [{"value": "b"}]}}),
            ("spec.tolerations[0].tolerationSeconds", {"spec": {"tolerations": [{"key": "a", "tolerationSeconds": 5}]}}),
            (f"spec.affinity.nodeAffinity.{REQUIRED}.nodeSelectorTerms", {"spec": {"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": []}}}}}),
            *(
                (f"spec.affinity.nodeAffinity.{REQUIRED}.nodeSelectorTerms[0].matchExpressions[0].{part}", node_term(matchExpressions=[one]))
                for part, one in (
                    ("key", {"key": "", "operator": "Exists"}), ("values", {"key": "a", "operator": "Exists", "values": ["x"]}),
                    ("values", {"key": "a", "operator": "In"}), ("values", {"key": "a", "operator": "Gt", "values": ["x"]}),
                )
            ),
            (f"spec.affinity.nodeAffinity.{REQUIRED}.nodeSelectorTerms[0].matchFields[0].values", node_term(matchFields=[{"key": "metadata.name", "operator": "In", "values": []}])),
            ("spec.topologySpreadConstraints[0].minDomains", {"spec": {"topologySpreadConstraints": [SPREAD | {"minDomains": 2}]}}),
        )
    ),
    ("schema", "spec.podTemplate.spec.nodename", {"podTemplate": {"spec": {"nodename": "x"}}}),
    ("schema", "spec.podTemplate.spec.tolerations[0].effect", {"podTemplate": {"spec": {"tolerations": [{"effect": "NoRun"}]}}}),
    ("schema", "spec.podTemplate.spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey", {"podTemplate": {"spec": {"affinity": {"podAntiAffinity": {REQUIRED: [{}]}}}}}),
    ("schema", "spec.encryption.secretRef.name", {"encryption": {"secretRef": {}}}),
    ("schema", "spec.encryption.secretRef.name", {"encryption": {"secretRef": {"name": ".."}}}),
    ("schema", "spec.encryption.secretRef.key", {"encryption": {"secretRef": {"name": "x", "key": "a/b"}}}),
    ("schema", "spec.postgres.port", {"postgres": {"port": 0}}),
    ("schema", "spec.postgres.user", {"postgres": {"user": "a\nb"}}),
    ("schema", "spec.postgres.database", {"postgres": {"database": "a\nb"}}),
    *(("socketDirectory", "spec.postgres.socketDirectory", {"postgres": {"socketDirectory": value}}) for value in ("/etc", "/pgwarden/conf", "/usr/")),
    *(("archiveTimeout", "spec.archiveTimeout", {"archiveTimeout": value}) for value in ("5s", "2d", "soon")),
    ("retention", "spec.retention.full", {"retention": {"fullType": "time"}}),
    ("retention", "spec.retention.full", {"retention": {"full": 7}, "options": ["--repo1-retention-full=7"]}),
    ("options", "spec.options", {"options": "--process-max=4"}),
    ("options", "spec.options", option("--compress-type=lz4 --compress-level=20")),
    ("options", "spec.options", option("--db-timeout=30m --protocol-timeout=20m")),
    *(
        ("options", "spec.options", option(value))
        for value in (
            "--no-repo1-bundle --repo1-bundle-size=20MiB", "--no-archive-check --archive-copy", "--compress-type=none --compress-level=3",
            "--repo1-storage-tag=team=data",
        )
    ),
    *(("options", "spec.options", s3() | option(value)) for value in ("--repo1-s3-role=backups", "--repo1-s3-sts-host=sts.example")),
    *(
        ("options", "spec.options[0]", option(value))
        for value in (
            4, "--process-max=4\n--delta", '--annotation="x', "  ", "-process-max=4", "process-max=4", "check", "--process-max=many",
            "--process-max", "--start-fast=yes", "--repo-bundle", "--process1-max=4", "--repo2-bundle", "--pg1-bundle", "--no-process-max",
            "--no-no-start-fast", "--type=full", "--link-all", "--proces-max=4", "--frobnicate", "--process-max=2 --process-max=2",
            "--process-max=2 --process-max=3", "--archive-async=maybe", "--compress-type=rar", "--db-timeout=forever",
            "--archive-push-queue-max=big", "--repo1-s3-role=a b", "--cmd=/bin/sh", "--repo1-host=x", "--pg1-path=/x", "--stanza=x",
            "--config=/x", "--log-level-file=info", "--repo1-s3-key=k", "--repo1-s3-key-type=auto", "--repo1-s3-bucket=b",
            "--repo1-s3-storage-class=STANDARD_IA", "--repo1-s3-sse=AES256", "--db-timeout=1.5", "--repo1-cipher-type=none", "--repo1-path=/x", "--repo1-type=gcs", "--force", "--annotation=a=b", "--repo1-hardlink",
            "--archive-header-path=/x", "--recovery-option=x", "--tablespace-map=x",
        )
    ),
]  # fmt: skip


def window(schedule: str = "0 8 * * 1-5", duration: str = "10h", **more: Any) -> dict[str, Any]:
    return {"notDuring": [{"schedule": schedule, "duration": duration} | more]}


#: Of a Backup and of a BackupSchedule.
WHEN_AND_WHERE = [
    ("schedule", "spec.notDuring[0].schedule", window("0 25 * * *")),
    *(("duration", "spec.notDuring[0].duration", window(duration=value)) for value in ("30s", "32d", "ten hours")),
    ("schema", "spec.notDuring[0].duration", {"notDuring": [{"schedule": "0 8 * * 1-5"}]}),
    ("timeZone", "spec.notDuring[0].timeZone", window(timeZone="Zurich")),
    ("notDuring", "spec.notDuring", window("* * * * *", "1h")),
    *(
        ("podMetadata", f"spec.podLabels.{key}", {"podLabels": {key: "x"}})
        for key in ("pgwarden.io/repository", "statefulset.kubernetes.io/pod-name", "a/b/c", "-x")
    ),
    ("podMetadata", "spec.podLabels.team", {"podLabels": {"team": "my team"}}),
    ("podMetadata", "spec.podAnnotations.pgwarden.io/done", {"podAnnotations": {"pgwarden.io/done": "x"}}),
]

BACKUP = [
    ("accessMode", "spec.repository", {"repository": "old"}),
    ("repository", "spec.repository", {"repository": "hipo"}),
    ("repository", "spec.repository", {"repository": "elsewhere"}),
    ("repository", "spec.repository", {"repository": "zebra"}),
    ("storage", "spec.storage", {"storage": "s3"}),
    ("immutable", "spec", ({"type": "full"}, {"type": "incr"})),
    *(("options", "spec.options[0]", option(value)) for value in ("--repo2-bundle", "--repo=2", "--repo1-s3-role=x", "--repo1-retention-full=0")),
    ("options", "spec.options", {"repository": "unbundled"} | option("--repo1-bundle-size=20MiB")),
    ("retention", "spec.options", option("--repo1-retention-full=21")),
    ("retention", "spec.options", option("--repo1-retention-full=3")),
    ("retention", "spec.options", {"repository": "one"} | option("--repo1-retention-full=7")),
    *(("checks", "spec.options", option(value)) for value in ("--no-archive-check", "--no-checksum-page", "--page-header-check=n")),
    ("options", "spec.options", option("--process-max=64")),
    ("size", "spec", {"options": ["--delta" * 50_000]}),
    ("schema", "spec.type", {"type": "fulll"}),
    ("schema", "spec.type", {"type": "full, " * 12}),
    ("schema", "spec.typ", {"typ": "full"}),
    ("schema", "spec.zzz", {"zzz": 1}),
    ("schema", "spec.repository", {"repository": 5}),
    ("schema", "spec.repository", {"repository": ""}),
    ("schema", "spec.options", {"options": ["--delta"] * 33}),
    ("schema", "spec.activeDeadlineSeconds", {"activeDeadlineSeconds": 0}),
    *WHEN_AND_WHERE,
]  # fmt: skip

SCHEDULE = [
    ("accessMode", "spec.repository", {"repository": "old"}),
    *(
        ("schedule", "spec.schedule", {"schedule": value})
        for value in (
            "0 1 * *", "@daily", "CRON_TZ=UTC 0 1 * * *", "0 1, * * *", "? 1 * * *", "0 1 1,? * *",
            "5/15 * * * *", "0 5-1 * * *", "*/0 * * * *", "0 1 * * 7", "61 1 * * *", "0 -5 * * *", "0 1 15W * *", "0 1 * MAI *",
            "0 1.5 * * *", "0 1 31 2 *",
        )
    ),
    ("schema", "spec.schedule", {"schedule": "1," * 130 + "1 * * * *"}),
    ("timeZone", "spec.timeZone", {"timeZone": "Zurich"}),
    ("storage", "spec.storage", {"storage": "s3"}),
    ("retention", "spec.options", option("--repo1-retention-full=21")),
    ("retention", "spec.options", option("--repo1-retention-archive=21")),
    ("retention", "spec.options", option("--repo1-retention-full=3")),
    ("checks", "spec.options", option("--no-archive-check")),
    ("retention", "spec.options", {"repository": "one"} | option("--repo1-retention-full=7")),
    ("retention", "spec.options", {"repository": "one"} | option("--repo1-retention-full=42")),
    *(("duration", "spec.spread", {"spread": value}) for value in ("0s", "25h", "1 hour")),
    *WHEN_AND_WHERE,
]  # fmt: skip

PAST = {"repository": "both", "volumeClaim": "rescued", "repoTargetTime": "2026-11-15T10:00:00Z"}
RESTORE = [
    ("undo", "spec.undo", {"undo": "back", "target": {"immediate": True}}),
    ("undo", "spec.undo", {"undo": "one"}),
    ("undo", "spec.undo", {"undo": "aside"}),
    ("undo", "spec.undo", {"undo": "failed"}),
    ("undo", "spec.undo", {"undo": "running"}),
    ("immutable", "spec", ({"keepOldVolume": False}, {})),
    ("storage", "spec.storage", {"storage": "s3"}),
    *(
        ("options", "spec.options[0]", option(value))
        for value in (
            "--target=x",
            "--target-timeline=2",
            "--repo-target-time=x",
            "--set=x",
            "--repo1-retention-full=2",
            "--start-fast",
        )
    ),
    ("options", "spec.options", option("--target-exclusive")),
    ("volumeClaim", "spec.volumeClaim", {"volumeClaim": "hippo-pgbackrest-repo"}),
    ("image", "spec.image", {"image": "postgres:16"}),
    *(("size", "spec.newVolume.size", {"newVolume": {"size": value}}) for value in ("ten", "10")),
    ("set", "spec.set", {"set": "20261102-000000F"}),
    ("target", "spec.target", {"target": {"xid": "1234", "immediate": True}}),
    ("target", "spec.target", {"target": {}}),
    *(("target", "spec.target.name", {"target": {"name": value}}) for value in ("é" * 40, "a\tb")),
    *(("target", "spec.target.xid", {"target": {"xid": value}}) for value in ("abc", "2")),
    *(("target", "spec.target.lsn", {"target": {"lsn": value}}) for value in ("3000060",)),
    ("window", "spec.target.lsn", {"target": {"lsn": "0/1000000"}}),
    *(
        ("target", "spec.target.time", {"target": {"time": value}})
        for value in ("yesterday", "2026-11-15 10:00:00", "2026-02-30T10:00:00Z")
    ),
    *(
        ("window", "spec.target.time", {"target": {"time": value}})
        for value in ("2027-01-01T00:00:00Z", "2026-10-01T00:00:00Z", "2026-11-21T00:00:00Z")
    ),
    ("window", "spec.target.time", {"set": INCR, "target": {"time": "2026-11-05T00:00:00Z"}}),
    ("window", "spec.target.time", {"repository": "upgraded", "target": {"time": "2026-11-05T00:00:00Z"}}),
    ("window", "spec.target", {"repository": "holed"}),
    ("window", "spec.target", {"repository": "holed", "set": "20261123-095000F"}),
    ("window", "spec.target.time", {"repository": "holed", "target": {"time": "2026-11-23T10:30:00Z"}}),
    ("window", "spec.target.lsn", {"repository": "holed", "target": {"lsn": "0/6000060"}}),
    *(("timeline", "spec.targetTimeline", {"targetTimeline": value}) for value in ("0", "9", "1")),
    ("timeline", "spec.targetTimeline", {"targetTimeline": "2", "set": INCR}),
    ("timeline", "spec.target.time", {"repository": "rewound", "target": {"time": "2026-11-12T11:00:00Z"}}),
    ("timeline", "spec.targetTimeline", {"target": {"immediate": True}, "targetTimeline": "latest"}),
    ("repoTargetTime", "spec.repoTargetTime", PAST | {"repoTargetTime": "2026-02-30T10:00:00Z"}),
    ("repoTargetTime", "spec.repoTargetTime", PAST | {"repoTargetTime": "2027-01-01T00:00:00Z"}),
    ("repoTargetTime", "spec.repoTargetTime", PAST | {"volumeClaim": ""}),
    ("repoTargetTime", "spec.repoTargetTime", PAST | {"storage": "local"}),
    ("repoTargetTime", "spec.repoTargetTime", PAST | {"repository": "hippo"}),
    ("window", "spec.target.time", PAST | {"target": {"time": "2026-11-15T10:00:01Z"}}),
    ("repoTargetTime", "spec.repoTargetTime", PAST | {"repoTargetTime": "2026-11-15 10:00:00"}),
    ("schema", "spec.volumeClaim", {"volumeClaim": "Data_1"}),
]

DRILL = [
    ("immutable", "spec", ({"set": INCR}, {})),
    ("storage", "spec.storage", {"storage": "s3"}),
    ("set", "spec.set", {"set": "20261102-000000F"}),
    ("size", "spec.newVolume.size", {"newVolume": {"size": "10"}}),
    ("target", "spec.target", {"target": {}}),
    ("window", "spec.target.time", {"target": {"time": "2027-01-01T00:00:00Z"}}),
    ("schema", "spec.checks[0].name", {"checks": [{"name": "A b", "sql": "SELECT true"}]}),
    ("target", "spec.target", {"target": {"random": True, "time": "2026-11-15T10:00:00Z"}}),
    ("timeline", "spec.targetTimeline", {"target": {"random": True}, "targetTimeline": "2"}),
    ("set", "spec.set", {"target": {"random": True}, "set": "20261102-000000F"}),
    ("seed", "spec.seed", {"seed": 7}),
    (
        "databases",
        "spec.checks[0].database",
        {"databases": ["app"], "checks": [{"name": "a", "sql": "SELECT 1", "database": "other"}]},
    ),
    ("checks", "spec.checks[0].expect", {"checks": [{"name": "a", "sql": "SELECT 1", "expect": "1", "max": 3}]}),
    ("checks", "spec.checks[0].max", {"checks": [{"name": "a", "sql": "SELECT 1", "max": "3 rows"}]}),
    ("checks", "spec.checks[0].min", {"checks": [{"name": "a", "sql": "SELECT 1", "min": 5, "max": 3}]}),
    ("resources", "spec.resources.limits.memory", {"resources": {"limits": {"memory": "64Mi"}}}),
]

DRILL_SCHEDULE = [
    ("schedule", "spec.schedule", {"schedule": "@daily"}),
    ("timeZone", "spec.timeZone", {"timeZone": "Zurich"}),
    ("duration", "spec.spread", {"spread": "25h"}),
    ("storage", "spec.template.storage", {"template": {"storage": "s3"}}),
    ("set", "spec.template.set", {"template": {"set": "20261102-000000F"}}),
    ("size", "spec.template.newVolume.size", {"template": {"newVolume": {"size": "10"}}}),
    ("target", "spec.template.target", {"template": {"target": {}}}),
    ("schema", "spec.template.checks[0].name", {"template": {"checks": [{"name": "A b", "sql": "SELECT true"}]}}),
]

CLUSTER = [
    *(("size", "spec.instances.storage.size", {"instances": {"storage": {"size": value}}}) for value in ("ten", "10Mi")),
    ("resources", "spec.instances.resources.limits.memory", {"instances": {"resources": {"limits": {"memory": "100Mi"}}}}),
    ("podTemplate", "spec.instances.podTemplate.metadata.labels.pgwarden.io/role", {"instances": {"podTemplate": {"metadata": {"labels": {"pgwarden.io/role": "x"}}}}}),
    ("image", "spec.postgresVersion", {"postgresVersion": 16}),
    ("tls", "spec.tls.secretRef.name", {"tls": {"secretRef": {"name": "one-instance-tls"}}}),
    *(
        (rule, f"spec.parameters.{name}", {"parameters": {name: value}})
        for rule, name, value in (
            ("name", "work mem", "4MB"), ("name", "Work_Mem", "4MB"), ("reserved", "archive_command", "cp"), ("reserved", "include", "x.conf"),
            ("wal-level", "wal_level", "minimal"), ("tls", "ssl_min_protocol_version", "TLSv1.1"),
            ("reserved", "ssl", "off"), ("control", "search_path", "a\nb"),
        )
    ),
    (
        "lowered",
        "spec.parameters.max_connections",
        (
            {"instances": {"replicas": 2}, "parameters": {"max_connections": 50}},
            {"instances": {"replicas": 2}, "parameters": {"max_connections": 100}},
        ),
    ),
    ("storageType", "spec.repository.storageType", {"repository": {"storageType": "posix"}}),
    ("immutable", "spec.postgresVersion", ({"postgresVersion": 16, "image": "x"}, {"image": "x"})),
    (
        "immutable",
        "spec.instances.storage.storageClassName",
        ({"instances": {"storage": {"storageClassName": "b"}}}, {"instances": {"storage": {"storageClassName": "a"}}}),
    ),
    (
        "immutable",
        "spec.instances.storage.size",
        ({"instances": {"storage": {"size": "1Gi"}}}, {"instances": {"storage": {"size": "2Gi"}}}),
    ),
    ("dataSource", "spec.dataSource.repository", source(repository="one")),
    ("dataSource", "spec.dataSource.repository", source(repository="hipo")),
    ("cloneableFrom", "spec.dataSource.namespace", source(namespace="nowhere")),
    ("cloneableFrom", "spec.dataSource.namespace", source(repository="elsewhere", namespace="apps")),
    ("dataSource", "spec.dataSource.repository", source(repository="foreign")),
    ("dataSource", "spec.postgresVersion", source(repository="foreign")),
    ("dataSource", "spec.dataSource.storage", source(repository="identity")),
    ("storage", "spec.dataSource.storage", source(storage="s3")),
    ("options", "spec.dataSource.options[0]", source(options=["--start-fast"])),
    ("set", "spec.dataSource.set", source(set="20261102-000000F")),
    ("target", "spec.dataSource.target", source(target={})),
    ("window", "spec.dataSource.target.time", source(target={"time": "2026-10-01T00:00:00Z"})),
    ("timeline", "spec.dataSource.targetTimeline", source(targetTimeline="9")),
    ("repoTargetTime", "spec.dataSource.repoTargetTime", source(repoTargetTime="2026-11-15T10:00:00Z")),
    ("repoTargetTime", "spec.dataSource.repoTargetTime", source(repository="both", storage="local", repoTargetTime="2026-11-15T10:00:00Z")),
    ("schema", "spec.dataSource.repository", {"dataSource": {"namespace": "apps"}}),
    ("immutable", "spec.dataSource", (source(), source(repository="new"))),
]  # fmt: skip

#: (kind, rule, name)
NAMES = [
    ("Repository", "name", "h" * 53),
    ("Repository", "name", "1st"),
    ("Backup", "name", "b" * 64),
    ("BackupSchedule", "name", "s" * 64),
    ("Restore", "name", "r" * 64),
    ("RestoreDrill", "name", "d" * 64),
    ("RestoreDrillSchedule", "name", "d" * 64),
    ("PostgresCluster", "name", "c" * 60),
    ("PostgresCluster", "name", "1st"),
    ("PostgresCluster", "taken", "hippo"),
]

#: (kind, spec, beginning of the warning)
WARNINGS = [
    ("Repository", {}, "no retention is set"),
    ("Repository", option("--archive-push-queue-max=1TiB"), "archive-push-queue-max lets"),
    ("Repository", option("--process-max=32 --compress-type=zst --compress-level=20"), "a backup with this process-max and compress-level"),
    ("Repository", option("--process-max=16") | {"sidecarResources": {"limits": {"memory": "128Mi"}}}, "a backup with this process-max and compress-level"),
    ("Repository", option("--no-archive-header-check"), "--no-archive-header-check: WAL of another"),
    ("Repository", option("--log-level-console=trace"), "--log-level-console=trace: each command writes"),
    ("Restore", option("--archive-mode=off"), "--archive-mode=off: what is restored archives nothing"),
    ("PostgresCluster", {"parameters": {"fsync": "off"}}, "spec.parameters.fsync off: after a crash"),
    ("PostgresCluster", {"parameters": {"zero_damaged_pages": "on"}}, "spec.parameters.zero_damaged_pages on: damaged"),
    ("PostgresCluster", ({"parameters": {"include": "x.conf", "work_mem": "8MB"}}, {"parameters": {"include": "x.conf"}}), "spec.parameters.include: cannot be set"),
    ("Repository", s3(verifyTLS=False), "spec.s3.verifyTLS is false"),
    ("Repository", s3(podCredentialsSecretRef={"name": "s3"}), "spec.s3.podCredentialsSecretRef and credentialsSecretRef name the same"),
    ("Repository", s3(cloneCredentialsSecretRef={"name": "s3"}), "spec.s3.cloneCredentialsSecretRef and credentialsSecretRef name the same"),
    ("Repository", s3(bucket="my_backups"), "bucket my_backups has an underscore"),
    ("Repository", s3() | {"local": {"size": "10Gi"}}, "spec.local has no effect"),
    ("Repository", s3(keyType="web-id", credentialsSecretRef=None), "keyType web-id: spec.serviceAccountName is empty"),
    ("Repository", (s3(path="/new"), s3(path="/old")), "the s3 storage moves"),
    ("Repository", (s3() | {"annotations": {"pgwarden.io/give-up-storage": "local"}}, {"storageType": "local,s3"}), "storage local is given up"),
    ("Repository", ({"sidecarResources": {"limits": {"memory": "1Gi"}}}, {}), "spec.sidecarResources: pods that run keep"),
    ("Repository", (s3(), s3() | {"accessMode": "ReadOnly"}), "pgwarden writes to stanza one from now on: after its first"),
    ("Repository", option("--backup-standby=y"), "--backup-standby=y: while no standby answers"),
    ("Backup", {"repository": "new"}, "Repository new has no full backup yet"),
    ("Backup", {"type": "full"} | option("--process-max=32 --compress-type=zst --compress-level=20"), "a backup with this process-max and compress-level"),
    ("Backup", {"repository": "lenient"} | option("--repo1-retention-full=7"), "--repo1-retention-full=7: is less than the 21"),
    ("Backup", {"repository": "one"} | option("--repo1-retention-full=42"), "--repo1-retention-full=42: is more than the 21"),
    ("BackupSchedule", {"type": "full"}, "next backups: "),
    ("RestoreDrillSchedule", {}, "next drills: "),
    ("RestoreDrillSchedule", {"suspend": True}, "the schedule is suspended: no drills"),
    ("RestoreDrillSchedule", {"template": {"target": {"xid": "700"}}}, "spec.template.target.xid is the same for every drill"),
    ("RestoreDrillSchedule", {"repository": "new", "template": {"set": INCR}}, "the backups of Repository new are not known yet"),
    ("BackupSchedule", {"suspend": True}, "the schedule is suspended"),
    ("BackupSchedule", {"schedule": "0 * * * *", "type": "full"}, "the schedule fires every"),
    ("BackupSchedule", ({"type": "full"} | option("--repo1-retention-full=21"), option("--repo1-retention-full=21")), "--repo1-retention-full=21: is more than"),
    ("BackupSchedule", ({"type": "full"} | option("--no-archive-check"), option("--no-archive-check")), "--no-archive-check: switches off a check"),
    ("BackupSchedule", {"repository": "roomy"} | option("--repo1-retention-full=3"), "--repo1-retention-full=3: each backup with it leaves"),
    ("BackupSchedule", {"repository": "both"} | option("--repo2-retention-full=3"), "--repo2-retention-full has no effect"),
    ("BackupSchedule", {"repository": "new"}, "backups of Repository new are kept forever"),
    ("BackupSchedule", {"type": "incr"}, "no BackupSchedule of Repository hippo makes full backups"),
    ("Restore", {"repository": "new", "target": {"time": "2026-11-15T10:00:00Z"}}, "the recovery window of Repository new"),
    ("Restore", {"repository": "new", "set": "20261101-000000F"}, "the backups of Repository new are not known"),
    ("Restore", {"repository": "many", "set": "20261101-000000F"}, "set 20261101-000000F is not among the newest 50 of 60"),
    ("Restore", {"repository": "busy"}, "waits for Restore "),
    ("Restore", {"undo": "bakc"}, "there is no Restore bakc of Repository hippo; did you mean back?"),
    ("PostgresCluster", {"synchronous": True}, "spec.synchronous has no effect"),
    ("PostgresCluster", source(repository="new", target={"time": "2026-11-15T10:00:00Z"}), "spec.dataSource: the recovery"),
    ("PostgresCluster", source(repository="broken"), "spec.dataSource: Repository broken is not Ready"),
]  # fmt: skip

READ_ONLY: Spec = {"storageType": "s3", "s3": S3, "accessMode": "ReadOnly"}

#: Pods: (rule, field, container's fields and the pod's initContainers and volumes, the Repository's spec.postgres, or READ_ONLY)
PODS = [
    ("no-repository", "metadata.labels[pgwarden.io/repository]", {}, None),
    ("repository", "metadata.labels[pgwarden.io/repository]", {}, {"port": "x"}),
    ("read-only", "metadata.labels[pgwarden.io/repository]", {}, READ_ONLY),
    ("container", "spec.containers", {}, {"container": "pg"}),
    ("container", "spec.containers", {"name": "a"}, {}),
    ("data-directory", "spec.containers[0].env[PGDATA]", {"env": [{"name": "PGDATA", "valueFrom": {}}]}, {}),
    ("data-directory", "spec.containers[0].image", {"image": "postgres", "volumeMounts": [{"name": "data", "mountPath": "/var/lib/postgresql"}]}, {}),
    ("data-volume", "spec.containers[0].volumeMounts", {}, {"dataDirectory": "/pgdata"}),
    ("data-directory", "spec.containers[0].args", {"args": ["-D", "$(WHERE)"]}, {}),
    ("data-directory", "spec.containers[0].image", {"image": "acme/pg:1", "securityContext": {"runAsUser": 5}, "volumeMounts": [{"name": "data", "mountPath": "/data"}]}, {}),
    ("data-volume", "spec.containers[0].volumeMounts", {"volumeMounts": [{"name": "data", "mountPath": "/var/lib/postgresql"}]}, {}),
    ("data-volume", "spec.containers[0].volumeMounts", {"image": "acme/pg:1", "securityContext": {"runAsUser": 5}, "volumeMounts": []}, {}),
    ("version", "spec.containers[0].image", {"image": "postgres:11.5"}, {}),
    ("run-as-user", "spec.containers[0].securityContext.runAsUser", {"image": "acme/pg:1"}, {}),
    ("sub-path", "spec.containers[0].volumeMounts", {"volumeMounts": [{"name": "data", "mountPath": "/var/lib/postgresql/data", "subPathExpr": "$(X)"}]}, {}),
    ("taken", "spec.containers[0].name", {"name": "pgwarden"}, {}),
    ("taken", "spec.initContainers[0].name", {"initContainers": [{"name": "pgwarden-tools"}]}, {}),
    ("taken", "spec.volumes[0].name", {"volumes": [{"name": "pgwarden-conf", "emptyDir": {}}]}, {}),
    ("taken", "spec.containers[0].ports", {"ports": [{"containerPort": 8432}]}, {}),
    ("taken", "spec.containers[0].volumeMounts", {"volumeMounts": [{"name": "data", "mountPath": "/var/lib/postgresql/data"}, {"name": "x", "mountPath": "/pgwarden/x"}]}, {}),
    ("archive-command", "spec.containers[0].args[1]", {"args": ["-c", "archive_command=cp %p /x"]}, {}),
    ("restore-command", "spec.containers[0].command[1]", {"command": ["postgres", "--restore-command=x"]}, {}),
    ("archive-library", "spec.containers[0].args[0]", {"args": ["--archive_library=basic_archive"]}, {}),
    ("archive-mode", "spec.containers[0].args[1]", {"args": ["-c", "archive_mode=off"]}, {}),
    ("archive-mode", "spec.containers[0].args[1]", {"args": ["-c", "archive_mode=always"]}, {}),
    ("wal-level", "spec.containers[0].args[1]", {"args": ["-c", "wal_level=minimal"]}, {}),
]  # fmt: skip

#: Repository, its sets by their types, oldest first, and the number of the one whose Backup is deleted with its set.
DELETED_BACKUPS = [
    ("hippo", "FIF", 0),
    ("hippo", "FIF", 1),
    ("hippo", "FI", 0),
    ("hippo", "FF" + "I" * 59, 0),
    ("hippo", "FF" + "I" * 59, 1),
    ("gone", "F", 0),
]
