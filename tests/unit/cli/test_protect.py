"""protect and create repository: what is created, what is printed, and that no workload is ever changed."""

from __future__ import annotations

import io
import json
import shlex
from contextlib import asynccontextmanager

import pytest
import yaml

from pgwarden.cli import completion, protect, wait, workload_label
from pgwarden.cli.errors import UsageError
from pgwarden.cli.main import main
from pgwarden.cli.session import Session
from pgwarden.cli.terminal import Terminal
from pgwarden.kube import errors
from tests.unit.cli.conftest import Outcome

LABEL = "pgwarden.io/repository"
S3 = [
    "--pgbackrest-storage-type=s3",
    "--pgbackrest-s3-bucket=backups",
    "--pgbackrest-s3-endpoint=s3.example.com",
    "--pgbackrest-s3-region=us-east-1",
]


def container(**more):
    mounts = [{"name": "data", "mountPath": "/var/lib/postgresql/data"}]
    return {"name": "postgres", "image": "postgres:17", "volumeMounts": mounts} | more


def stateful_set(name="postgres", labels=None, own=None, replicas=1, kind="StatefulSet", **more):
    metadata = {"name": name, "namespace": "zoo", "uid": "u", "labels": own or {}}
    claim = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
    template = {"metadata": {"labels": labels or {}}, "spec": {"containers": [container()], "volumes": [claim]}}
    spec = {"replicas": replicas, "template": template} | more
    return {"kind": kind, "metadata": metadata, "spec": spec}


class Cluster:
    """The client of a session: objects by path, and all that was sent."""

    def __init__(self, *objects):
        self.objects = {("namespaces", "zoo"): {}}
        self.sent = []
        for obj in objects:
            plural = {"StatefulSet": "statefulsets", "Deployment": "deployments", "Repository": "repositories"}
            self.objects[plural[obj["kind"]], obj["metadata"]["name"]] = obj

    async def find(self, path):
        *_, plural, name = path.split("/")
        return self.objects.get((plural, name))

    async def get(self, path, params=None, seconds=None):
        plural = path.rsplit("/", 1)[-1]
        return {"items": [obj for (kind, _), obj in self.objects.items() if kind == plural], "metadata": {}}

    async def request(self, method, path, *, body, params, content_type=None):
        assert method == "POST"
        plural = path.rsplit("/", 1)[-1]
        if (plural, body["metadata"]["name"]) in self.objects:
            raise errors.Conflict(409, "AlreadyExists", "exists")
        made = json.loads(json.dumps(body))
        if "dryRun" not in params:
            self.sent.append(made)
            self.objects[plural, body["metadata"]["name"]] = made
        return made


@pytest.fixture
def on(monkeypatch):
    """A command line against a Cluster."""

    def call(cluster, *words, stdin=""):
        @asynccontextmanager
        async def connect(_):
            yield Session(cluster, "zoo")

        monkeypatch.setattr(protect, "connect", connect)
        monkeypatch.setattr(wait, "POLL", 0.0)
        terminal = Terminal(io.StringIO(), io.StringIO(), io.StringIO(stdin), width=100)
        code = main(words, terminal)
        return Outcome(code, terminal.out.getvalue(), terminal.err.getvalue())

    return call


def patched(line):
    """The body of a printed kubectl patch, and the words before it."""
    *words, body = shlex.split(line)
    return words, json.loads(body)


def test_it_creates_the_repository_and_prints_one_line_that_adds_the_label(on):
    cluster = Cluster(stateful_set())
    done = on(cluster, "protect", "statefulset/postgres", "--repository=hippo", "--pgbackrest-pvc-size=50Gi")
    assert done.code == 0, done.err
    (made,) = cluster.sent
    assert (made["kind"], made["metadata"]) == ("Repository", {"name": "hippo", "namespace": "zoo"})
    assert made["spec"] == {"storageType": "local", "local": {"size": "50Gi"}}
    created, line = done.out.splitlines()
    assert created == "Repository hippo created"
    words, body = patched(line)
    assert words == shlex.split("kubectl -n zoo patch statefulset postgres --type merge --patch")
    assert body == {"spec": {"template": {"metadata": {"labels": {LABEL: "hippo"}}}}}
    assert "this restarts its pod once" in done.err
    assert "then: kubectl wait pgrepo/hippo -n zoo --for condition=Archiving" in done.err


def test_the_repository_has_the_workloads_name_by_default(on):
    cluster = Cluster(stateful_set(kind="Deployment"))
    done = on(cluster, "protect", "deploy/postgres")
    assert cluster.sent[0]["metadata"]["name"] == "postgres"
    assert "patch deployment postgres" in done.out


def test_s3_keys_become_a_secret_before_the_repository(on):
    cluster = Cluster(stateful_set())
    done = on(cluster, "protect", "sts/postgres", *S3, "--pgbackrest-s3-keys-from=-", stdin="key\nhidden\n")
    secret, made = cluster.sent
    assert (secret["metadata"]["name"], secret["stringData"]) == (
        "postgres-s3",
        {"s3-key": "key", "s3-key-secret": "hidden"},
    )
    assert made["spec"]["s3"]["credentialsSecretRef"] == {"name": "postgres-s3"}
    assert "hidden" not in done.out + done.err


