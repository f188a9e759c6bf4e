"""discover: the table, the manifests for Git, and what the user's rights leave in the dark."""

from __future__ import annotations

import io
import json
from contextlib import asynccontextmanager

import pytest
import yaml

from pgwarden.cli import discover, discover_report
from pgwarden.cli.main import main
from pgwarden.cli.session import Session
from pgwarden.cli.terminal import Terminal
from pgwarden.kube import errors
from tests.unit.cli.conftest import Outcome
from tests.unit.discovery.test_findings import make, pod_of, workload

LABEL = "pgwarden.io/repository"


PLURALS = {"StatefulSet": "statefulsets", "Deployment": "deployments", "Pod": "pods", "Repository": "repositories"}


class Cluster:
    """Objects by namespace and plural. *refused* are pairs of those that may not be listed; "" is across all."""

    def __init__(self, *objects, refused=(), missing=()):
        self.objects, self.refused, self.missing = objects, set(refused), set(missing)

    async def get(self, path, params=None, seconds=None):
        parts = path.split("/")
        namespace = parts[parts.index("namespaces") + 1] if "namespaces" in parts[:-1] else ""
        if (parts[-1], namespace) in self.refused or (parts[-1], "*") in self.refused:
            raise errors.Invalid(403, "Forbidden", "no")
        if parts[-1] in self.missing:
            raise errors.NotFound(404, "NotFound", "no such resource")
        if parts[-1] == "namespaces":
            names = sorted({one["metadata"]["namespace"] for one in self.objects})
            return {"items": [{"metadata": {"name": name}} for name in names], "metadata": {}}
        items = [
            {key: value for key, value in one.items() if key != "kind"}
            for one in self.objects
            if PLURALS[one["kind"]] == parts[-1] and namespace in {"", one["metadata"]["namespace"]}
        ]
        return {"items": items, "metadata": {}}

    async def find(self, path):
        name = path.rsplit("/", 1)[-1]
        return {} if any(one["metadata"]["namespace"] == name for one in self.objects) else None


@pytest.fixture
def on(monkeypatch):
    def call(cluster, *words, width=120):
        @asynccontextmanager
        async def connect(_):
            yield Session(cluster, "zoo")

        monkeypatch.setattr(discover, "connect", connect)
        terminal = Terminal(io.StringIO(), io.StringIO(), io.StringIO(), width=width)
        code = main(("discover", *words), terminal)
        return Outcome(code, terminal.out.getvalue(), terminal.err.getvalue())

    return call


def elsewhere(obj, namespace):
    return obj | {"metadata": obj["metadata"] | {"namespace": namespace}}


def test_the_table_says_of_each_whether_it_is_protected_and_what_would_be_refused(on):
    done = on(
        Cluster(
            workload("app"), workload("gis", image="kartoza/postgis:17.0"),
            workload("safe", labels={LABEL: "safe"}), make("zoo", "safe"),
        )
    )  # fmt: skip
    assert done.code == 0, done.err
    head, app, gis, safe, *rest = done.out.splitlines()
    assert head.split() == ["NAMESPACE", "POSTGRESQL", "PODS", "SEEN", "BY", "STATE", "REPOSITORY"]
    assert app.split() == ["zoo", "statefulset/app", "1", "postgres:17", "injectable", "-"]
    assert gis.split()[4:] == ["refused", "-"]
    assert safe.split()[4:] == ["protected", "safe"]
    assert rest[1].startswith("  zoo statefulset/gis: spec.template.spec.containers[0].securityContext.runAsUser: ")
    assert "3 PostgreSQLs found, 1 protected, 1 can be" in done.err


def test_the_table_fits_120_columns_whatever_the_names(on):
    long = "a-very-long-name-of-a-database-that-somebody-has-chosen-in-anger"
    one = elsewhere(workload(long, image=f"registry.example.com/{long}/postgres:{long}"), f"{long[:50]}-ns")
    done = on(Cluster(one, elsewhere(workload("b", image="kartoza/postgis:17"), "b")), "-A")
    assert max(map(len, done.out.splitlines())) <= discover_report.WIDTH
    assert "…" in done.out
    assert "statefulset/a-" in done.out
    assert "in-anger" in done.out


