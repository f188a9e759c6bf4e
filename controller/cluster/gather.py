"""Reading what a PostgresCluster is made of, from the caches. Decides nothing."""

from __future__ import annotations

import re
from functools import partial

import msgspec

from controller import operations, owned, patroni, pod_terms
from controller.cluster import encryption, instance, passwords
from controller.cluster.encryption import Mode
from controller.cluster.facts import ClusterFacts, Instance
from controller.context import Context
from controller.pods import has_ended
from controller.recovery import plan as plans
from controller.recovery import target
from controller.runtime.conditions import is_true
from pgwarden.api import names
from pgwarden.api.kinds import PostgresClusterSpec
from pgwarden.api.objects import Object
from pgwarden.api.reading import is_going

_NUMBER = re.compile(r"[1-9][0-9]{0,5}")


async def gather(context: Context, cluster: Object) -> ClusterFacts:
    namespace, name = cluster["metadata"]["namespace"], cluster["metadata"]["name"]
    caches = context.caches
    spec = msgspec.convert(cluster["spec"], PostgresClusterSpec)
    if spec.data_source is not None:
        spec = msgspec.structs.replace(spec, data_source=target.of_its_storage(spec.data_source))
    repository = caches.repositories.get(namespace, name)
    pods = caches.labelled(caches.postgres_pods, namespace, names.LABEL_CLUSTER, name)
    maps = caches.labelled(caches.patroni, namespace, names.LABEL_CLUSTER, name)
    instances = await _instances(context, cluster, pods)
    before = partial(instance.digest, cluster, spec, context.settings, tls=False)
    mode = encryption.mode(spec, [one.standing for one in instances], before)
    return ClusterFacts(
        cluster=cluster,
        spec=spec,
        now=context.clock(),
        digest=instance.digest(cluster, spec, context.settings, tls=mode is not Mode.OFF),
        encryption=mode,
        instances=tuple(instances),
        pods=tuple(one["metadata"]["name"] for one in pods if not has_ended(one) and _is_instances(one, name)),
        store=patroni.store(name, {one["metadata"]["name"]: one for one in maps if not is_anothers(one, cluster)}),
        repository=repository,
        backups=caches.of_repository(caches.backups, namespace, name),
        restores=caches.of_repository(caches.restores, namespace, name),
        restoring=_restoring(context, cluster),
        asks=pod_terms.asked(context, namespace),
        fault=_fault(cluster, repository),
    )


def is_anothers(obj: Object, cluster: Object) -> bool:
    """Whether *obj* is of another PostgresCluster, as an earlier one of the name was."""
    owners = [one for one in obj["metadata"].get("ownerReferences") or [] if one.get("kind") == "PostgresCluster"]
    return bool(owners) and not owned.is_owned(obj, cluster["metadata"]["uid"])


def stranger(obj: Object, cluster: Object) -> str:
    """Why *obj*, a claim or a Deployment of an instance's name, is not this cluster's. Empty where it is.

    A claim without an owner is adopted where it has all of the instance's labels; a Deployment never.
    """
    kind, uid = obj["kind"], cluster["metadata"]["uid"]
    if owned.is_owned(obj, uid) or (kind == "PersistentVolumeClaim" and owned.is_instances_claim(obj, cluster)):
        return ""
    return owned.in_the_way(kind, obj, "PostgresCluster")


def of_earlier(obj: Object, cluster: Object) -> str:
    """Why *obj* cannot be used: it goes, perhaps with an earlier cluster of the name. Empty where it can."""
    which = f"{obj['kind']} {obj['metadata']['name']}"
    if is_anothers(obj, cluster):
        return f"waiting for {which} of an earlier cluster of this name to be deleted"
    return f"waiting for {which}, which is being deleted" if is_going(obj) else ""


async def _instances(context: Context, cluster: Object, pods: list[Object]) -> list[Instance]:
    caches = context.caches
    namespace, own = cluster["metadata"]["namespace"], cluster["metadata"]["name"]
    found, known = [], passwords.known(cluster)
    for deployment in caches.labelled(caches.instances, namespace, names.LABEL_CLUSTER, own):
        name = deployment["metadata"]["name"]
        number = name.rpartition("-")[2]
        going = is_going(deployment)
        ours = owned.is_owned(deployment, cluster["metadata"]["uid"])
        if going or not ours or not _NUMBER.fullmatch(number) or name != names.instance(own, int(number)):
            continue
        labelled = [pod for pod in pods if pod["metadata"]["labels"].get(names.LABEL_INSTANCE) == name]
        mine = await context.replica_sets.pods_of(deployment, labelled)
        pod = max(mine, key=_newest, default=None)
        member = patroni.member(pod) if pod else patroni.Member()
        found.append(Instance(name, int(number), deployment, pod, member, passwords=known.digest if known else ""))
    return sorted(found, key=lambda one: one.number)


def _restoring(context: Context, cluster: Object) -> bool:
    """Whether a Restore in place is at work, or one that is gone has left an instance stopped."""
    caches, namespace, name = context.caches, cluster["metadata"]["namespace"], cluster["metadata"]["name"]
    at_work = [
        one
        for one in caches.of_repository(caches.restores, namespace, name)
        if operations.phase(one) == "Running" and not one["spec"].get("volumeClaim")
    ]
    left = [
        one
        for one in caches.labelled(caches.instances, namespace, names.LABEL_CLUSTER, name)
        if owned.is_owned(one, cluster["metadata"]["uid"]) and _is_stopped(context, one)
    ]
    return bool(at_work or left)


def _is_stopped(context: Context, deployment: Object) -> bool:
    """By a Restore. What others write there is refused by the Restores' controller, and holds nothing up."""
    if names.ANNOTATION_STOPPED_BY not in deployment["metadata"].get("annotations", {}):
        return False
    if context.seal is not None and not context.seal.holds("Deployment", deployment):
        return False
    plan = plans.of_workload({"kind": "Deployment"} | deployment)
    restore = context.caches.restores.get(deployment["metadata"]["namespace"], plan.restore) if plan else None
    if plan is None or restore is None or restore["metadata"]["uid"] != plan.restore_uid:
        return True
    # One that has started has nothing to undo: `kubectl rollout undo` brings its mark back.
    return not operations.is_over(restore) and not is_true(restore, "Started")


def _is_instances(pod: Object, cluster: str) -> bool:
    """Whether an instance of a PostgresCluster of that name, also of an earlier one, has made *pod*, as it says."""
    return str(owned.controller(pod, "ReplicaSet").get("name") or "").startswith(f"{cluster}-")


def _newest(pod: Object) -> tuple[bool, str]:
    return not is_going(pod), str(pod["metadata"]["creationTimestamp"])


def _fault(cluster: Object, repository: Object | None) -> str:
    if repository is None:
        return ""
    if owned.is_owned(repository, cluster["metadata"]["uid"]):
        return ""
    name = repository["metadata"]["name"]
    return f"Repository {name} does not belong to this cluster; choose another name, or delete that Repository"