OF_PODS = [*S3, "--pgbackrest-s3-keys-from=-", "--pgbackrest-s3-pod-secret=hippo-s3-pods"]


def test_pods_get_the_keys_of_a_secret_that_exists(on):
    cluster = Cluster()
    cluster.objects["secrets", "hippo-s3-pods"] = {
        "metadata": {"name": "hippo-s3-pods"}, "data": {"s3-key": "a2V5", "s3-key-secret": "a2V5"},
    }  # fmt: skip
    done = on(cluster, "create", "repository", "hippo", *OF_PODS, stdin="key\nhidden\n")
    assert done.code == 0, done.err
    secret, made = cluster.sent
    assert secret["metadata"]["name"] == "hippo-s3"
    assert made["spec"]["s3"]["credentialsSecretRef"] == {"name": "hippo-s3"}
    assert made["spec"]["s3"]["podCredentialsSecretRef"] == {"name": "hippo-s3-pods"}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param(None, "there is no Secret hippo-s3-pods in namespace zoo", id="missing"),
        pytest.param({"s3-key": "a2V5"}, "Secret hippo-s3-pods has no key s3-key-secret", id="half of the keys"),
    ],
)
def test_nothing_is_created_where_the_keys_of_pods_are_not_there(on, data, said):
    cluster = Cluster()
    if data is not None:
        cluster.objects["secrets", "hippo-s3-pods"] = {"metadata": {"name": "hippo-s3-pods"}, "data": data}
    done = on(cluster, "create", "repository", "hippo", *OF_PODS, stdin="key\nhidden\n")
    assert (done.code, cluster.sent) == (1, [])
    assert said in done.err


def test_a_repository_that_exists_is_left_as_it_is_and_the_line_is_printed(on, make, healthy):
    there = make("Repository", "hippo", status=healthy | {"pods": []})
    cluster = Cluster(stateful_set(), there)
    done = on(cluster, "protect", "sts/postgres", "--repository=hippo", "--pgbackrest-pvc-size=1Ti")
    assert (done.code, cluster.sent) == (0, [])
    assert "Repository hippo already exists and is left as it is" in done.err
    assert done.out.startswith("kubectl -n zoo patch ")
    shown = on(cluster, "protect", "sts/postgres", "--repository=hippo", "-o", "yaml")
    assert yaml.safe_load(shown.out)["metadata"]["name"] == "hippo"


def test_a_repository_of_another_postgresql_is_pointed_out(on, make, healthy):
    there = make("Repository", "hippo", status=healthy)  # of pod hippo-0
    done = on(Cluster(stateful_set(), there), "protect", "sts/postgres", "--repository=hippo")
    assert "Repository hippo already serves pod hippo-0; each PostgreSQL cluster needs one of its own" in done.err


def test_a_workload_that_is_labelled_already_needs_nothing(on, make, healthy):
    there = make("Repository", "hippo", status=healthy | {"pods": []})
    done = on(Cluster(stateful_set(labels={LABEL: "hippo"}), there), "protect", "sts/postgres", "--repository=hippo")
    assert "carries the label already; nothing is left to do" in done.err
    assert "patch" not in done.out


SEEN = {
    "the label is on the workload": (
        stateful_set(own={LABEL: "hippo"}),
        "the label is on the StatefulSet itself, where it protects nothing",
    ),
    "the template names another Repository": (
        stateful_set(labels={LABEL: "rhino"}),
        "the pod template names Repository rhino now",
    ),
    "several pods": (stateful_set(replicas=3), "this restarts its 3 pods once"),
    "no pods": (stateful_set(replicas=0), "is scaled to zero: its pods are protected from their next start"),
    "pods that nobody restarts": (
        stateful_set(updateStrategy={"type": "OnDelete"}),
        "updateStrategy is OnDelete: delete its pod afterwards",
    ),
}


@pytest.mark.parametrize(("found", "said"), SEEN.values(), ids=SEEN)
def test_it_says_what_the_label_will_do(on, found, said):
    assert said in on(Cluster(found), "protect", "sts/postgres").err


def test_pods_that_the_webhook_would_refuse_are_told_before_anything_is_created(on):
    found = stateful_set()
    found["spec"]["template"]["spec"]["containers"] = [container(args=["-c", "archive_mode=off"])]
    cluster = Cluster(found)
    done = on(cluster, "protect", "sts/postgres")
    assert (done.code, done.out, cluster.sent) == (1, "", [])
    assert "the pods of statefulset/postgres with the label would be refused" in done.err
    assert "spec.template.spec.containers[0].args" in done.err


