"""The kinds as typed values. Field names are the CRDs' (camelCase there, snake_case here); defaults are the CRDs'.

`msgspec.convert(obj["spec"], RepositorySpec)` reads a spec that the API server has validated and defaulted; the same
rules are in crds/ (schema, CEL) and in pgwarden/rules (everything), so nothing here checks.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pgwarden.api import archive_timeout, postgres_majors


class Model(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Base of the spec types: camelCase on the wire, immutable here, unknown fields ignored."""


class SecretKeyRef(Model, frozen=True, kw_only=True):
    name: str
    key: str = ""


class LocalStorage(Model, frozen=True, kw_only=True):
    storage_class_name: str | None = None
    size: str = "10Gi"


class S3Storage(Model, frozen=True, kw_only=True):
    bucket: str = ""
    endpoint: str = ""
    region: str = ""
    path: str = ""
    uri_style: str = "host"
    verify_tls: bool = msgspec.field(default=True, name="verifyTLS")
    ca_secret_ref: SecretKeyRef | None = None
    key_type: str = "shared"  # shared | auto | web-id
    role_arn: str = msgspec.field(default="", name="roleARN")
    credentials_secret_ref: SecretKeyRef | None = None
    pod_credentials_secret_ref: SecretKeyRef | None = None  # of PostgreSQL's pods; default: credentials_secret_ref
    clone_credentials_secret_ref: SecretKeyRef | None = None  # of clones; default: those of pods


class PostgresAccess(Model, frozen=True, kw_only=True):
    """How PostgreSQL is found in a labelled pod. Empty values are worked out by the webhook from the pod itself."""

    container: str = ""  # default: the container named postgres, else database, else the pod's only one
    data_directory: str = ""  # default: the arguments', PGDATA, the image's
    port: int | None = None  # default: the arguments', the variables', 5432
    socket_directory: str = ""  # default: the arguments', the image's
    user: str = ""  # default: the variables', the image's
    database: str = ""  # default: postgres
    password_secret_ref: SecretKeyRef | None = None
    run_as_user: int | None = None  # default: securityContext, else the official image's habit (999, Alpine 70)
    run_as_group: int | None = None
    configure_by: str = "Auto"  # Auto | Arguments | AlterSystem | Patroni
    major_version: int | None = None  # to which the stanza is upgraded where PostgreSQL is of it, and the stanza is not


class Retention(Model, frozen=True, kw_only=True):
    full: int | None = None
    full_type: str = "count"  # count | time (days)
    diff: int | None = None
    allow_shorter: bool = False  # options of Backups and BackupSchedules may keep less


class Encryption(Model, frozen=True, kw_only=True):
    secret_ref: SecretKeyRef


class PodMetadata(Model, frozen=True, kw_only=True):
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class SecretRef(Model, frozen=True, kw_only=True):
    name: str


class PodScheduling(Model, frozen=True, kw_only=True):
    """Fields of a Kubernetes pod's spec. None: taken over from the pods that are protected, where that is done."""

    node_selector: dict[str, str] | None = None
    tolerations: list[dict[str, Any]] | None = None
    affinity: dict[str, Any] | None = None
    topology_spread_constraints: list[dict[str, Any]] | None = None
    priority_class_name: str | None = None
    runtime_class_name: str = ""
    scheduler_name: str = ""
    image_pull_secrets: list[SecretRef] | None = None


class PodTemplate(Model, frozen=True, kw_only=True):
    """How pods of ours are made, besides what they run."""

    metadata: PodMetadata = msgspec.field(default_factory=PodMetadata)
    spec: PodScheduling = msgspec.field(default_factory=PodScheduling)


READ_WRITE, READ_ONLY = "ReadWrite", "ReadOnly"  # spec.accessMode of a Repository


