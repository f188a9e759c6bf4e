"""What a Repository's Secrets hold: read once, and again when one of them has changed, is due, or is in doubt.

Whether one has changed is found out by `secret_watch.py`, at a pace that a thousand Repositories bear. It compares with
the version that was read, so that no change between the reading and its first question is missed. Nothing that follows
from here is final.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from controller import credentials
from controller.context import Context
from controller.credentials import Credentials
from controller.repository import secrets
from controller.repository.secrets import Leaves
from pgwarden import storages
from pgwarden.api import names
from pgwarden.api.kinds import RepositorySpec
from pgwarden.api.objects import Object
from pgwarden.kube.cache import Key
from pgwarden.pgbackrest import config

#: Between two readings for a Repository that something is wrong with: it may be the key.
IN_DOUBT = timedelta(minutes=1)


@dataclass(frozen=True)
class _Known:
    of: tuple[str, int]  # uid and generation of the Repository
    read: datetime
    leaves: Leaves
    versions: Mapping[str, str]  # of the Secrets that were read, by name


class Keys:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._known: dict[Key, _Known] = {}
        self._doubted: set[Key] = set()
        #: Who reads; a change that is told meanwhile takes it away, and what is read then is not kept.
        self._reading: dict[Key, object] = {}

    def forget(self, key: Key) -> None:
        """One of its Secrets has changed, or it has gone."""
        for known in (self._known, self._reading):
            known.pop(key, None)
        self._doubted.discard(key)

    def judged(self, key: Key, *, well: bool) -> None:
        """After each look: whether all is well with it."""
        (self._doubted.discard if well else self._doubted.add)(key)

    def knows(self, key: Key) -> bool:
        return key in self._known

    def used(self, key: Key, secret: str) -> str | None:
        """The version of *secret* that what is kept was read from; None where nothing is."""
        known = self._known.get(key)
        return known.versions.get(secret) if known else None

    async def leaves(self, repository: Object, spec: RepositorySpec) -> Leaves:
        """The Secrets that pods mount, which are as they should be afterwards; the agents are trusted accordingly."""
        metadata, now = repository["metadata"], self._context.clock()
        key, of = (metadata["namespace"], metadata["name"]), (metadata["uid"], metadata["generation"])
        known, in_doubt = self._known.get(key), key in self._doubted
        if known and known.of == of and now < known.leaves.renews and not (in_doubt and now - known.read >= IN_DOUBT):
            return known.leaves
        self.forget(key)
        reader = self._reading[key] = object()
        leaves, versions = await self._read(repository, spec, now)
        if self._reading.pop(key, None) is reader:
            self._known[key] = _Known(of, now, dataclasses.replace(leaves, written=False), versions)
        return leaves

    async def _read(self, repository: Object, spec: RepositorySpec, now: datetime) -> tuple[Leaves, Mapping[str, str]]:
        context, namespace, name = self._context, repository["metadata"]["namespace"], repository["metadata"]["name"]
        authority = await secrets.ensure_authority(context.client, repository, now)
        await asyncio.to_thread(context.agents.trust, (namespace, name), authority)
        given = await credentials.read_credentials(context.client, namespace, spec)
        leaves = await secrets.ensure_leaves(
            context.client,
            repository,
            authority,
            _confs(spec, given),
            given.storage_ca,
            now,
            context.settings.cluster_domain,
        )
        own = {names.ca_secret(name): str(authority["metadata"]["resourceVersion"])}
        return leaves, {**own, **given.versions, **leaves.versions}


def _confs(spec: RepositorySpec, given: Credentials) -> secrets.Conf:
    host, pods = (_conf(spec, keys, given.cipher_pass) for keys in (given.keys, given.pod_keys))
    volume = storages.on_volume(spec)
    if not volume:
        return secrets.Conf(host, pods)
    number = spec.storages.index(volume) + 1
    return secrets.Conf(host, pods, config.credentials_conf({number: config.RepoCredentials({}, given.cipher_pass)}))


def _conf(spec: RepositorySpec, keys: Mapping[str, Mapping[str, str]], cipher_pass: str) -> str:
    """credentials.conf with *keys*, by storage."""
    return config.credentials_conf(
        {
            number: config.RepoCredentials(keys.get(storage, {}), cipher_pass)
            for number, storage in enumerate(spec.storages, 1)
        }
    )
