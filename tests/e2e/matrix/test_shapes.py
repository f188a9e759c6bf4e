"""PostgreSQL as images and manifests other than the official ones run it: the label put on, archived, backed up,
restored to a moment, rows compared. `make matrix`.
"""

from __future__ import annotations

import re
import subprocess
from functools import partial
from pathlib import Path

import pytest

from harness import images, matrix, matrix_report
from harness.kubectl import Object
from harness.matrix import Case, Run, container, mounted, runs_as, variable

pytestmark = pytest.mark.timeout(1800)  # nine servers, four at once

PASSWORD = {"passwordSecretRef": {"name": "postgres", "key": "password"}}
DATA = "/var/lib/postgresql/data"
SHAPES = ("bitnami", "sclorg", "scram", "hostssl", "read-only", "port-5433", "wal-elsewhere", "config-file", "harbor")


def bitnami(documents: list[Object]) -> list[Object]:
    """Entrypoint, configuration outside of the data directory, socket in /tmp, a password on it, uid 1001."""
    found = container(documents)
    found["env"] = [found["env"][0] | {"name": "POSTGRESQL_PASSWORD"}]
    variable(documents, "PGDATA", "/bitnami/postgresql/data")  # as the chart does
    found["volumeMounts"][0]["mountPath"] = "/bitnami/postgresql"
    runs_as(documents, 1001)
    return documents


def sclorg(documents: list[Object]) -> list[Object]:
    """uid 26, and `userdata` below the volume."""
    found = container(documents)
    found["env"] = [found["env"][0] | {"name": "POSTGRESQL_ADMIN_PASSWORD"}]
    found["volumeMounts"][0]["mountPath"] = "/var/lib/pgsql/data"
    runs_as(documents, 26)
    return documents


def scram(documents: list[Object]) -> list[Object]:
    """A password on the socket, too."""
    variable(documents, "POSTGRES_INITDB_ARGS", "--auth=scram-sha-256")
    return documents


def hostssl(documents: list[Object], folder: Path) -> list[Object]:
    """No connection by TCP without TLS."""
    hba = "local all all trust\nhostssl all all all scram-sha-256\nhostnossl all all all reject\n"
    run = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=postgres")
    subprocess.run([*run, "-keyout", folder / "key", "-out", folder / "cert"], check=True, capture_output=True)
    secret: Object = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "tls"}}
    secret["stringData"] = {name: (folder / name).read_text() for name in ("key", "cert")}
    config: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "hba"}}
    config["data"] = {"pg_hba.conf": hba}
    mounted(documents, "tls", "/tls", {"secret": {"secretName": "tls", "defaultMode": 0o640}})
    mounted(documents, "hba", "/etc/hba", {"configMap": {"name": "hba"}})
    given = {"ssl": "on", "ssl_cert_file": "/tls/cert", "ssl_key_file": "/tls/key", "hba_file": "/etc/hba/pg_hba.conf"}
    container(documents)["args"] = [word for name, value in given.items() for word in ("-c", f"{name}={value}")]
    variable(documents, "PGDATA", f"{DATA}/pgdata")
    runs_as(documents, 999)
    return [secret, config, *documents]


