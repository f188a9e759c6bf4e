"""A seal on the plan that a Restore writes on a workload: its namespace's users may write there as well.

HMAC-SHA256 by a key that is in a Secret of the release's namespace, over the workload (namespace, kind, name, uid) and
the text. So a plan cannot be made up, changed, or carried to another workload.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets

from controller import secret_data
from controller.runtime.worker import NotYet
from pgwarden.api import names
from pgwarden.api.objects import Object
from pgwarden.kube import errors, paths
from pgwarden.kube.client import KubeClient

_OF_A_RESTORE = (
    names.ANNOTATION_RESTORE_ORDER, names.ANNOTATION_RESTORE_UID, names.ANNOTATION_TIMELINE_BEFORE,
    names.ANNOTATION_LSN_BEFORE, names.ANNOTATION_STOPPED,
)  # fmt: skip
_BYTES = 32
_AGAIN = 30.0  # seconds until a Secret that has no key is looked at again


class Seal:
    def __init__(self, key: bytes) -> None:
        self._key = key

    def of(self, namespace: str, kind: str, name: str, uid: str, text: str) -> str:
        """The seal, in hexadecimal digits."""
        parts = (namespace, kind, name, uid, text)
        message = b"".join(len(raw).to_bytes(8, "big") + raw for raw in (part.encode() for part in parts))
        return hmac.new(self._key, message, hashlib.sha256).hexdigest()

    def holds(self, kind: str, workload: Object) -> bool:
        """Whether the plan written on *workload* is sealed, for it."""
        metadata = workload["metadata"]
        noted = metadata.get("annotations", {})
        text, found = noted.get(names.ANNOTATION_STOPPED_BY), noted.get(names.ANNOTATION_STOPPED_BY_SEAL)
        if not isinstance(text, str) or not isinstance(found, str):
            return False
        right = self.of(metadata["namespace"], kind, metadata["name"], metadata["uid"], text)
        return hmac.compare_digest(right.encode(), found.encode())

    def of_backup(self, backup: Object) -> str:
        """On what a Restore writes on the Backup that it ends with, before that is made and has a uid."""
        metadata = backup["metadata"]
        noted = metadata.get("annotations") or {}
        told = [(metadata.get("labels") or {}).get(names.LABEL_RESTORE), *(noted.get(one) for one in _OF_A_RESTORE)]
        return self.of(metadata["namespace"], "Backup", metadata["name"], "", json.dumps(told))

    def vouches(self, backup: Object) -> bool:
        """Whether a Restore made *backup*, or one of this name before it."""
        found = (backup["metadata"].get("annotations") or {}).get(names.ANNOTATION_RESTORE_SEAL)
        return isinstance(found, str) and hmac.compare_digest(self.of_backup(backup).encode(), found.encode())


async def load(client: KubeClient, namespace: str, name: str) -> Seal:
    """The seal whose key is in that Secret, which is made where it is missing. Raises NotYet where it has no key."""
    path = paths.of("secrets", namespace, name)
    found = await client.find(path)
    if found is None:
        try:
            found = await client.create(paths.of("secrets", namespace), _secret(namespace, name))
        except errors.Conflict:
            found = await client.find(path)
    try:
        key = base64.b64decode(((found or {}).get("data") or {}).get(names.KEY_SEAL, ""), validate=True)
    except binascii.Error:
        key = b""
    if len(key) < _BYTES:
        raise NotYet(
            f"Secret {name} in namespace {namespace} has no key of {_BYTES} bytes under {names.KEY_SEAL}; delete it: "
            f"a new one is then created",
            _AGAIN,
        )
    return Seal(key)


def _secret(namespace: str, name: str) -> Object:
    metadata = {"name": name, "namespace": namespace, "labels": {names.MANAGED_BY: "pgwarden"}}
    return secret_data.made(metadata, {names.KEY_SEAL: secrets.token_bytes(_BYTES)})
