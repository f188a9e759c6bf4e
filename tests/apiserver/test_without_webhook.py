"""The webhook configurations removed: the schema still refuses, and the controller says what the webhook would have said."""

from __future__ import annotations

import pytest
import yaml

from harness.kubectl import Kubectl, condition, phase
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
    (restore("x", undo="back", set="latest"), "undo cannot be combined with target, set"),
]


@pytest.mark.parametrize(("obj", "said"), BY_SCHEMA, ids=[f"{o['kind']}-{said}" for o, said in BY_SCHEMA])
def test_the_schema_refuses_alone(bypassed: Kubectl, obj, said):
    assert said in bypassed.refused(obj)


CHANGED = [
    (backup("fixed", type="full"), "a Backup cannot be changed, except for its deletionPolicy; create another Backup"),
    (
        restore("fixed", set="latest"),
        "a Restore cannot be changed, except recoveryTimeoutSeconds; create another Restore",
    ),
    (repository("fixed", local={"size": "1Gi"}), "size cannot shrink, because a volume can only grow"),
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


def test_how_long_a_recovery_may_stand_still_can_be_changed(bypassed: Kubectl):
    bypassed.apply(restore("fixed", recoveryTimeoutSeconds=7200))
    assert bypassed.get("pgr", "fixed")["spec"]["recoveryTimeoutSeconds"] == 7200
    bypassed.apply(restore("fixed"))


FAULTS = [
    repository("rejected", options=["--proces-max=4"], s3={"bucket": "b-b"}),
    backup("rejected", repository="hipo", options=["--proces-max=4"]),
    schedule("rejected", timeZone="Europe/Berln", schedule="0 25 * * *"),
    restore("rejected", volumeClaim="hippo-pgbackrest-repo"),
    cluster("rejected", parameters={"archive_mode": "off"}),
]


@pytest.mark.parametrize("obj", FAULTS, ids=[obj["kind"] for obj in FAULTS])
def test_what_came_past_the_webhook_ends_rejected_with_the_webhooks_text(bypassed: Kubectl, webhook, release, obj):
    bypassed.apply(obj)
    kind = obj["kind"]
    found = bypassed.until(kind, "rejected", lambda o: condition(o, "Rejected"), "is Rejected", 20)
    assert condition(found, "Rejected")["status"] == "True"
    assert found["status"]["phase"] == "Failed"
    assert condition(found, "Rejected")["message"] == asked(release, found)


WAITS = [
    (backup("waits", repository="hipo"), "Completed", "NoRepository"),
    (schedule("waits", repository="hipo"), "Ready", "NoRepository"),
    (schedule("waits-for-s3", storage="s3"), "Ready", "StorageMissing"),
    (restore("waits", repository="hipo"), "Validated", "NoRepository"),
    (cluster("waits", dataSource={"repository": "hippo", "namespace": "elsewhere"}), "Ready", "SourceMissing"),
    (repository("waits", storageType="s3", s3={"credentialsSecretRef": {"name": "s3"}}), "Ready", "DefaultMissing"),
]


@pytest.mark.parametrize(("obj", "kind", "reason"), WAITS, ids=[f"{o['kind']}-{reason}" for o, _, reason in WAITS])
def test_what_the_world_lacks_is_waited_for_with_the_webhooks_text(
    bypassed: Kubectl, webhook, release, obj, kind, reason
):
    bypassed.apply(obj)

    def waits(found) -> bool:
        return (condition(found, kind) or {}).get("reason") == reason

    found = bypassed.until(obj["kind"], obj["metadata"]["name"], waits, f"waits: {reason}", 20)
    assert found["status"]["phase"] in {"Pending", "Creating"}
    assert condition(found, kind)["message"].partition("; no run")[0] == asked(release, found)


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
        'spec.storageType: "s3": cannot remove storage local: it still holds a backup; if it is lost, or no longer wanted, say so with the annotation pgwarden.io/give-up-storage=local'
    )


def test_a_rejected_object_that_is_mended_goes_on(bypassed: Kubectl):
    bypassed.apply(repository("mended", options=["--proces-max=4"]))
    bypassed.until("pgrepo", "mended", lambda o: condition(o, "Rejected"), "is Rejected", 20)
    bypassed.apply(yaml.safe_dump(repository("mended", options=["--process-max=4"])))
    bypassed.until("pgrepo", "mended", lambda o: not condition(o, "Rejected"), "is no longer Rejected", 20)
    until(lambda: bypassed.get("deployment", "mended-pgbackrest"), "its host is made", 20)


