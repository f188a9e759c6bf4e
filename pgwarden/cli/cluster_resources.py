"""The PostgresCluster that a command line stands for. Pure: words in, objects out."""

from __future__ import annotations

import argparse

from pgwarden.api import names
from pgwarden.api.objects import Object
from pgwarden.cli import resources
from pgwarden.cli.errors import UsageError
from pgwarden.cli.pod_flags import pod_template
from pgwarden.cli.repository_resources import check, given, repository_spec


def cluster(args: argparse.Namespace) -> Object:
    """UsageError where options contradict each other."""
    check(args)
    instances: Object = {"replicas": instances_wanted(args)}
    volume = given(storageClassName=args.storage_class, size=args.pvc_size)
    if volume:
        instances["storage"] = volume
    instances |= pod_template(args)
    return resource(args) | {"spec": {"instances": instances, "repository": repository_spec(args, args.cluster)}}


def clone(args: argparse.Namespace) -> Object:
    """A cluster like any other, that begins with what another Repository holds."""
    made = cluster(args)
    source: Object = {"repository": args.source} | given(namespace=args.source_namespace)
    target = resources.target(args)
    if target:
        source["target"] = target
    source |= given(targetTimeline=args.target_timeline, set=args.set)
    source |= given(repoTargetTime=args.repo_target_time)
    return made | {"spec": made["spec"] | {"dataSource": source}}


def resource(args: argparse.Namespace) -> Object:
    """A PostgresCluster but for its spec."""
    metadata = {"name": args.cluster} | ({"namespace": args.namespace} if args.namespace else {})
    return {"apiVersion": names.API_VERSION, "kind": "PostgresCluster", "metadata": metadata}


def instances_wanted(args: argparse.Namespace) -> int:
    """In all, from --replicas or from --replica-count; 1 where neither is given."""
    if args.replica_count is not None:
        if args.replica_count < 0:
            raise UsageError(f"--replica-count {args.replica_count} must not be negative")
        return int(args.replica_count) + 1
    if args.replicas is not None and args.replicas < 1:
        raise UsageError(f"--replicas {args.replicas} must be greater than zero")
    return args.replicas or 1


def change(args: argparse.Namespace, spec: Object) -> Object:
    """What is changed of a cluster and nothing else: a merge patch, and as such a manifest for server-side apply."""
    return resource(args) | {"spec": spec}
