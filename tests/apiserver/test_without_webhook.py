"""The webhook configurations removed: the schema still refuses, and the controller says what the webhook would have said."""

from __future__ import annotations

import pytest
import yaml

from harness.kubectl import Kubectl, condition
from harness.waiting import until
from tests.apiserver.manifests import S3, backup, cluster, repository, restore, schedule
from tests.apiserver.release import CONFIGURATIONS


@pytest.fixture(scope="module")
def bypassed(webhook, release, controllers, space: Kubectl):
    copy = cluster("fixed-copy", dataSource={"repository": "hippo"})
    space.apply(
        repository("hippo"), backup("fixed"), restore("fixed"), repository("fixed", local={"size": "20Gi"}), copy
    )
    controllers.leader()
    for kind in CONFIGURATIONS:
        space.run("delete", kind, "pgwarden")
    yield space
    space.within("pgwarden-system").apply(
        *release.of_kind("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
    )
    until(lambda: all(release.bundles()), "the controller has written the caBundle again", 30)


BY_SCHEMA = [
    (repository("x", storageType="gcs"), "spec.storageType"),
    (repository("x", storageType="s3,local"), "spec.storageType"),
    (repository("x" * 53), "at most 52"),
    (backup("x", type="fulll"), "spec.type"),
    (backup("x" * 64), "at most 63 characters"),
    (schedule("x", schedule="* *"), "spec.schedule"),
    (restore("x", target={"time": "2026-11-02 10:00:00+00", "xid": "77"}), "set exactly one of time, lsn"),
    (restore("x", target={"lsn": "nowhere"}), "spec.target.lsn"),
]


@pytest.mark.parametrize(("obj", "said"), BY_SCHEMA, ids=[f"{o['kind']}-{said}" for o, said in BY_SCHEMA])
def test_the_schema_refuses_alone(bypassed: Kubectl, obj, said):
    assert said in bypassed.refused(obj)


CHANGED = [
    (backup("fixed", type="full"), "a Backup cannot be changed, but for its deletionPolicy; create another one"),
    (restore("fixed", set="latest"), "a Restore cannot be changed; create another one"),
    (repository("fixed", local={"size": "1Gi"}), "the size can grow, but a volume cannot shrink"),
    (
        repository("fixed", local={"size": "20Gi"}, encryption={"secretRef": {"name": "k"}}),
        "encryption cannot be changed",
    ),
    (repository("fixed", local={"size": "20Gi", "storageClassName": "fast"}), "storageClassName"),
    (cluster("fixed-copy"), "dataSource can be neither added nor removed"),
    (cluster("fixed-copy", dataSource={"repository": "hippo", "storage": "local"}), "dataSource cannot be changed"),
]


@pytest.mark.parametrize(("obj", "said"), CHANGED, ids=[f"{o['kind']}-{said[:20]}" for o, said in CHANGED])
def test_what_must_not_change_is_held_by_cel(bypassed: Kubectl, obj, said):
    assert said in bypassed.refused(obj)


FAULTS = [
    repository("rejected", options=["--proces-max=4"], s3={"bucket": "b-b"}),
    backup("rejected", repository="hipo"),
    schedule("rejected", timeZone="Europe/Berln", schedule="0 25 * * *"),
    restore("rejected", volumeClaim="hippo-pgbackrest-repo"),
    cluster("rejected", dataSource={"repository": "hippo", "namespace": "elsewhere"}),
]


@pytest.mark.parametrize("obj", FAULTS, ids=[obj["kind"] for obj in FAULTS])
def test_what_came_past_the_webhook_ends_rejected_with_the_webhooks_text(bypassed: Kubectl, webhook, release, obj):
    bypassed.apply(obj)
    kind = obj["kind"]
    found = bypassed.until(kind, "rejected", lambda o: condition(o, "Rejected"), "is Rejected", 20)
    assert condition(found, "Rejected")["status"] == "True"
    assert found["status"]["phase"] == "Failed"
    assert condition(found, "Rejected")["message"] == asked(release, found)


def asked(release, obj) -> str:
    """What the webhook, which still runs, answers when it is asked about this object."""
    import json
    import sys

    review = {
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {"uid": "1", "operation": "CREATE", "namespace": obj["metadata"]["namespace"],
                    "kind": {"group": "pgwarden.io", "version": "v1alpha1", "kind": obj["kind"]}, "object": obj},
    }  # fmt: skip
    program = (
        "import json, ssl, sys, urllib.request\n"
        "context = ssl._create_unverified_context()\n"
        "print(urllib.request.urlopen('https://127.0.0.1/check', sys.argv[1].encode(), context=context).read().decode())"
    )
    return json.loads(release.inside(sys.executable, "-c", program, json.dumps(review)).stdout)["response"]["status"][
        "message"
    ]


def test_a_storage_that_holds_backups_is_not_left_out_unseen(bypassed: Kubectl):
    """The schema cannot tell: what a storage holds is in the status."""
    s3 = S3 | {"path": "/narrowed"}
    bypassed.apply(repository("narrowed", storageType="local,s3", s3=s3))
    bypassed.apply(repository("narrowed", storageType="s3", s3=s3))
    held = yaml.safe_dump({"status": {"backups": [{"label": "20261101-000000F", "type": "full", "storage": "local"}]}})

    def rejected() -> str:
        """The controller may be writing the status just now."""
        bypassed.run("patch", "pgrepo", "narrowed", "--subresource=status", "--type=merge", "-p", held)
        found = condition(bypassed.get("pgrepo", "narrowed"), "Rejected")
        return found["message"] if found else ""

    said = until(rejected, "it is Rejected", 20)
    assert said == (
        'spec.storageType: "s3": storage local still holds a backup; a Repository with backups can only gain storages'
    )


def test_a_rejected_object_that_is_mended_goes_on(bypassed: Kubectl):
    bypassed.apply(repository("mended", options=["--proces-max=4"]))
    bypassed.until("pgrepo", "mended", lambda o: condition(o, "Rejected"), "is Rejected", 20)
    bypassed.apply(yaml.safe_dump(repository("mended", options=["--process-max=4"])))
    bypassed.until("pgrepo", "mended", lambda o: not condition(o, "Rejected"), "is no longer Rejected", 20)
    until(lambda: bypassed.get("deployment", "mended-pgbackrest"), "its host is made", 20)