def test_a_schedule_that_is_rejected_and_mended_goes_on(bypassed: Kubectl):
    bypassed.apply(schedule("mended", timeZone="Europe/Berln"))
    found = bypassed.until("pgbs", "mended", lambda o: condition(o, "Rejected"), "is Rejected", 20)
    assert (found["status"]["phase"], found["status"]["reason"]) == ("Failed", "InvalidSpec")
    bypassed.apply(schedule("mended", timeZone="Europe/Berlin"))
    found = bypassed.until("pgbs", "mended", lambda o: o["status"]["phase"] == "Active", "is Active", 20)
    assert condition(found, "Rejected") is None
    assert found["status"]["nextScheduleTimes"]


def test_one_that_waits_goes_on_when_what_it_waits_for_comes(bypassed: Kubectl):
    bypassed.apply(schedule("early", repository="late"), backup("early", repository="late"))
    bypassed.until("pgbs", "early", lambda o: o["status"]["reason"] == "NoRepository", "waits", 20)
    bypassed.apply(repository("late"))
    bypassed.until("pgbs", "early", lambda o: o["status"]["phase"] == "Active", "is Active", 20)
    bypassed.until("pgb", "early", lambda o: o["status"]["reason"] == "RepositoryNotReady", "is accepted", 20)


@pytest.mark.parametrize("backwards", [False, True], ids=["the Repository first", "the Repository last"])
def test_of_what_comes_in_one_apply_nothing_ends_failed(bypassed: Kubectl, backwards: bool):
    """Each kind has a watch of its own, and nothing is said of their order."""
    made = [f"together{'-back' if backwards else ''}-{number}" for number in range(10)]
    for name in made:
        of = {"repository": name}
        four = [repository(name), backup(name, **of), restore(name, **of), schedule(name, **of)]
        bypassed.apply(*(reversed(four) if backwards else four))
    for name in made:
        bypassed.until("pgb", name, lambda o: o["status"]["reason"] == "RepositoryNotReady", "waits for its host", 30)
        bypassed.until("pgr", name, lambda o: o["status"]["phase"] == "Pending", "waits", 30)
        bypassed.until("pgbs", name, lambda o: o["status"]["phase"] == "Active", "is Active", 30)
    kinds = ("pgrepo", "pgb", "pgr", "pgbs")
    listed = [one for kind in kinds for one in bypassed.list(kind)]
    failed = [o["metadata"]["name"] for o in listed if phase("Failed")(o)]
    assert [name for name in failed if name in made] == []


def test_a_standing_repository_that_a_rule_refuses_by_now_is_cared_for(bypassed: Kubectl, controllers, release):
    """It was made with the operator's default for its bucket, and the operator has none any more."""
    s3 = {key: value for key, value in S3.items() if key != "bucket"} | {"path": "/stands"}
    keys = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s3"},
        "stringData": {"s3-key": "k", "s3-key-secret": "s"},
    }
    controllers.extra["PGWARDEN_S3_BUCKET"] = "of-the-operator"
    controllers.restart()
    bypassed.apply(keys, repository("stands", storageType="s3", s3=s3))
    bypassed.until("pgrepo", "stands", lambda o: condition(o, "Archiving"), "is taken up", 30)
    del controllers.extra["PGWARDEN_S3_BUCKET"]
    leader = controllers.restart()
    found = bypassed.until("pgrepo", "stands", lambda o: condition(o, "Rejected"), "is Rejected", 30)
    assert condition(found, "Rejected")["reason"] == "NoLongerValid"
    assert "spec.s3.bucket: is required" in condition(found, "Rejected")["message"]
    assert condition(found, "Archiving")["reason"] == "NoPrimary", "it is looked at as before"
    bypassed.delete("secret", "stands-pgbackrest-pods")
    until(lambda: bypassed.get("secret", "stands-pgbackrest-pods"), "its pods get another certificate", 30)
    conf = bypassed.get("configmap", "stands-pgbackrest")["data"]["host.conf"]
    assert "repo1-s3-bucket=of-the-operator" in conf
    said = release.ask(leader.port, "/metrics")
    assert f'pgwarden_rejected{{kind="Repository",name="stands",namespace="{bypassed.namespace}"}} 1.0' in said
