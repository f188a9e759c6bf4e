"""A cluster of plain dicts behind KubeClient.request: the controllers of Kubernetes that a restore meets, in a few lines each."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from controller.settings import Settings
from harness.patches import DoesNotFit, carried_out, merged
from pgwarden.api import names
from pgwarden.api.defaults import OperatorDefaults
from pgwarden.kube import errors, paths
from pgwarden.kube.access import Access
from pgwarden.kube.client import DOES_NOT_FIT, KubeClient
from tests.unit.controller import replicas
from tests.unit.controller.restore.agents import RECOVERY_IP

Object = dict[str, Any]
START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
FACTS = {
    "container": "postgres", "dataDirectory": "/var/lib/postgresql/data/pgdata", "port": 5432,
    "socketDirectory": "/var/run/postgresql", "user": "postgres", "database": "postgres", "runAsUser": 999,
    "runAsGroup": 999, "configuredBy": "Arguments", "dataVolume": "data",
}  # fmt: skip


class Killed(BaseException):
    """The controller's process ends here."""


class Cluster(KubeClient):
    """`kill_at` ends the process at that writing request, `before` or after it took effect."""

    def __init__(self) -> None:
        super().__init__(Access("http://fake", None))
        self.objects: dict[tuple[str, str, str], Object] = {}  # (plural, namespace, name)
        self.data: dict[str, str] = {}  # volume → what is on it
        self.lost: list[str] = []
        self.now = START
        self.count = 0
        self.writes = 0
        self.kill_at = 0
        self.kill_before = False
        self.before_write: Callable[[int], None] = lambda number: None
        self.log: list[str] = []
        self.told: list[tuple[str, str, str]] = []  # Events: kind and name of what they are about, message
        self.warned: list[str] = []  # reasons of those that are warnings
        self.job_end = "Complete"
        self.job_message: Object = {"ok": True, "exitCode": 0, "error": "", "set": "20261123-110000F", "seconds": 3.5,
                                    "timeline": 2, "reached": "2026-11-23T11:59:00.5Z", "segments": 7}  # fmt: skip
        self.finished = False  # whether the recovery that follows was told to end
        self.backup_end = "Completed"
        self.restored_data = "restored"
        self.prefix = {paths.of(p): p for p in paths._PREFIX}
        self.lingers = False  # whether an ended pod stays until it is taken away
        self.may_delete_pods, self.refused = True, 0
        self.pod_template: Callable[[Object], None] = lambda pod: None

    # --- the API server -----------------------------------------------------------------------------------------

    def _parse(self, path: str) -> tuple[str, str, str, str]:
        for plural in paths._PREFIX:
            base = paths.of(plural).removesuffix(f"/{plural}")
            if not path.startswith(base + "/"):
                continue
            parts = path.removeprefix(base + "/").split("/")
            namespace = ""
            if parts[0] == "namespaces" and len(parts) > 2:
                namespace, parts = parts[1], parts[2:]
            if parts[0] == plural:
                return plural, namespace, parts[1] if len(parts) > 1 else "", parts[2] if len(parts) > 2 else ""
        raise AssertionError(path)

    async def request(self, method: str, path: str, *, body: Any = None, content_type: str = "", params: Any = None,
                      timeout: float | None = None, accept: str = "") -> Any:  # fmt: skip  # noqa: ASYNC109  KubeClient's own
        plural, namespace, name, sub = self._parse(path)
        if method == "GET":
            return self._get(plural, namespace, name, params or {})
        if plural == "events":
            self.told.append((body["involvedObject"]["kind"], body["involvedObject"]["name"], body["message"]))
            self.warned += [body["reason"]] if body["type"] == "Warning" else []
            return {}
        if (params or {}).get("dryRun") == "All":
            if (plural, namespace, name or body["metadata"]["name"]) in self.objects:
                raise errors.Conflict(409, "AlreadyExists", "there already")
            return copy.deepcopy(body)
        self.writes += 1
        if self.writes == self.kill_at and self.kill_before:
            raise Killed
        self.before_write(self.writes)
        self.log.append(f"{method} {plural}/{name or body['metadata']['name']}{'/' + sub if sub else ''}")
        answer = self._write(method, plural, namespace, name, sub, copy.deepcopy(body))
        self.settle()
        if self.writes == self.kill_at:
            raise Killed
        return copy.deepcopy(answer)

    def _get(self, plural: str, namespace: str, name: str, params: Any) -> Any:
        if name:
            if (plural, namespace, name) not in self.objects:
                raise errors.NotFound(404, "NotFound", f"{plural} {name} not found")
            return copy.deepcopy(self.objects[plural, namespace, name])
        found = [o for (p, n, _), o in self.objects.items() if p == plural and namespace in {"", n}]
        for term in filter(None, params.get("labelSelector", "").split(",")):
            key, _, value = term.partition("=")
            found = [o for o in found if o["metadata"].get("labels", {}).get(key) == value]
        if "fieldSelector" in params:  # of a custom resource, before Kubernetes 1.31
            raise errors.Invalid(400, "BadRequest", f"field label not supported: {params['fieldSelector']}")
        return {"items": copy.deepcopy(found), "metadata": {"resourceVersion": "1"}}

    def _write(self, method: str, plural: str, namespace: str, name: str, sub: str, body: Any) -> Object:
        if method == "POST":
            if (plural, namespace, body["metadata"]["name"]) in self.objects:
                raise errors.Conflict(409, "AlreadyExists", "there already")
            return self.add(plural, namespace, body)
        key = (plural, namespace, name)
        if key not in self.objects:
            raise errors.NotFound(404, "NotFound", f"{plural} {name} not found")
        if sub == "status":
            return self._write_status(key, body)
        uid = (body.get("preconditions") or {}).get("uid") or body.get("metadata", {}).get("uid")
        if uid and uid != self.objects[key]["metadata"]["uid"]:
            raise errors.Conflict(409, "Conflict", "uid")
        if method == "DELETE":
            assert uid, "only the very object that was looked at may be deleted"
            if plural == "pods":
                assert body["gracePeriodSeconds"] == 0
                if not self.may_delete_pods:
                    self.refused += 1
                    if self.refused == 3:  # its node has done it by then
                        del self.objects[key]
                    raise errors.Invalid(403, "Forbidden", "pods is forbidden: cannot delete")
                del self.objects[key]
                return {}
            self.objects[key]["metadata"]["deletionTimestamp"] = self._time()
            return {}
        assert not sub
        self.objects[key] = merged(self.objects[key], body)
        return self.objects[key]

    def _write_status(self, key: tuple[str, str, str], body: Any) -> Object:
        """As of a custom resource: what a merge patch says of the metadata is not looked at, but for the version."""
        there = self.objects[key]
        if isinstance(body, list):
            try:
                after = carried_out(there, body)
            except DoesNotFit as error:
                raise errors.Invalid(422, "Invalid", DOES_NOT_FIT) from error
        else:
            wanted = body.get("metadata", {}).get("resourceVersion", there["metadata"]["resourceVersion"])
            if wanted != there["metadata"]["resourceVersion"]:
                raise errors.Conflict(409, "Conflict", "the object has been modified")
            after = merged(there, {"status": body["status"]})
        there["status"] = after["status"]
        return there

    def add(self, plural: str, namespace: str, body: Object) -> Object:
        self.count += 1
        body = copy.deepcopy(body)
        stamp = {
            "uid": f"uid-{self.count}",
            "creationTimestamp": self._time(),
            "generation": 1,
            "resourceVersion": f"{self.count}",
        }
        body["metadata"] |= {"namespace": namespace} | stamp
        self.objects[plural, namespace, body["metadata"]["name"]] = body
        return body

    def run_host(self) -> None:
        """The repository host of `hippo`: its Deployment, ReplicaSet and pod."""
        owner = self.objects["repositories", "ns", "hippo"]["metadata"]["uid"]
        made = self.add("deployments", "ns", replicas.deployment(owner))
        self.add("replicasets", "ns", replicas.replica_set(made))
        labels = {names.LABEL_OWNER_REPOSITORY: "hippo", names.LABEL_COMPONENT: "host"}
        set_uid = self.objects["replicasets", "ns", f"{replicas.HOST}-5d"]["metadata"]["uid"]
        owners = [one | {"uid": set_uid} for one in replicas.by()]
        about = {"name": "host", "labels": labels, "ownerReferences": owners}
        self.add("pods", "ns", {"metadata": about, "spec": {"volumes": []}, "status": {"podIP": "10.0.0.2"}})

    def _time(self) -> str:
        return self.now.strftime("%Y-%m-%dT%H:%M:%SZ")

    # --- Kubernetes' own controllers ----------------------------------------------------------------------------

    def settle(self) -> None:
        for _ in range(4):
            self._collect()
            self._finalize()
            self._stateful_sets()
            self._jobs()
            self._bind()
            self._backups()

    def of(self, plural: str) -> list[Object]:
        return [o for (p, _, _), o in list(self.objects.items()) if p == plural]

    def _collect(self) -> None:
        """The garbage collector: a Job goes with its owner, also one that was made when that had gone already."""
        there = {obj["metadata"]["uid"] for obj in self.objects.values()}
        for job in self.of("jobs"):
            if not {one["uid"] for one in job["metadata"].get("ownerReferences", [])} <= there:
                job["metadata"]["deletionTimestamp"] = self._time()

    def _finalize(self) -> None:
        used = {v["persistentVolumeClaim"]["claimName"] for pod in self.of("pods") for v in pod["spec"]["volumes"]}
        for key, obj in list(self.objects.items()):
            if "deletionTimestamp" not in obj["metadata"] or (key[0] == "pods" and self.lingers):
                continue
            if key[0] == "persistentvolumeclaims":
                if key[2] in used:
                    continue
                self._release(obj)
            if key[0] == "jobs":
                for pod in self.of("pods"):
                    if pod["metadata"].get("labels", {}).get("batch.kubernetes.io/job-name") == key[2]:
                        del self.objects["pods", key[1], pod["metadata"]["name"]]
            del self.objects[key]

    def _release(self, claim: Object) -> None:
        volume = self.objects.get(("persistentvolumes", "", claim["spec"].get("volumeName", "")))
        if volume and volume["spec"].get("claimRef", {}).get("uid") == claim["metadata"]["uid"]:
            if volume["spec"]["persistentVolumeReclaimPolicy"] == "Delete":
                del self.objects["persistentvolumes", "", volume["metadata"]["name"]]
                self.lost.append(self.data.pop(volume["metadata"]["name"]))
            else:
                volume["status"] = {"phase": "Released"}

    def _bind(self) -> None:
        for volume in self.of("persistentvolumes"):
            if volume.get("status", {}).get("phase") == "Released" and "uid" not in volume["spec"]["claimRef"]:
                volume["status"] = {"phase": "Available"}
        for claim in self.of("persistentvolumeclaims"):
            if claim.get("status", {}).get("phase") == "Bound":
                continue
            volume = self.objects.get(("persistentvolumes", "", claim["spec"].get("volumeName", "")))
            if volume is None and not claim["spec"].get("volumeName"):
                users = [p for p in self.of("pods") for v in p["spec"]["volumes"]
                         if v["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]]  # fmt: skip
                volume = self._provision(claim) if users else None
            if volume is None:
                continue
            reference = volume["spec"].get("claimRef") or {}
            right = (reference.get("namespace"), reference.get("name")) == (
                claim["metadata"]["namespace"],
                claim["metadata"]["name"],
            )
            if right and reference.get("uid") in {None, claim["metadata"]["uid"]}:
                reference["uid"] = claim["metadata"]["uid"]
                claim["spec"]["volumeName"] = volume["metadata"]["name"]
                claim["status"] = {"phase": "Bound"}
                volume["status"] = {"phase": "Bound"}

    def _provision(self, claim: Object) -> Object:
        name = f"pv-{claim['metadata']['uid']}"
        self.data[name] = self.restored_data
        reference = {"namespace": claim["metadata"]["namespace"], "name": claim["metadata"]["name"]}
        spec = {"persistentVolumeReclaimPolicy": "Delete", "claimRef": reference}
        return self.add("persistentvolumes", "", {"metadata": {"name": name}, "spec": spec})

    def _stateful_sets(self) -> None:
        for sts in self.of("statefulsets"):
            namespace, name = sts["metadata"]["namespace"], sts["metadata"]["name"]
            key = ("pods", namespace, f"{name}-0")
            if sts["spec"]["replicas"] == 0 and self.lingers and key in self.objects:
                pod = self.objects[key]
                pod["metadata"] |= {"deletionTimestamp": self._time(), "deletionGracePeriodSeconds": 30}
                ended = [{"name": one["name"], "state": {"terminated": {}}} for one in pod["spec"]["containers"]]
                pod["status"] |= {"phase": "Succeeded", "containerStatuses": ended}
            elif sts["spec"]["replicas"] == 0:
                self.objects.pop(key, None)
            elif key not in self.objects:
                labels = sts["spec"]["template"]["metadata"]["labels"]
                annotations = {names.ANNOTATION_INJECTED: "h", names.ANNOTATION_POSTGRES: json.dumps(FACTS)}
                owner = {"kind": "StatefulSet", "name": name, "controller": True, "uid": sts["metadata"]["uid"]}
                spec = copy.deepcopy(sts["spec"]["template"]["spec"]) | {"nodeName": "node-1"}
                spec["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": f"data-{name}-0"}}]
                metadata = {"name": key[2], "labels": labels, "annotations": annotations, "ownerReferences": [owner]}
                status = {"phase": "Running", "podIP": "10.0.0.7", "containerStatuses": []}
                self.pod_template(self.add("pods", namespace, {"metadata": metadata, "spec": spec, "status": status}))

    def _jobs(self) -> None:
        for job in self.of("jobs"):
            if job.get("status") or "deletionTimestamp" in job["metadata"]:
                continue
            namespace, name = job["metadata"]["namespace"], job["metadata"]["name"]
            template = job["spec"]["template"]["spec"]
            claim = next(v for v in template["volumes"] if "persistentVolumeClaim" in v)
            pod = ("pods", namespace, f"{name}-x")
            owner = {"kind": "Job", "name": name, "controller": True, "uid": job["metadata"]["uid"]}
            about = {"name": pod[2], "labels": {"batch.kubernetes.io/job-name": name}, "ownerReferences": [owner]}
            if (
                "--follow" in template["initContainers"][-1]["args"]
                and not self.finished
                and self.job_end == "Complete"
            ):
                if pod not in self.objects:
                    status = {"phase": "Running", "podIP": RECOVERY_IP}
                    self.add("pods", namespace, {"metadata": about, "spec": {"volumes": [claim]}, "status": status})
                continue
            self.finished = False
            self.objects.pop(pod, None)
            ended = {"message": json.dumps(self.job_message), "finishedAt": self._time()}
            state = {"terminated": ended} if self.job_end else {"running": {}}
            status = {
                "phase": "Succeeded" if self.job_end else "Running",
                "containerStatuses": [{"name": "postgres", "state": state}],
            }
            self.add("pods", namespace, {"metadata": about, "spec": {"volumes": [claim]}, "status": status})
            condition = {
                "type": self.job_end,
                "status": "True",
                "reason": "BackoffLimitExceeded",
                "message": "limit reached",
            }
            job["status"] = {"conditions": [condition] if self.job_end else []}

    def _backups(self) -> None:
        for backup in self.of("backups"):
            backup.setdefault("status", {"phase": self.backup_end, "message": "no space left"})

    # --- looking ------------------------------------------------------------------------------------------------

    def serves(self, claim: str = "data-pg-0") -> str:
        found = self.objects.get(("persistentvolumeclaims", "ns", claim))
        return self.data.get(found["spec"].get("volumeName", ""), "") if found else "no claim"

    def restore(self, name: str = "back") -> Object:
        return self.objects["restores", "ns", name]

    def condition(self, kind: str, name: str = "back") -> Object:
        return next(c for c in self.restore(name)["status"]["conditions"] if c["type"] == kind)


SETTINGS = Settings(
    image="pgwarden:test", image_pull_policy="IfNotPresent", namespace="sys", pod_name="controller", tls_secret="t",
    webhook_service="w", mutating_webhook="m", validating_webhook="v", defaults=OperatorDefaults(), http_port=0, lease="l",
)  # fmt: skip
