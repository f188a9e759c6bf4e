"""Pods and Jobs that Kubernetes does not create, schedule or start: its own words are in status and Event within a minute,
and what waits goes on by itself. What a mesh puts beside a Job neither ends nor fails it, and what fails leaves little.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from harness import mesh
from harness.cluster import manifest
from harness.kubectl import Kubectl, Object, condition, is_true, phase
from harness.nodes import host
from harness.objects import backup, events, info, repository, schedule
from harness.postgres import Postgres, statefulset
from harness.waiting import until
from pgwarden.api import names

OVER = phase("Completed", "Failed")
HOST, JOBS = ({names.LABEL_OWNER_REPOSITORY: "hippo", names.LABEL_COMPONENT: one} for one in ("host", "backup"))
ENFORCED = "pod-security.kubernetes.io/enforce"
VIOLATES = 'violates PodSecurity "restricted:latest"'
GONE = "localhost/mirror/pgwarden:gone"
POLICY = "admissionregistration.k8s.io/v1"
#: What a container of ours that says nothing fits into by itself.
MOST = "512Mi"
#: PostgreSQL's pod has this and no more: the sidecar's own size is within it.
RANGE: Object = {
    "apiVersion": "v1",
    "kind": "LimitRange",
    "metadata": {"name": "narrow"},
    "spec": {"limits": [{"type": "Container", "max": {"memory": MOST}}]},
}


@pytest.fixture(scope="module")
def postgres(installed, space: Kubectl) -> Postgres:
    """Where Pod Security is restricted, and a LimitRange narrow."""
    space.run("label", "namespace", space.namespace, f"{ENFORCED}=restricted")
    space.apply(RANGE, repository(), *restricted(installed.postgres_image))
    found = Postgres(space)
    found.wait_ready()
    space.until("pgrepo", "hippo", is_true("Archiving"), "archives", 120)
    return found


def restricted(image: str) -> list[Object]:
    """The demo's StatefulSet as restricted Pod Security asks for it, the data in a folder of its volume."""
    documents = statefulset(image)
    pod = documents[-1]["spec"]["template"]["spec"]
    pod["securityContext"] = {"fsGroup": 999}
    container = pod["containers"][0]
    container["env"].append({"name": "PGDATA", "value": "/var/lib/postgresql/data/pgdata"})
    container["securityContext"] = mesh.RESTRICTED | {"runAsUser": 999}
    return documents


def test_under_restricted_pod_security_a_labelled_pod_starts_and_all_of_ours_is_admitted(
    postgres: Postgres, space: Kubectl
):
    assert completed(space, "base")["label"]
    assert [one["message"] for one in space.list("events") if VIOLATES in one["message"]] == []
    root = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "root"}}
    assert VIOLATES in space.refused(root | {"spec": {"containers": [{"name": "root", "image": "root"}]}})


def test_a_backup_whose_pod_pod_security_refuses_says_so_and_goes_on_once_it_does_not(
    installed, postgres: Postgres, space: Kubectl
):
    """Ours is as it has to be, a proxy beside it is not."""
    with mesh.proxies(space, installed.image, JOBS):
        in_force(space, JOBS, VIOLATES)
        space.apply(backup("meshed"))
        waits(space, "meshed", "JobWaits", VIOLATES, f'container "{mesh.PROXY}"')
    ends(space, "meshed")


def test_a_policy_that_refuses_jobs_is_told_and_the_backup_begins_once_it_is_gone(postgres: Postgres, space: Kubectl):
    with policy(space, "batch", "jobs", "no Jobs in this namespace"):
        in_force(space, JOBS, "no Jobs in this namespace", "Job")
        space.apply(backup("forbidden"))
        waits(space, "forbidden", "JobRefused", "ValidatingAdmissionPolicy", "no Jobs in this namespace")
    ends(space, "forbidden")