def read_only(documents: list[Object]) -> list[Object]:
    """Nothing but its volumes can be written to."""
    for name, path in (("run", "/var/run/postgresql"), ("tmp", "/tmp")):
        mounted(documents, name, path, {"emptyDir": {}})
    variable(documents, "PGDATA", f"{DATA}/pgdata")
    runs_as(documents, 999)
    container(documents)["securityContext"] = {"readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False}
    return documents


def port_5433(documents: list[Object]) -> list[Object]:
    """Another port, of which the Repository says nothing."""
    container(documents)["args"] = ["-c", "port=5433"]
    container(documents)["readinessProbe"]["exec"]["command"].append("--port=5433")
    return documents


def wal_elsewhere(documents: list[Object]) -> list[Object]:
    """pg_wal on a claim of its own."""
    variable(documents, "POSTGRES_INITDB_ARGS", "--waldir=/wal/pg_wal")
    container(documents)["volumeMounts"].append({"name": "wal", "mountPath": "/wal"})
    claims = documents[-1]["spec"]["volumeClaimTemplates"]
    claims.append({"metadata": {"name": "wal"}, "spec": claims[0]["spec"]})
    return documents


def config_file(documents: list[Object]) -> list[Object]:
    """`-c config_file=`."""
    text = f"listen_addresses = '*'\nhba_file = '{DATA}/pg_hba.conf'\nunix_socket_directories = '/var/run/postgresql'\n"
    config: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "conf"}}
    config["data"] = {"postgresql.conf": text}
    mounted(documents, "conf", "/etc/postgresql", {"configMap": {"name": "conf"}})
    container(documents)["args"] = ["-c", "config_file=/etc/postgresql/postgresql.conf"]
    return [config, *documents]


def harbor(documents: list[Object]) -> list[Object]:
    """PGDATA is the parent: a shell sets the true one, which the pod does not show."""
    variable(documents, "PGDATA", f"{DATA}/pgdata")
    container(documents)["command"] = ["sh", "-c", "PGDATA=$PGDATA/pg17 exec official.sh postgres"]
    return documents


@pytest.fixture(scope="module")
def runs(installed, space, tmp_path_factory) -> dict[str, Run]:
    plain, bitnamis, sclorgs = (
        images.loaded(installed.cluster, f"postgres-{name}") for name in ("major-17", "bitnami", "sclorg")
    )
    place = {"dataDirectory": "/var/lib/pgsql/data/userdata", "runAsUser": 26, "runAsGroup": 26}
    cases = [
        Case("bitnami", bitnamis, bitnami, PASSWORD | {"socketDirectory": "/tmp"}),
        Case("sclorg", sclorgs, sclorg, place),
        Case("scram", plain, scram, PASSWORD),
        Case("hostssl", plain, partial(hostssl, folder=tmp_path_factory.mktemp("tls"))),
        Case("read-only", plain, read_only),
        Case("port-5433", plain, port_5433, port=5433),
        Case("wal-elsewhere", plain, wal_elsewhere, in_place=False),
        Case("config-file", plain, config_file),
        Case("harbor", plain, harbor, advised={"dataDirectory": f"{DATA}/pgdata/pg17"}),
    ]
    found = matrix.run_all(space, cases, installed.postgres_image)
    matrix_report.save("shapes", list(found.values()))
    return found


@pytest.mark.parametrize("shape", SHAPES)
def test_each_shape_is_archived_backed_up_and_restored_to_a_moment(shape: str, runs: dict[str, Run]):
    run = runs[shape]
    assert not run.error, run.error
    assert run.before.startswith("2200|")
    assert run.after == run.before


def test_those_whose_arguments_cannot_be_added_to_are_configured_by_alter_system(runs: dict[str, Run]):
    by = {name: run.configured_by for name, run in runs.items()}
    assert {name for name, how in by.items() if how == "AlterSystem"} == {"bitnami", "sclorg", "harbor"}


def test_a_data_directory_that_the_pod_does_not_show_is_told_with_the_line_to_write(runs: dict[str, Run]):
    wanted = f"PostgreSQL's data directory is {DATA}/pgdata/pg17, not {DATA}/pgdata: set spec.postgres.dataDirectory to"
    assert re.fullmatch(rf"pod postgres-0: {re.escape(wanted)} {DATA}/pgdata/pg17", runs["harbor"].advice)


@pytest.mark.parametrize("shape", [name for name in SHAPES if name != "wal-elsewhere"])
def test_the_label_taken_off_leaves_nothing_that_fails_or_fills_the_volume(shape: str, runs: dict[str, Run]):
    """Arguments go with the pod. What ALTER SYSTEM has set stays, and there is nobody to reset it: it does nothing."""
    run = runs[shape]
    mode = "on" if run.configured_by == "AlterSystem" else "off"
    assert run.left == f"{mode}, 0 failed", run.error
