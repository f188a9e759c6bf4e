"""The Repository that a cluster is cloned from: reading it, and what a clone needs to read it. It is left as it is."""

from __future__ import annotations

import dataclasses
import time

import msgspec

from controller import certificates, credentials, owned, stanza_info, succession
from controller.agents import AgentError
from controller.certificates import Pair
from controller.cluster import render
from controller.cluster.clone import Source
from controller.context import Context
from controller.recovery import needs as image_needs
from controller.recovery import target
from controller.secret_data import decode
from controller.settings import Settings
from pgwarden import storages
from pgwarden.api import names
from pgwarden.api.kinds import DataSource, PostgresClusterSpec, RepositorySpec
from pgwarden.api.objects import Object
from pgwarden.contract import calls, server_facts
from pgwarden.contract.calls import NewestWal
from pgwarden.kube import paths
from pgwarden.kube.client import find_named
from pgwarden.pgbackrest import config, version
from pgwarden.pgbackrest.info import InfoError, parse_info
from pgwarden.rules import data_source as rules

#: The clone's certificate at the source's repository host: renewed while the clone is made, worth nothing soon after.
CERTIFICATE_DAYS = 1
#: Seconds between two looks whether the certificate is to be renewed.
_LOOK_SECONDS = 600.0
NEWEST_WAL_SECONDS = 60.0