class RepositorySpec(Model, frozen=True, kw_only=True):
    storage_type: str = "local"  # local | s3 | local,s3
    local: LocalStorage | None = None
    s3: S3Storage | None = None
    postgres: PostgresAccess = msgspec.field(default_factory=PostgresAccess)
    retention: Retention | None = None
    encryption: Encryption | None = None
    options: list[str] = []  # further pgBackRest options, `--name=value`, allow-listed
    allow_disabled_checks: bool = False  # options of Backups and BackupSchedules may switch checks off
    resources: dict[str, Any] | None = None  # of each container of the host and of Jobs
    sidecar_resources: dict[str, Any] | None = None
    pod_template: PodTemplate = msgspec.field(default_factory=PodTemplate)  # of the host and of Jobs
    service_account_name: str = ""
    archive_timeout: str = archive_timeout.DEFAULT  # of PostgreSQL, where the user has not set it; off: left alone
    cloneable_from: list[str] = []  # namespaces besides its own; "*" is all
    on_existing_backups: str = "Refuse"  # Refuse | Recover: a new PostgreSQL over what an earlier one has left there
    stanza: str = ""  # of a repository that pgBackRest without pgwarden has laid; default: the Repository's name
    access_mode: str = READ_WRITE  # ReadWrite | ReadOnly: nothing is written to its storages, nor removed there

    @property
    def is_read_only(self) -> bool:
        return self.access_mode == READ_ONLY

    @property
    def recovers(self) -> bool:
        """Whether a new PostgreSQL begins with what an earlier one has left in the repository."""
        return self.on_existing_backups == "Recover"

    @property
    def storages(self) -> tuple[str, ...]:
        """("local",), ("s3",) or ("local", "s3"): the n-th is pgBackRest's repo n."""
        return tuple(self.storage_type.split(","))

    def repo_number(self, storage: str) -> int:
        """pgBackRest's repository number of *storage*; the first storage where it is empty. ValueError if not there."""
        return self.storages.index(storage or self.storages[0]) + 1


class Window(Model, frozen=True, kw_only=True):
    """A time in which no backup begins: from each time that the expression fires, for `duration`."""

    schedule: str
    duration: str  # such as 10h or 1h30m: see api.duration
    time_zone: str = ""  # default: the BackupSchedule's; of a Backup UTC


class BackupSpec(Model, frozen=True, kw_only=True):
    repository: str
    type: str = "incr"  # full | diff | incr; options may carry --type, the one given there wins
    storage: str = ""
    options: list[str] = []
    active_deadline_seconds: int | None = None
    not_during: list[Window] = []
    resources: dict[str, Any] | None = None  # of its Job; default: the Repository's
    pod_labels: dict[str, str] = {}  # of its Job's pod
    pod_annotations: dict[str, str] = {}
    deletion_policy: str = "Retain"  # Retain | Delete: what becomes of the set when the object is deleted


class ScheduleSpec(Model, frozen=True, kw_only=True):
    """What all schedules have: when something is made, and how many of it are kept."""

    repository: str
    schedule: str
    time_zone: str = "UTC"
    spread: str = ""  # by how much a run is put off at most, the same for each of this schedule: see api.duration
    suspend: bool = False
    starting_deadline_seconds: int | None = None
    successful_history_limit: int = 3
    failed_history_limit: int = 3

    @property
    def windows(self) -> list[Window]:
        """In which no run begins."""
        return []


class BackupScheduleSpec(ScheduleSpec, frozen=True, kw_only=True):
    type: str = "incr"
    storage: str = ""
    options: list[str] = []
    active_deadline_seconds: int | None = None  # this and the next four are as in its Backups
    not_during: list[Window] = []
    resources: dict[str, Any] | None = None
    pod_labels: dict[str, str] = {}
    pod_annotations: dict[str, str] = {}

    @property
    def windows(self) -> list[Window]:
        return self.not_during


class RestoreTarget(Model, frozen=True, kw_only=True):
    """At most one is set; none means the latest WAL. `time` is RFC 3339 or PostgreSQL's form; zone mandatory."""

    time: str | None = None
    lsn: str | None = None
    xid: str | None = None
    name: str | None = None
    immediate: bool | None = None


class NewVolume(Model, frozen=True, kw_only=True):
    """Where a restore writes; None is like the old volume."""

    storage_class_name: str | None = None
    size: str | None = None


class RestoreSpec(Model, frozen=True, kw_only=True):
    repository: str
    undo: str = ""  # name of the Restore whose state before is brought back; instead of target, set, target_timeline
    target: RestoreTarget | None = None
    target_timeline: str = ""
    set: str = ""
    storage: str = ""
    repo_target_time: str = ""  # the repository is read as it was then; needs volume_claim
    options: list[str] = []
    volume_claim: str = ""  # restore into a new PVC of this name and touch nothing else
    image: str = ""  # with volume_claim: whose PostgreSQL recovers; default: the workload's
    new_volume: NewVolume | None = None
    keep_old_volume: bool = True
    recovery_timeout_seconds: int = 3600  # of standstill; the one field that may be changed
    reenable_autofail: bool = False


