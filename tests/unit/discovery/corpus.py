"""Pods that are PostgreSQL, and pods that are not: small, of our own wording, after what public charts make.

A row is: name: image, what else the container has, labels of the pod. `data` is where a volume is mounted.
"""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]
DATA = "/var/lib/postgresql/data"


def pod(image: str, labels: Object | None = None, **more: Any) -> Object:
    """*more*: name, port, data, command, args, restart, beside (another container)."""
    container: Object = {"name": more.get("name", "db"), "image": image}
    if "port" in more:
        container["ports"] = [{"containerPort": more["port"]}]
    if "data" in more:
        container["volumeMounts"] = [{"name": "data", "mountPath": more["data"]}]
    container |= {key: more[key] for key in ("command", "args", "env") if key in more}
    spec: Object = {"containers": [*more.get("before", []), container]}
    spec |= {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]} if "data" in more else {}
    spec |= {"restartPolicy": more["restart"]} if "restart" in more else {}
    return {"kind": "Pod", "metadata": {"name": "one", "namespace": "zoo", "labels": labels or {}}, "spec": spec}


def sh(text: str) -> list[str]:
    return ["sh", "-c", text]


EXPORTER = {"name": "metrics", "image": "quay.io/prometheuscommunity/postgres-exporter:v0.17.1"}
PGO = "postgres-operator.crunchydata.com"
CRUNCHY = "registry.developers.crunchydata.com/crunchydata"

