"""Everything that a decision is made from, read once and then only looked at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from controller.recovery.plan import Plan
from controller.runtime import conditions
from controller.settings import Settings
from pgwarden.api import names, owners
from pgwarden.api.kinds import RepositorySpec, RestoreSpec
from pgwarden.api.objects import Object
from pgwarden.api.sizing import NOTHING, Asks
from pgwarden.api.target import parse_time
from pgwarden.contract import calls
from pgwarden.contract.calls import Fenced, Reply
from pgwarden.contract.recovery import Recovery
from pgwarden.contract.status import Postgres, Status
from pgwarden.pgbackrest.info import Info, InfoError, parse_info

Answers = dict[str, Reply]


@dataclass(frozen=True)
class Members:
    """A PostgresCluster and its instances, as a Restore in place sees them."""

    cluster: Object
    primary: str = ""  # the instance that holds, or held last, Patroni's lock
    lock: str = ""  # the pod that Patroni's lock is held by, or was when it was last written
    paused: bool = False  # whether Patroni has autofail off
    #: What Patroni has noted, by the key of its ConfigMap: annotation → value. Of one that is not there, nothing.
    noted: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    deployments: tuple[Object, ...] = ()
    claims: tuple[Object, ...] = ()

    @property
    def name(self) -> str:
        return str(self.cluster["metadata"]["name"])


@dataclass(frozen=True)
class RestoreFacts:
    now: datetime
    settings: Settings
    restore: Object
    spec: RestoreSpec
    plan: Plan | None = None
    repository: Object | None = None
    repo_spec: RepositorySpec = field(default_factory=RepositorySpec)
    operations: tuple[Object, ...] = ()
    workloads: tuple[Object, ...] = ()  # StatefulSets and Deployments: the planned one, else all that may be meant
    members: Members | None = None  # of the PostgresCluster that the Repository belongs to
    pods: tuple[Object, ...] = ()  # all of the namespace that matter: labelled, or using a claim
    unproven: frozenset[str] = frozenset()  # of those, the ones that are not run by what they say they are
    strangers: frozenset[str] = frozenset()  # once there is a plan: those that its workload does not run
    claims: Mapping[str, Object] = field(default_factory=dict)
    volumes: Mapping[str, Object] = field(default_factory=dict)
    job: Object | None = None
    job_pods: tuple[Object, ...] = ()
    job_refused: str = ""  # why Kubernetes creates no pod of the Job, in its words
    workload_refused: str = ""  # the same of the workload, once it is to run again
    asks: Asks = NOTHING  # of each container, by the namespace
    missing_class: str = ""  # the StorageClass that spec.newVolume names, where there is none
    backup: Object | None = None
    info: Object | None = None  # the stanza's element of `pgbackrest info`
    info_error: str = ""
    agent: Status | None = None  # the status of the agent beside PostgreSQL
    agent_error: str = ""
    recovery: Recovery | None = None  # how far the recovery is, by its own agent
    answers: Mapping[str, Reply] = field(default_factory=dict)  # of this look, by the call's name

    @property
    def namespace(self) -> str:
        return str(self.restore["metadata"]["namespace"])

    @property
    def name(self) -> str:
        return str(self.restore["metadata"]["name"])

    @property
    def planned(self) -> Plan:
        if self.plan is None:
            raise ValueError("there is no plan before step Validated")
        return self.plan

    @property
    def postgres(self) -> Postgres:
        """What the agent says of PostgreSQL; not reachable where it says nothing."""
        return (self.agent and self.agent.postgres) or Postgres()

    @property
    def fenced(self) -> Fenced | None:
        found = self.answers.get(calls.FENCE)
        return found if isinstance(found, Fenced) else None

    @property
    def stanza(self) -> Info | None:
        """What `info` says; None where it has not been read, or cannot be."""
        try:
            stanza = names.stanza(self.spec.repository, self.repo_spec.stanza)
            return parse_info([self.info], stanza) if self.info else None
        except InfoError:
            return None

    def since(self, step: str) -> timedelta:
        """How long ago *step* was done; nothing where it has not been."""
        found = conditions.find(self.restore.get("status", {}).get("conditions", []), step)
        return self.now - parse_time(found["lastTransitionTime"]) if found else timedelta()

    def workload(self, name: str, kind: str) -> Object | None:
        """The one of that name; of two kinds there may be one each, and what is read by name need not say its own."""
        return next((o for o in self.workloads if (o["metadata"]["name"], o.get("kind", kind)) == (name, kind)), None)

    def labelled_pods(self) -> list[Object]:
        wanted = self.spec.repository
        return [p for p in self.pods if p["metadata"].get("labels", {}).get(names.LABEL_REPOSITORY) == wanted]


def owner(pod: Object) -> tuple[str, str]:
    """Kind and name of what runs *pod*: of a ReplicaSet, the Deployment that it is named after."""
    for reference in pod["metadata"].get("ownerReferences", []):
        if reference.get("controller"):
            return owners.workload(reference, pod)
    return "", ""


def pods_of(pods: Iterable[Object], kind: str, name: str) -> list[Object]:
    return [pod for pod in pods if owner(pod) == (kind, name)]


def without(pods: Iterable[Object], strangers: frozenset[str]) -> list[Object]:
    return [pod for pod in pods if pod["metadata"]["name"] not in strangers]


def claims_of(pod: Object) -> set[str]:
    volumes = pod["spec"].get("volumes", [])
    return {v["persistentVolumeClaim"]["claimName"] for v in volumes if "persistentVolumeClaim" in v}


def pod_ip(pod: Object) -> str:
    return str(pod.get("status", {}).get("podIP") or "")