WRONG = {
    "no kind": (["postgres"], 2, '"postgres" has no kind; give statefulset/postgres or deployment/postgres'),
    "another kind": (["pod/postgres-0"], 2, '"pod/postgres-0" names no StatefulSet and no Deployment'),
    "no name": (["statefulset/"], 2, "names no StatefulSet and no Deployment"),
    "a name that is near": (["sts/postgre"], 1, "no StatefulSet postgre in namespace zoo; did you mean postgres?"),
    "no keys": (["sts/postgres", *S3], 2, "storage s3 needs keys"),
    "S3 words without S3": (["sts/postgres", "--pgbackrest-s3-bucket=x"], 2, "needs --pgbackrest-storage-type=s3"),
    "a name that no Repository can have": (["sts/postgres", "--repository=1x"], 1, "metadata.name"),
}


@pytest.mark.parametrize(("words", "code", "said"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_done_creates_nothing(on, words, code, said):
    cluster = Cluster(stateful_set())
    done = on(cluster, "protect", *words)
    assert (done.code, done.out, cluster.sent) == (code, "", [])
    assert said in done.err


def test_a_namespace_that_is_missing_is_named_as_the_reason(on):
    cluster = Cluster()
    del cluster.objects["namespaces", "zoo"]
    done = on(cluster, "protect", "sts/postgres")
    assert (done.code, done.err) == (1, "pgwarden: namespace zoo does not exist\n")


def test_a_workload_of_the_other_kind_is_named(on):
    done = on(Cluster(stateful_set()), "protect", "deployment/postgres")
    assert done.code == 1
    assert "no Deployment postgres in namespace zoo, but there is a StatefulSet; give statefulset/postgres" in done.err


def test_a_repository_host_is_not_offered_as_a_workload(on):
    host = stateful_set("hippo-pgbackrest", kind="Deployment")
    host["metadata"]["ownerReferences"] = [{"apiVersion": "pgwarden.io/v1alpha1", "kind": "Repository"}]
    done = on(Cluster(host), "protect", "deployment/web")
    assert "there is no Deployment web in namespace zoo; it has none" in done.err


def test_waiting_ends_when_the_storage_can_be_reached(on, make):
    """Ready comes only with the label: it is not waited for."""
    reachable = [{"type": "Reachable", "status": "True", "message": "the repository host reads local"}]
    there = make("Repository", "hippo", status={"phase": "Pending", "conditions": reachable})
    done = on(Cluster(stateful_set(), there), "protect", "sts/postgres", "--repository=hippo", "--wait")
    assert done.code == 0
    assert "Repository hippo Reachable: the repository host reads local\nkubectl " in done.out


def test_a_repository_that_fails_ends_the_wait_and_no_label_is_offered(on, make):
    there = make("Repository", "hippo", status={"phase": "Failed", "conditions": []})
    done = on(Cluster(stateful_set(), there), "protect", "sts/postgres", "--repository=hippo", "--wait")
    assert done.code == 1
    assert "patch" not in done.out


@pytest.mark.parametrize("words", [["protect", "sts/hippo"], ["create", "repository", "hippo"]], ids=" ".join)
def test_a_dry_run_prints_the_repository_without_a_cluster(run, words):
    done = run(*words, *S3, "--pgbackrest-s3-secret=keys", "--dry-run", "-n", "zoo")
    assert done.code == 0, done.err
    obj = yaml.safe_load(done.out)
    assert (obj["kind"], obj["metadata"]) == ("Repository", {"name": "hippo", "namespace": "zoo"})
    assert obj["spec"]["s3"] == {
        "bucket": "backups",
        "endpoint": "s3.example.com",
        "region": "us-east-1",
        "credentialsSecretRef": {"name": "keys"},
    }
    assert ("patch statefulset hippo" in done.err) == (words[0] == "protect")


def test_output_of_the_resource_leaves_the_line_to_standard_error(on):
    done = on(Cluster(stateful_set()), "protect", "sts/postgres", "-o", "yaml")
    assert yaml.safe_load(done.out)["kind"] == "Repository"
    assert "\nkubectl -n zoo patch statefulset postgres" in done.err


def test_create_repository_says_what_comes_next(on):
    cluster = Cluster()
    done = on(cluster, "create", "repository", "hippo")
    assert (done.code, done.out) == (0, "Repository hippo created\n")
    assert "protect statefulset/NAME --repository=hippo" in done.err
    assert [one["kind"] for one in cluster.sent] == ["Repository"]


def test_the_line_goes_to_the_same_cluster():
    line = workload_label.patch(workload_label.parse("sts/a"), "hippo", ("--context", "my prod", "-n", "zoo"))
    assert line.startswith("kubectl --context 'my prod' -n zoo patch statefulset a --type merge --patch '{")


@pytest.mark.parametrize("text", ["", "/", "sts/a/b"])
def test_what_names_no_workload_is_refused_with_an_example(text):
    with pytest.raises(UsageError, match="give statefulset/"):
        workload_label.parse(text)


async def test_completion_offers_workloads_with_their_kind(monkeypatch):
    @asynccontextmanager
    async def connect(_):
        yield Session(Cluster(stateful_set(), stateful_set("web", kind="Deployment")), "zoo")

    monkeypatch.setattr(completion, "connect", connect)
    assert await completion._listed("workloads", None) == ["statefulset/postgres", "deployment/web"]
