"""What the webhook does to pods: only the labelled ones, exactly what was designed, and never in anybody else's way."""

from __future__ import annotations

import json

import pytest
import yaml

from harness.install import NAMESPACE, webhook_away
from harness.kubectl import Kubectl
from harness.objects import repository
from harness.postgres import Postgres, client, statefulset

ARCHIVE = (
    "/pgwarden/tools/bin/pgbackrest-archive --config=/pgwarden/conf/pgbackrest.conf "
    "--config-include-path=/pgwarden/conf/conf.d --stanza=hippo"
)


@pytest.fixture(scope="module")
def hippo(space: Kubectl) -> dict:
    """A Repository; it does not have to be ready for pods to be injected."""
    space.apply(repository())
    return space.get("pgrepo", "hippo")


@pytest.fixture(scope="module")
def bare(installed) -> dict:
    """The pod of the demo's StatefulSet, not labelled yet."""
    template = statefulset(installed.postgres_image, repository="")[-1]["spec"]["template"]
    spec = template["spec"] | {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "bare", "labels": template["metadata"]["labels"]},
    } | {"spec": spec}


@pytest.fixture(scope="module")
def plain(space: Kubectl, bare: dict) -> dict:
    """What the API server makes of it by itself."""
    return dry(space, bare)


@pytest.fixture(scope="module")
def injected(space: Kubectl, hippo: dict, bare: dict) -> dict:
    """What it makes of it with the webhook."""
    return dry(space, labelled(bare))


def test_an_unlabelled_pod_is_untouched_and_never_reaches_the_webhook(space: Kubectl, hippo: dict, bare: dict):
    before = reviews(space)
    made = dry(space, bare)
    assert [container["name"] for container in made["spec"]["containers"]] == ["postgres"]
    assert "initContainers" not in made["spec"]
    assert "annotations" not in made["metadata"]
    assert reviews(space) == before
    dry(space, labelled(bare))
    assert reviews(space) > before  # the count does count


def test_a_dry_run_shows_the_injected_pod_and_makes_nothing(space: Kubectl, hippo: dict, bare: dict):
    pod = labelled(bare)
    pod["metadata"]["name"] = "dry"
    done = space.run("apply", "--dry-run=server", "-o", "json", "-f", "-", stdin=yaml.safe_dump(pod))
    assert "pgwarden.io/injected" in json.loads(done.stdout)["metadata"]["annotations"]
    assert done.stderr == ""
    assert space.get("pod", "dry") is None


def test_injection_adds_a_sidecar_before_all_other_containers(plain: dict, injected: dict):
    names = [container["name"] for container in injected["spec"]["initContainers"]]
    assert names == ["pgwarden"]
    assert "initContainers" not in plain["spec"]
    (sidecar,) = injected["spec"]["initContainers"]
    assert sidecar["lifecycle"]["postStart"]["exec"]["command"][-2:] == ["--to", "/pgwarden/tools-target"]
    assert sidecar["restartPolicy"] == "Always"
    assert {port["containerPort"] for port in sidecar["ports"]} == {8432, 8433}
    security = sidecar["securityContext"]
    assert (security["runAsUser"], security["runAsNonRoot"]) == (999, True)
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert security["readOnlyRootFilesystem"] is True


def test_injection_adds_volumes_of_its_own_and_leaves_the_pods(plain: dict, injected: dict):
    def by_name(pod: dict) -> dict:
        return {v["name"]: v for v in pod["spec"]["volumes"] if not v["name"].startswith("kube-api-access-")}

    added = set(by_name(injected)) - set(by_name(plain))
    assert added == {f"pgwarden-{each}" for each in ("tools", "source", "conf", "work", "socket", "tmp")}
    assert by_name(injected)["pgwarden-conf"]["emptyDir"]["medium"] == "Memory"
    sources = by_name(injected)["pgwarden-source"]["projected"]["sources"]
    assert all(next(iter(source.values()))["optional"] is True for source in sources)
    assert {name: by_name(injected)[name] for name in by_name(plain)} == by_name(plain)


