"""Ways in which people and tools write objects, other than a plain `kubectl apply`."""

from __future__ import annotations

import json
import os
import stat

import pytest
import yaml

from harness.kubectl import Kubectl
from harness.waiting import until
from tests.apiserver.manifests import backup, postgres_pod, repository, schedule


@pytest.fixture(scope="module")
def hippo(webhook, space: Kubectl) -> Kubectl:
    space.apply(repository("hippo"))
    return space


def send(space: Kubectl, verb: str, obj: dict, *arguments: str):
    return space.run(verb, *arguments, "-f", "-", stdin=yaml.safe_dump(obj), check=False)


def test_server_side_apply_is_judged_like_any_other(hippo: Kubectl):
    assert send(hippo, "apply", repository("ssa"), "--server-side").returncode == 0
    done = send(hippo, "apply", repository("ssa", storageType="gcs"), "--server-side")
    assert done.returncode != 0
    assert "gcs is not a storage" in done.stderr
    assert hippo.get("pgrepo", "ssa")["spec"]["storageType"] == "local"


def test_a_dry_run_is_judged_and_leaves_nothing(hippo: Kubectl):
    assert send(hippo, "apply", backup("dry"), "--dry-run=server").returncode == 0
    assert "did you mean hippo?" in send(hippo, "apply", backup("dry", repository="hipo"), "--dry-run=server").stderr
    assert hippo.get("pgb", "dry") is None


def test_generated_names_are_admitted_and_too_long_ones_refused(hippo: Kubectl):
    generated = backup("-") | {"metadata": {"generateName": "nightly-"}}
    done = send(hippo, "create", generated, "-o", "name")
    assert done.stdout.startswith("backup.pgwarden.io/nightly-")
    wrong = send(hippo, "create", repository("-") | {"metadata": {"generateName": "Upper-"}})
    assert wrong.returncode != 0


def test_patches_of_three_kinds_are_judged_by_their_result(hippo: Kubectl):
    hippo.apply(schedule("patched"))
    patches = {
        "merge": json.dumps({"spec": {"schedule": "99 * * * *"}}),
        "json": json.dumps([{"op": "replace", "path": "/spec/schedule", "value": "99 * * * *"}]),
    }
    for kind, patch in patches.items():
        done = hippo.run("patch", "pgbs", "patched", f"--type={kind}", "-p", patch, check=False)
        assert done.returncode != 0
        assert "99" in done.stderr
    hippo.run("patch", "pgbs", "patched", "--type=merge", "-p", json.dumps({"spec": {"schedule": "30 2 * * *"}}))
    assert hippo.get("pgbs", "patched")["spec"]["schedule"] == "30 2 * * *"


def test_an_edit_that_is_refused_says_why_and_changes_nothing(hippo: Kubectl, tmp_path, monkeypatch):
    hippo.apply(schedule("edited"))
    editor, seen = tmp_path / "editor", tmp_path / "seen"
    editor.write_text(f'#!/bin/sh\ncat "$1" >> {seen}\nsed -i \'s/0 1 [*] [*] [*]/0 25 * * */\' "$1"\n')
    editor.chmod(editor.stat().st_mode | stat.S_IXUSR)
    # kubectl opens the editor again with the server's words in it; unchanged a second time, it gives up.
    monkeypatch.setitem(os.environ, "KUBE_EDITOR", str(editor))
    done = hippo.run("edit", "pgbs", "edited", check=False)
    assert done.returncode != 0
    assert "hours" in seen.read_text()
    assert hippo.get("pgbs", "edited")["spec"]["schedule"] == "0 1 * * *"


def test_a_field_that_the_schema_does_not_have_is_refused_by_name(hippo: Kubectl):
    assert 'unknown field "spec.storageTypo"' in hippo.refused(repository("typo", storageTypo="local"))


def test_labels_and_annotations_of_an_immutable_object_can_be_changed(hippo: Kubectl):
    hippo.apply(backup("labelled"))
    hippo.run("label", "pgb", "labelled", "team=db")
    hippo.run("annotate", "pgb", "labelled", "why=audit")
    assert hippo.get("pgb", "labelled")["metadata"]["labels"] == {"team": "db"}


def test_a_refusal_in_a_file_of_many_objects_names_the_object(hippo: Kubectl):
    said = hippo.refused(backup("good"), repository("bad", storageType="gcs", retention={"full": 0}))
    assert 'The Repository "bad" is invalid' in said
    assert len([line for line in said.splitlines() if line.startswith("* spec.")]) == 2


def test_a_repository_and_its_backup_may_come_in_one_apply(hippo: Kubectl, controllers):
    """The Repository is younger than what the webhook has in memory, and may be than what the controller has."""
    controllers.leader()
    hippo.apply(repository("together"), backup("together-1", repository="together"))
    told = hippo.until("pgb", "together-1", lambda o: o.get("status", {}).get("reason"), "has been looked at", 30)
    assert told["status"]["phase"] == "Pending"
    hippo.until("pgb", "together-1", lambda o: o["status"]["reason"] == "RepositoryNotReady", "waits for its host", 30)


