"""Facts whose port, user and password are in Secrets: taken as the webhook wrote them, and never as somebody changed them."""

import json

import pytest

from controller import pods
from harness.patches import carried_out
from pgwarden.injection import pipeline
from pgwarden.injection.patch import encode
from pgwarden.injection.settings import Settings

FACTS = "pgwarden.io/postgres"


@pytest.fixture
def injected():
    """A pod whose variables are a whole Secret, after the webhook."""
    container = {
        "name": "postgres",
        "image": "postgres:17",
        "envFrom": [{"secretRef": {"name": "app"}}],
        "volumeMounts": [{"name": "data", "mountPath": "/var/lib/postgresql/data"}],
    }
    metadata = {"name": "hippo-0", "namespace": "zoo", "labels": {"pgwarden.io/repository": "hippo"}}
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
    pod = {"metadata": metadata, "spec": {"containers": [container], "volumes": [volume]}}
    repository = {"metadata": {"name": "hippo", "namespace": "zoo"}, "spec": {}}
    decided = pipeline.decision_on(pod, repository, Settings(image="pgwarden"))
    return carried_out(pod, json.loads(encode(pipeline.operations(decided))))


def changed(pod, **facts):
    there = json.loads(pod["metadata"]["annotations"][FACTS])
    pod["metadata"]["annotations"][FACTS] = json.dumps(there | facts)
    return pod


def test_what_the_webhook_wrote_is_read(injected):
    found = pods.postgres_facts(injected)
    assert found is not None
    assert (found.port, found.user) == (0, "")
    assert {one.variable for one in found.sources} == {"PGWARDEN_PG_USER", "PGWARDEN_PG_PORT", "PGPASSWORD"}


@pytest.mark.parametrize(
    "source",
    [
        {"variable": "PGPASSWORD", "kind": "secretKeyRef", "name": "another", "key": "token"},
        {"variable": "LD_PRELOAD", "kind": "secretKeyRef", "name": "app", "key": "POSTGRES_USER"},
    ],
)
def test_a_reference_that_the_sidecar_has_not_got_is_not_taken(injected, source):
    assert pods.postgres_facts(changed(injected, port=5432, sources=[source])) is None


def test_no_port_without_a_reference_is_none(injected):
    assert pods.postgres_facts(changed(injected, sources=[])) is None
