"""What is known of a PostgresCluster at one moment. Plain values: gathered by reconcile, judged by decide."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from controller import operations, owned
from controller.claim_growth import Growth
from controller.cluster import clone, encryption
from controller.cluster.encryption import Mode, Served, Standing
from controller.nodes import Lack
from controller.patroni import Member, Store
from controller.pods import is_ready, refused
from controller.recovery.progress import Seen
from controller.runtime import conditions
from pgwarden.api import names, records
from pgwarden.api.kinds import PostgresClusterSpec
from pgwarden.api.objects import Object
from pgwarden.api.reading import get, objects
from pgwarden.api.sizing import NOTHING, Asks
from pgwarden.api.target import parse_time
from pgwarden.rules import backup_sets


@dataclass(frozen=True)
class Instance:
    """One that there is: its Deployment, and the newest of its pods."""

    name: str
    number: int
    deployment: Object
    pod: Object | None = None
    member: Member = field(default_factory=Member)
    lack: Lack | None = None  # the node that it waits for, looked up only where it is not ready
    passwords: str = ""  # digest of those that the roles have; empty where that is not known

    @property
    def pod_name(self) -> str:
        return str(self.pod["metadata"]["name"]) if self.pod else ""

    @property
    def ready(self) -> bool:
        return self.pod is not None and is_ready(self.pod)

    @property
    def unready_since(self) -> datetime | None:
        """When its pod's readiness last turned, where it is not ready; None where it is, or that has not been said."""
        found = conditions.find((self.pod or {}).get("status", {}).get("conditions", []), "Ready") or {}
        since = found.get("lastTransitionTime")
        return parse_time(str(since)) if since and not self.ready else None

    @property
    def runs(self) -> bool:
        """Whether its pod's containers have been started."""
        return bool((self.pod or {}).get("status", {}).get("phase") == "Running")

    @property
    def digest(self) -> str:
        """Of the pod template that its Deployment has; another one where its Patroni logs in by passwords of before."""
        template = self.deployment["spec"]["template"]
        own, begun = _annotation(template, names.ANNOTATION_TEMPLATE), _annotation(template, names.ANNOTATION_PASSWORDS)
        return own if not begun or not self.passwords or begun == self.passwords else f"{own} {begun}"

    @property
    def standing(self) -> Standing:
        template, pod = self.deployment["spec"]["template"], self.pod
        made_with = encryption.carries(template)
        runs_with = made_with if pod is None else encryption.carries(pod)
        return Standing(_annotation(template, names.ANNOTATION_TEMPLATE), made_with, runs_with)

    @property
    def refused(self) -> str:
        """Why Kubernetes creates no pod of it, in its words; empty where it does."""
        return "" if self.pod is not None else refused(self.deployment)

    @property
    def resources(self) -> Object:
        """Of its container, as its pod template has them."""
        containers = objects(self.deployment, "spec", "template", "spec", "containers")
        return get(containers[0], dict, "resources") or {} if containers else {}

    @property
    def restarted(self) -> str:
        return _annotation(self.deployment["spec"]["template"], names.ANNOTATION_RESTARTED)

    @property
    def settled(self) -> bool:
        """Ready, and its pod is the one that its Deployment asks for now."""
        return self.ready and self.pod is not None and _marks(self.pod) == _marks(self.deployment["spec"]["template"])


