"""While no webhook answers: who is held up, and who never is. Its end and its return are part of each day."""

from __future__ import annotations

import json

import pytest
import yaml

from harness.install import wait_admission
from harness.kubectl import Kubectl
from tests.apiserver.manifests import backup, postgres_pod, repository


@pytest.fixture(scope="module")
def down(webhook, space: Kubectl):
    """The webhook's process killed, after a Repository and a Backup were made."""
    space.apply(repository("hippo"), backup("made-before"), backup("leaving"))
    webhook.program.kill()
    yield space
    webhook.start()
    wait_admission(space)


def test_unlabelled_pods_start(down: Kubectl):
    down.apply(postgres_pod("plain", repository=""))


def test_a_labelled_pod_is_not_created_and_is_told_why(down: Kubectl):
    said = down.refused(postgres_pod("labelled"))
    assert 'failed calling webhook "pods.pgwarden.io"' in said
    assert down.get("pod", "labelled") is None


def test_labelled_pods_of_namespaces_that_are_left_out_start(down: Kubectl):
    for namespace in ("kube-system", "pgwarden-system"):
        down.within(namespace).run(
            "apply", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(postgres_pod("left-out"))
        )


def test_objects_of_ours_are_not_admitted_unjudged(down: Kubectl):
    assert "failed calling webhook" in down.refused(backup("unjudged"))


def test_status_is_written_without_the_webhook(down: Kubectl):
    patch = json.dumps({"status": {"phase": "Failed", "reason": "Test", "message": "written while it was down"}})
    down.run("patch", "pgb", "made-before", "--subresource=status", "--type=merge", "-p", patch)
    assert down.get("pgb", "made-before")["status"]["message"] == "written while it was down"


def test_an_object_that_is_being_deleted_lets_go_of_its_finalizer(down: Kubectl, webhook):
    """Finalizers come off by an update: no namespace may hang because the webhook is away."""
    webhook.start()
    finalizers = json.dumps({"metadata": {"finalizers": ["example.org/wait"]}})
    down.run("patch", "pgb", "leaving", "--type=merge", "-p", finalizers)
    webhook.program.kill()
    down.delete("pgb", "leaving", wait=False)
    assert down.get("pgb", "leaving")["metadata"]["deletionTimestamp"]
    down.run("patch", "pgb", "leaving", "--type=merge", "-p", json.dumps({"metadata": {"finalizers": None}}))
    assert down.get("pgb", "leaving") is None
