"""What users' Secrets hold for a Repository: read for its own host, and for a cluster that is cloned from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from controller.secret_data import decode
from pgwarden import storages
from pgwarden.api.kinds import RepositorySpec, SecretKeyRef
from pgwarden.kube.client import KubeClient, find_named
from pgwarden.storages import SecretKeys


class MissingSecretError(Exception):
    """A Secret that the Repository names is not there, or has not the key. The message begins with the field and
    names the way out.
    """


def concerns(error: str) -> str:
    """The storage that *error*, the message of a MissingSecretError, is about; empty where it is about all of them."""
    return next((name for name in storages.NAMES if error.startswith(f"spec.{name}.")), "")


@dataclass(frozen=True)
class Credentials:
    """What users' Secrets hold for this Repository. Never logged."""

    #: Storage → pgBackRest's options that reach it, for the repository host and its Jobs.
    keys: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    #: The same for what runs beside PostgreSQL; or for a clone.
    pod_keys: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    cipher_pass: str = ""
    storage_ca: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)  # of the Secrets that were read, by name


async def read_credentials(
    client: KubeClient, namespace: str, spec: RepositorySpec, *, of_clone: bool = False
) -> Credentials:
    """*of_clone*: `pod_keys` are those of a clone."""
    cipher = storage_ca = ""
    keys: dict[str, Mapping[str, str]] = {}
    pod_keys: dict[str, Mapping[str, str]] = {}
    read: dict[str, str] = {}
    for storage in storages.REGISTER:
        wanted = storage.keys(spec)
        of_pods = storage.clone_keys(spec) if of_clone else storage.pod_keys(spec)
        if wanted is not None:
            keys[storage.name] = pod_keys[storage.name] = await _keys(client, namespace, wanted, read)
        if of_pods is not None:
            host = keys.get(storage.name, {})
            of_data = {option: host[option] for option in of_pods.of_host if option in host}
            pod_keys[storage.name] = await _keys(client, namespace, of_pods, read) | of_data
    if spec.encryption:
        ref = spec.encryption.secret_ref
        cipher = await _one(client, namespace, ref, "cipher-pass", "spec.encryption.secretRef", read)
    for storage in storages.REGISTER:
        ca = storage.ca(spec)
        if ca is not None:
            storage_ca = await _one(client, namespace, ca, "ca.crt", f"spec.{storage.name}.caSecretRef", read)
    return Credentials(keys, pod_keys, cipher, storage_ca, read)


async def _keys(client: KubeClient, namespace: str, wanted: SecretKeys, read: dict[str, str]) -> dict[str, str]:
    data = await _secret(client, namespace, wanted.secret, wanted.field, read)
    given = [option for option, names in wanted.optional.items() if not data.keys().isdisjoint(names)]
    return {option: _pick(data, wanted, option) for option in [*wanted.options, *given]}


async def _secret(client: KubeClient, namespace: str, name: str, field: str, read: dict[str, str]) -> dict[str, bytes]:
    """What is in it; its version is noted in *read*. Of two versions that were met, the older counts."""
    found = await find_named(client, "secrets", namespace, name)
    if found is None:
        raise MissingSecretError(f"{field}: there is no Secret {name} in namespace {namespace}; create it")
    read.setdefault(name, str(found["metadata"]["resourceVersion"]))
    return decode(found)


async def _one(
    client: KubeClient, namespace: str, ref: SecretKeyRef, default_key: str, field: str, read: dict[str, str]
) -> str:
    data = await _secret(client, namespace, ref.name, field, read)
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


def _pick(data: dict[str, bytes], wanted: SecretKeys, option: str) -> str:
    for candidate in wanted.options.get(option) or wanted.optional[option]:
        if candidate in data:
            what = f"{wanted.field}: key {candidate} of Secret {wanted.secret}"
            return _one_line(_text(data[candidate], what), what)
    has = ", ".join(sorted(data)) or "none"
    raise MissingSecretError(f"{wanted.field}: Secret {wanted.secret} has no key {option}; it has {has}")