def test_a_policy_that_refuses_the_repository_host_is_told_and_a_backup_waits_for_it(
    postgres: Postgres, space: Kubectl
):
    only = f"object.metadata.?labels[?'{names.LABEL_COMPONENT}'].orValue('') != 'host'"
    with policy(space, "", "pods", "no hosts in this namespace", only):
        in_force(space, HOST, "no hosts in this namespace")
        space.run("delete", "pod", host_name(space), "--wait=false")
        away(space, "PodRefused", "Kubernetes creates no pod of the repository host: ", "no hosts in this namespace")
        space.apply(backup("hostless"))
        waiting = space.until("pgb", "hostless", lambda one: one["status"]["message"], "says for what it waits", 30)
        assert waiting["status"]["reason"] == "RepositoryNotReady"
        assert "no hosts in this namespace" in waiting["status"]["message"]
    returns(space)
    ends(space, "hostless")


def test_an_image_that_is_missing_is_told_in_the_kubelets_words_of_host_and_job(
    installed, postgres: Postgres, space: Kubectl
):
    """As by a webhook that sends all images to a mirror, which lacks ours."""
    image = {"op": "replace", "path": "/spec/containers/0/image", "value": GONE}
    policy = {"op": "replace", "path": "/spec/containers/0/imagePullPolicy", "value": "IfNotPresent"}
    ours = {names.LABEL_OWNER_REPOSITORY: "hippo"}
    with mesh.patching(space, installed.image, ours, [image, policy]):
        in_force(space, ours, GONE)
        space.apply(backup("imageless"))
        waits(space, "imageless", "JobWaits", GONE, "Pull")
        space.delete("pgb", "imageless")
        space.run("delete", "pod", host_name(space), "--wait=false")
        found = away(space, "PodNotStarting", GONE, "Pull")
        assert found["status"]["phase"] != "Ready"
    space.run("delete", "pods", "-l", ",".join(f"{key}={value}" for key, value in HOST.items()), "--wait=false")
    returns(space)
    assert len(events(space, "Repository", "hippo", "PodNotStarting")) <= 4, "an Event for each time that it was tried"


def test_what_no_node_has_is_told_in_the_schedulers_words_and_a_mended_spec_goes_on(postgres: Postgres, space: Kubectl):
    space.apply(backup("huge", resources={"requests": {"cpu": "500"}}))
    waits(space, "huge", "JobWaits", "cannot be scheduled: 0/", "Insufficient cpu")
    space.delete("pgb", "huge")
    resources(space, {"requests": {"cpu": "500"}})
    away(space, "PodUnschedulable", "cannot be scheduled: 0/", "Insufficient cpu")
    space.apply(backup("roomless"))
    resources(space, None)
    returns(space)
    ends(space, "roomless")


def test_a_limit_range_below_what_is_asked_is_told_and_a_mended_spec_goes_on(postgres: Postgres, space: Kubectl):
    limits = {"limits": {"memory": "600Mi"}}
    said = f"maximum memory usage per Container is {MOST}, but limit is 600Mi"
    space.apply(backup("wide", resources=limits))
    waits(space, "wide", "JobWaits", said)
    space.delete("pgb", "wide")
    resources(space, {"limits": {"memory": "800Mi"}})  # of which the agent's container has three quarters
    away(space, "PodRefused", said)
    resources(space, None)
    returns(space)