@dataclass(frozen=True)
class ClusterFacts:
    cluster: Object
    spec: PostgresClusterSpec
    now: datetime
    digest: str  # of the pod template as it should be
    instances: tuple[Instance, ...] = ()
    pods: Sequence[str] = ()  # all that have not ended, of whichever instance
    store: Store = field(default_factory=Store)
    repository: Object | None = None
    backups: Sequence[Object] = ()  # Backup objects of the Repository
    credentials: Object | None = field(default=None, repr=False)  # the Secret with the passwords
    restores: Sequence[Object] = ()  # Restore objects of the Repository
    restoring: bool = False  # a Restore in place is at work: nothing else is done meanwhile, and nobody takes over
    left: str = ""  # what of an earlier cluster of the name has to go before the first instance is made
    source: clone.Source | None = None  # what it is to be cloned from, while nothing has been made yet
    own: clone.Source | None = None  # its own Repository, as it was just read, while nothing has been made yet
    claim: Object | None = None  # of its first instance, until that is known to have begun
    growths: tuple[Growth, ...] = ()  # what instances' claims lack of the size in the spec
    no_longer_allowed: str = ""  # why that recovery ends, where its source has taken back what allowed it
    filling: Seen | None = None  # the recovery that fills that claim, until there is a primary
    refused: str = ""  # what a rule has against it since it was taken up
    asks: Asks = NOTHING  # of each container, by the namespace
    encryption: Mode = Mode.WHOLE  # whether its instances speak TLS
    served: Served = field(default_factory=Served)  # by what
    not_made: str = ""  # what Kubernetes does not take of what the cluster consists of, in its words
    fault: str = ""  # what has to be put right by hand before anything can be done

    @property
    def name(self) -> str:
        return str(self.cluster["metadata"]["name"])

    @property
    def primary(self) -> Instance | None:
        """The instance whose pod holds Patroni's lock and takes writes: it holds the lock before it is promoted."""
        holder = self.lock_holder
        return holder if holder is not None and holder.ready and holder.member.role == "primary" else None

    @property
    def lock_holder(self) -> Instance | None:
        """The instance whose pod holds Patroni's lock: the primary, or one that is not ready at this moment."""
        return next((one for one in self.instances if one.pod_name and one.pod_name == self.store.leader), None)

    @property
    def synchronous(self) -> list[Instance]:
        """Replicas that the primary's commits wait for."""
        return [one for one in self.instances if one.pod_name in self.store.synchronous and one.ready]

    @property
    def initialized(self) -> bool:
        """Whether it has had a primary."""
        return self.primary is not None or self.initialized_before

    @property
    def initialized_before(self) -> bool:
        """Whether it was by the last look."""
        return bool((self.cluster.get("status") or {}).get("initialized"))

    @property
    def last_backup(self) -> Object | None:
        """The newest set of this very cluster: what an earlier one of the name has left is none of its backups."""
        return self._own(next(iter(backup_sets.of(self.repository).newest_first), None))

    def last_backup_in(self, storages: Collection[str]) -> Object | None:
        """The same of some of its storages."""
        told = backup_sets.of(self.repository).told
        return self._own(next((one for one in told if one.get("storage") in storages), None), storages)

    def _own(self, newest: Object | None, storages: Collection[str] | None = None) -> Object | None:
        """*newest* of *storages*, or of all, where it is a backup of this very cluster."""
        metadata, uid = self.cluster["metadata"], self.cluster["metadata"]["uid"]
        known = [one.get("systemIdentifier") for one in objects(self.repository, "status", "storages")]
        if self.store.system_identifier and any(one and one != self.store.system_identifier for one in known):
            return None
        # Its own first one counts whatever the clocks say.
        made = [one for one in self._made() if storages is None or _storage(one) in storages]
        own = any(operations.phase(one) == "Completed" and owned.is_owned(one, uid) for one in made)
        later = newest is not None and str(newest.get("stopTime") or "") >= str(metadata.get("creationTimestamp") or "")
        return newest if own or later else None

    def _made(self) -> list[Object]:
        return [one for one in self.backups if not records.is_record(one)]

    @property
    def has_backup(self) -> bool:
        return self.last_backup is not None


def _storage(backup: Object) -> str:
    return get(backup, str, "status", "storage") or ""


def _annotation(obj: Object, name: str) -> str:
    return str((obj.get("metadata", {}).get("annotations") or {}).get(name, ""))


def _marks(obj: Object) -> tuple[str, ...]:
    marks = (names.ANNOTATION_TEMPLATE, names.ANNOTATION_RESTARTED, names.ANNOTATION_PASSWORDS)
    return tuple(_annotation(obj, mark) for mark in marks)
