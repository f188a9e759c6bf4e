"""What a Restore makes, literally."""

from __future__ import annotations

import msgspec
import pytest

from controller import placement
from controller.recovery import job as recovery_job
from controller.recovery.plan import Plan, Volume, load
from controller.restore import render
from pgwarden.api.kinds import PodFacts, RepositorySpec, RestoreSpec, RestoreTarget

FACTS = PodFacts(
    container="postgres", data_directory="/data/pg/18", port=5433, socket_directory="/run/pg", user="admin", database="app",
    run_as_user=26, run_as_group=27, configured_by="Arguments", data_volume="vol",
)  # fmt: skip
PLAN = Plan(
    restore="back", restore_uid="r-1", repository="hippo", workload_kind="StatefulSet", workload="pg", replicas=1, pod="pg-0",
    claim="data-pg-0", claim_uid="c-1", claim_spec={"accessModes": ["ReadWriteOnce"], "storageClassName": "fast"},
    claim_labels={"app": "pg"}, claim_annotations={"note": "mine"}, claim_owners=[{"kind": "StatefulSet", "name": "pg"}],
    old_volume=Volume(name="pv-old", reclaim="Delete"), new_claim="back-restored", facts=FACTS,
    mounts=[{"name": "vol", "mountPath": "/data", "subPath": "pg"}], security={"fsGroup": 27, "runAsUser": 26, "sysctls": []},
    image="db:18", bin_directory="/usr/pg/bin", server_environment=[{"name": "LANG", "value": "de_DE.utf8"}],
)  # fmt: skip
RESTORE = {"kind": "Restore", "metadata": {"name": "back", "namespace": "ns", "uid": "r-1"}}


def job(settings, plan=PLAN, spec=None, repo=None):
    spec = spec or RestoreSpec(repository="hippo", target=RestoreTarget(time="2026-11-23T10:00:00.5+01:00"))
    return recovery_job.job(
        render.order(RESTORE, plan, spec, repo or RepositorySpec(storage_type="local,s3")), settings
    )


def test_the_job(settings):
    made = job(settings)
    pod = made["spec"]["template"]["spec"]
    container, server = pod["initContainers"][-1], pod["containers"][0]
    labels = {
        "app.kubernetes.io/managed-by": "pgwarden", "pgwarden.io/for-repository": "hippo", "pgwarden.io/component": "restore",
        "pgwarden.io/restore": "back",
    }  # fmt: skip
    assert made["metadata"]["name"] == "back-restore-1"
    assert made["metadata"]["labels"] == made["spec"]["template"]["metadata"]["labels"] == labels
    assert made["metadata"]["ownerReferences"][0]["uid"] == "r-1"
    assert (made["spec"]["backoffLimit"], pod["restartPolicy"]) == (3, "Never")
    assert [a for a in container["args"] if not a.startswith("--recovery-option=")] == [
        "--pg-data", "/data/pg/18", "--volume-root", "/data", "--uid", "r-1", "--bin", "/usr/pg/bin", "--target-time",
        "2026-11-23T09:00:00.500000Z", "--",
        "--stanza=hippo", "--pg1-path=/data/pg/18", "--reset-pg1-host", "--type=time", "--target=2026-11-23 09:00:00.500000+00",
        "--target-action=promote", "restore",
    ]  # fmt: skip
    assert {e["name"]: e["value"] for e in container["env"]} == {
        "PGWARDEN_ROLE": "postgres", "PGWARDEN_STANZA": "hippo", "PGWARDEN_PG_DATA": "/data/pg/18", "PGWARDEN_PG_PORT": "5433",
        "PGWARDEN_PG_SOCKET": "/run/pg", "PGWARDEN_PG_USER": "admin", "PGWARDEN_PG_DATABASE": "app",
        "PGWARDEN_CONFIGURE_BY": "Arguments",
    }  # fmt: skip
    assert container["volumeMounts"] == [
        {"name": "pgwarden-source", "mountPath": "/pgwarden/source", "readOnly": True},
        {"name": "data", "mountPath": "/data", "subPath": "pg"},
        {"name": "pgwarden-conf", "mountPath": "/pgwarden/conf"},
        {"name": "pgwarden-work", "mountPath": "/pgwarden/work"},
        {"name": "pgwarden-run", "mountPath": "/pgwarden/run"},
        {"name": "pgwarden-tmp", "mountPath": "/tmp"},
    ]
    assert (server["image"], server["command"]) == ("db:18", ["/bin/sh", "/pgwarden/tools/bin/recover.sh"])
    assert {"name": "LANG", "value": "de_DE.utf8"} in server["env"]
    assert pod["shareProcessNamespace"] is True
    assert container["restartPolicy"] == "Always"
    assert server["securityContext"] == container["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True, "runAsUser": 26, "runAsGroup": 27,
    }  # fmt: skip


