"""The Repository's certificates and credentials: made once, renewed in time, never replaced without need."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from controller import certificates
from controller.agents import KEY_CONTROLLER_CERT, KEY_CONTROLLER_KEY
from controller.certificates import Pair
from controller.repository import render
from pgwarden.api import names
from pgwarden.api.kinds import RepositorySpec, SecretKeyRef
from pgwarden.kube import errors, paths
from pgwarden.kube.client import KubeClient, Object, find_named

#: The keys that a credentials Secret carries, as the seed's flags name them.
KEY_S3_KEY, KEY_S3_SECRET = "s3-key", "s3-key-secret"
ALTERNATIVE_KEYS = {
    KEY_S3_KEY: ("s3-key", "aws-s3-key", "AWS_ACCESS_KEY_ID", "access-key"),
    KEY_S3_SECRET: ("s3-key-secret", "aws-s3-key-secret", "AWS_SECRET_ACCESS_KEY", "secret-key"),
}


class MissingSecretError(Exception):
    """A Secret that the Repository names is not there, or has not the key. The message begins with the field and
    names the way out.
    """


def concerns(error: str) -> str:
    """The storage that *error*, the message of a MissingSecretError, is about; empty where it is about all of them."""
    return "s3" if error.startswith("spec.s3.") else ""


@dataclass(frozen=True)
class Credentials:
    """What users' Secrets hold for this Repository. Never logged."""

    s3_key: str = ""
    s3_secret: str = ""
    cipher_pass: str = ""
    storage_ca: str = ""


@dataclass(frozen=True)
class Leaves:
    """The two Secrets that pods mount, as they are now. Never logged."""

    written: bool  # whether one of them was written just now
    pods: Mapping[str, bytes]  # the PostgreSQL pods' Secret


def decode(secret: Object) -> dict[str, bytes]:
    return {key: base64.b64decode(value) for key, value in (secret.get("data") or {}).items()}


async def read_credentials(client: KubeClient, namespace: str, spec: RepositorySpec) -> Credentials:
    key = secret = cipher = storage_ca = ""
    if spec.s3 and spec.s3.credentials_secret_ref and spec.s3.key_type == "shared":
        where = spec.s3.credentials_secret_ref.name
        data = await _secret(client, namespace, where, "spec.s3.credentialsSecretRef")
        key, secret = _pick(data, where, KEY_S3_KEY), _pick(data, where, KEY_S3_SECRET)
    if spec.encryption:
        ref = spec.encryption.secret_ref
        cipher = await _one(client, namespace, ref, "cipher-pass", "spec.encryption.secretRef")
    if spec.s3 and spec.s3.ca_secret_ref:
        storage_ca = await _one(client, namespace, spec.s3.ca_secret_ref, "ca.crt", "spec.s3.caSecretRef")
    return Credentials(key, secret, cipher, storage_ca)


async def ensure_authority(client: KubeClient, repository: Object, now: datetime) -> Object:
    """The Secret with the Repository's CA and the controller's client certificate; made where it is not there."""
    metadata = repository["metadata"]
    name = names.ca_secret(metadata["name"])
    path = paths.of("secrets", metadata["namespace"], name)
    found = await client.find(path)
    if found is None:
        ca = certificates.new_ca(f"pgwarden {metadata['name']}", now)
        made = render.secret(repository, name, _authority_data(ca, now))
        try:
            return await client.create(paths.of("secrets", metadata["namespace"]), made)
        except errors.Conflict:
            found = await client.get(path)
    data = decode(found)
    ca = Pair(data.get(names.KEY_CA_CERT, b""), data.get(names.KEY_CA_KEY, b""))
    if not certificates.authority_good(ca, datetime.min.replace(tzinfo=UTC)):  # its age is no reason to stop
        raise MissingSecretError(
            f"Secret {name}: {names.KEY_CA_CERT} and {names.KEY_CA_KEY} are not a certificate and its key; put them "
            "back from a copy, or delete the Secret: pgwarden then makes a new one"
        )
    mine = Pair(data.get(KEY_CONTROLLER_CERT, b""), data.get(KEY_CONTROLLER_KEY, b""))
    if certificates.still_good(mine, ca, names.CN_CONTROLLER, [], now):
        return found
    return await client.apply(path, render.secret(repository, name, _authority_data(ca, now)))


