"""A password is changed in a PostgresCluster's Secret: it is the one that logs in, whole, or nothing changes."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from harness.cluster import Cluster, manifest
from harness.kubectl import Kubectl, condition, is_true
from harness.postgres import IMAGE
from harness.s3_steps import says
from harness.waiting import until

SECRET = "hippo-credentials"
STREAMING = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
#: With what a uri must write otherwise.
NEW = "n3w: 50%/of@it?"


@pytest.fixture(scope="module")
def hippo(installed, space: Kubectl) -> Cluster:
    return Cluster.made(space, manifest())


def value(space: Kubectl, key: str) -> str:
    return base64.b64decode(space.get("secret", SECRET)["data"][key]).decode()


def write(space: Kubectl, **values: str) -> None:
    space.run("patch", "secret", SECRET, "-p", json.dumps({"stringData": values}))


@pytest.fixture(scope="module")
def application(space: Kubectl) -> Callable[[str], str]:
    """What an application's pod is told that logs in by a uri: who and where it is, or why not."""
    container = {"name": "psql", "image": IMAGE, "imagePullPolicy": "Never", "command": ["sleep", "infinity"]}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
    space.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "application"}, "spec": spec})
    space.until("pod", "application", is_true("Ready"), "is ready", 60)

    def login(uri: str) -> str:
        asks = "SELECT current_user, pg_is_in_recovery()"
        done = space.run("exec", "application", "--", "psql", "-X", "-A", "-t", "-c", asks, uri, check=False)
        return (done.stdout if done.returncode == 0 else done.stderr).strip()

    return login


def events(space: Kubectl, reason: str) -> set[str]:
    fields = f"involvedObject.kind=PostgresCluster,involvedObject.name=hippo,reason={reason}"
    listed = json.loads(space.run("get", "events", f"--field-selector={fields}", "-o", "json").stdout)["items"]
    return {one["message"] for one in listed}


def test_an_empty_password_is_told_and_changes_nothing(
    hippo: Cluster, application: Callable[[str], str], space: Kubectl
):
    uri, password, pods = value(space, "uri"), value(space, "password"), hippo.pods()
    assert application(uri) == "app|f"
    write(space, password="")
    words = f"password in Secret {SECRET} is empty; set it to a password"
    told = space.until("pgc", "hippo", says("Passwords", "False", words), "says which key is empty", 60)
    assert condition(told, "Passwords")["reason"] == "PasswordsNotSet"
    until(lambda: any(words in said for said in events(space, "PasswordsNotSet")), "an Event says so", 20)
    assert application(uri) == "app|f"
    assert value(space, "uri") == uri
    write(space, password=password)
    space.until("pgc", "hippo", is_true("Passwords"), "has its passwords", 150)
    assert application(uri) == "app|f"
    assert hippo.pods() == pods


def test_changed_ones_log_in_and_the_replica_streams_by_its_own_after_the_roll(
    hippo: Cluster, application: Callable[[str], str], space: Kubectl
):
    old, pods, before = value(space, "uri"), set(hippo.pods()), events(space, "PasswordsSet")
    write(space, password=NEW, **{"replication-password": "0ther", "superuser-password": "an0ther"})
    new = until(lambda: value(space, "uri") != old and value(space, "uri"), "the uri follows", 60)
    assert urlsplit(new)._replace(netloc="") == urlsplit(old)._replace(netloc="")
    refused = 'password authentication failed for user "app"'
    until(lambda: application(new) == "app|f", "the new uri logs in", 60)
    until(lambda: refused in application(old), "the old one does not", 60)
    (said,) = until(lambda: events(space, "PasswordsSet") - before, "an Event says which", 20)
    assert "password of postgres, password of replicator, password of app" in said

    until(lambda: len(hippo.pods()) == 2 and not pods & set(hippo.pods()), "each instance is renewed", 180)
    hippo.wait_ready()
    until(lambda: hippo.sql(STREAMING) == "1", "the replica streams", 60)
    hippo.sql("CREATE TABLE after_the_roll AS SELECT 1 AS one")
    replica = next(one["name"] for one in hippo.wait_ready()["instances"] if one["role"] == "replica")
    until(lambda: hippo.sql("SELECT to_regclass('after_the_roll')", replica), f"{replica} has what was written", 60)
    assert application(new) == "app|f"
    assert refused in application(old)