POSTGRES: dict[str, Object] = {
    "official": pod("postgres:17", data=DATA, port=5432),
    "official without a tag": pod("postgres", data=DATA),
    "official by digest": pod(f"postgres@sha256:{'0' * 64}", data=DATA),
    "official by the whole name": pod("docker.io/library/postgres:16.4-bookworm", port=5432),
    "official, alpine, another port": pod("postgres:14.7-alpine3.17", port=6600, data=DATA),
    "of a mirror with a port": pod("mirror.example.com:5000/library/postgres:15", data=DATA),
    "of a cloud's mirror": pod("us.gcr.io/acs-san-stackroxci/postgres:9.6.18"),
    "official, emptyDir, no port": pod("postgres:latest"),
    "official, a shell around": pod("postgres:16", command=sh("cp /k /d && exec docker-entrypoint.sh postgres -c ssl=on")),
    "official, a shell that waits": pod(
        "postgres:17", command=sh("docker-entrypoint.sh postgres & until pg_isready; do sleep 1; done; wait")
    ),
    "official with a second volume": pod("postgres:17", args=["-c", "wal_level=logical"], data="/pgdata"),
    "official under gosu": pod("postgres:12", command=["gosu", "postgres", "postgres"], data=DATA),
    "official with its own arguments": pod("postgres:18", args=["postgres", "-c", "port=5433"], data="/var/lib/postgresql"),
    "bitnami": pod("bitnami/postgresql:17.6.0-debian-12-r4", port=5432, data="/bitnami/postgresql"),
    "bitnami with metrics": pod("docker.io/bitnamilegacy/postgresql:16", before=[EXPORTER], port=5432),
    "bitnami with repmgr": pod("bitnami/postgresql-repmgr:16.3.0", data="/bitnami/postgresql"),
    "devtron's bitnami": pod("quay.io/devtron/postgres:11.9.0-debian-10-r26", data="/bitnami/postgresql"),
    "chainguard": pod("cgr.dev/chainguard/postgres:latest", port=5432),
    "sclorg": pod("quay.io/sclorg/postgresql-16-c9s:c9s", data="/var/lib/pgsql/data"),
    "red hat": pod("registry.redhat.io/rhel9/postgresql-15:1-40", port=5432, data="/var/lib/pgsql/data"),
    "openshift's own": pod("image-registry.openshift-image-registry.svc:5000/openshift/postgresql:15-el9"),
    "pgvector of sclorg": pod("quay.io/rh-aiservices-bu/postgresql-15-pgvector-c9s:latest"),
    "spilo": pod("ghcr.io/zalando/spilo-17:4.0-p2", data="/home/postgres/pgdata"),
    "spilo of helm's incubator": pod("registry.opensource.zalan.do/acid/spilo-10:1.5-p5", port=5432),
    "timescaledb-ha": pod("timescale/timescaledb-ha:pg16", data="/home/postgres/pgdata"),
    "timescaledb": pod("timescale/timescaledb:2.17.2-pg16", data=DATA),
    "postgis": pod("postgis/postgis:16-3.4-alpine", data=DATA),
    "kartoza": pod("kartoza/postgis:13.0", data="/var/lib/postgresql"),
    "odidev": pod("odidev/postgis:13-3.1-alpine", name="owmf-db"),
    "pgvector": pod("pgvector/pgvector:pg15", data=DATA),
    "pgvecto-rs": pod("tensorchord/pgvecto-rs:pg14-v0.2.0", data=DATA),
    "vchord": pod("tensorchord/vchord-postgres:pg17-v0.3.0", data=DATA),
    "immich": pod("ghcr.io/immich-app/postgres:14-vectorchord0.4.3-pgvectors0.2.0", data=DATA),
    "supabase": pod("supabase/postgres:15.8.1.060", args=["postgres", "-c", "config_file=/etc/postgresql/postgresql.conf"]),
    "citus": pod("citusdata/citus:12.1", data=DATA),
    "patroni's example": pod("patroni", port=5432, data="/home/postgres/pgdata"),
    "stolon's keeper": pod("sorintlab/stolon:v0.17.0-pg14", command=sh("exec gosu stolon stolon-keeper --data-dir /d"), port=5432),
    "harbor": pod("goharbor/harbor-db:v2.11.1", data=DATA),
    "stackrox": pod("quay.io/stackrox-io/central-db:4.6.0", port=5432, data=DATA),
    "google's marketplace": pod("gcr.io/cloud-marketplace/google/airflow-operator/postgresql:13", port=5432),
    "google's postgresql13": pod("marketplace.gcr.io/google/postgresql13:latest", data=DATA),
    "enterprise": pod("quay.io/enterprisedb/edb-postgres-advanced:16", port=5444),
    "groundhog2k": pod("postgres:18.4", data=DATA, port=5432),
    "an image of the house, by its port": pod("registry.example.com/acme/ledger-store:2026.1", port=5432, data=DATA),
    "an image of the house, by its folder": pod(
        "registry.example.com/acme/base:9", command=["/usr/lib/postgresql/16/bin/postgres"], data=DATA
    ),
    "percona's image": pod("percona/percona-distribution-postgresql:17.2", port=5432),
    "crunchy-gis, without an operator": pod(f"{CRUNCHY}/crunchy-postgres-gis:centos8-13.5-3.1-0", data="/pgdata"),
    "PGO": pod(
        f"{CRUNCHY}/crunchy-postgres:ubi9-17.2-2520", {f"{PGO}/cluster": "hippo", f"{PGO}/data": "postgres"}, name="database"
    ),
    "Percona's operator": pod(
        "percona/percona-postgresql-operator:2.3.1-ppg15-postgres",
        {f"{PGO}/data": "postgres", "app.kubernetes.io/managed-by": "percona-postgresql-operator"}, name="database",
    ),
    "CloudNativePG": pod("ghcr.io/cloudnative-pg/postgresql:17.2", {"cnpg.io/cluster": "a", "cnpg.io/podRole": "instance"}),
    "CloudNativePG, an image by number": pod(
        f"registry.example.com/images/a1b2@sha256:{'1' * 64}", {"cnpg.io/cluster": "a", "cnpg.io/podRole": "instance"}
    ),
    "Zalando": pod("ghcr.io/zalando/spilo-17:4.0-p2", {"application": "spilo", "cluster-name": "acid-minimal"}),
    "StackGres": pod(
        "quay.io/ongres/patroni:v3.3.2-pg16.4-build-6.37",
        {"app": "StackGresCluster", "stackgres.io/cluster-name": "c", "stackgres.io/cluster": "true"},
    ),
    "KubeBlocks": pod(
        "docker.io/apecloud/spilo:16.4.0",
        {"app.kubernetes.io/managed-by": "kubeblocks", "apps.kubeblocks.io/component-name": "postgresql"},
    ),
    "KubeDB": pod("ghcr.io/appscode-images/postgres:17.2-alpine", {"app.kubernetes.io/name": "postgreses.kubedb.com"}),
}  # fmt: skip

