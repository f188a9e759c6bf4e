"""Pods as public charts and repositories have them, in our own words, under a Repository that says nothing of PostgreSQL:
each is injected so that it will archive, or refused with a true reason and the way out.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from pgwarden.injection.decide import Inject
from pgwarden.injection.pipeline import decision_on

DATA, PARENT = "/var/lib/postgresql/data", "/var/lib/postgresql"
USUAL = "/var/run/postgresql"
OLD, ASKS = "is too old: pgwarden needs 14 or later", "spec.postgres.dataDirectory, runAsUser and runAsGroup"
ALTER, ARGS = "AlterSystem", "Arguments"


class Found(NamedTuple):
    data: str
    how: str
    uid: int
    user: str = "postgres"  # empty: by reference
    port: int = 5432  # 0: by reference
    socket: str = USUAL
    references: tuple[str, ...] = ()


def value(name: str, text: str) -> dict[str, Any]:
    return {"name": name, "value": text}


def secret(name: str, key: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": "s", "key": key}}}


def at(folder: str) -> list[dict[str, str]]:
    return [{"name": "data", "mountPath": folder}]


WHOLE = ("PGWARDEN_PG_USER", "PGWARDEN_PG_PORT", "PGPASSWORD")
PODS: dict[str, tuple[dict[str, Any], Found | str]] = {
    "the official image": ({}, Found(DATA, ARGS, 999)),
    "by digest": ({"image": "postgres@sha256:" + "a" * 64}, Found(DATA, ARGS, 999)),
    "latest, its volume above": ({"image": "postgres", "volumeMounts": at(PARENT)}, "the tag does not name the version"),
    "16, its volume above": ({"image": "postgres:16", "volumeMounts": at(PARENT)}, f"mount the volume at {DATA}"),
    "18": ({"image": "postgres:18", "volumeMounts": at(PARENT)}, Found(f"{PARENT}/18/docker", ARGS, 999)),
    "11 (cetic)": ({"image": "postgres:11.5"}, OLD),
    "9.6": ({"image": "postgres:9.6-alpine"}, OLD),
    "10, named so (ocsci)": ({"image": "quay.io/ocsci/postgres:10.4", "envFrom": [{"configMapRef": {"name": "c"}}]}, OLD),
    "a literal user (kubeflow)": (
        {"image": "postgres:14.7-alpine3.17", "env": [value("POSTGRES_USER", "user"), value("PGDATA", f"{DATA}/pgdata")]},
        Found(f"{DATA}/pgdata", ARGS, 70, user="user"),
    ),
    "all of a Secret (concourse)": (
        {"envFrom": [{"secretRef": {"name": "c"}}]}, Found(DATA, ARGS, 999, user="", port=0, references=WHOLE),
    ),
    "user and password by key": (
        {"env": [secret("POSTGRES_USER", "u"), secret("POSTGRES_PASSWORD", "p")]},
        Found(DATA, ARGS, 999, user="", references=("PGWARDEN_PG_USER", "PGPASSWORD")),
    ),
    "the port by key": ({"env": [secret("PGPORT", "p")]}, Found(DATA, ARGS, 999, port=0, references=("PGWARDEN_PG_PORT",))),
    "socket and port by settings": (
        {"args": ["postgres", "-c", "unix_socket_directories=/tmp", "-c", "port=5433"]}, Found(DATA, ARGS, 999, port=5433, socket="/tmp"),
    ),
    "socket and port by options": ({"args": ["-p", "5433", "-k/tmp"]}, Found(DATA, ARGS, 999, port=5433, socket="/tmp")),
    "-D of a variable": (
        {"args": ["-D", "$(PGDATA)"], "env": [value("PGDATA", f"{DATA}/x")]}, Found(f"{DATA}/x", ARGS, 999),
    ),
    "Immich": (
        {"image": "ghcr.io/immich-app/postgres:14-vectorchord0.4.3", "env": [value("POSTGRES_USER", "immich")]},
        Found(DATA, ALTER, 999, user="immich"),
    ),
    "pgvecto.rs": ({"image": "tensorchord/pgvecto-rs:pg16-v0.2.1"}, Found(DATA, ALTER, 999)),
    "Citus": ({"image": "citusdata/citus:12.1"}, Found(DATA, ALTER, 999)),
    "Supabase": ({"image": "supabase/postgres:15.1.0"}, ASKS),
    "Chainguard": ({"image": "cgr.dev/chainguard/postgres:latest"}, Found(DATA, ALTER, 70)),
    "somebody's": ({"image": "acme/pg:1"}, ASKS),
    "Bitnami": (
        {
            "image": "bitnami/postgresql:17.6.0-debian-12-r4", "name": "postgresql", "volumeMounts": at("/bitnami/postgresql"),
            "env": [value("PGDATA", "/bitnami/postgresql/data"), secret("POSTGRES_PASSWORD", "postgres-password")],
            "securityContext": {"runAsUser": 1001},
        },
        Found("/bitnami/postgresql/data", ALTER, 1001, socket="/tmp", references=("PGPASSWORD",)),
    ),
    "Bitnami, a user of its own": (
        {
            "image": "bitnamilegacy/postgresql:16", "volumeMounts": at("/bitnami/postgresql"),
            "env": [value("POSTGRES_USER", "app"), secret("POSTGRES_PASSWORD", "app"), secret("POSTGRES_POSTGRES_PASSWORD", "pg")],
        },
        Found("/bitnami/postgresql/data", ALTER, 1001, socket="/tmp", references=("PGPASSWORD",)),
    ),
    "Bitnami's tag elsewhere (devtron)": (
        {"image": "quay.io/devtron/postgres:11.9.0-debian-10-r26", "volumeMounts": at("/bitnami/postgresql")}, OLD,
    ),
    "sclorg": (
        {"image": "quay.io/sclorg/postgresql-16-c9s", "volumeMounts": at("/var/lib/pgsql/data"), "env": [secret("POSTGRESQL_USER", "u")]},
        Found("/var/lib/pgsql/data/userdata", ALTER, 26),
    ),
    "Spilo": (
        {"image": "ghcr.io/zalando/spilo-16:3.2-p2", "volumeMounts": at("/home/postgres/pgdata")},
        Found("/home/postgres/pgdata/pgroot/data", ALTER, 101),
    ),
    "TimescaleDB-HA": (
        {"image": "timescale/timescaledb-ha:pg16", "volumeMounts": at("/home/postgres/pgdata")}, Found("/home/postgres/pgdata/data", ALTER, 1000),
    ),
    "Crunchy": (
        {"image": "registry.developers.crunchydata.com/crunchydata/crunchy-postgres:ubi8-16.1-0", "volumeMounts": at("/pgdata")}, ASKS,
    ),
    "Kartoza": ({"image": "kartoza/postgis:16-3.4", "volumeMounts": at(PARENT)}, ASKS),
    "Harbor": (
        {"image": "goharbor/harbor-db:v2.10", "env": [value("PGDATA", f"{DATA}/pgdata")], "securityContext": {"runAsUser": 999}},
        Found(f"{DATA}/pgdata", ALTER, 999),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("container", "wanted"), PODS.values(), ids=PODS)
def test_it_will_archive_or_is_refused_with_the_way_out(container, wanted, pod, repository, settings):
    decided = decision_on(pod(**container), repository(), settings)
    if isinstance(wanted, str):
        assert wanted in " ".join(fault.message for fault in decided.faults)
        return
    assert isinstance(decided, Inject), decided
    facts = decided.facts
    references = tuple(one.variable for one in facts.sources)
    found = Found(
        facts.data_directory, facts.configured_by, facts.run_as_user, facts.user, facts.port, facts.socket_directory, references
    )  # fmt: skip
    assert found == wanted