def test_the_jobs_pod_has_a_postgresql_pods_view_of_the_repository(settings):
    pod = job(settings)["spec"]["template"]["spec"]
    assert pod["volumes"] == [
        {"name": "data", "persistentVolumeClaim": {"claimName": "back-restored"}},
        {"name": "pgwarden-tools", "emptyDir": {}},
        {"name": "pgwarden-source", "projected": {"defaultMode": 0o444, "sources": [
            {"configMap": {"name": "hippo-pgbackrest", "items": [{"key": "pod.conf", "path": "pod.conf"}]}},
            {"secret": {"name": "hippo-pgbackrest-pods"}},
        ]}},
        {"name": "pgwarden-conf", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}},
        {"name": "pgwarden-work", "emptyDir": {}},
        {"name": "pgwarden-run", "emptyDir": {}},
        {"name": "pgwarden-tmp", "emptyDir": {}},
    ]  # fmt: skip
    assert pod["securityContext"] == {
        "fsGroup": 27, "runAsUser": 26, "runAsGroup": 27, "seccompProfile": {"type": "RuntimeDefault"},
    }  # fmt: skip
    assert [one["name"] for one in pod["initContainers"]] == ["pgwarden-tools", "pgbackrest"]
    assert pod["automountServiceAccountToken"] is False


def test_an_image_that_starts_as_root_has_its_volume_given_to_its_user(settings):
    plan = msgspec.structs.replace(PLAN, own_volume=True, security={})
    own = job(settings, plan)["spec"]["template"]["spec"]["initContainers"][0]
    assert own["args"] == ["own", "--path", "/data", "--uid", "26", "--gid", "27"]
    assert own["securityContext"] == {
        "runAsUser": 0, "runAsGroup": 0, "runAsNonRoot": False, "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"], "add": ["CHOWN"]},
    }  # fmt: skip
    assert own["volumeMounts"] == [{"name": "data", "mountPath": "/data", "subPath": "pg"}]


@pytest.mark.parametrize(
    ("spec", "in_place", "follows"),
    [({}, True, True), ({"target_timeline": "current"}, True, False), ({}, False, False), ({"target": RestoreTarget(immediate=True)}, True, False)],
    ids=["to the latest state", "along an older timeline", "into a claim of its own", "to a moment"],
)  # fmt: skip
def test_a_recovery_follows_the_old_server_to_the_latest_state_alone(spec, in_place, follows):
    plan = PLAN if in_place else msgspec.structs.replace(PLAN, workload="", workload_kind="")
    assert render.follows(plan, RestoreSpec(repository="hippo", **spec)) is follows


@pytest.mark.parametrize(
    ("spec", "arguments"),
    [
        ({}, []),
        ({"storage": "s3"}, ["--repo=2"]),
        ({"set": "20261123-110000F"}, ["--set=20261123-110000F"]),
        ({"target": RestoreTarget(lsn="0/3000060"), "target_timeline": "3"}, ["--type=lsn", "--target=0/3000060", "--target-action=promote", "--target-timeline=3"]),
        ({"target": RestoreTarget(immediate=True)}, ["--type=immediate", "--target-action=promote"]),
        ({"options": ["--process-max=4"]}, ["--process-max=4"]),
    ],
)  # fmt: skip
def test_arguments(spec, arguments):
    wanted = RestoreSpec(repository="hippo", **spec)
    made = render.arguments(PLAN, wanted, RepositorySpec(storage_type="local,s3"))
    assert made[-1] == "restore"
    always = ("--stanza=hippo", "--pg1-path=/data/pg/18", "--reset-pg1-host", "--recovery-option=restore_command=")
    assert [a for a in made[:-1] if not a.startswith(always)] == arguments