def test_injection_gives_postgresql_its_settings_and_mounts_and_nothing_else(plain: dict, injected: dict):
    before, after = plain["spec"]["containers"][0], injected["spec"]["containers"][0]
    assert after["args"] == [
        "postgres",
        "-c", "archive_mode=on",
        "-c", f'archive_command={ARCHIVE} archive-push "%p"',
        "-c", f'restore_command={ARCHIVE} archive-get %f "%p"',
    ]  # fmt: skip
    mounted = {m["mountPath"]: m.get("readOnly", False) for m in after["volumeMounts"]}
    ours = {path: ro for path, ro in mounted.items() if path.startswith(("/pgwarden", "/var/run/postgresql"))}
    assert ours == {
        "/pgwarden/tools": True,
        "/pgwarden/conf": True,
        "/pgwarden/work": False,
        "/var/run/postgresql": False,
    }
    assert (before["terminationMessagePolicy"], after["terminationMessagePolicy"]) == ("File", "FallbackToLogsOnError")
    for key in before.keys() - {"volumeMounts", "terminationMessagePolicy"}:
        assert after[key] == before[key], key


def test_the_sidecar_can_read_the_data_directory_and_not_write_it(injected: dict):
    mounts = {m["mountPath"]: m for m in injected["spec"]["initContainers"][0]["volumeMounts"]}
    assert mounts["/var/lib/postgresql/data"]["name"] == "data"
    assert mounts["/var/lib/postgresql/data"]["readOnly"] is True
    facts = json.loads(injected["metadata"]["annotations"]["pgwarden.io/postgres"])
    assert (facts["dataDirectory"], facts["runAsUser"], facts["configuredBy"]) == (
        "/var/lib/postgresql/data",
        999,
        "Arguments",
    )


def test_a_pod_made_from_an_injected_pods_spec_is_left_as_it_is(space: Kubectl, hippo: dict, injected: dict):
    kept = {key: injected["metadata"][key] for key in ("name", "labels", "annotations")}
    again = dry(space, {"apiVersion": "v1", "kind": "Pod", "metadata": kept, "spec": injected["spec"]})
    assert again["spec"] == injected["spec"]
    assert again["metadata"]["annotations"] == injected["metadata"]["annotations"]


def test_a_pod_of_an_unknown_repository_is_refused_by_a_sentence(space: Kubectl, bare: dict):
    said = space.refused(labelled(bare, "nobody"))
    assert (
        f'metadata.labels[pgwarden.io/repository]: "nobody": there is no Repository of this name in namespace '
        f"{space.namespace}; create it, or remove the label to run without backups"
    ) in said


def test_without_a_webhook_others_start_and_the_labelled_wait_for_it(
    installed, space: Kubectl, hippo: dict, bare: dict
):
    postgres = Postgres(space)
    with webhook_away(space):
        service, secret, workload = statefulset(installed.postgres_image)
        space.apply(secret, client(installed.postgres_image, name="ordinary"))
        Postgres(space, pod="ordinary").wait_ready(60)
        assert 'failed calling webhook "pods.pgwarden.io"' in space.refused(labelled(bare))
        space.apply(service, workload)
        space.until("statefulset", "postgres", lambda s: refusal(space), "is refused its pod", 60)
        assert space.get("pod", postgres.pod) is None
    postgres.wait_ready(120)
    assert "pgwarden.io/injected" in space.get("pod", postgres.pod)["metadata"]["annotations"]


def refusal(space: Kubectl) -> bool:
    """Whether an Event says why the StatefulSet gets no pod."""
    events = space.run("get", "events", "--field-selector=reason=FailedCreate", "-o", "json").stdout
    return any('failed calling webhook "pods.pgwarden.io"' in one["message"] for one in json.loads(events)["items"])


def labelled(pod: dict, name: str = "hippo") -> dict:
    metadata = pod["metadata"] | {"labels": pod["metadata"]["labels"] | {"pgwarden.io/repository": name}}
    return pod | {"metadata": metadata}


def dry(space: Kubectl, pod: dict) -> dict:
    """The pod as the API server would store it."""
    done = space.run("create", "--dry-run=server", "-o", "json", "-f", "-", stdin=yaml.safe_dump(pod))
    return json.loads(done.stdout)


def reviews(space: Kubectl) -> int:
    """Pods that all replicas of the webhook together have been asked about, by their own metrics."""
    total = 0
    system = space.within(NAMESPACE)
    system.run("rollout", "status", "deployment/pgwarden-webhook", "--timeout=60s")
    pods = system.list("pods", "app.kubernetes.io/component=webhook")
    for name in [pod["metadata"]["name"] for pod in pods if "deletionTimestamp" not in pod["metadata"]]:
        text = space.run("get", "--raw", f"/api/v1/namespaces/{NAMESPACE}/pods/{name}:8080/proxy/metrics").stdout
        lines = (line for line in text.splitlines() if line.startswith("pgwarden_webhook_requests_total"))
        total += sum(int(float(line.rpartition(" ")[2])) for line in lines if 'path="/mutate"' in line)
    return total
