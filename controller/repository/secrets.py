"""The Repository's certificates: made once, renewed in time, never replaced without need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from controller import certificates, owned, succession
from controller.agents import KEY_CONTROLLER_CERT, KEY_CONTROLLER_KEY
from controller.certificates import Pair
from controller.credentials import MissingSecretError
from controller.repository import render
from controller.secret_data import decode
from controller.succession import Authority
from pgwarden.api import names
from pgwarden.api.objects import Object
from pgwarden.kube import errors, paths
from pgwarden.kube.client import KubeClient


@dataclass(frozen=True)
class Leaves:
    """The Secrets that pods mount, as they are now. Never logged."""

    written: bool  # whether one of them was written just now
    pods: Mapping[str, bytes]  # the PostgreSQL pods' Secret
    expires: datetime  # the first of the certificates
    renews: datetime  # when the first of those that are renewed is due, the controller's own among them
    versions: Mapping[str, str]  # of all, by name


@dataclass(frozen=True)
class Conf:
    """credentials.conf of each side. Never logged."""

    host: str = field(default="", repr=False)  # and of its Jobs
    pods: str = field(default="", repr=False)  # of PostgreSQL's
    server: str | None = field(default=None, repr=False)  # of the host's server; None where it has none


async def ensure_authority(client: KubeClient, repository: Object, now: datetime) -> Object:
    """The Secret with the Repository's CA and the controller's client certificate; made where it is not there.

    Another's is not believed: whoever holds its key would be each of the Repository's agents.
    """
    metadata = repository["metadata"]
    name = names.ca_secret(metadata["name"])
    path = paths.of("secrets", metadata["namespace"], name)
    found = await client.find(path)
    if found is None:
        made = render.secret(
            repository, name, _authority_data(Authority(certificates.new_ca(_called(repository), now)), now)
        )
        try:
            return await client.create(paths.of("secrets", metadata["namespace"]), made)
        except errors.Conflict:
            found = await client.get(path)
    owned.prove(found, render.secret(repository, name, {}))
    data = decode(found)
    known = succession.read(data)
    if known is None:
        raise MissingSecretError(
            f"Secret {name}: {names.KEY_CA_CERT} and {names.KEY_CA_KEY} are not a certificate and its key; restore "
            "them from a copy, or delete the Secret: pgwarden then creates a new one"
        )
    # Whoever lives has a Secret's change in minutes, and the successor waits for a month.
    after = succession.advance(known, _called(repository), now, all_have_it=True)
    mine = Pair(data.get(KEY_CONTROLLER_CERT, b""), data.get(KEY_CONTROLLER_KEY, b""))
    if after == known and certificates.still_good(mine, after.signs, names.CN_CONTROLLER, [], now):
        return found
    return await client.apply(path, render.secret(repository, name, _authority_data(after, now)))


def _called(repository: Object) -> str:
    return f"pgwarden {repository['metadata']['name']}"


def _authority_data(authority: Authority, now: datetime) -> dict[str, bytes]:
    mine = certificates.issue(authority.signs, names.CN_CONTROLLER, [], now)
    return authority.data() | {KEY_CONTROLLER_CERT: mine.cert, KEY_CONTROLLER_KEY: mine.key}


async def ensure_leaves(
    client: KubeClient,
    repository: Object,
    authority: Object,
    conf: Conf,
    storage_ca: str,
    now: datetime,
    cluster_domain: str,
) -> Leaves:
    """Bring the Secrets that pods mount up to date."""
    metadata = repository["metadata"]
    namespace, name = metadata["namespace"], metadata["name"]
    data = decode(authority)
    ca = Pair(data[names.KEY_CA_CERT], data[names.KEY_CA_KEY])
    believed = succession.believed(data)
    host_dns = names.host_dns(name, namespace)
    wanted = [
        (names.host(name), names.cn_host(name), conf.host, host_dns),
        *([(names.server(name), names.cn_server(name), conf.server, host_dns)] if conf.server is not None else []),
        (names.pods(name), names.cn_pods(name), conf.pods, names.pod_dns_wildcard(name, namespace)),
    ]
    written, content, versions = False, dict[str, bytes](), dict[str, str]()
    expire, renew = [certificates.expires(ca.cert)], [certificates.renews(one) for one in _mine(data)]
    for secret_name, common_name, credentials_conf, address in wanted:
        path, dns = paths.of("secrets", namespace, secret_name), _both(address, cluster_domain)
        found = await client.find(path)
        owned.prove(found, render.secret(repository, secret_name, {}))
        have = decode(found) if found else {}
        leaf = Pair(have.get(names.KEY_TLS_CERT, b""), have.get(names.KEY_TLS_KEY, b""))
        if not certificates.still_good(leaf, ca, common_name, dns, now):
            leaf = certificates.issue(ca, common_name, dns, now)
        expire.append(certificates.expires(leaf.cert))
        renew.append(certificates.renews(leaf.cert))
        content = {
            names.KEY_CA_CERT: believed,
            names.KEY_TLS_CERT: leaf.cert,
            names.KEY_TLS_KEY: leaf.key,
            names.KEY_CREDENTIALS_CONF: credentials_conf.encode(),
        }
        if storage_ca:
            content[names.KEY_STORAGE_CA] = storage_ca.encode()
        if content != have:
            found = await client.apply(path, render.secret(repository, secret_name, content))
            written = True
        versions[secret_name] = str((found or {})["metadata"]["resourceVersion"])
    return Leaves(written, content, min(expire), min(renew), versions)  # the pods' are the last


def _mine(authority: Mapping[str, bytes]) -> list[bytes]:
    """The controller's own certificate, where there is one."""
    return [authority[KEY_CONTROLLER_CERT]] if KEY_CONTROLLER_CERT in authority else []


def _both(name: str, cluster_domain: str) -> Sequence[str]:
    """The short form that our configuration uses, and the full one for people who look from elsewhere."""
    return [name, f"{name}.{cluster_domain}"]
