"""The Repository that a command line stands for, and the Secret with its S3 keys. Pure: words in, objects out."""

from __future__ import annotations

import argparse
from typing import Any

from pgwarden import storages
from pgwarden.api import names
from pgwarden.api.objects import Object
from pgwarden.cli.errors import UsageError
from pgwarden.cli.keys import Keys
from pgwarden.cli.pod_flags import pod_template
from pgwarden.storages import Flag, Storage
from pgwarden.storages.s3 import S3, flags

#: What the keys are called in the Secret, as spec.s3.credentialsSecretRef has them.
KEY, KEY_SECRET = flags.KEY.name, flags.KEY_SECRET.name
_GIVEN_KEYS = (flags.KEY, flags.KEY_SECRET, flags.KEYS_FROM)


def repository(args: argparse.Namespace, name: str) -> Object:
    """UsageError where options contradict each other."""
    check(args)
    metadata = {"name": name} | ({"namespace": args.namespace} if args.namespace else {})
    return {
        "apiVersion": names.API_VERSION,
        "kind": "Repository",
        "metadata": metadata,
        "spec": repository_spec(args, name) | pod_template(args),
    }


def repository_spec(args: argparse.Namespace, owner: str) -> Object:
    """*owner* is the Repository, or the PostgresCluster, that the Secret with the keys is named after."""
    spec: Object = {"storageType": _type(args)}
    for storage in storages.REGISTER:
        part = {flag.field: _said(args, flag) for flag in storage.flags if flag.field and getattr(args, flag.dest)}
        if storage.credentials_field and storage.name in spec["storageType"].split(","):
            part.setdefault(storage.credentials_field, {"name": _own_secret(storage, owner)})
        if part:
            spec[storage.name] = part
    return spec


def _said(args: argparse.Namespace, flag: Flag) -> Any:
    value = getattr(args, flag.dest)
    return {"name": value} if flag.names_secret else value


def _type(args: argparse.Namespace) -> str:
    return str(args.pgbackrest_storage_type or storages.DEFAULT)


def _own_secret(storage: Storage, owner: str) -> str:
    return f"{owner}-{storage.name}"


def check(args: argparse.Namespace) -> None:
    used = _type(args).split(",")
    for storage in storages.REGISTER:
        named = [flag for flag in storage.flags if getattr(args, flag.dest)]
        if named and storage.name not in used:
            raise UsageError(storage.unused(named[0], _type(args)))
    keys = [flag for flag in _GIVEN_KEYS if getattr(args, flag.dest)]
    if args.pgbackrest_s3_secret and keys:
        raise UsageError(f"{flags.SECRET.text} names a Secret that has the keys; omit {keys[0].text}")
    if args.pgbackrest_s3_keys_from and len(keys) > 1:
        raise UsageError(f"{flags.KEYS_FROM.text} has both keys; omit {keys[0].text}")
    if args.show_keys and not args.dry_run:
        raise UsageError("--show-keys needs --dry-run")


def uses_s3(args: argparse.Namespace) -> bool:
    return S3.name in _type(args).split(",")


def secret_name(args: argparse.Namespace, owner: str) -> str:
    """The Secret with the S3 keys: one that was named, or the owner's."""
    return str(args.pgbackrest_s3_secret or _own_secret(S3, owner))


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