def test_warnings_are_printed_and_do_not_refuse(hippo: Kubectl):
    done = send(hippo, "apply", repository("warned", retention=None))
    assert done.returncode == 0
    assert "Warning: no retention is set" in done.stderr


def test_a_labelled_pod_is_injected_and_an_unlabelled_one_left_alone(hippo: Kubectl):
    hippo.apply(postgres_pod("labelled"), postgres_pod("plain", repository=""))
    injected = hippo.get("pod", "labelled")
    assert [one["name"] for one in injected["spec"]["initContainers"]] == ["pgwarden"]
    assert injected["metadata"]["annotations"]["pgwarden.io/injected"]
    plain = hippo.get("pod", "plain")
    assert "initContainers" not in plain["spec"]
    assert not [name for name in plain["metadata"].get("annotations", {}) if name.startswith("pgwarden.io/")]


def test_a_copy_of_an_injected_pod_is_injected_once(hippo: Kubectl):
    hippo.apply(postgres_pod("original"))
    first = hippo.get("pod", "original")
    copy = {"apiVersion": "v1", "kind": "Pod", "metadata": first["metadata"] | {"name": "copy"}, "spec": first["spec"]}
    for field in ("uid", "resourceVersion", "creationTimestamp", "managedFields"):
        copy["metadata"].pop(field, None)
    hippo.run("create", "-f", "-", stdin=yaml.safe_dump(copy))
    assert hippo.get("pod", "copy")["spec"] == first["spec"]


def test_a_pod_with_the_label_of_no_repository_is_refused(hippo: Kubectl):
    said = hippo.refused(postgres_pod("orphan", repository="hipo"))
    assert 'The Pod "orphan" is invalid: metadata.labels[pgwarden.io/repository]: "hipo"' in said


def test_each_decision_is_one_line_of_log_without_values(hippo: Kubectl, webhook):
    send(hippo, "create", backup("logged", repository="hipo-s3cr3t"))
    done = until(lambda: [one for one in webhook.program.lines() if one.get("name") == "logged"], "it is logged", 5)
    assert done[-1]["outcome"] == "refused"
    assert done[-1]["faults"] == ["spec.repository (repository)"]
    assert "s3cr3t" not in webhook.program.log.read_text()


def stateful_set(labels: dict[str, str], own: dict[str, str] | None = None) -> dict:
    pod = postgres_pod("postgres")
    template = {"metadata": {"labels": {"app": "postgres"} | labels}, "spec": pod["spec"]}
    spec = {"serviceName": "postgres", "selector": {"matchLabels": {"app": "postgres"}}, "template": template}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "postgres", "labels": own or {}},
        "spec": spec,
    }


@pytest.mark.parametrize(
    ("labels", "own", "told"),
    [
        ({"pgwarden.io/repository": "hipo"}, {}, "there is no Repository of this name in namespace"),
        ({}, {"pgwarden.io/repository": "hippo"}, "is on the workload, where it protects nothing"),
        ({"pgwarden.io/repo": "hippo"}, {}, "did you mean pgwarden.io/repository?"),
        ({"pgwarden.io/repository": "hippo"}, {}, ""),
        ({}, {}, ""),
    ],
    ids=["no Repository", "on the workload", "misspelt", "as it should be", "without"],
)
def test_a_workload_is_warned_about_at_its_own_change_and_never_refused(hippo: Kubectl, labels, own, told: str):
    for verb in ("create", "apply"):
        done = send(hippo, verb, stateful_set(labels, own), "--dry-run=server")
        assert done.returncode == 0
        assert ("Warning: " in done.stderr) == bool(told)
        assert told in done.stderr


@pytest.mark.parametrize("kind", ["StatefulSet", "Deployment"])
def test_a_workload_that_is_there_is_warned_about_at_the_update_before_its_old_pod_goes(hippo: Kubectl, kind: str):
    made = stateful_set({}) | {"kind": kind}
    made["metadata"]["name"] = "changes"
    made["spec"]["replicas"] = 0
    if kind == "Deployment":
        del made["spec"]["serviceName"]
    assert "Warning: " not in send(hippo, "apply", made).stderr
    try:
        made["spec"]["template"]["metadata"]["labels"]["pgwarden.io/repository"] = "hipo"
        done = send(hippo, "apply", made)
        assert done.returncode == 0, done.stderr
        assert "Warning: " in done.stderr
        assert "there is no Repository of this name in namespace" in done.stderr
        found = hippo.get(kind, "changes")
        assert found["spec"]["template"]["metadata"]["labels"]["pgwarden.io/repository"] == "hipo"
    finally:
        hippo.delete(kind, "changes")
