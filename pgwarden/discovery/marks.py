"""What PostgreSQL is known by: names of images, of programs and of folders, and the labels of operators.

The patterns are RE2 as well as Python: the chart's policy has them, too, by its files/postgresql-marks.json.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

_CORE = "postgres|postgresql|postgis|pgvector|pgvecto|timescaledb|spilo|patroni|stolon|citus"
#: What else may stand in the name of an image that has a server: editions, bases, versions. No word of it is in _CORE,
#: and none has a separator: a name is read in one way alone, so that no name of somebody's making takes long.
_BESIDE = (
    "[0-9]+|v[0-9]+|alpine|debian|ubuntu|bookworm|bullseye|trixie|ubi[0-9]*|rhel[0-9]*|el[0-9]+|centos[0-9]*"
    "|c[0-9]+s|server|db|database|docker|image|ha|repl|repmgr|replica|primary|master|single|crunchy|enterprise|percona"
    "|distribution|gis|age|pgaudit|vector|vectorchord|vchord|pgvectors|timescale|partman|cron|rum|zhparser|extended"
    "|standard|minimal|system|custom|hardened|fips|tls|ssl|base|standalone|cluster|cnpg|acid|edb|advanced|supabase|rs"
)
#: The whole reference of an image, in lower case: any registry, any tag, any digest.
IMAGE = f"(^|/)(({_BESIDE})[-_.])*({_CORE})[0-9]*([-_.]({_CORE}|{_BESIDE}))*(:[^/]*)?(@.*)?$"
#: Images that have PostgreSQL and another name.
IMAGE_NAMED = (
    "(^|/)(goharbor/harbor-db|stackrox-io/central-db|rhacs-eng/central-db|kubedb/pg|apecloud/spilo)(:[^/]*)?(@.*)?$"
)
#: What speaks PostgreSQL's protocol, or has its name, and is none: poolers, proxies, tools, other databases.
OTHER = (
    "pgbouncer|pgpool|pgcat|odyssey|supavisor|pgagroal|haproxy|envoy|nginx|socat|cloud-?sql-?proxy|cloudsql"
    "|exporter|pgadmin|pgweb|adminer|cloudbeaver|postgrest|postgraphile|postgres-meta|hasura"
    "|pgbackrest|wal-g|barman|backup|restore|dump|migrat|flyway|liquibase|client|psql|init|operator|controller|plugin"
    "|cratedb|crate:|cockroach|yugabyte|materialize|questdb|risingwave|redshift|proxy|mcp|debezium|connect|sync|bridge"
)
#: Words in front of a program: it is run there, and is not a host or a database of that name.
_RUN = r"(^|[;&|(\n] *|exec |do |then |! |until |while |-- |-[a-z]*c |gosu postgres |su-exec postgres |s?bin/)"
#: A container that runs one of these, and no server, serves nobody.
CLIENT = (
    _RUN
    + r"(psql|pg_dump|pg_dumpall|pg_restore|pg_isready|pgbench|createdb|vacuumdb|reindexdb|sleep|tail)($|[ ;&|)\n])"
)
#: It wins over CLIENT: a shell may wait for the server that it has started.
SERVER = (
    _RUN
    + r"(postgres|postmaster|pg_ctl|pg_ctlcluster|patroni|docker-entrypoint\.sh|run-postgresql|run\.sh)($|[ ;&|)\n])"
)
#: Folders in which the images keep a cluster.
FOLDER = "^(/var/lib/postgresql|/var/lib/pgsql|/bitnami/postgresql|/home/postgres/pgdata|/pgdata)(/.*)?$"
PORT = 5432
MOST_WORDS = 4096  # characters of a command that are looked at

is_image = re.compile(f"{IMAGE}|{IMAGE_NAMED}").search
is_other = re.compile(OTHER).search
is_client = re.compile(CLIENT).search
is_server = re.compile(SERVER).search
is_folder = re.compile(FOLDER).search


class Operator(msgspec.Struct, frozen=True):
    """Labels that an operator puts on its PostgreSQL pods, and on none of its others; "" is any value."""

    name: str
    labels: dict[str, str]


#: The more particular first.
OPERATORS = (
    Operator("pgwarden", {"pgwarden.io/cluster": "", "pgwarden.io/instance": ""}),
    Operator("CloudNativePG", {"cnpg.io/cluster": "", "cnpg.io/podRole": "instance"}),
    Operator("CloudNativePG", {"cnpg.io/cluster": "", "cnpg.io/instanceName": ""}),  # before 1.21
    Operator(
        "Percona Operator for PostgreSQL",
        {
            "postgres-operator.crunchydata.com/data": "postgres",
            "app.kubernetes.io/managed-by": "percona-postgresql-operator",
        },
    ),
    Operator(
        "Percona Operator for PostgreSQL",
        {"pgv2.percona.com/version": "", "postgres-operator.crunchydata.com/data": "postgres"},
    ),
    Operator("Crunchy Postgres for Kubernetes (PGO)", {"postgres-operator.crunchydata.com/data": "postgres"}),
    Operator("Crunchy Postgres Operator 4", {"vendor": "crunchydata", "pgo-pg-database": "true"}),
    Operator("Zalando's postgres-operator", {"application": "spilo", "cluster-name": ""}),
    Operator("StackGres", {"app": "StackGresCluster", "stackgres.io/cluster-name": "", "stackgres.io/cluster": "true"}),
    Operator("KubeBlocks", {"app.kubernetes.io/managed-by": "kubeblocks", "app.kubernetes.io/component": "postgresql"}),
    Operator(
        "KubeBlocks", {"app.kubernetes.io/managed-by": "kubeblocks", "apps.kubeblocks.io/component-name": "postgresql"}
    ),
    Operator("KubeDB", {"app.kubernetes.io/name": "postgreses.kubedb.com"}),
)


def for_the_chart() -> dict[str, Any]:
    """What the chart's policy templates/policies/require-repository.yaml reads."""
    return {
        "image": f"{IMAGE}|{IMAGE_NAMED}",
        "other": OTHER,
        "client": CLIENT,
        "server": SERVER,
        "folder": FOLDER,
        "port": PORT,
        "operators": [{"name": one.name, "labels": one.labels} for one in OPERATORS],
    }