class Sources:
    def __init__(self, context: Context) -> None:
        self._context = context
        #: path of a clone's Secret → when it was brought up to date last.
        self._written: dict[str, float] = {}

    async def read_own(self, namespace: str, name: str, *, recovers: bool) -> Source:
        """A cluster's own Repository as it is at this moment; where it *recovers* from that, with its newest WAL."""
        found = await self.read(DataSource(repository=name), namespace, refresh=True)
        if found.info is None or not found.info.backups or not recovers:
            return found
        address = await self._address(namespace, name)
        try:
            call = calls.newest_wal()
            newest = await self._context.agents.host((namespace, name), address, call, seconds=NEWEST_WAL_SECONDS)
        except AgentError as error:
            newest = NewestWal(error=str(error))
        return dataclasses.replace(found, newest_wal=newest)

    async def _address(self, namespace: str, repository: str) -> str:
        return next(iter(stanza_info.addresses(await self._context.hosts(namespace, repository))), "")

    async def read(self, wanted: DataSource, namespace: str, *, refresh: bool = False) -> Source:
        """*refresh*: what it holds is read anew; else that may be ten seconds old."""
        where = wanted.namespace or namespace
        if not self._context.settings.watches(where):
            return Source(None)
        repository = await find_named(self._context.client, "repositories", where, wanted.repository)
        if repository is None or not rules.allows(repository, namespace):
            return Source(repository)
        hosts = await self._context.hosts(where, wanted.repository)
        key, as_of = (where, wanted.repository), _as_of(wanted, repository)
        answer, error = await stanza_info.ask(self._context, key, hosts, refresh=refresh)
        if answer is None or (error and as_of is None):  # of how the storage is now, an earlier time does not depend
            its = "its repository host has no running pod"
            return Source(repository, error=its if error == stanza_info.NO_POD else error)
        told = version.believed(answer.pgbackrest)
        if where != namespace and (other := _other_version(repository, told, self._context.settings)):
            return Source(repository, error=other)
        element = answer.info
        if as_of is not None:
            element, error = await stanza_info.ask_as_of(self._context, key, hosts, *as_of)
            if element is None:
                return Source(repository, error=error)
        try:
            info = parse_info([element] if element else [], stanza_info.name(repository))
        except InfoError as problem:
            return Source(repository, error=str(problem))
        caches = self._context.caches
        return Source(repository, info, restores=tuple(caches.of_repository(caches.restores, where, wanted.repository)))

    async def give(self, cluster: Object, wanted: DataSource) -> str:
        """Bring the clone's Secret up to date; why it cannot be, or nothing."""
        namespace, name = cluster["metadata"]["namespace"], names.clone_secret(cluster["metadata"]["name"])
        path = paths.of("secrets", namespace, name)
        if time.monotonic() - self._written.get(path, -_LOOK_SECONDS) < _LOOK_SECONDS:
            return ""
        where = wanted.namespace or namespace
        if not self._context.settings.watches(where):
            return f"namespace {where} of Repository {wanted.repository} is not among the release's watchNamespaces"
        repository = await find_named(self._context.client, "repositories", where, wanted.repository)
        authority = await self._context.client.find(
            paths.of("secrets", where, names.ca_secret(wanted.repository)),
        )
        if repository is None or authority is None:
            return f"Repository {wanted.repository} of namespace {where} was deleted"
        if not rules.allows(repository, namespace):  # by the cache it may be for a moment yet
            return f"Repository {wanted.repository} of namespace {where} no longer allows this clone"
        if owned.not_the_repositorys(authority, repository):
            secret = names.ca_secret(wanted.repository)
            return f"Secret {secret} of namespace {where} does not belong to Repository {wanted.repository}"
        try:
            data = await self._content(repository, wanted)
            data[names.KEY_CLONE_NEEDS] = needs(cluster, repository)
        except credentials.MissingSecretError as error:
            return str(error)
        found = await self._context.client.find(path)
        why = owned.stranger(found, render.secret(cluster, name, {}))
        if why:
            return why
        data |= self._certificate(repository, authority, decode(found) if found else {})
        await self._context.client.apply(path, render.secret(cluster, name, data))
        self._written[path] = time.monotonic()
        return ""

    def forget(self, namespace: str, cluster: str) -> None:
        """It is gone, and its Secret with it: another one of the name is given its own at once."""
        self._written.pop(paths.of("secrets", namespace, names.clone_secret(cluster)), None)

    async def take_back(self, cluster: Object) -> None:
        """Empty it: the controller may not delete Secrets. It goes with the cluster."""
        namespace, name = cluster["metadata"]["namespace"], names.clone_secret(cluster["metadata"]["name"])
        path = paths.of("secrets", namespace, name)
        self._written.pop(path, None)
        found = await self._context.client.find(path)
        if found is not None and owned.is_owned(found, cluster["metadata"]["uid"]):
            await self._context.client.apply(path, render.secret(cluster, name, {}))

    async def _content(self, repository: Object, wanted: DataSource) -> dict[str, bytes]:
        namespace, name = repository["metadata"]["namespace"], repository["metadata"]["name"]
        spec = msgspec.convert(repository["spec"], RepositorySpec)
        given = await credentials.read_credentials(self._context.client, namespace, spec, of_clone=True)
        places = storages.places(spec, self._context.settings.defaults, namespace, name)
        repos = {
            number: config.RepoCredentials(given.pod_keys.get(storage, {}), given.cipher_pass)
            for number, storage in enumerate(spec.storages, 1)
            if wanted.storage in {"", storage} and not rules.unusable(repository, storage)
        }
        data = {names.KEY_CLONE_CONF: config.clone_conf(repository, spec, places, repos).encode()}
        return data | ({names.KEY_STORAGE_CA: given.storage_ca.encode()} if given.storage_ca else {})

    def _certificate(self, repository: Object, authority: Object, have: dict[str, bytes]) -> dict[str, bytes]:
        """By the source's own authority, under the name that its server lets read (names.cn_pods)."""
        data, now = decode(authority), self._context.clock()
        ca = Pair(data[names.KEY_CA_CERT], data[names.KEY_CA_KEY])
        common = names.cn_pods(repository["metadata"]["name"])
        leaf = Pair(have.get(names.KEY_TLS_CERT, b""), have.get(names.KEY_TLS_KEY, b""))
        if not certificates.still_good(leaf, ca, common, [], now):
            leaf = certificates.issue(ca, common, [], now, CERTIFICATE_DAYS)
        return {
            names.KEY_CA_CERT: succession.believed(data),
            names.KEY_TLS_CERT: leaf.cert,
            names.KEY_TLS_KEY: leaf.key,
        }


def _as_of(wanted: DataSource, repository: Object) -> tuple[int, str] | None:
    return target.as_of(wanted.as_restore(), msgspec.convert(repository["spec"], RepositorySpec))


def _other_version(repository: Object, told: str, settings: Settings) -> str:
    """Why nothing can be read through a host of another namespace that still has an earlier image. A Job runs the image
    of its own namespace's host (host_image.py) or this release's: who may change that host must not choose what runs
    in the clone's namespace.
    """
    spec = msgspec.convert(repository["spec"], RepositorySpec)
    if not told or not settings.pgbackrest or told == settings.pgbackrest or not storages.on_volume(spec):
        return ""
    said = f"its repository host still runs pgBackRest {told}, and this release has {settings.pgbackrest}"
    return f"{said}: restart the pods that its condition SameVersion names"


def needs(cluster: Object, repository: Object) -> bytes:
    """What the image must have, to be looked for before anything is copied."""
    parameters = msgspec.convert(cluster["spec"], PostgresClusterSpec).parameters
    return image_needs.listed(server_facts.of(repository), parameters).encode()