def _authority_data(ca: Pair, now: datetime) -> dict[str, bytes]:
    mine = certificates.issue(ca, names.CN_CONTROLLER, [], now)
    return {
        names.KEY_CA_CERT: ca.cert,
        names.KEY_CA_KEY: ca.key,
        KEY_CONTROLLER_CERT: mine.cert,
        KEY_CONTROLLER_KEY: mine.key,
    }


async def ensure_leaves(
    client: KubeClient, repository: Object, authority: Object, credentials_conf: str, storage_ca: str, now: datetime
) -> Leaves:
    """Bring the two Secrets that pods mount up to date."""
    metadata = repository["metadata"]
    namespace, name = metadata["namespace"], metadata["name"]
    data = decode(authority)
    ca = Pair(data[names.KEY_CA_CERT], data[names.KEY_CA_KEY])
    wanted = [
        (names.host(name), names.cn_host(name), _both(names.host_dns(name, namespace))),
        (names.pods(name), names.cn_pods(name), _both(names.pod_dns_wildcard(name, namespace))),
    ]
    written, content = False, dict[str, bytes]()
    for secret_name, common_name, dns in wanted:
        path = paths.of("secrets", namespace, secret_name)
        found = await client.find(path)
        have = decode(found) if found else {}
        leaf = Pair(have.get(names.KEY_TLS_CERT, b""), have.get(names.KEY_TLS_KEY, b""))
        if not certificates.still_good(leaf, ca, common_name, dns, now):
            leaf = certificates.issue(ca, common_name, dns, now)
        content = {
            names.KEY_CA_CERT: ca.cert,
            names.KEY_TLS_CERT: leaf.cert,
            names.KEY_TLS_KEY: leaf.key,
            names.KEY_CREDENTIALS_CONF: credentials_conf.encode(),
        }
        if storage_ca:
            content[names.KEY_STORAGE_CA] = storage_ca.encode()
        if content != have:
            await client.apply(path, render.secret(repository, secret_name, content))
            written = True
    return Leaves(written, content)  # the pods' are the last


def _both(name: str) -> Sequence[str]:
    """The short form that our configuration uses, and the full one for people who look from elsewhere."""
    return [name, f"{name}.cluster.local"]


async def _secret(client: KubeClient, namespace: str, name: str, field: str) -> dict[str, bytes]:
    found = await find_named(client, "secrets", namespace, name)
    if found is None:
        raise MissingSecretError(f"{field}: there is no Secret {name} in namespace {namespace}; create it")
    return decode(found)


async def _one(client: KubeClient, namespace: str, ref: SecretKeyRef, default_key: str, field: str) -> str:
    data = await _secret(client, namespace, ref.name, field)
    key = ref.key or default_key
    if key not in data:
        raise MissingSecretError(
            f"{field}: Secret {ref.name} has no key {key}; it has {', '.join(sorted(data)) or 'none'}"
        )
    text = _text(data[key], f"{field}: key {key} of Secret {ref.name}")
    if default_key == "ca.crt":
        return text
    return _one_line(text, f"{field}: key {key} of Secret {ref.name}")


def _text(value: bytes, what: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise MissingSecretError(f"{what} is not text") from None


def _one_line(text: str, what: str) -> str:
    """What goes into a line of pgbackrest.conf. The message does not show it."""
    stripped = text.strip()
    if not stripped:
        raise MissingSecretError(f"{what} is empty")
    if not stripped.isprintable():
        raise MissingSecretError(f"{what} must be one line without control characters")
    return stripped


def _pick(data: dict[str, bytes], secret: str, key: str) -> str:
    for candidate in ALTERNATIVE_KEYS[key]:
        if candidate in data:
            what = f"spec.s3.credentialsSecretRef: key {candidate} of Secret {secret}"
            return _one_line(_text(data[candidate], what), what)
    has = ", ".join(sorted(data)) or "none"
    raise MissingSecretError(f"spec.s3.credentialsSecretRef: Secret {secret} has no key {key}; it has {has}")
