"""What users' Secrets hold for a Repository: read for its own host, and for a cluster that is cloned from it."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from pgwarden.api.kinds import RepositorySpec, SecretKeyRef
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
        raise MissingSecretError(f"{what} must be a single line without control characters")
    return stripped


def _pick(data: dict[str, bytes], secret: str, key: str) -> str:
    for candidate in ALTERNATIVE_KEYS[key]:
        if candidate in data:
            what = f"spec.s3.credentialsSecretRef: key {candidate} of Secret {secret}"
            return _one_line(_text(data[candidate], what), what)
    has = ", ".join(sorted(data)) or "none"
    raise MissingSecretError(f"spec.s3.credentialsSecretRef: Secret {secret} has no key {key}; it has {has}")
