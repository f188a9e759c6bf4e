"""Reading what a PostgresCluster is made of, from the caches. Decides nothing."""

from __future__ import annotations

import msgspec

from pgwarden.api import names
from pgwarden.api.kinds import PostgresClusterSpec
from pgwarden.controller import operations
from pgwarden.controller.cluster import instance, patroni
from pgwarden.controller.cluster.facts import Facts, Instance
from pgwarden.controller.context import Context
from pgwarden.controller.pods import has_ended
from pgwarden.kube.client import Object


def gather(context: Context, cluster: Object) -> Facts:
    namespace, name = cluster["metadata"]["namespace"], cluster["metadata"]["name"]
    caches = context.caches
    spec = msgspec.convert(cluster["spec"], PostgresClusterSpec)
    repository = caches.repositories.get(namespace, name)
    pods = caches.labelled(caches.postgres_pods, namespace, names.LABEL_CLUSTER, name)
    maps = caches.labelled(caches.patroni, namespace, names.LABEL_CLUSTER, name)
    return Facts(
        cluster=cluster,
        spec=spec,
        now=context.clock(),
        digest=instance.digest(cluster, spec, context.settings),
        instances=tuple(_instances(context, cluster, pods)),
        pods=tuple(one["metadata"]["name"] for one in pods if not has_ended(one)),
        store=patroni.store(name, {one["metadata"]["name"]: one for one in maps if is_owned(one, cluster)}),
        repository=repository,
        backups=caches.of_repository(caches.backups, namespace, name),
        restoring=_restoring(context, namespace, name),
        fault=_fault(cluster, repository),
    )


def is_owned(obj: Object, cluster: Object) -> bool:
    """Whether *obj* is this very cluster's, or nobody's yet: one of an earlier cluster of the name is neither."""
    owners = [one for one in obj["metadata"].get("ownerReferences", []) if one.get("kind") == "PostgresCluster"]
    return not owners or any(one["uid"] == cluster["metadata"]["uid"] for one in owners)


def of_earlier(obj: Object, cluster: Object) -> str:
    """Why *obj* cannot be used: it goes, perhaps with an earlier cluster of the name. Empty where it can."""
    which = f"{obj['kind']} {obj['metadata']['name']}"
    if not is_owned(obj, cluster):
        return f"waiting until {which} of an earlier cluster of this name is gone"
    return f"waiting until {which} is gone, which is being deleted" if "deletionTimestamp" in obj["metadata"] else ""


def _instances(context: Context, cluster: Object, pods: list[Object]) -> list[Instance]:
    caches = context.caches
    namespace, own = cluster["metadata"]["namespace"], cluster["metadata"]["name"]
    found = []
    for deployment in caches.labelled(caches.instances, namespace, names.LABEL_CLUSTER, own):
        name = deployment["metadata"]["name"]
        number = name.rpartition("-")[2]
        going = "deletionTimestamp" in deployment["metadata"] or not is_owned(deployment, cluster)
        if going or not number.isdecimal():
            continue
        mine = [pod for pod in pods if pod["metadata"]["labels"].get(names.LABEL_INSTANCE) == name]
        pod = max(mine, key=_newest, default=None)
        member = patroni.member(pod) if pod else patroni.Member()
        found.append(Instance(name, int(number), deployment, pod, member))
    return sorted(found, key=lambda one: one.number)


def _restoring(context: Context, namespace: str, cluster: str) -> bool:
    """Whether a Restore in place is at work, or one that is gone has left an instance stopped."""
    caches = context.caches
    at_work = [
        one
        for one in caches.of_repository(caches.restores, namespace, cluster)
        if operations.phase(one) == "Running" and not one["spec"].get("volumeClaim")
    ]
    stopped = caches.labelled(caches.instances, namespace, names.LABEL_CLUSTER, cluster)
    left = [one for one in stopped if names.ANNOTATION_STOPPED_BY in one["metadata"].get("annotations", {})]
    return bool(at_work or left)


def _newest(pod: Object) -> tuple[bool, str]:
    return "deletionTimestamp" not in pod["metadata"], str(pod["metadata"]["creationTimestamp"])


def _fault(cluster: Object, repository: Object | None) -> str:
    if repository is None:
        return ""
    owners = [one["uid"] for one in repository["metadata"].get("ownerReferences", [])]
    if cluster["metadata"]["uid"] in owners:
        return ""
    name = repository["metadata"]["name"]
    return f"there is a Repository {name} that is not this cluster's; rename the cluster, or delete that Repository"
