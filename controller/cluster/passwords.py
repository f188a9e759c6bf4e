"""The passwords in a PostgresCluster's Secret, and the roles that are to have them. Pure.

The Secret is the truth: of Patroni's own roles always, as its processes log in by it. Of the application's role when
the Secret was changed, and when a Restore has brought other data: what was set by SQL meanwhile stays.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from controller import operations, patroni
from controller.cluster import scram
from controller.cluster.render import (
    KEY_APPLICATION,
    KEY_PATRONI,
    KEY_REPLICATION,
    KEY_REWIND,
    KEY_SUPERUSER,
    PASSWORDS,
)
from controller.runtime import conditions
from pgwarden.api import names
from pgwarden.api.objects import Object
from pgwarden.contract.roles import Role, Roles

#: Of the status: what the roles have last been brought in step with.
FIELD = "passwords"
CONDITION = "Passwords"
NOT_SET = "PasswordsNotSet"


class UnreadableError(Exception):
    """The Secret lacks a password that PostgreSQL is to have. The message names the key."""


@dataclass(frozen=True)
class Known:
    """*digest* of the Secret's passwords; empty where the roles have never been brought in step. *restored*: when the
    Restore began that the application's role was last set after.
    """

    digest: str
    restored: str = ""

    def entry(self) -> Object:
        return {"digest": self.digest or None, "restored": self.restored or None}


def known(cluster: Object) -> Known | None:
    """By the status; None where it says nothing: a new cluster, or one from before."""
    found = (cluster.get("status") or {}).get(FIELD)
    return Known(str(found.get("digest") or ""), str(found.get("restored") or "")) if isinstance(found, dict) else None


def digest(secret: Object) -> str:
    """Of all passwords together: nobody guesses one of them by it."""
    data = secret.get("data") or {}
    parts = "\n".join(f"{key}={data.get(key, '')}" for key in PASSWORDS)
    return hashlib.sha256(parts.encode()).hexdigest()[:16]


def restored(restores: Sequence[Object]) -> str:
    """When the last Restore in place began that has started PostgreSQL on other data; empty where there was none."""
    done = [
        str((one.get("status") or {}).get("startTime") or "")
        for one in restores
        if not one["spec"].get("volumeClaim")
        and operations.phase(one) != "Failed"
        and conditions.is_true(one, "Started")
    ]
    return max(done, default="")


def application_is_due(before: Known | None, now: Known, *, initialized: bool) -> bool:
    """*initialized*: it had a primary before. Of a cluster from before, the application's password is left alone."""
    if before is None:
        return not initialized
    return before.digest != now.digest or now.restored > before.restored


def verdict(cluster: str, trouble: str) -> tuple[bool, str, str]:
    """Status, reason and message of the condition, which is there once there was *trouble*."""
    secret = names.cluster_credentials(cluster)
    if trouble:
        return False, NOT_SET, f"PostgreSQL's roles may not have the passwords in Secret {secret}: {trouble}"
    return True, "PasswordsSet", f"PostgreSQL's roles have the passwords in Secret {secret}"


def roles(secret: Object, *, application: bool, create: bool) -> Roles:
    """*create*: the application's role and database, where the data has none. UnreadableError, also of the one that is
    no role's but Patroni's: instances would be renewed for it.
    """
    _value(secret, KEY_PATRONI)
    own = [
        Role(name=patroni.SUPERUSER, verifier=_verifier(secret, KEY_SUPERUSER)),
        Role(name=patroni.REPLICATOR, verifier=_verifier(secret, KEY_REPLICATION), replicates=True, create=True),
        Role(name=patroni.REWINDER, verifier=_verifier(secret, KEY_REWIND), rewinds=True, create=True),
    ]
    used = Role(name=patroni.APPLICATION, verifier=_verifier(secret, KEY_APPLICATION), create=create, database=create)
    return Roles(roles=(*own, *([used] if application else [])))


def uri(secret: Object) -> str:
    """`uri` with the password of now, encoded; empty where it has that already, or is none that can be read."""
    try:
        password, found = _value(secret, KEY_APPLICATION), urlsplit(_value(secret, "uri"))
    except (UnreadableError, ValueError):
        return ""
    if not found.username or unquote(found.password or "") == password:
        return ""
    place = found.netloc.rpartition("@")[2]
    wanted = found._replace(netloc=f"{found.username}:{quote(password, safe='')}@{place}")
    return base64.b64encode(wanted.geturl().encode()).decode()


def _verifier(secret: Object, key: str) -> str:
    """The salt is one of this Secret and this key: so what is the same stays the same, and need not be set again."""
    salt = hashlib.sha256(f"{secret['metadata'].get('uid', '')}/{key}".encode()).digest()[:16]
    return scram.verifier(_value(secret, key), salt)


def _value(secret: Object, key: str) -> str:
    try:
        found = base64.b64decode((secret.get("data") or {}).get(key) or "", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise UnreadableError(f"{key} in Secret {secret['metadata']['name']} is not UTF-8 text") from error
    if not found or "\0" in found:
        raise UnreadableError(f"{key} in Secret {secret['metadata']['name']} is empty; set it to a password")
    return found
