"""Shapes of real manifests, in our own words: what of a public chart's or repository's pod matters to an injection, and what
is right for it under a Repository that says nothing of PostgreSQL. Origin and name are as they were found in the field.
"""

from __future__ import annotations

from typing import Any, NamedTuple

DATA, PARENT, USUAL = "/var/lib/postgresql/data", "/var/lib/postgresql", "/var/run/postgresql"
ALTER, ARGS = "AlterSystem", "Arguments"
USER, PORT, PASSWORD = "PGWARDEN_PG_USER", "PGWARDEN_PG_PORT", "PGPASSWORD"
EMPTY, CLAIM = {"emptyDir": {}}, {"persistentVolumeClaim": {"claimName": "data"}}
#: Parts of a refusal's sentences.
LOOK = "spec.postgres.dataDirectory, runAsUser and runAsGroup"
NO_VOLUME = "is on no volume, so its data would be lost with the container; mount a volume there"
NO_DATA, NO_USER = (
    "it is not known where this image keeps its data; run `psql",
    "the user ID of PostgreSQL is not known for this image",
)
ON_EMPTY = "is deleted with the pod, and a Restore cannot use it"


class Is(NamedTuple):
    """Injected like this. An empty user and port 0 come by reference."""

    data: str
    how: str
    uid: int
    gid: int = -1  # as the uid
    user: str = "postgres"
    port: int = 5432
    socket: str = USUAL
    by_reference: tuple[str, ...] = ()
    given: str = ""  # a password as it stands in the pod, or its file
    container: str = "postgres"
    read: tuple[str, ...] = ("data",)  # volumes that pgBackRest reads
    warns: str = ""


class Refused(NamedTuple):
    """Each sentence is told, and no other; and what comes of it where the user does as it says."""

    says: tuple[str, ...]
    does: dict[str, Any] | None = None  # spec.postgres
    then: Any = None  # Is, or what is refused even so


class Manifest(NamedTuple):
    name: str
    source: str
    image: str
    right: Is | Refused
    at: str = DATA  # where the data volume is mounted; empty: nowhere
    env: tuple[dict[str, Any], ...] = ()
    env_from: tuple[dict[str, Any], ...] = ()
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    mounts: tuple[dict[str, Any], ...] = ()
    volumes: tuple[dict[str, Any], ...] = ()
    sub_path: str = ""
    on: dict[str, Any] = CLAIM
    container: str = "postgres"
    uid: int | None = None
    beside: tuple[dict[str, Any], ...] = ()
    pod: dict[str, Any] | None = None  # more of its spec


def old(major: str) -> str:
    return f"PostgreSQL {major} is too old: pgwarden needs 14 or later; upgrade it, or remove the label"


def is_(name: str, value: str) -> dict[str, Any]:
    return {"name": name, "value": value}


def key(name: str, of: str, kind: str = "secretKeyRef") -> dict[str, Any]:
    return {"name": name, "valueFrom": {kind: {"name": "pg", "key": of}}}