def test_the_users_claim_is_as_it_was():
    assert render.user_claim(PLAN, "ns", "pv-new") == {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": "data-pg-0", "namespace": "ns", "labels": {"app": "pg"}, "annotations": {"note": "mine"},
            "ownerReferences": [{"kind": "StatefulSet", "name": "pg"}],
        },
        "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "fast", "volumeName": "pv-new"},
    }  # fmt: skip


@pytest.mark.parametrize(("volume", "restored"), [("pv-new", True), ("pv-old", False)])
def test_the_users_claim_tells_of_the_restore_where_it_has_the_restored_volume(volume, restored):
    plan = msgspec.structs.replace(PLAN, order="0123", new_volume=Volume(name="pv-new", reclaim="Delete"))
    made = render.user_claim(plan, "ns", volume)["metadata"]["annotations"]
    marks = {
        "pgwarden.io/restore": "back",
        "pgwarden.io/restore-uid": PLAN.restore_uid,
        "pgwarden.io/restore-order": "0123",
    }
    assert made == {"note": "mine"} | (marks if restored else {})


def test_the_kept_claim_has_no_owner_and_none_of_the_users_labels():
    for made in (render.kept_claim(PLAN, "ns", "pv-old"), render.failed_claim(PLAN, "ns", "pv-new")):
        assert "ownerReferences" not in made["metadata"]
        assert made["metadata"]["labels"]["pgwarden.io/kept-by"] == "back"
        assert "app" not in made["metadata"]["labels"]


def test_scheduling_leaves_out_affinity_to_pods_and_prefers_the_old_node():
    affinity = {
        "podAntiAffinity": {"x": 1},
        "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"y": 1}},
    }
    template = {
        "spec": {
            "nodeSelector": {"disk": "ssd"},
            "tolerations": [{"key": "db"}],
            "affinity": affinity,
            "hostNetwork": True,
        }
    }
    assert placement.like(template["spec"], "node-1") == {
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "db"}],
        "affinity": {"nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"y": 1},
            "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "preference": {
                "matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["node-1"]}]}}],
        }},
    }  # fmt: skip


def test_the_plan_survives_its_json():
    assert load(PLAN.dump()) == PLAN
    assert load("{") is None
    assert load('{"from": "another version"}') is None


def test_every_container_of_the_job_has_the_repositorys_resources(settings):
    """A quota on limits.cpu refuses a pod of which a single container names none."""
    wanted = {"limits": {"cpu": "2", "memory": "1Gi"}}
    pod = job(settings, repo=RepositorySpec(storage_type="local", resources=wanted))["spec"]["template"]["spec"]
    assert all(one["resources"] == wanted for one in (*pod["initContainers"], *pod["containers"]))


def test_agent_and_server_read_the_storage_as_of_the_time_that_is_asked_for(settings):
    """pgBackRest takes it by its environment: so does what PostgreSQL calls for WAL."""
    spec = RestoreSpec(repository="hippo", volume_claim="rescued", repo_target_time="2026-11-23T10:00:00+01:00")
    pod = job(settings, spec=spec)["spec"]["template"]["spec"]
    for container in (pod["initContainers"][-1], pod["containers"][0]):
        found = {one["name"]: one["value"] for one in container["env"]}
        assert found["PGBACKREST_REPO"] == "2"
        assert found["PGBACKREST_REPO_TARGET_TIME"] == "2026-11-23 09:00:00+00"


@pytest.mark.parametrize("spec", [{}, {"repo_target_time": ""}])
def test_otherwise_no_variable_tells_pgbackrest_what_to_read(settings, spec):
    pod = job(settings, spec=RestoreSpec(repository="hippo", **spec))["spec"]["template"]["spec"]
    both = [*pod["initContainers"][-1]["env"], *pod["containers"][0]["env"]]
    assert not [one for one in both if one["name"].startswith("PGBACKREST_")]
