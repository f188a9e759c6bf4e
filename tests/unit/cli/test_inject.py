"""inject is the webhook's own patch, shown: golden diffs of the demo, and what survives."""

import copy
import json
import os
from pathlib import Path

import pytest
import yaml

from pgwarden.injection.patch import encode
from pgwarden.injection.pipeline import decision_on, operations
from pgwarden.injection.settings import Settings
from pgwarden.injection.workloads import TEMPLATES, USUAL, apply

GOLDEN = Path(__file__).parent / "golden" / "demo.diff"
DEMO = Path(__file__).parents[3] / "demo" / "manifests"
PODS = Path(__file__).parents[1] / "injection" / "golden"
UPDATE = os.environ.get("PGWARDEN_UPDATE_GOLDEN") == "1"
IMAGE = "pgwarden.example/pgwarden:1"


def test_the_demos_diff_is_the_golden_one(run, monkeypatch):
    """Nothing but the StatefulSet's template shows, and its claim template does not become a volume."""
    monkeypatch.chdir(DEMO.parents[1])
    done = run("inject", "demo/manifests", "--image", IMAGE)
    if UPDATE:
        GOLDEN.write_text(done.out, "utf-8")
    assert (done.code, done.err) == (0, "")
    assert done.out == GOLDEN.read_text("utf-8")
    assert not [line for line in done.out.splitlines()[2:] if line.startswith("-")]
    assert "claimName" not in done.out


@pytest.mark.parametrize("name", sorted(path.stem for path in PODS.glob("*.yaml")))
def test_a_pod_comes_out_as_the_webhooks_patch_makes_it(run, tmp_path, name):
    """The same pods as the webhook's golden files, by their recorded patches."""
    documents = list(yaml.safe_load_all((PODS / f"{name}.yaml").read_text("utf-8")))
    pod = documents[0]
    found = documents[1] if len(documents) > 1 else repository()
    path = tmp_path / "pod.yaml"
    path.write_text(yaml.safe_dump_all([pod, found]), "utf-8")
    done = run("inject", str(path), "-o", "yaml", "--image", IMAGE)
    assert done.code == 0, done.err
    recorded = json.loads((PODS / f"{name}.patch.json").read_text("utf-8"))
    assert next(yaml.safe_load_all(done.out)) == apply(pod, recorded)


PLACES = TEMPLATES | dict.fromkeys(("DeploymentConfig", "Rollout", "CloneSet"), USUAL)


@pytest.mark.parametrize("kind", PLACES)
def test_each_kind_of_workload_gets_its_template_injected(run, kind):
    """As the pod that it makes; all else of the workload stays."""
    template = {"metadata": {"labels": {"pgwarden.io/repository": "hippo"}}, "spec": pod_spec()}
    workload = {"apiVersion": "x/v1", "kind": kind, "metadata": {"name": "db", "namespace": "zoo"}}
    place = workload
    for part in PLACES[kind][:-1]:
        place = place.setdefault(part, {"replicas": 1})
    place[PLACES[kind][-1]] = template
    done = run("inject", "-", "-o", "yaml", "--image", IMAGE, stdin=yaml.safe_dump_all([workload, repository()]))
    assert done.code == 0, done.err
    result = next(yaml.safe_load_all(done.out))
    pod = {"metadata": template["metadata"] | {"namespace": "zoo"}, "spec": template["spec"]}
    decided = decision_on(pod, repository(), Settings(image=IMAGE))
    wanted = apply(pod, json.loads(encode(operations(decided))))
    for part in PLACES[kind]:
        result = result[part]
    assert result["spec"] == wanted["spec"]
    assert result["metadata"]["annotations"] == wanted["metadata"]["annotations"]
    assert result["metadata"]["labels"] == template["metadata"]["labels"]


def test_what_is_injected_already_does_not_change(run):
    once = run("inject", str(DEMO), "-o", "yaml", "--image", IMAGE).out
    again = run("inject", "-", "--image", IMAGE, stdin=once)
    assert (again.code, again.out) == (0, "")
    assert "nothing to inject" in again.err


def test_all_refusals_are_told_and_the_exit_code_says_so(run):
    labelled = {"name": "a", "namespace": "zoo", "labels": {"pgwarden.io/repository": "hippo"}}
    spec = pod_spec()
    spec["containers"][0] |= {"args": ["-c", "archive_mode=off"], "volumeMounts": []}
    stream = yaml.safe_dump_all([{"apiVersion": "v1", "kind": "Pod", "metadata": labelled, "spec": spec}, repository()])
    done = run("inject", "-", stdin=stream)
    assert done.code == 1
    lines = [line for line in done.err.splitlines() if line.startswith("refused: stdin:")]
    assert len(lines) == 2
    assert "archive_mode=off archives nothing" in lines[0] + lines[1]


def test_what_the_webhook_warns_of_is_told(run):
    metadata = {"name": "a", "namespace": "zoo", "labels": {"pgwarden.io/repository": "hippo"}}
    spec = pod_spec() | {"volumes": [{"name": "data", "emptyDir": {}}]}
    stream = yaml.safe_dump_all([{"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}, repository()])
    done = run("inject", "-", stdin=stream)
    assert done.code == 0
    assert "warning: Pod a: the data directory is on emptyDir data: it is deleted with the pod" in done.err


def test_a_label_on_the_workload_alone_is_pointed_out(run):
    workload = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"}, "spec": {}}
    workload["metadata"]["labels"] = {"pgwarden.io/repository": "hippo"}
    workload["spec"]["template"] = {"metadata": {"labels": {"app": "db"}}, "spec": pod_spec()}
    done = run("inject", "-", stdin=yaml.safe_dump(workload))
    assert done.code == 1
    assert "put it on the pod template's metadata" in done.err


def test_a_repository_in_the_cluster_can_be_named(run):
    missing = run("inject", str(DEMO / "postgres.yaml"))
    assert missing.code == 1
    assert "there is no Repository of this name" in missing.err
    named = run("inject", str(DEMO / "postgres.yaml"), "--repository", "hippo", "--image", IMAGE)
    assert named.code == 0
    assert "+        - name: pgwarden\n" in named.out


def test_the_input_is_left_as_it_was():
    pod = {"metadata": {"annotations": {}}, "spec": {"volumes": [{"name": "data"}]}}
    before = copy.deepcopy(pod)
    after = apply(pod, [{"op": "add", "path": "/spec/volumes/-", "value": {"name": "x"}}])
    assert pod == before
    assert after["spec"]["volumes"] == [{"name": "data"}, {"name": "x"}]
    assert apply(after, [{"op": "remove", "path": "/spec/volumes/0"}])["spec"]["volumes"] == [{"name": "x"}]


def repository():
    metadata = {"name": "hippo", "namespace": "zoo"}
    return {"apiVersion": "pgwarden.io/v1alpha1", "kind": "Repository", "metadata": metadata, "spec": {}}


def pod_spec():
    return {
        "containers": [
            {
                "name": "postgres",
                "image": "postgres:17",
                "volumeMounts": [{"name": "data", "mountPath": "/var/lib/postgresql/data"}],
            }
        ],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
    }
