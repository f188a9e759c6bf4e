"""The PostgresCluster that a command line stands for, and the Secret with its S3 keys. Pure: words in, objects out."""

from __future__ import annotations

import argparse
from typing import Any

from pgwarden.api import names
from pgwarden.cli import resources
from pgwarden.cli.errors import UsageError
from pgwarden.cli.keys import Keys

Object = dict[str, Any]
KEY, KEY_SECRET = "s3-key", "s3-key-secret"  # of the Secret, as spec.s3.credentialsSecretRef has them
_KEY_OPTIONS = ("pgbackrest_s3_key", "pgbackrest_s3_key_secret", "pgbackrest_s3_keys_from")
_S3_OPTIONS = (
    "pgbackrest_s3_bucket",
    "pgbackrest_s3_endpoint",
    "pgbackrest_s3_region",
    "pgbackrest_s3_path",
    "pgbackrest_s3_uri_style",
    "pgbackrest_s3_ca_secret",
    "pgbackrest_s3_secret",
    *_KEY_OPTIONS,
)


def cluster(args: argparse.Namespace) -> Object:
    """UsageError where options contradict each other."""
    check(args)
    instances: Object = {"replicas": instances_wanted(args)}
    volume = _given(storageClassName=args.storage_class, size=args.pvc_size)
    if volume:
        instances["storage"] = volume
    return resource(args) | {"spec": {"instances": instances, "repository": _repository(args)}}


def clone(args: argparse.Namespace) -> Object:
    """A cluster like any other, that begins with what another Repository holds."""
    made = cluster(args)
    source: Object = {"repository": args.source} | _given(namespace=args.source_namespace)
    target = resources.target(args)
    if target:
        source["target"] = target
    source |= _given(targetTimeline=args.target_timeline, set=args.set)
    return made | {"spec": made["spec"] | {"dataSource": source}}


def resource(args: argparse.Namespace) -> Object:
    """A PostgresCluster but for its spec."""
    metadata = {"name": args.cluster} | ({"namespace": args.namespace} if args.namespace else {})
    return {"apiVersion": names.API_VERSION, "kind": "PostgresCluster", "metadata": metadata}


def check(args: argparse.Namespace) -> None:
    given = [name for name in _S3_OPTIONS if getattr(args, name)]
    if given and not uses_s3(args):
        raise UsageError(f"{_flag(given[0])} is of use with --pgbackrest-storage-type s3 or local,s3 only")
    if args.pgbackrest_storage_type == "s3" and (args.pgbackrest_storage_class or args.pgbackrest_pvc_size):
        raise UsageError("--pgbackrest-storage-type s3 has no volume: leave its class and size out, or use local,s3")
    keys = [name for name in _KEY_OPTIONS if getattr(args, name)]
    if args.pgbackrest_s3_secret and keys:
        raise UsageError(f"--pgbackrest-s3-secret names a Secret that has the keys; leave {_flag(keys[0])} out")
    if args.pgbackrest_s3_keys_from and len(keys) > 1:
        raise UsageError(f"--pgbackrest-s3-keys-from has both keys; leave {_flag(keys[0])} out")
    if args.show_keys and not args.dry_run:
        raise UsageError("--show-keys is of use with --dry-run only")


def uses_s3(args: argparse.Namespace) -> bool:
    return "s3" in str(args.pgbackrest_storage_type).split(",")


def instances_wanted(args: argparse.Namespace) -> int:
    """In all, from --replicas or from --replica-count; 1 where neither is given."""
    if args.replica_count is not None:
        if args.replica_count < 0:
            raise UsageError(f"--replica-count {args.replica_count} is less than nothing")
        return int(args.replica_count) + 1
    if args.replicas < 0:
        raise UsageError(f"--replicas {args.replicas} is less than nothing")
    return args.replicas or 1


def secret_name(args: argparse.Namespace) -> str:
    """The Secret with the S3 keys: one that was named, or the cluster's own."""
    return str(args.pgbackrest_s3_secret or own_secret(args.cluster))


def own_secret(cluster: str) -> str:
    return f"{cluster}-s3"


def secret(args: argparse.Namespace, keys: Keys) -> Object:
    """Without an owner: the backups in the bucket outlive the cluster, and can be read only with these keys."""
    metadata = {"name": secret_name(args)} | ({"namespace": args.namespace} if args.namespace else {})
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "type": "Opaque",
        "stringData": {KEY: keys.key, KEY_SECRET: keys.secret},
    }


def change(args: argparse.Namespace, spec: Object) -> Object:
    """What is changed of a cluster and nothing else: a merge patch, and as such a manifest for server-side apply."""
    return resource(args) | {"spec": spec}


def _repository(args: argparse.Namespace) -> Object:
    spec: Object = {"storageType": args.pgbackrest_storage_type or "local"}
    local = _given(storageClassName=args.pgbackrest_storage_class, size=args.pgbackrest_pvc_size)
    if local:
        spec["local"] = local
    if uses_s3(args):
        spec["s3"] = _s3(args)
    return spec


def _s3(args: argparse.Namespace) -> Object:
    spec = _given(
        bucket=args.pgbackrest_s3_bucket,
        endpoint=args.pgbackrest_s3_endpoint,
        region=args.pgbackrest_s3_region,
        path=args.pgbackrest_s3_path,
        uriStyle=args.pgbackrest_s3_uri_style,
    )
    if args.pgbackrest_s3_ca_secret:
        spec["caSecretRef"] = {"name": args.pgbackrest_s3_ca_secret}
    return spec | {"credentialsSecretRef": {"name": secret_name(args)}}


def _given(**values: str) -> Object:
    return {name: value for name, value in values.items() if value}


def _flag(dest: str) -> str:
    return f"--{dest.replace('_', '-')}"
