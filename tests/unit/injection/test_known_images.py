"""The table of images: a reference of each row as it is written in manifests, and what the webhook makes of it."""

import pytest

from pgwarden.injection import known_images
from pgwarden.injection.decide import Inject
from pgwarden.injection.pipeline import decision_on

OFFICIAL, ASKED = "/var/lib/postgresql/data", None
#: image → row, major, data directory, uid and gid, socket, way of configuration without arguments.
ROWS = {
    "postgres:17": ("official", 17, OFFICIAL, (999, 999), "/var/run/postgresql", "Arguments"),
    "library/postgres:16-alpine": ("official", 16, OFFICIAL, (70, 70), "/var/run/postgresql", "Arguments"),
    "docker.io/library/postgres:18": ("official", 18, "/var/lib/postgresql/18/docker", (999, 999), "/var/run/postgresql", "Arguments"),
    "docker.io/postgres:17": ("official", 17, OFFICIAL, (999, 999), "/var/run/postgresql", "Arguments"),
    "public.ecr.aws/docker/library/postgres:15": ("official", 15, OFFICIAL, (999, 999), "/var/run/postgresql", "Arguments"),
    "mirror.example:5000/postgres:17": ("mirror", 17, OFFICIAL, (999, 999), "/var/run/postgresql", "AlterSystem"),
    "mirror.example:5000/hub/library/postgres:14.5": ("official", 14, OFFICIAL, (999, 999), "/var/run/postgresql", "Arguments"),
    "postgis/postgis:17-3.5-alpine": ("PostGIS", 17, OFFICIAL, (70, 70), "/var/run/postgresql", "Arguments"),
    "pgvector/pgvector:0.8.0-pg17": ("pgvector", 17, OFFICIAL, (999, 999), "/var/run/postgresql", "Arguments"),
    "timescale/timescaledb:2.17.2-pg16": ("TimescaleDB", 16, OFFICIAL, (70, 70), "/var/run/postgresql", "Arguments"),
    "timescale/timescaledb-ha:pg17-ts2.17": ("TimescaleDB-HA", 17, "/home/postgres/pgdata/data", (1000, 1000), "/var/run/postgresql", "AlterSystem"),
    "timescale/timescaledb:2.17.2-pg16-bitnami": ("Bitnami", 16, "/bitnami/postgresql/data", (1001, 0), "/tmp", "AlterSystem"),
    "citusdata/citus:13.0-pg17": ("Citus", 17, OFFICIAL, (999, 999), "/var/run/postgresql", "AlterSystem"),
    "bitnami/postgresql:17.6.0-debian-12-r4": ("Bitnami", 17, "/bitnami/postgresql/data", (1001, 0), "/tmp", "AlterSystem"),
    "docker.io/bitnamilegacy/postgresql:16": ("Bitnami", 16, "/bitnami/postgresql/data", (1001, 0), "/tmp", "AlterSystem"),
    "quay.io/sclorg/postgresql-16-c9s:latest": ("Software Collections", 16, "/var/lib/pgsql/data/userdata", (26, 26), "/var/run/postgresql", "AlterSystem"),
    "registry.redhat.io/rhel9/postgresql-15:1": ("Red Hat", 15, "/var/lib/pgsql/data/userdata", (26, 26), "/var/run/postgresql", "AlterSystem"),
    "image-registry.openshift-image-registry.svc:5000/openshift/postgresql:15-el9": ("OpenShift", 15, "/var/lib/pgsql/data/userdata", (26, 26), "/var/run/postgresql", "AlterSystem"),
    "ghcr.io/zalando/spilo-17:4.0-p2": ("Spilo", 17, "/home/postgres/pgdata/pgroot/data", (101, 103), "/var/run/postgresql", "AlterSystem"),
    "registry.developers.crunchydata.com/crunchydata/crunchy-postgres:ubi8-16.4-2": ("Crunchy", 16, ASKED, (26, 26), "/tmp", "AlterSystem"),
    "percona/percona-distribution-postgresql:17.2": ("Percona", 17, "/data/db", (26, 26), "/var/run/postgresql", "AlterSystem"),
    "ghcr.io/cloudnative-pg/postgresql:17.4": ("CloudNativePG", 17, "/var/lib/postgresql/data/pgdata", (26, 26), "/controller/run", "AlterSystem"),
    "supabase/postgres:15.8.1.060": ("Supabase", 15, OFFICIAL, ASKED, "/var/run/postgresql", "AlterSystem"),
    "ghcr.io/immich-app/postgres:14-vectorchord0.4.3": ("Immich", 14, OFFICIAL, (999, 999), "/var/run/postgresql", "AlterSystem"),
    "cgr.dev/chainguard/postgres:latest": ("Chainguard", None, OFFICIAL, (70, 70), "/var/run/postgresql", "AlterSystem"),
    "quay.io/ongres/patroni:v3.2.2-pg16.4": ("StackGres", 16, OFFICIAL, (999, 999), "/var/run/postgresql", "AlterSystem"),
    "tensorchord/vchord-postgres:pg17-v0.3.0": ("VectorChord", 17, OFFICIAL, (999, 999), "/var/run/postgresql", "AlterSystem"),
}  # fmt: skip


@pytest.mark.parametrize(("reference", "expected"), ROWS.items())
def test_each_row_is_found_and_gives_what_it_says(reference, expected, pod, repository, settings):
    row, major, data, ids, socket, way = expected
    found = known_images.image(reference)
    assert found.known is not None
    assert (found.known.name, found.ids) == (row, ids)
    assert found.major == major
    said = {} if data else {"dataDirectory": "/pgdata/pg"}
    said |= {} if ids else {"runAsUser": 105}
    at = data or "/pgdata"
    seen = pod(image=reference, volumeMounts=[{"name": "data", "mountPath": at}])
    decided = decision_on(seen, repository(postgres=said), settings)
    assert isinstance(decided, Inject), decided
    facts = decided.facts
    assert (facts.data_directory, facts.socket_directory, facts.configured_by) == (data or "/pgdata/pg", socket, way)
    assert (facts.run_as_user, facts.run_as_group) == (ids or (105, 105))


def test_every_row_has_an_example():
    assert {row.name for row in known_images.TABLE} == {row for row, *_ in ROWS.values()}


@pytest.mark.parametrize("reference", ["quay.io/someone/postgres:16", "my/pg:17", "postgres-ha:17"])
def test_an_image_that_is_only_named_so_is_asked_about_and_keeps_its_own_command(reference, pod, repository, settings):
    (fault,) = decision_on(pod(image=reference), repository(), settings).faults
    assert fault.rule == "run-as-user"
    decided = decision_on(pod(image=reference), repository(postgres={"runAsUser": 5}), settings)
    assert decided.facts.configured_by == "AlterSystem"


@pytest.mark.parametrize(
    "reference",
    ["postgres:9.6", "postgres:13.4-alpine", "pgvector/pgvector:pg13", "quay.io/sclorg/postgresql-13-c9s", "quay.io/sclorg/postgresql-96-c9s", "bitnami/postgresql:11.9.0", "quay.io/devtron/postgres:11.9.0-debian-10-r26", "quay.io/ocsci/postgres:10.4", "zalando/spilo-11:1.6"],
)  # fmt: skip
def test_a_version_that_is_too_old_is_refused_where_the_name_tells_it(reference, pod, repository, settings):
    faults = decision_on(pod(image=reference), repository(postgres={"runAsUser": 5}), settings).faults
    assert "version" in {fault.rule for fault in faults}