class DrillCheck(Model, frozen=True, kw_only=True):
    """SQL that is run on the restored server, and what it has to say."""

    name: str
    sql: str
    expect: str | None = None  # the output, as psql prints it; default: t, where neither min nor max is given
    min: int | str | None = None  # bounds of the output, which is a number then
    max: int | str | None = None
    database: str = ""  # default: the Repository's, or the first of `databases` where that is not among them
    timeout_seconds: int = 60


class DrillTarget(RestoreTarget, frozen=True, kw_only=True):
    """A Restore's, or a moment that is drawn."""

    random: bool | None = None


class DrillTemplate(Model, frozen=True, kw_only=True):
    """A restore into a volume that is deleted afterwards: the fields of a Restore, and what has to be true then."""

    target: DrillTarget | None = None
    seed: int | None = None  # by which a random target is drawn
    target_timeline: str = ""
    set: str = ""
    storage: str = ""
    new_volume: NewVolume | None = None
    databases: list[str] = []  # that are restored and checked; none: all
    checks: list[DrillCheck] = []
    resources: dict[str, Any] | None = None  # of the pod with the checks; default: the Repository's
    active_deadline_seconds: int = 21600
    keep_failed_hours: int = 0  # so long what one that failed has made is kept

    @property
    def is_random(self) -> bool:
        return self.target is not None and bool(self.target.random)


class RestoreDrillSpec(DrillTemplate, frozen=True, kw_only=True):
    repository: str


class RestoreDrillScheduleSpec(ScheduleSpec, frozen=True, kw_only=True):
    template: DrillTemplate = msgspec.field(default_factory=DrillTemplate)  # of its RestoreDrills


class DataSource(Model, frozen=True, kw_only=True):
    """Where a PostgresCluster begins as a copy from, and at which point: the fields of a Restore."""

    repository: str
    namespace: str = ""  # default: the cluster's own
    target: RestoreTarget | None = None
    target_timeline: str = ""
    set: str = ""
    storage: str = ""
    repo_target_time: str = ""
    options: list[str] = []

    def as_restore(self) -> RestoreSpec:
        return RestoreSpec(
            repository=self.repository,
            target=self.target,
            target_timeline=self.target_timeline,
            set=self.set,
            storage=self.storage,
            repo_target_time=self.repo_target_time,
            options=self.options,
        )


class InstanceStorage(Model, frozen=True, kw_only=True):
    storage_class_name: str | None = None
    size: str = "10Gi"


class Instances(Model, frozen=True, kw_only=True):
    """All instances of a PostgresCluster: one primary, the others replicas."""

    replicas: int = 1
    storage: InstanceStorage = msgspec.field(default_factory=InstanceStorage)
    resources: dict[str, Any] | None = None
    pod_template: PodTemplate = msgspec.field(default_factory=PodTemplate)


class ClusterTls(Model, frozen=True, kw_only=True):
    """How clients of a PostgresCluster reach it."""

    required: bool = True  # whether a client without TLS is refused
    secret_ref: SecretRef | None = None  # kubernetes.io/tls; default: a certificate of the cluster's own CA


class PostgresClusterSpec(Model, frozen=True, kw_only=True):
    instances: Instances = msgspec.field(default_factory=Instances)
    postgres_version: int = postgres_majors.DEFAULT
    image: str = ""  # default: the operator's; a user's own must have Patroni, and PostgreSQL as uid 999
    parameters: dict[str, str | int] = {}
    autofail: bool = True
    synchronous: bool = False
    deletion_protection: bool = True  # whether the webhook refuses to have it deleted
    data_source: DataSource | None = None
    tls: ClusterTls | None = None
    repository: dict[str, Any] = {}  # a Repository's spec without `postgres`, handed on as it is


class ValueSource(Model, frozen=True, kw_only=True):
    """A variable of what works beside PostgreSQL, and the key that it takes its value from."""

    variable: str
    kind: str  # secretKeyRef | configMapKeyRef
    name: str
    key: str


class PodFacts(Model, frozen=True, kw_only=True):
    """What the webhook found out of a PostgreSQL pod and wrote on it: how to reach PostgreSQL there."""

    container: str
    data_directory: str
    port: int
    socket_directory: str
    user: str
    database: str
    run_as_user: int
    run_as_group: int
    configured_by: str  # Arguments | AlterSystem | Patroni
    data_volume: str  # name of the pod's volume that holds the data directory
    sources: tuple[ValueSource, ...] = ()  # of what is not known here: port 0, an empty user, the password
