"""The Repository that a command line stands for, and the Secret with its S3 keys. Pure: words in, objects out."""

from __future__ import annotations

import argparse
from typing import Any

from pgwarden.api import names
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


def repository(args: argparse.Namespace, name: str) -> Object:
    """UsageError where options contradict each other."""
    check(args)
    metadata = {"name": name} | ({"namespace": args.namespace} if args.namespace else {})
    return {
        "apiVersion": names.API_VERSION,
        "kind": "Repository",
        "metadata": metadata,
        "spec": repository_spec(args, name),
    }


def repository_spec(args: argparse.Namespace, owner: str) -> Object:
    """*owner* is the Repository, or the PostgresCluster, that the Secret with the keys is named after."""
    spec: Object = {"storageType": args.pgbackrest_storage_type or "local"}
    local = given(storageClassName=args.pgbackrest_storage_class, size=args.pgbackrest_pvc_size)
    if local:
        spec["local"] = local
    if uses_s3(args):
        spec["s3"] = _s3(args, owner)
    return spec


def check(args: argparse.Namespace) -> None:
    named = [name for name in _S3_OPTIONS if getattr(args, name)]
    if named and not uses_s3(args):
        raise UsageError(f"{_flag(named[0])} needs --pgbackrest-storage-type=s3 or local,s3")
    if args.pgbackrest_storage_type == "s3" and (args.pgbackrest_storage_class or args.pgbackrest_pvc_size):
        raise UsageError(
            "storage s3 has no volume: omit --pgbackrest-storage-class and --pgbackrest-pvc-size, "
            "or use --pgbackrest-storage-type=local,s3"
        )
    keys = [name for name in _KEY_OPTIONS if getattr(args, name)]
    if args.pgbackrest_s3_secret and keys:
        raise UsageError(f"--pgbackrest-s3-secret names a Secret that has the keys; omit {_flag(keys[0])}")
    if args.pgbackrest_s3_keys_from and len(keys) > 1:
        raise UsageError(f"--pgbackrest-s3-keys-from has both keys; omit {_flag(keys[0])}")
    if args.show_keys and not args.dry_run:
        raise UsageError("--show-keys needs --dry-run")


def uses_s3(args: argparse.Namespace) -> bool:
    return "s3" in str(args.pgbackrest_storage_type).split(",")


def secret_name(args: argparse.Namespace, owner: str) -> str:
    """The Secret with the S3 keys: one that was named, or the owner's."""
    return str(args.pgbackrest_s3_secret or f"{owner}-s3")


def secret(args: argparse.Namespace, owner: str, keys: Keys) -> Object:
    """Without an owner reference: the backups in the bucket outlive the owner and can be read only with these keys."""
    metadata = {"name": secret_name(args, owner)} | ({"namespace": args.namespace} if args.namespace else {})
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "type": "Opaque",
        "stringData": {KEY: keys.key, KEY_SECRET: keys.secret},
    }


def given(**values: str) -> Object:
    return {name: value for name, value in values.items() if value}


def _s3(args: argparse.Namespace, owner: str) -> Object:
    spec = given(
        bucket=args.pgbackrest_s3_bucket,
        endpoint=args.pgbackrest_s3_endpoint,
        region=args.pgbackrest_s3_region,
        path=args.pgbackrest_s3_path,
        uriStyle=args.pgbackrest_s3_uri_style,
    )
    if args.pgbackrest_s3_ca_secret:
        spec["caSecretRef"] = {"name": args.pgbackrest_s3_ca_secret}
    return spec | {"credentialsSecretRef": {"name": secret_name(args, owner)}}


def _flag(dest: str) -> str:
    return f"--{dest.replace('_', '-')}"
