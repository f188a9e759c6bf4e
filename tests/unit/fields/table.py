"""For each field of each kind: two values, and where the difference shows; or that a change is refused.

A new field needs a row. So does one whose effect comes to be another: what nothing shows is refused, or done.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from tests.unit.fields import effects
from tests.unit.fields.effects import Effect, Spec, each
from tests.unit.fields.leaves import UNSET, put

SIZES = {"cpu": "2", "memory": "1Gi"}
LOCAL: Spec = {"storageType": "local", "local": {"size": "1Gi"}}
KEYS = {"name": "keys"}
BUCKET = {
    "bucket": "backups",
    "endpoint": "s3.example",
    "region": "r",
    "uriStyle": "path",
    "credentialsSecretRef": KEYS,
}
S3: Spec = {"storageType": "s3", "s3": BUCKET}
WEB_ID: Spec = {"storageType": "s3", "s3": {k: v for k, v in BUCKET.items() if v is not KEYS} | {"keyType": "web-id"}}
ROLE = "arn:aws:iam::123456789012:role/backup"
BACKUP: Spec = {"repository": "hippo"}
SCHEDULE: Spec = {"repository": "hippo", "schedule": "0 1 * * *", "type": "full"}
DRILL_SCHEDULE: Spec = {"repository": "hippo", "schedule": "0 1 * * *", "template": {}}
RANDOM_DRILLS: Spec = DRILL_SCHEDULE | {"template": {"target": {"random": True}}}
RESTORE: Spec = {"repository": "hippo"}
CLUSTER: Spec = {"instances": {"replicas": 2}, "repository": {"storageType": "local"}}


@dataclass(frozen=True)
class Row:
    """*effect* None: the change is refused. *beside*: the rest of the spec."""

    before: Any
    after: Any
    effect: Effect | None
    beside: Spec = field(default_factory=dict)
    also: Spec = field(default_factory=dict)  # what has to change with it, by path

    def specs(self, path: str) -> tuple[Spec, Spec]:
        after = put(self.beside, path, self.after)
        for other, value in self.also.items():
            after = put(after, other, value)
        return put(self.beside, path, self.before), after


def rows(effect: Effect | None, beside: Spec, values: dict[str, tuple[Any, Any]]) -> dict[str, Row]:
    return {path: Row(before, after, effect, beside) for path, (before, after) in values.items()}


def within(prefix: str, found: dict[str, Row], effect: Effect, beside: Spec) -> dict[str, Row]:
    """The same values of a part that another kind has too. What is refused there is refused here."""
    return {
        f"{prefix}.{path}": replace(
            row,
            effect=row.effect and effect,
            beside=put(beside, prefix, row.beside),
            also={f"{prefix}.{other}": value for other, value in row.also.items()},
        )
        for path, row in found.items()
    }


_TERM = {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}
_PODS = {"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "x"}}}
_REQUIRED, _PREFERRED = (
    "requiredDuringSchedulingIgnoredDuringExecution",
    "preferredDuringSchedulingIgnoredDuringExecution",
)
POD: dict[str, tuple[Any, Any]] = {
    "metadata.labels": ({"a": "b"}, {"a": "c"}),
    "metadata.annotations": ({"a": "b"}, {"a": "c"}),
    "spec.nodeSelector": ({"zone": "a"}, {"zone": "b"}),
    "spec.tolerations": (UNSET, [{"key": "db", "operator": "Exists"}]),
    f"spec.affinity.nodeAffinity.{_REQUIRED}.nodeSelectorTerms": (UNSET, [_TERM]),
    f"spec.affinity.nodeAffinity.{_PREFERRED}": (UNSET, [{"weight": 1, "preference": _TERM}]),
    f"spec.affinity.podAffinity.{_REQUIRED}": (UNSET, [_PODS]),
    f"spec.affinity.podAffinity.{_PREFERRED}": (UNSET, [{"weight": 1, "podAffinityTerm": _PODS}]),
    f"spec.affinity.podAntiAffinity.{_REQUIRED}": (UNSET, [_PODS]),
    f"spec.affinity.podAntiAffinity.{_PREFERRED}": (UNSET, [{"weight": 1, "podAffinityTerm": _PODS}]),
    "spec.topologySpreadConstraints": (UNSET, [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}]),
    "spec.priorityClassName": ("low", "high"),
    "spec.runtimeClassName": (UNSET, "gvisor"),
    "spec.schedulerName": (UNSET, "volcano"),
    "spec.imagePullSecrets": (UNSET, [{"name": "registry"}]),
}  # fmt: skip


def pod_template(prefix: str, effect: Effect, beside: Spec) -> dict[str, Row]:
    return rows(effect, beside, {f"{prefix}.{path}": values for path, values in POD.items()})


#: Of a Repository, and of the one in a PostgresCluster.
STORED: dict[str, Row] = {
    "storageType": Row("local", "local,s3", effects.objects, LOCAL, {"s3": BUCKET}),
    "local.storageClassName": Row(UNSET, "fast", None, LOCAL),
    "local.size": Row("1Gi", "2Gi", effects.objects, LOCAL),
    **rows(effects.objects, S3, {
        "s3.bucket": ("backups", "others"),
        "s3.endpoint": ("s3.example", "s3.example:9000"),
        "s3.region": ("r", "eu"),
        "s3.path": ("/a", "/b"),
        "s3.uriStyle": ("path", "host"),
        "s3.verifyTLS": (True, False),
        "s3.caSecretRef.name": ("ca-one", "ca-two"),
        "s3.credentialsSecretRef.name": ("keys", "keys-two"),
        "s3.podCredentialsSecretRef.name": ("keys", "keys-two"),
    }),
    "s3.cloneCredentialsSecretRef.name": Row("keys", "keys-two", each(effects.clone_keys), S3),
    "s3.caSecretRef.key": Row("ca.crt", "other.crt", effects.objects, put(S3, "s3.caSecretRef.name", "ca-one")),
    "s3.keyType": Row("web-id", "auto", effects.objects, put(WEB_ID, "serviceAccountName", "backup")),
    "s3.roleARN": Row(ROLE, f"{ROLE}-2", effects.objects, put(WEB_ID, "serviceAccountName", "backup")),
    "serviceAccountName": Row("one", "two", effects.objects, WEB_ID),
    **rows(effects.objects, LOCAL | {"retention": {"full": 7}}, {
        "retention.full": (7, 8),
        "retention.fullType": ("count", "time"),
        "retention.diff": (2, 3),
    }),
    **rows(None, LOCAL, {"encryption.secretRef.name": ("one", "two")}),
    "encryption.secretRef.key": Row("a", "b", None, put(LOCAL, "encryption.secretRef.name", "one")),
    **rows(effects.objects, LOCAL, {
        "options": ([], ["--compress-level=3"]),
        "resources.requests": (UNSET, SIZES),
        "resources.limits": (UNSET, SIZES),
    }),
    **rows(each(effects.injected), LOCAL, {
        "sidecarResources.requests": (UNSET, SIZES),
        "sidecarResources.limits": (UNSET, SIZES),
    }),
    **pod_template("podTemplate", effects.objects, LOCAL),
    "archiveTimeout": Row("60s", "5min", effects.asks_postgres, LOCAL),
    "cloneableFrom": Row([], ["ns"], each(effects.cloned), LOCAL),
    "retention.allowShorter": Row(False, True, each(effects.allows("--repo1-retention-full=2")), put(LOCAL, "retention.full", 7)),
    "allowDisabledChecks": Row(False, True, each(effects.allows("--no-checksum-page")), LOCAL),
    "onExistingBackups": Row("Refuse", "Recover", each(effects.brings_back), LOCAL),
}  # fmt: skip

REPOSITORY: dict[str, Row] = STORED | {
    **rows(each(effects.injected), LOCAL, {
        "postgres.container": ("postgres", "other"),
        "postgres.dataDirectory": (UNSET, "/var/lib/postgresql/data/pgdata"),
        "postgres.port": (5432, 5433),
        "postgres.socketDirectory": ("/var/run/postgresql", "/tmp"),
        "postgres.user": ("postgres", "admin"),
        "postgres.database": ("postgres", "other"),
        "postgres.passwordSecretRef.name": ("one", "two"),
        "postgres.runAsUser": (999, 1000),
        "postgres.runAsGroup": (999, 1000),
        "postgres.configureBy": ("Arguments", "AlterSystem"),
    }),
    "postgres.passwordSecretRef.key": Row("a", "b", each(effects.injected), put(LOCAL, "postgres.passwordSecretRef.name", "one")),
    "postgres.majorVersion": Row(UNSET, 18, effects.takes_on_major, LOCAL),
    "stanza": Row(UNSET, "main", None, S3),
    "accessMode": Row("ReadOnly", "ReadWrite", each(effects.is_injected), S3),
}  # fmt: skip

_OF_A_BACKUP: dict[str, tuple[Any, Any]] = {
    "repository": ("hippo", "rhino"),
    "type": ("full", "diff"),
    "storage": ("", "local"),
    "options": ([], ["--start-fast"]),
    "activeDeadlineSeconds": (3600, 7200),
    "notDuring": ([], [{"schedule": "0 0 * * *", "duration": "2h"}]),
    "resources.requests": (UNSET, SIZES),
    "resources.limits": (UNSET, SIZES),
    "podLabels": ({}, {"a": "b"}),
    "podAnnotations": ({}, {"a": "b"}),
}

_OF_A_RECOVERY: dict[str, tuple[Any, Any]] = {
    "repository": ("hippo", "rhino"),
    "target.time": ("2026-11-15T10:00:00Z", "2026-11-15T11:00:00Z"),
    "target.lsn": ("0/4000000", "0/5000000"),
    "target.xid": ("700", "701"),
    "target.name": ("a", "b"),
    "target.immediate": (UNSET, True),
    "targetTimeline": ("latest", "current"),
    "set": ("", "latest"),
    "storage": ("", "local"),
    "newVolume.storageClassName": ("a", "b"),
    "newVolume.size": ("1Gi", "2Gi"),
}

_OF_A_SCHEDULE = {
    "schedule": ("0 1 * * *", "0 2 * * *"),
    "timeZone": ("UTC", "Europe/Berlin"),
    "spread": ("", "2h"),
}
_OF_ITS_RUNS = {"suspend": (False, True), "startingDeadlineSeconds": (3600, 60)}
_OF_ITS_HISTORY = {"successfulHistoryLimit": (3, 1), "failedHistoryLimit": (3, 1)}
_DRILL = rows(None, RESTORE, _OF_A_RECOVERY | {
    "target.random": (UNSET, True),
    "seed": (1, 2),
    "databases": ([], ["app"]),
    "checks": ([], [{"name": "a", "sql": "SELECT true"}]),
    "resources.requests": (UNSET, SIZES),
    "resources.limits": (UNSET, SIZES),
    "activeDeadlineSeconds": (3600, 60),
    "keepFailedHours": (0, 24),
})  # fmt: skip

TABLE: dict[str, dict[str, Row]] = {
    "Repository": REPOSITORY,
    "Backup": rows(None, BACKUP, _OF_A_BACKUP)
    | {"deletionPolicy": Row("Retain", "Delete", each(effects.expires), BACKUP)},
    "BackupSchedule": rows(each(effects.backups), SCHEDULE, _OF_A_BACKUP)
    | rows(each(effects.run_times), SCHEDULE, _OF_A_SCHEDULE)
    | rows(each(effects.plans), SCHEDULE, _OF_ITS_RUNS)
    | rows(effects.history, SCHEDULE, _OF_ITS_HISTORY),
    "Restore": rows(None, RESTORE, _OF_A_RECOVERY | {
        "undo": ("one", "two"),
        "repoTargetTime": ("", "2026-11-15T10:00:00Z"),
        "options": ([], ["--process-max=2"]),
        "volumeClaim": ("a", "b"),
        "image": ("a", "b"),
        "keepOldVolume": (True, False),
        "reenableAutofail": (False, True),
    })
    | {"recoveryTimeoutSeconds": Row(3600, 60, each(effects.given_up), RESTORE)},
    "RestoreDrill": _DRILL,
    "RestoreDrillSchedule": {
        **rows(each(effects.run_times), DRILL_SCHEDULE, _OF_A_SCHEDULE),
        **rows(each(effects.plans), DRILL_SCHEDULE, _OF_ITS_RUNS),
        **rows(effects.history, DRILL_SCHEDULE, _OF_ITS_HISTORY),
        "repository": Row("hippo", "rhino", each(effects.drills), DRILL_SCHEDULE),
        **{
            f"template.{path}": replace(row, effect=each(effects.drills), beside=DRILL_SCHEDULE)
            for path, row in _DRILL.items()
            if path != "repository"
        },
        "template.seed": Row(1, 2, each(effects.drills), RANDOM_DRILLS),
    },
    "PostgresCluster": {
        **rows(None, put(CLUSTER, "dataSource.repository", "hippo"), {
            "dataSource.repository": ("hippo", "rhino"),
            "dataSource.namespace": (UNSET, "apps"),
            "dataSource.target.time": (UNSET, "2026-11-15T10:00:00Z"),
            "dataSource.target.lsn": (UNSET, "0/4000000"),
            "dataSource.target.xid": (UNSET, "700"),
            "dataSource.target.name": (UNSET, "a"),
            "dataSource.target.immediate": (UNSET, True),
            "dataSource.targetTimeline": (UNSET, "latest"),
            "dataSource.set": (UNSET, "latest"),
            "dataSource.storage": (UNSET, "local"),
            "dataSource.repoTargetTime": (UNSET, "2026-11-15T10:00:00Z"),
            "dataSource.options": (UNSET, ["--process-max=2"]),
        }),
        "postgresVersion": Row(17, 16, None, CLUSTER | {"image": "x"}),
        "instances.storage.storageClassName": Row(UNSET, "fast", None, CLUSTER),
        "instances.storage.size": Row("10Gi", "20Gi", each(effects.claims), CLUSTER),
        "instances.replicas": Row(2, 3, each(effects.next_step), CLUSTER),
        **rows(each(effects.pods), CLUSTER, {
            "image": ("", "mine:1"),
            "instances.resources.requests": (UNSET, SIZES),
            "instances.resources.limits": (UNSET, SIZES),
        }),
        **pod_template("instances.podTemplate", each(effects.pods), CLUSTER),
        "tls.required": Row(True, False, each(effects.configured), CLUSTER),
        "tls.secretRef.name": Row(UNSET, "mine", effects.certificate, CLUSTER),
        **rows(each(effects.configured), CLUSTER, {
            "parameters": ({"work_mem": "4MB"}, {"work_mem": "8MB"}),
            "autofail": (True, False),
            "synchronous": (False, True),
        }),
        "deletionProtection": Row(True, False, each(effects.may_go), CLUSTER),
        **within("repository", STORED, each(effects.own_repository), CLUSTER),
    },
}  # fmt: skip