def test_yaml_is_repositories_and_then_labels(on):
    done = on(
        Cluster(workload("app"), workload("web"), make("zoo", "web"), workload("x", image="nginx:1")), "-o", "yaml"
    )
    made = list(yaml.safe_load_all(done.out))
    assert [(one["kind"], one["metadata"]["name"]) for one in made] == [
        ("Repository", "app"), ("StatefulSet", "app"), ("StatefulSet", "web"),
    ]  # fmt: skip
    assert made[0]["spec"] == {"storageType": "local"}
    assert made[1]["spec"] == {"template": {"metadata": {"labels": {LABEL: "app"}}}}
    assert "apply --server-side" in done.err


def test_the_storage_of_the_printed_repositories_is_given_as_to_protect(on):
    words = ("--pgbackrest-storage-type=s3", "--pgbackrest-s3-bucket=b", "--pgbackrest-s3-endpoint=e.example.com")
    done = on(Cluster(workload("app")), "-o", "yaml", *words, "--pgbackrest-s3-region=eu")
    made = yaml.safe_load(done.out.split("---")[0])
    assert made["spec"]["s3"]["bucket"] == "b"
    assert "Secrets with S3 keys must be there first: zoo/app-s3" in done.err
    done = on(Cluster(), "--pgbackrest-s3-bucket=b")
    assert (done.code, "--pgbackrest-s3-bucket" in done.err) == (2, True)


def test_json_has_everything_for_programs(on):
    one = workload("app")
    (found,) = json.loads(on(Cluster(one, pod_of(one)), "-o", "json").out)
    assert found == {
        "namespace": "zoo", "kind": "StatefulSet", "name": "app", "state": "injectable", "pods": 1, "injectedPods": 0,
        "seenBy": ["image", "folder"], "operator": None, "container": "db", "image": "postgres:17", "repository": "app",
        "repositoryExists": False, "reasons": [], "warnings": [],
    }  # fmt: skip


def test_what_may_not_be_read_is_named(on):
    one = workload("app")
    done = on(Cluster(one, pod_of(one), refused=[("statefulsets", "zoo"), ("repositories", "zoo")]))
    assert "statefulset/app" in done.out
    assert "not looked at: statefulsets of zoo (no right to list them)" in done.err
    assert "not looked at: repositories of zoo" in done.err


def test_where_not_all_namespaces_may_be_read_each_is_asked(on):
    there = [elsewhere(workload("app"), name) for name in ("a", "b", "c")]
    refused = [("statefulsets", ""), ("statefulsets", "b")]
    done = on(Cluster(*there, refused=refused), "-A")
    assert [line.split()[0] for line in done.out.splitlines()[1:3]] == ["a", "c"]
    assert "not looked at: statefulsets of b (no right" in done.err


def test_where_namespaces_may_not_be_listed_it_says_that_it_saw_nothing(on):
    refused = [(plural, "*") for plural in ("pods", "statefulsets", "deployments", "repositories", "namespaces")]
    done = on(Cluster(workload("app"), refused=refused), "-A")
    assert done.code == 2
    assert "not looked at: pods of all namespaces" in done.err


def test_it_works_before_pgwarden_is_installed(on):
    done = on(Cluster(workload("app"), missing=["repositories"]))
    assert (done.code, "injectable" in done.out) == (0, True)
    assert "pgwarden is not installed in this cluster" in done.err


def test_a_namespace_without_postgresql_and_one_that_is_not_there(on):
    assert on(Cluster(workload("x", image="nginx:1"))).out == "no PostgreSQL found in namespace zoo\n"
    gone = on(Cluster())
    assert (gone.code, "namespace zoo does not exist" in gone.err) == (2, True)
