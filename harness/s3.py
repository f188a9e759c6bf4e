"""The local cluster's S3 store as a user meets it: an address, a bucket, a CA and a key; and its outages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import timedelta
from functools import reduce

from harness.kubectl import Object
from localcluster import s3
from localcluster.config import S3_HOST, S3_PORT, Cluster
from localcluster.pki import write_private

ENDPOINT = f"{S3_HOST}:{S3_PORT}"
REGION = "us-east-1"
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True)
class Store:
    cluster: Cluster

    @property
    def keys(self) -> tuple[str, str]:
        """Access key and secret key."""
        return s3.credentials(self.cluster)

    @property
    def ca(self) -> str:
        return (self.cluster.s3 / "ca.crt").read_text()

    def make_bucket(self, bucket: str) -> str:
        s3.make_bucket(self.cluster, bucket)
        return bucket

    def make_account(self) -> tuple[str, str]:
        """Access key and secret key of somebody who has no right on any bucket."""
        return s3.make_account(self.cluster)

    def set_policy(self, bucket: str, statements: list[Object]) -> None:
        """Who may do what in the bucket besides root."""
        s3.set_policy(self.cluster, bucket, json.dumps({"Version": "2012-10-17", "Statement": statements}))

    def keep_versions(self, bucket: str) -> None:
        """From now on nothing that is overwritten or deleted in the bucket is gone."""
        s3.keep_versions(self.cluster, bucket)

    def date_versions(self, bucket: str) -> None:
        """Give each version the time at which it was written, as S3 does.

        versitygw dates an old version by when the next one came, and the mark of a deletion by what was deleted (its
        issue 2311). Both are times of files, and a version's id, a ULID, begins with the right one.
        """
        store = self.cluster.s3
        for path in (store / "versions" / bucket).rglob("*"):
            if path.is_file():
                os.utime(path, (ulid_time(path.name),) * 2)
        for noted in (store / "metadata" / bucket).rglob("meta/version-id"):
            path = store / "buckets" / noted.parents[1].relative_to(store / "metadata")
            if path.is_file():
                os.utime(path, (ulid_time(noted.read_text()),) * 2)

    def ask(
        self, method: str, path: str, keys: tuple[str, str], *, query: str = "", body: bytes = b""
    ) -> tuple[int, str]:
        """HTTP status and answer of a request signed with *keys*."""
        return s3.request(self.cluster, method, path, keys=keys, query=query, body=body)

    def answer(self, path: str, late: timedelta) -> tuple[int, str]:
        """HTTP status and body of a signed GET, as from a machine whose clock is that *late*."""
        return s3.request(self.cluster, "GET", path, late)

    def stop(self) -> None:
        self._command("stop")

    def start(self) -> None:
        self._command("start")

    def rotate(self, key: str, secret: str) -> None:
        """The store takes this key from now on, and no other."""
        self.stop()
        write_private(self.cluster.s3 / "credentials", f"AWS_ACCESS_KEY_ID={key}\nAWS_SECRET_ACCESS_KEY={secret}\n")
        self.start()

    def objects(self, bucket: str) -> list[str]:
        """Every object of the bucket by its path, from the store's own disk: that works while it is down, too."""
        root = self.cluster.s3 / "buckets" / bucket
        return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())

    def content(self, bucket: str, path: str) -> bytes:
        return (self.cluster.s3 / "buckets" / bucket / path).read_bytes()

    def secrets(self) -> list[Object]:
        """What a user makes of it: a Secret with the key, one with the CA."""
        key, secret = self.keys
        return [secret_of("s3-keys", {"s3-key": key, "s3-key-secret": secret}), secret_of("s3-ca", {"ca.crt": self.ca})]

    def _command(self, command: str) -> None:
        argv = [sys.executable, "-m", "localcluster", "s3", "--name", self.cluster.name, command]
        subprocess.run(argv, check=True, capture_output=True, stdin=subprocess.DEVNULL)


def ulid_time(ulid: str) -> float:
    """The seconds of Unix time that it begins with, as ten digits to the base 32."""
    return reduce(lambda value, digit: value * 32 + _CROCKFORD.index(digit), ulid[:10], 0) / 1000


def secret_of(name: str, data: dict[str, str]) -> Object:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}


def repository(storage_type: str, bucket: str = "", *, name: str = "hippo", **spec: object) -> Object:
    """A Repository on the store; *spec* over it, and its `s3` over ours (None takes a field out)."""
    ours: Object = {
        "bucket": bucket,
        "endpoint": ENDPOINT,
        "region": REGION,
        "uriStyle": "path",
        "caSecretRef": {"name": "s3-ca"},
        "credentialsSecretRef": {"name": "s3-keys"},
    }
    given = spec.pop("s3", None) or {}
    assert isinstance(given, dict)
    place = {key: value for key, value in (ours | given).items() if value not in (None, "")}
    body = {"storageType": storage_type, "s3": place} | spec
    return {"apiVersion": "pgwarden.io/v1alpha1", "kind": "Repository", "metadata": {"name": name}, "spec": body}