FAILS = "import time; time.sleep(1); raise SystemExit(3)"
HUNGRY = "import time; time.sleep(1); kept = b'x' * (512 * 2**20)"
CASES = {
    "ends with an error": (FAILS, {}),
    "is killed for want of memory": (HUNGRY, {"resources": {"limits": {"memory": "48Mi"}}}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_proxy_that_fails_beside_a_backup_that_does_not_makes_no_second_attempt(
    installed, postgres: Postgres, space: Kubectl, case: str
):
    """Kubernetes would make one: the pod has failed. A Job that it holds complete stays."""
    (code, fields), name = CASES[case], case.replace(" ", "-")
    with mesh.proxies(space, installed.image, JOBS, code, securityContext=mesh.RESTRICTED, **fields):
        in_force(space, JOBS, mesh.PROXY)
        space.apply(backup(name))
        done = ends(space, name)
    assert done["reason"] == "Completed", done
    assert "could not be removed" not in done["message"]
    uid = space.get("pgb", name)["metadata"]["uid"]
    made = [one["annotation"] for one in info(space)["backup"] if one.get("annotation")]
    assert [one[names.PGBACKREST_ANNOTATION_UID] for one in made].count(uid) == 1
    until(lambda: not space.get("job", f"{name}-backup"), "its Job is gone", 30)


def test_a_proxy_that_starts_before_ours_as_a_native_sidecar_lets_the_job_complete_by_itself(
    installed, postgres: Postgres, space: Kubectl
):
    fields = {"restartPolicy": "Always", "securityContext": mesh.RESTRICTED}
    sidecar = mesh.container(installed.image, mesh.PROXY, mesh.FOREVER) | fields
    with mesh.patching(
        space, installed.image, JOBS, [{"op": "add", "path": "/spec/initContainers", "value": [sidecar]}]
    ):
        in_force(space, JOBS, mesh.PROXY)
        space.apply(backup("native"))
        done = ends(space, "native")
    assert done["reason"] == "Completed", done
    job = space.until("job", "native-backup", is_true("Complete"), "is complete by Kubernetes' own word", 60)
    assert job["status"]["succeeded"] == 1
    assert job["status"].get("failed", 0) == 0


def test_backups_that_cannot_succeed_leave_few_objects_of_a_schedule_and_of_a_new_cluster(
    installed, postgres: Postgres, space: Kubectl
):
    """Their Jobs find a repository that they cannot write to."""
    sealed = {"op": "add", "path": "/spec/containers/0/volumeMounts/4/readOnly", "value": True}
    with mesh.patching(space, installed.image, {names.LABEL_COMPONENT: "backup"}, [sealed]):
        in_force(space, {names.LABEL_COMPONENT: "backup"}, "volumeMounts/4/")
        space.apply(manifest("lone", 1))
        space.apply(schedule("often", "*/2 * * * * *", failedHistoryLimit=1, activeDeadlineSeconds=8))
        until_three_have_failed(space)
        last = until(lambda: settled(space), "all have ended, and one is left", 60)
        job = f"{last['metadata']['name']}-backup"
        until(lambda: of(space, "jobs", "often-") == [job], "its Job alone is left", 30)
        until(lambda: len(of(space, "pods", "often-")) <= 1, "with the pod of one attempt", 60)
        lone = space.until("pgc", "lone", first_has_failed, "has failed to take its first backup", 180)
        left = [len(of(space, plural, "lone-first")) for plural in ("backups.pgwarden.io", "jobs", "pods")]
    assert condition(lone, "BackedUp")["status"] == "False"
    assert "; another is taken at " in condition(lone, "BackedUp")["message"]
    assert left[:2] == [1, 1]
    assert left[2] <= 3


def until_three_have_failed(space: Kubectl) -> None:
    """Of the schedule, which is suspended then."""
    seen = set[str]()

    def failed() -> bool:
        listed = space.list("pgb", f"{names.LABEL_SCHEDULE}=often")
        seen.update(one["metadata"]["name"] for one in listed if phase("Failed")(one))
        assert not any(map(phase("Completed"), listed))
        assert len(listed) <= 3, "the one that is kept, the last that failed, and one that runs"
        return len(seen) >= 3

    until(failed, "three of its Backups have failed", 120)
    space.run("patch", "pgbs", "often", "--type=merge", "-p", '{"spec":{"suspend":true}}')


def settled(space: Kubectl) -> Object | None:
    listed = space.list("pgb", f"{names.LABEL_SCHEDULE}=often")
    return listed[0] if len(listed) == 1 and phase("Failed")(listed[0]) else None


def first_has_failed(cluster: Object) -> bool:
    found = condition(cluster, "BackedUp")
    return bool(found and found["reason"] == "FirstBackupFailed")


def of(space: Kubectl, plural: str, beginning: str) -> list[str]:
    return [name for one in space.list(plural) if (name := str(one["metadata"]["name"])).startswith(beginning)]


# --- what is told ----------------------------------------------------------------------------------------------------


def waits(space: Kubectl, name: str, reason: str, *words: str) -> None:
    """The Backup says so within a minute, in its status and in a Warning."""

    def told(one: Object) -> bool:
        return all(word in one["status"]["message"] for word in words)

    found = space.until("pgb", name, told, f"says {words}", 60)
    assert found["status"]["reason"] == reason
    until(lambda: warned(space, "Backup", name, reason, *words), "an Event says so", 20)


def away(space: Kubectl, reason: str, *words: str) -> Object:
    """The Repository says so of its host within a minute, in a condition and in a Warning."""

    def told(one: Object) -> bool:
        found = condition(one, "Reachable")
        return bool(found and found["reason"] == reason and all(word in found["message"] for word in words))

    found = space.until("pgrepo", "hippo", told, f"is {reason}", 60)
    assert condition(found, "Reachable")["status"] == "False"
    until(lambda: warned(space, "Repository", "hippo", reason, *words), "an Event says so", 20)
    return found


def warned(space: Kubectl, kind: str, name: str, reason: str, *words: str) -> bool:
    told = events(space, kind, name, reason, type="Warning")
    return any(all(word in one for word in words) for one in told)


def returns(space: Kubectl) -> None:
    until(lambda: host(space), "the repository host is ready", 90)
    space.until("pgrepo", "hippo", phase("Ready"), "is Ready again", 60)


def completed(space: Kubectl, name: str) -> Object:
    space.apply(backup(name))
    return ends(space, name)


def ends(space: Kubectl, name: str) -> Object:
    status: Object = space.until("pgb", name, OVER, "is over", 120)["status"]
    assert status["phase"] == "Completed", status["message"]
    return status


# --- what is done to it ----------------------------------------------------------------------------------------------


def host_name(space: Kubectl) -> str:
    return str(until(lambda: host(space), "the repository host is ready", 60)["metadata"]["name"])


def resources(space: Kubectl, wanted: Object | None) -> None:
    patch = json.dumps({"spec": {"resources": wanted}})
    space.run("patch", "pgrepo", "hippo", "--type=merge", "-p", patch)


@contextmanager
def policy(space: Kubectl, group: str, plural: str, said: str, expression: str = "false") -> Iterator[None]:
    """Meanwhile what is created of *plural* in the namespace must satisfy the *expression*."""
    name = f"{plural}-{space.namespace}"
    rule = {"apiGroups": [group], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": [plural]}
    spaces = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": space.namespace}}}
    checks = {"validations": [{"expression": expression, "message": said}], "failurePolicy": "Fail"}
    space.apply(
        {
            "apiVersion": POLICY,
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": name},
            "spec": checks | {"matchConstraints": {"resourceRules": [rule]}},
        },
        {
            "apiVersion": POLICY,
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": name},
            "spec": {"policyName": name, "validationActions": ["Deny"], "matchResources": spaces},
        },
    )
    try:
        yield
    finally:
        for kind in ("validatingadmissionpolicybinding", "validatingadmissionpolicy"):
            space.run("delete", kind, name)


def in_force(space: Kubectl, labels: dict[str, str], said: str, kind: str = "Pod") -> None:
    """What was changed about pods with *labels* is: the API server has read it."""
    container = {"name": "probe", "image": "probe", "securityContext": mesh.RESTRICTED, "imagePullPolicy": "Never"}
    metadata = {"name": "probe", "labels": labels}
    pod: Object = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}
    if kind == "Job":
        template = {"spec": pod["spec"] | {"restartPolicy": "Never"}}
        pod = {"apiVersion": "batch/v1", "kind": kind, "metadata": metadata, "spec": {"template": template}}
    text = json.dumps(pod)

    def seen() -> bool:
        done = space.run("create", "--dry-run=server", "-o", "json", "-f", "-", stdin=text, check=False)
        return said in done.stdout + done.stderr

    until(seen, f"a {kind} is answered with: {said}", 30)
