"""The bucket of a Repository: its settings with all defaults, its secrets, its lines in pgbackrest.conf."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from pgwarden.api import names
from pgwarden.api.defaults import OperatorDefaults
from pgwarden.api.judging import Case
from pgwarden.api.kinds import RepositorySpec, S3Storage, SecretKeyRef
from pgwarden.api.objects import Object
from pgwarden.api.reading import get
from pgwarden.pgbackrest.config import split_endpoint
from pgwarden.pgbackrest.trouble import Service
from pgwarden.storages.flags import Flag
from pgwarden.storages.s3 import rules
from pgwarden.storages.s3.flags import FLAGS
from pgwarden.storages.s3.location import folder
from pgwarden.storages.s3.service import S3Service
from pgwarden.storages.storage import Place, SecretKeys, Storage

_CREDENTIALS, _POD_CREDENTIALS, _CLONE_CREDENTIALS, _CA = (
    "credentialsSecretRef",
    "podCredentialsSecretRef",
    "cloneCredentialsSecretRef",
    "caSecretRef",
)
#: pgBackRest's option → keys that a credentials Secret may hold it by.
KEYS = {
    "s3-key": ("s3-key", "aws-s3-key", "AWS_ACCESS_KEY_ID", "access-key"),
    "s3-key-secret": ("s3-key-secret", "aws-s3-key-secret", "AWS_SECRET_ACCESS_KEY", "secret-key"),
}

TOKEN = {"s3-token": ("s3-token", "AWS_SESSION_TOKEN")}  # of a temporary key
#: What pgBackRest encrypts objects with (SSE-C): one key for all who read and write them.
_SSE = "s3-sse-customer-key"
OPTIONAL = {_SSE: (_SSE,)} | TOKEN


class S3Place(msgspec.Struct, frozen=True):
    spec: S3Storage
    through_host: bool = False

    @property
    def is_complete(self) -> bool:
        return bool(self.spec.bucket and self.spec.endpoint and self.spec.region)

    @property
    def location(self) -> str:
        return f"{self.spec.endpoint}/{self.spec.bucket}{self.spec.path} ({self.spec.region})"

    def settings(self, folder: str) -> dict[str, str]:
        host, port = split_endpoint(self.spec.endpoint)
        settings = {
            "type": S3Bucket.repo_type,
            "path": self.spec.path,
            "s3-bucket": self.spec.bucket,
            "s3-endpoint": host,
            "s3-key-type": self.spec.key_type,
            "s3-region": self.spec.region,
            "s3-uri-style": self.spec.uri_style,
            "storage-ca-file": f"{folder}/{names.KEY_STORAGE_CA}" if self.spec.ca_secret_ref else names.TOOLS_CA_BUNDLE,
        }
        if port:
            settings["storage-port"] = port
        if not self.spec.verify_tls:
            settings["storage-verify-tls"] = "n"
        return settings

    def in_force(self, lines: Mapping[str, str]) -> Place:
        there = {field: lines.get(f"s3-{field}", "") for field in S3Bucket.defaults}
        port = lines.get("storage-port", "")
        if there["endpoint"] and port:
            there["endpoint"] = f"{there['endpoint']}:{port}"
        filled = {field: getattr(self.spec, field) or value for field, value in there.items()}
        return S3Place(msgspec.structs.replace(self.spec, **filled))

    def shown(self) -> Mapping[str, str]:
        return {field: getattr(self.spec, field) for field in ("bucket", "endpoint", "region", "path")}

    def service(self, *, of_pods: bool = False) -> Service | None:
        spec, own = self.spec, self.spec.pod_credentials_secret_ref if of_pods else None
        secret = own or spec.credentials_secret_ref
        return S3Service(spec.endpoint, spec.bucket, spec.region, secret.name if secret else "", deletes=own is None)


class S3Bucket(Storage):
    name: ClassVar[str] = "s3"
    repo_type: ClassVar[str] = "s3"
    has_versions: ClassVar[bool] = True
    defaults: ClassVar[Mapping[str, str]] = {
        "bucket": "operators-default",
        "endpoint": "operators.default",
        "region": "default",
    }
    secret_fields: ClassVar[tuple[str, ...]] = (_CREDENTIALS, _POD_CREDENTIALS, _CLONE_CREDENTIALS, _CA)
    credentials_field: ClassVar[str] = _CREDENTIALS
    flags: ClassVar[tuple[Flag, ...]] = FLAGS

    def place(self, spec: RepositorySpec, defaults: OperatorDefaults, namespace: str, name: str) -> Place:
        own = spec.s3 or S3Storage()
        filled = {field: getattr(own, field) or defaults.of(self.name, field) for field in self.defaults}
        return S3Place(msgspec.structs.replace(own, **filled, path=folder(own.path, namespace, name)))

    def check(self, case: Case, storages: tuple[str, ...] | None, *, holds_backups: bool) -> None:
        rules.check(case, storages, holds_backups=holds_backups)

    def keys(self, spec: RepositorySpec) -> SecretKeys | None:
        if spec.s3 is None or spec.s3.credentials_secret_ref is None or spec.s3.key_type != "shared":
            return None
        return SecretKeys(f"spec.{self.name}.{_CREDENTIALS}", spec.s3.credentials_secret_ref.name, KEYS, OPTIONAL)

    def pod_keys(self, spec: RepositorySpec) -> SecretKeys | None:
        own = spec.s3.pod_credentials_secret_ref if spec.s3 is not None else None
        return self._less(spec, _POD_CREDENTIALS, own)

    def clone_keys(self, spec: RepositorySpec) -> SecretKeys | None:
        own = spec.s3.clone_credentials_secret_ref if spec.s3 is not None else None
        return self._less(spec, _CLONE_CREDENTIALS, own) or self.pod_keys(spec)

    def _less(self, spec: RepositorySpec, field: str, own: SecretKeyRef | None) -> SecretKeys | None:
        """Keys that may do less than the host's; what encrypts the objects is one for all."""
        if own is None or spec.s3 is None or spec.s3.key_type != "shared":
            return None
        return SecretKeys(f"spec.{self.name}.{field}", own.name, KEYS, TOKEN, of_host=(_SSE,))

    def ca(self, spec: RepositorySpec) -> SecretKeyRef | None:
        return spec.s3.ca_secret_ref if spec.s3 else None

    def lines(self, repository: Any) -> Mapping[str, str]:
        key_type = get(repository, str, "spec", self.name, "keyType") or "shared"
        return {"type": self.repo_type, "s3-key-type": key_type}

    def uses_service_account(self, spec: RepositorySpec) -> bool:
        return spec.s3 is not None and spec.s3.key_type == "web-id"

    def role(self, spec: RepositorySpec) -> str:
        return spec.s3.role_arn if spec.s3 is not None and self.uses_service_account(spec) else ""

    def can_be_cloned_from(self, repository: Object) -> bool:
        """A web identity is valid in the source's namespace only."""
        return get(repository, str, "spec", self.name, "keyType") != "web-id"

    def left_behind(self, name: str, part: Any) -> str:
        bucket, keys = get(part, str, "bucket"), get(part, str, _CREDENTIALS, "name")
        return (f"bucket {bucket}" if bucket else "the bucket") + (f" with Secret {keys}" if keys else "")


S3 = S3Bucket()