def field(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def mount(name: str, path: str, **more: str) -> dict[str, Any]:
    return {"name": name, "mountPath": path} | more


ALL_OF_SECRET, ALL_OF_MAP = ({"secretRef": {"name": "pg"}},), ({"configMapRef": {"name": "pg"}},)
BY_ALL = (USER, PORT, PASSWORD)
PGDATA = is_("PGDATA", f"{DATA}/pgdata")
EXPORTER = ({"name": "metrics", "image": "quay.io/prometheuscommunity/postgres-exporter:v0.20.1"},)
BITNAMI_ENV = (
    is_("POSTGRESQL_VOLUME_DIR", "/bitnami/postgresql"), is_("PGDATA", "/bitnami/postgresql/data"),
    is_("POSTGRESQL_PORT_NUMBER", "5432"),
)  # fmt: skip
BITNAMI_MOUNTS = (
    mount("empty-dir", "/tmp", subPath="tmp-dir"), mount("empty-dir", "/opt/bitnami/postgresql/conf", subPath="app-conf-dir"),
    mount("dshm", "/dev/shm"),
)  # fmt: skip
BITNAMI: dict[str, Any] = {
    "at": "/bitnami/postgresql", "mounts": BITNAMI_MOUNTS, "uid": 1001, "container": "postgresql",
    "volumes": ({"name": "empty-dir", **EMPTY}, {"name": "dshm", "emptyDir": {"medium": "Memory"}}),
}  # fmt: skip
IN_BITNAMI = Is(
    "/bitnami/postgresql/data", ALTER, 1001, socket="/tmp", by_reference=(PASSWORD,), container="postgresql",
)  # fmt: skip
SCL, SCL_AT = "/var/lib/pgsql/data/userdata", "/var/lib/pgsql/data"
SCL_ENV = (key("POSTGRESQL_USER", "user"), key("POSTGRESQL_PASSWORD", "password"), is_("POSTGRESQL_DATABASE", "app"))

MANIFESTS = (
    # --- they are admitted, and were silently wrong once --------------------------------------------------------------
    Manifest(
        "bitnami-default", "chart bitnami/postgresql", "registry-1.docker.io/bitnami/postgresql:17.6.0-debian-12-r4",
        IN_BITNAMI, env=(*BITNAMI_ENV, key("POSTGRES_PASSWORD", "postgres-password")), **BITNAMI,
    ),
    Manifest(
        "bitnami-password-files", "chart bitnami/postgresql, its newer default", "bitnami/postgresql:17.6.0-debian-12-r4",
        IN_BITNAMI._replace(by_reference=(), given="/opt/bitnami/postgresql/secrets/postgres-password"),
        env=(*BITNAMI_ENV, is_("POSTGRES_PASSWORD_FILE", "/opt/bitnami/postgresql/secrets/postgres-password")),
        **BITNAMI | {
            "mounts": (*BITNAMI_MOUNTS, mount("password", "/opt/bitnami/postgresql/secrets/")),
            "volumes": (*BITNAMI["volumes"], {"name": "password", "secret": {"secretName": "pg"}}),
        },
    ),
    Manifest("cetic-pg115", "cetic/helm-postgresql", "postgres:11.5", Refused((old("11"),)), env=(PGDATA,)),
    Manifest(
        "concourse", "concourse/concourse-chart", "postgres:17", Is(DATA, ARGS, 999, user="", port=0, by_reference=BY_ALL, container="db"),
        env_from=ALL_OF_SECRET, container="db",
    ),
    Manifest(
        "g1raffi-ephemeral", "g1raffi/doc", "postgres:latest",
        Is(f"{DATA}/pgdata", ARGS, 999, user="user", given="secret", warns=ON_EMPTY),
        env=(PGDATA, is_("POSTGRES_USER", "user"), is_("POSTGRES_PASSWORD", "secret")), on=EMPTY,
    ),
    Manifest(
        "harbor", "goharbor/harbor-helm", "goharbor/harbor-db:dev",
        # The server works in PGDATA/pgNN: the agent asks it, and pgBackRest's configuration follows (matrix: harbor).
        Is(f"{DATA}/pgdata", ALTER, 999, user="", port=0, by_reference=BY_ALL, container="database"),
        env=(PGDATA,), env_from=ALL_OF_SECRET, container="database", uid=999, sub_path="database",
    ),
    Manifest(
        "immich-app-postgres", "immich-app/base-images", "ghcr.io/immich-app/postgres:14-vectorchord0.4.3-pgvectors0.2.0",
        Is(DATA, ALTER, 999, user="immich", by_reference=(PASSWORD,)),
        env=(is_("POSTGRES_USER", "immich"), key("POSTGRES_PASSWORD", "p"), is_("POSTGRES_INITDB_ARGS", "--data-checksums")),
    ),
    Manifest(
        "katib", "kubeflow/manifests", "postgres:14.5-alpine",
        Is(f"{DATA}/pgdata", ARGS, 70, user="", port=0, by_reference=BY_ALL, container="katib-postgres"),
        env=(PGDATA,), env_from=ALL_OF_SECRET, container="katib-postgres",
    ),
    Manifest(
        "kubeflow-pipelines", "kubeflow/manifests", "postgres:14.7-alpine3.17",
        Is(f"{DATA}/pgdata", ARGS, 70, user="user", by_reference=(PASSWORD,)),
        env=(PGDATA, is_("POSTGRES_USER", "user"), key("POSTGRES_PASSWORD", "password")),
    ),
    Manifest("ocsci-pg104", "benchmark-operator", "quay.io/ocsci/postgres:10.4", Refused((old("10"), NO_USER)), env_from=ALL_OF_MAP),
    Manifest(
        "pgport-configmap", "by hand", "postgres:17.1",
        Is(DATA, ARGS, 999, user="", port=0, by_reference=(USER, PORT, PASSWORD)),
        env=(key("PGPORT", "port", "configMapKeyRef"), key("POSTGRES_USER", "user", "configMapKeyRef"), key("POSTGRES_PASSWORD", "p")),
    ),
    Manifest(
        "ssl-shell-wrapper", "rewritten", "postgres:16.4-bookworm",
        Is(f"{DATA}/pgdata", ALTER, 999, warns="container postgres starts a shell with archive_mode=off"),
        env=(PGDATA,),
        command=("sh", "-c", "cp /tls/* /k && exec docker-entrypoint.sh postgres -c ssl=on -c archive_mode=off -c wal_level=minimal"),
    ),
    Manifest(
        "stackrox-byodb", "stackrox/stackrox", "postgres:15", Is(f"{DATA}/pgdata", ARGS, 999, user="central", given="x"),
        env=(PGDATA, is_("POSTGRES_USER", "central"), is_("POSTGRES_PASSWORD", "x")),
    ),
    Manifest(
        "supabase-compose-args", "supabase/postgres", "supabase/postgres:15.8.1.060",
        Refused(
            (NO_USER, LOOK), {"runAsUser": 105, "runAsGroup": 106},
            Is(DATA, ARGS, 105, 106, user="supabase_admin", by_reference=(PASSWORD,)),
        ),
        args=("postgres", "-c", "config_file=/etc/postgresql/postgresql.conf", "-c", "log_min_messages=fatal"),
        env=(key("POSTGRES_PASSWORD", "p"),),
    ),
    # --- what was asked for was false, or not enough ---------------------------------------------------------------------
    Manifest(
        "agentx-hardened", "by hand", "postgres:16-alpine", Is(f"{DATA}/pgdata", ARGS, 70, user="", by_reference=(USER, PASSWORD)),
        env=(PGDATA, key("POSTGRES_USER", "u"), key("POSTGRES_PASSWORD", "p")),
        args=("-c", "config_file=/etc/postgresql/postgresql.conf", "-c", "hba_file=/etc/postgresql/pg_hba.conf"),
        mounts=(mount("conf", "/etc/postgresql/postgresql.conf", subPath="postgresql.conf"), mount("run", USUAL)),
        volumes=({"name": "conf", "configMap": {"name": "c"}}, {"name": "run", "emptyDir": {"medium": "Memory"}}),
    ),
    Manifest(
        "crunchy-gis", "CrunchyData/crunchy-containers", "registry.developers.crunchydata.com/crunchydata/crunchy-postgres-gis:centos8-13.5-3.1-0",
        Refused((old("13"), LOOK)), at="/pgdata", env=(is_("PGHOST", "/tmp"), field("HOST", "metadata.name")),
    ),
    Manifest(
        "crunchy-16", "the same, of today", "registry.developers.crunchydata.com/crunchydata/crunchy-postgres:ubi8-16.1-0",
        Refused(
            (NO_DATA, LOOK), {"dataDirectory": "/pgdata/primary"},
            Is("/pgdata/primary", ALTER, 26, socket="/tmp"),
        ),
        at="/pgdata",
    ),
    Manifest(
        "helm-incubator-patroni", "helm/charts", "registry.opensource.zalan.do/acid/spilo-10:1.5-p5", Refused((old("10"),)), at="/home/postgres/pgdata",
    ),
    Manifest(
        "keycloak-docs-sclorg-emptydir", "Keycloak's quick start", "quay.io/sclorg/postgresql-15-c9s:latest",
        Is(SCL, ALTER, 26, warns=ON_EMPTY), at=SCL_AT, env=SCL_ENV, on=EMPTY,
    ),
    Manifest("koku-sclorg16", "cost-onprem", "quay.io/sclorg/postgresql-16-c9s:c9s", Is(SCL, ALTER, 26), at=SCL_AT, env=SCL_ENV),
    Manifest(
        "quay-clair", "quay/quay-operator", "quay.io/sclorg/postgresql-15-c9s:latest", Is(SCL, ALTER, 26, by_reference=(PASSWORD,)),
        at=SCL_AT, env=(*SCL_ENV, key("POSTGRESQL_ADMIN_PASSWORD", "admin")),
    ),
    Manifest(
        "rh-pgvector-c9s", "rh-aiservices-bu", "quay.io/rh-aiservices-bu/postgresql-15-pgvector-c9s:latest",
        Refused(
            (NO_DATA, NO_USER, LOOK),
            {"dataDirectory": SCL, "runAsUser": 26, "runAsGroup": 26}, Is(SCL, ALTER, 26),
        ),
        at=SCL_AT, env=SCL_ENV,
    ),
    Manifest(
        "sclorg-template-openshift-uid", "OpenShift's template", "image-registry.openshift-image-registry.svc:5000/openshift/postgresql:15-el9",
        Is(SCL, ALTER, 1000660000), at=SCL_AT, env=SCL_ENV, uid=1000660000,
    ),
    Manifest(
        "stackrox-central-db", "stackrox/stackrox", "quay.io/stackrox-io/central-db:4.6.0",
        Is(f"{DATA}/pgdata", ALTER, 70, warns="set the Repository's spec.postgres.passwordSecretRef"),
        env=(PGDATA, is_("POSTGRES_HOST_AUTH_METHOD", "password")), uid=70,
    ),
    Manifest(
        "tenant-envfrom-config", "by hand", "mirror.example/docker.io/library/postgres:16-alpine",
        Is(DATA, ARGS, 70, user="", port=0, by_reference=BY_ALL), env_from=ALL_OF_SECRET, sub_path="pgdata",
        args=("-c", "config_file=/etc/postgresql.conf"),
    ),
    Manifest(
        "vsphere-tutorial-hostpath", "the Kubernetes tutorial and dozens alike", "postgres:14",
        Is(DATA, ARGS, 999, user="", port=0, by_reference=BY_ALL), env_from=ALL_OF_MAP, on={"hostPath": {"path": "/mnt/data"}},
    ),
    # --- and was right, or is now -------------------------------------------------------------------------------------------
    Manifest("alpine-wrong-mount", "by hand", "postgres:12.4-alpine", Refused((old("12"), NO_VOLUME)), at="/var/lib/pgsql/data"),
    Manifest("alpine-wrong-mount-16", "the same, of today", "postgres:16-alpine", Refused((NO_VOLUME,)), at="/var/lib/pgsql/data"),
    Manifest(
        "awx-operator", "ansible/awx-operator", "quay.io/sclorg/postgresql-15-c9s:latest", Is(SCL, ALTER, 26),
        at=SCL_AT, env=(*SCL_ENV, is_("PGDATA", SCL), key("POSTGRES_USER", "u"), key("POSTGRES_PASSWORD", "p")),
    ),
    Manifest(
        "bare-statefulset-pgdata-var", "the style of Crunchy and KubeDB", "postgres:16",
        Refused(
            ("its value is not known before the pod runs; set the Repository's spec.postgres.dataDirectory",),
            {"dataDirectory": "/pgdata/pg-0"}, Is("/pgdata/pg-0", ARGS, 999),
        ),
        at="/pgdata", env=(field("POD_NAME", "metadata.name"), is_("PGDATA", "/pgdata/$(POD_NAME)")),
    ),
    Manifest(
        "bitnami-read", "chart bitnami/postgresql, a replica with metrics", "bitnami/postgresql:17.6.0-debian-12-r4", IN_BITNAMI,
        env=(*BITNAMI_ENV, key("POSTGRES_PASSWORD", "postgres-password"), is_("POSTGRES_REPLICATION_MODE", "slave")),
        beside=EXPORTER, **BITNAMI,
    ),
    Manifest(
        "bitnami-primary-metrics-5433", "the same chart", "bitnamilegacy/postgresql:16.4.0", IN_BITNAMI._replace(port=5433),
        env=(*BITNAMI_ENV[:2], is_("POSTGRESQL_PORT_NUMBER", "5433"), key("POSTGRES_PASSWORD", "postgres-password")),
        beside=EXPORTER, **BITNAMI,
    ),
    Manifest(
        "cloudpirates-repl-metrics", "CloudPirates-io/helm-charts", "docker.io/postgres:18.6", Is(f"{PARENT}/18/docker", ARGS, 999, by_reference=(PASSWORD,)),
        at=PARENT, env=(key("POSTGRES_PASSWORD", "postgres-password"),), beside=EXPORTER,
    ),
    Manifest(
        "ctd-airflow", "GoogleCloudPlatform/click-to-deploy", "gcr.io/cloud-marketplace/google/airflow-operator/postgresql:13",
        Refused((old("13"), NO_USER)), args=("-c", "max_connections=100"), env=(is_("POSTGRES_USER", "airflow"),),
    ),
    Manifest(
        "devtron", "devtron-labs/devtron", "quay.io/devtron/postgres:11.9.0-debian-10-r26", Refused((old("11"), NO_DATA, NO_USER)),
        at="/bitnami/postgresql", container="postgresql-postgresql",
        beside=({"name": "metrics", "image": "quay.io/devtron/postgres_exporter:v0.4.7"},), env=(is_("POSTGRESQL_PORT_NUMBER", "5432"),),
    ),
    Manifest(
        "groundhog2k", "groundhog2k/helm-charts", "docker.io/postgres:18.4", Is(f"{DATA}/pg", ARGS, 999, user="", by_reference=(USER, PASSWORD)),
        env=(is_("PGDATA", f"{DATA}/pg"), key("POSTGRES_USER", "u"), key("POSTGRES_PASSWORD", "p")), uid=999,
        mounts=(mount("run", "/var/run"),), volumes=({"name": "run", **EMPTY},),
    ),
    Manifest("kartoza-postgis", "kompose", "kartoza/postgis:13.0", Refused((old("13"), LOOK)), at=PARENT),
    Manifest(
        "kartoza-16", "the same, of today", "kartoza/postgis:16-3.4",
        Refused(
            (NO_DATA, LOOK),
            {"dataDirectory": f"{PARENT}/16/main", "runAsUser": 101, "runAsGroup": 103, "user": "docker"},
            Is(f"{PARENT}/16/main", ALTER, 101, 103, user="docker"),
        ),
        at=PARENT,
    ),
    Manifest("owmf-postgis-alpine", "by hand", "odidev/postgis:13-3.1-alpine", Refused((old("13"), LOOK)), container="owmf-db"),
    Manifest(
        "patroni-k8s", "patroni/patroni", "patroni",
        Refused(
            (NO_USER, LOOK), {"runAsUser": 999},
            Is("/home/postgres/pgdata/pgroot/data", ALTER, 999, container="patroni", warns=ON_EMPTY),
        ),
        at="/home/postgres/pgdata", env=(is_("PATRONI_POSTGRESQL_DATA_DIR", "/home/postgres/pgdata/pgroot/data"),), on=EMPTY, container="patroni",
    ),
    Manifest("pgvector-fsgroup", "by hand", "pgvector/pgvector:pg15", Is(DATA, ARGS, 999), pod={"securityContext": {"fsGroup": 999}}),
    Manifest("posthog-external", "PostHog/charts-clickhouse", "postgres:13", Refused((old("13"), NO_VOLUME)), at=""),
    Manifest("stackrox-clair96", "stackrox/stackrox", "us.gcr.io/acs-san-stackroxci/postgres:9.6.18", Refused((old("9"), "mounts no volume, so its data would be lost", NO_USER)), at=""),
    Manifest(
        "waldir-second-pvc", "by hand", "postgres:17", Is("/pgdata/data", ARGS, 999, read=("data", "wal")), at="/pgdata",
        env=(is_("PGDATA", "/pgdata/data"), is_("POSTGRES_INITDB_WALDIR", "/pgwal/wal")),
        mounts=(mount("wal", "/pgwal"),), volumes=({"name": "wal", "persistentVolumeClaim": {"claimName": "wal"}},),
    ),
    Manifest("zabbix", "zabbix-community/helm-zabbix", "postgres:16", Refused((NO_VOLUME,)), at=""),
    # --- named among the kinds of fault ---------------------------------------------------------------------------------
    Manifest(
        "config-file-args", "by hand", "postgres:16", Is(f"{DATA}/pgdata", ARGS, 999, user="app", by_reference=(PASSWORD,)),
        args=("postgres", "-c", "config_file=/etc/postgresql/postgresql.conf"),
        env=(PGDATA, is_("POSTGRES_USER", "app"), key("POSTGRES_PASSWORD", "p")),
    ),
    Manifest(
        "password-file-fsgroup", "by hand", "postgres:15-alpine", Is(DATA, ARGS, 70, user="app", given="/run/pw/password"),
        env=(is_("POSTGRES_USER", "app"), is_("POSTGRES_PASSWORD_FILE", "/run/pw/password")),
        mounts=(mount("pw", "/run/pw"),), volumes=({"name": "pw", "secret": {"secretName": "pg"}},),
    ),
    Manifest(
        "immich-pgvecto-rs", "immich-app/immich-charts", "tensorchord/pgvecto-rs:pg14-v0.2.0", Is(DATA, ARGS, 999, user="immich"),
        args=("postgres", "-c", "shared_preload_libraries=vectors.so", "-c", "wal_compression=on"), env=(is_("POSTGRES_USER", "immich"),),
    ),
    Manifest(
        "model-registry", "kubeflow/model-registry", "postgres:16", Is(f"{DATA}/pgdata", ARGS, 999, user="", by_reference=(USER, PASSWORD)),
        env=(PGDATA, key("POSTGRES_USER", "u"), key("POSTGRES_PASSWORD", "p")),
    ),
    Manifest("n8n", "n8n-io/n8n-kubernetes-hosting", "postgres:11", Refused((old("11"),)), env=(PGDATA, key("POSTGRES_USER", "u"))),
    Manifest(
        "stolon", "sorintlab/stolon", "sorintlab/stolon:master-pg10",
        Refused((NO_DATA, NO_USER, LOOK)),
        at="/stolon-data", container="stolon-keeper", command=("/bin/bash", "-ec", "exec gosu stolon stolon-keeper --data-dir /stolon-data"),
    ),
    Manifest(
        "bitnami-postgresql-ha", "chart bitnami/postgresql-ha", "bitnamilegacy/postgresql-repmgr:17.2.0", IN_BITNAMI,
        env=(*BITNAMI_ENV, is_("POSTGRES_USER", "postgres"), key("POSTGRES_PASSWORD", "password")), **BITNAMI,
    ),
    Manifest(
        "timescaledb-ha", "timescale/helm-charts", "timescale/timescaledb-ha:pg16.2-ts2.14.2",
        Is("/home/postgres/pgdata/data", ALTER, 1000), at="/home/postgres/pgdata",
    ),
    Manifest(
        "wal-on-hostpath", "group E", "postgres:16", Is(DATA, ARGS, 999, read=("data", "wal")),
        mounts=(mount("wal", "/wal"),), volumes=({"name": "wal", "hostPath": {"path": "/fast"}},),
    ),
    Manifest(
        "tablespace-on-nfs", "group E", "postgres:16", Is(DATA, ARGS, 999, read=("data", "space")),
        mounts=(mount("space", "/space"),), volumes=({"name": "space", "nfs": {"server": "nas", "path": "/x"}},),
    ),
    Manifest(
        "volume-above-16", "group E", "postgres:16", Refused((f"the image has a volume of its own at {DATA}", f"mount the volume at {DATA}")), at=PARENT,
    ),
    Manifest("data-by-a-variable", "group L", "postgres:16", Is(f"{DATA}/pgdata", ARGS, 999), args=("-D", "$(PGDATA)"), env=(PGDATA,)),
    Manifest(
        "scram-on-the-socket", "group D", "postgres:16", Is(DATA, ARGS, 999, warns="set the Repository's spec.postgres.passwordSecretRef"),
        env=(is_("POSTGRES_INITDB_ARGS", "--data-checksums --auth-local=scram-sha-256"),),
    ),
    Manifest(
        "scram-on-the-socket, its password known", "group D", "postgres:16", Is(DATA, ARGS, 999, by_reference=(PASSWORD,)),
        env=(is_("POSTGRES_INITDB_ARGS", "--auth=scram-sha-256"), key("POSTGRES_PASSWORD", "p")),
    ),
    Manifest(
        "in-a-shell-elsewhere", "group E", "postgres:16", Is(DATA, ALTER, 999),  # the agent asks the server, and follows
        command=("sh", "-c", "exec docker-entrypoint.sh postgres -D /var/lib/postgresql/data/here"),
    ),
)  # fmt: skip