NOT_POSTGRES: dict[str, Object] = {
    "pgbouncer": pod("edoburu/pgbouncer:v1.23", port=5432),
    "pgbouncer of bitnami": pod("bitnami/pgbouncer:1.23.1", port=6432),
    "pgbouncer of PGO": pod(f"{CRUNCHY}/crunchy-pgbouncer:ubi9-1.23", {f"{PGO}/cluster": "hippo", f"{PGO}/role": "pgbouncer"}, port=5432),
    "pgbouncer of CloudNativePG": pod(
        "ghcr.io/cloudnative-pg/pgbouncer:1.24.0", {"cnpg.io/cluster": "a", "cnpg.io/podRole": "pooler"}, port=5432
    ),
    "Zalando's pooler": pod(
        "registry.opensource.zalan.do/acid/pgbouncer:master-32", {"application": "db-connection-pooler"}, port=5432
    ),
    "PGO's repository host": pod(f"{CRUNCHY}/crunchy-pgbackrest:ubi9-2.54", {f"{PGO}/data": "pgbackrest"}),
    "pgpool": pod("bitnami/pgpool:4.5.4", port=5432),
    "pgpool by its project": pod("pgpool/pgpool:4.4", port=9999),
    "pgcat": pod("ghcr.io/postgresml/pgcat:latest", port=5432),
    "odyssey": pod("example.com/yandex/odyssey:1.3", port=5432),
    "supavisor": pod("supabase/supavisor:1.1", port=5432),
    "haproxy in front": pod("haproxy:2.9", port=5432),
    "envoy in front": pod("envoyproxy/envoy:v1.31", port=5432),
    "a cloud's proxy": pod("gcr.io/cloud-sql-connectors/cloud-sql-proxy:2.14", port=5432),
    "an old cloud's proxy": pod("gcr.io/cloudsql-docker/gce-proxy:1.33", port=5432),
    "socat": pod("alpine/socat:1.8", args=["TCP-LISTEN:5432,fork", "TCP:db.example.com:5432"], port=5432),
    "exporter": pod("quay.io/prometheuscommunity/postgres-exporter:v0.17.1", port=9187),
    "exporter of bitnami": pod("bitnami/postgres-exporter:0.17.1-debian-12-r16", port=9187),
    "exporter with another spelling": pod("wrouesnel/postgres_exporter:v0.8.0", port=9187),
    "pgadmin": pod("dpage/pgadmin4:8.14", port=80),
    "pgadmin of crunchy": pod(f"{CRUNCHY}/crunchy-pgadmin4:ubi9-8.14", port=5050),
    "pgweb": pod("sosedoff/pgweb:0.16", port=8081),
    "adminer": pod("adminer:4", port=8080),
    "postgrest": pod("postgrest/postgrest:v12.2.3", port=3000),
    "supabase's meta": pod("supabase/postgres-meta:v0.84.2", port=8080),
    "postgraphile": pod("graphile/postgraphile:4", port=5000),
    "hasura": pod("hasura/graphql-engine:v2.44", port=8080),
    "Zalando's operator": pod("ghcr.io/zalando/postgres-operator:v1.14.0", port=8080),
    "Percona's operator, the program": pod("percona/percona-postgresql-operator:2.5.0", port=8080),
    "PGO, the program": pod(f"{CRUNCHY}/postgres-operator:ubi8-5.7.2", port=8080),
    "an app whose name has postgres": pod("ghcr.io/acme/orders-postgres-api:2.1", port=8080),
    "an adapter": pod("ghcr.io/acme/kine-postgres-adapter:1", port=2379),
    "an app with a postgres folder": pod("ghcr.io/postgresml/dashboard:2", port=8000),
    "MCP server": pod("mcp/postgres-mcp:1", port=8000),
    "backup CronJob of dumps": pod("prodrigestivill/postgres-backup-local:16", data="/backups"),
    "migration Job with psql": pod("postgres:17", command=["psql", "-h", "postgres", "-f", "/m.sql"], restart="Never"),
    "migration Job of an app": pod("ghcr.io/acme/orders:2.1", args=["migrate"], restart="OnFailure"),
    "dump Job": pod("postgres:16", command=sh("pg_dump -h postgres app | gzip > /b/app.gz"), restart="OnFailure"),
    "dumps in a loop": pod("postgres:16", command=sh("while true; do pg_dump -h postgres app > /b; sleep 86400; done")),
    "a shell for debugging": pod("postgres:17", command=["sleep", "infinity"]),
    "a server for the time of a test": pod("postgres:17", port=5432, restart="Never"),
    "a server in a Job": pod("postgres:17", data=DATA, restart="OnFailure"),
    "flyway": pod("flyway/flyway:10", restart="Never"),
    "an app with a waiting shell": pod("ghcr.io/acme/app:1", command=sh("until pg_isready -h postgres; do sleep 1; done; exec app")),
    "cockroach": pod("cockroachdb/cockroach:v24", port=26257),
    "crate": pod("crate:5.9", port=5432),
    "mysql": pod("mysql:8", port=3306, data="/var/lib/mysql"),
    "an empty pod": {"kind": "Pod", "metadata": {}, "spec": {}},
    "no pod at all": {"spec": {"containers": ["postgres", None, {"image": 5, "ports": 3, "command": "psql"}]}},
}  # fmt: skip
