"""The Secret with the S3 keys of a new Repository or cluster: found, or made of the keys that were given."""

from __future__ import annotations

import argparse
import base64
from dataclasses import dataclass

from pgwarden.api.objects import Object
from pgwarden.cli import keys, repository_resources, submit
from pgwarden.cli.errors import UNABLE, WRONG, CliError
from pgwarden.cli.session import Session
from pgwarden.cli.terminal import Terminal
from pgwarden.kube import paths
from pgwarden.kube.client import find_named


@dataclass
class S3Secret:
    session: Session
    wanted: Object | None  # what is to be made; None where nothing is
    made: Object | None = None  # as the API server answered

    @classmethod
    async def of(cls, args: argparse.Namespace, terminal: Terminal, session: Session, owner: str) -> S3Secret:
        """CliError where there are no keys, or a Secret of the name has others."""
        if not repository_resources.uses_s3(args):
            return cls(session, None)
        if args.pgbackrest_s3_pod_secret:
            await _existing(session, args.pgbackrest_s3_pod_secret)
        name = repository_resources.secret_name(args, owner)
        if args.pgbackrest_s3_secret:
            await _existing(session, name)
            return cls(session, None)
        there = await find_named(session.client, "secrets", session.namespace, name)
        given = keys.read(args, terminal) if there is None or _any_given(args) else None
        if there is None and given is None:
            raise CliError(
                "storage s3 needs keys: give --pgbackrest-s3-keys-from=FILE (- is standard input) "
                "or --pgbackrest-s3-secret=NAME",
                code=UNABLE,
            )
        if there is None:
            return cls(session, repository_resources.secret(args, owner, given)) if given else cls(session, None)
        _complete(there)
        if given is not None and given != _held(there):
            raise CliError(
                f"Secret {name} exists with other keys; use it with --pgbackrest-s3-secret={name}, "
                f"or delete it first: kubectl delete secret {name} -n {session.namespace}",
                code=WRONG,
            )
        terminal.note(f"note: using the S3 keys of the existing Secret {name}")
        return cls(session, None)

    async def put(self, terminal: Terminal) -> None:
        if self.wanted is None:
            return
        path = paths.of("secrets", self.session.namespace)
        self.made = await self.session.client.request("POST", path, body=self.wanted, params=submit.params())
        terminal.say(f"Secret {self.wanted['metadata']['name']} created")

    async def take_back(self) -> None:
        """Its owner was not created, so it is removed again."""
        if self.made is not None:
            metadata = self.made["metadata"]
            path = paths.of("secrets", self.session.namespace, metadata["name"])
            await self.session.client.delete(path, uid=metadata["uid"])


async def _existing(session: Session, name: str) -> None:
    there = await find_named(session.client, "secrets", session.namespace, name)
    if there is None:
        raise CliError(f"there is no Secret {name} in namespace {session.namespace}", code=WRONG)
    _complete(there)


def _any_given(args: argparse.Namespace) -> bool:
    return bool(args.pgbackrest_s3_keys_from or args.pgbackrest_s3_key or args.pgbackrest_s3_key_secret)


def _held(secret: Object) -> keys.Keys:
    data = secret.get("data") or {}
    key, hidden = (
        base64.b64decode(data.get(name) or "").decode(errors="replace").strip()
        for name in (repository_resources.KEY, repository_resources.KEY_SECRET)
    )
    return keys.Keys(key, hidden)


def _complete(secret: Object) -> None:
    data, wanted = secret.get("data") or {}, (repository_resources.KEY, repository_resources.KEY_SECRET)
    absent = [key for key in wanted if not data.get(key)]
    if absent:
        raise CliError(f"Secret {secret['metadata']['name']} has no key {' and no key '.join(absent)}", code=WRONG)
