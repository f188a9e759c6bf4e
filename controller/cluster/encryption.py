"""Whether the instances of a PostgresCluster speak TLS, and what is said of it. Pure.

A release that begins with TLS restarts no instance that stands. Those that an earlier release has made go on in clear
text until they are rolled for another reason, or `spec.tls` is set: then one after the other is made with certificates.
While some have none, pg_hba.conf admits clear text and replication encrypts where both sides can; once all have them,
it is asked of everyone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from pgwarden.api import names
from pgwarden.api.kinds import PostgresClusterSpec
from pgwarden.api.objects import Object
from pgwarden.api.reading import objects

CONDITION = "Encryption"
#: The Secret that spec.tls names cannot be served.
UNUSABLE = "TLSSecretUnusable"


class Mode(Enum):
    OFF = "off"  # all instances are of a release before TLS, and nothing rolls them
    BEGUN = "begun"  # they are rolled
    WHOLE = "whole"


@dataclass(frozen=True)
class Served:
    """What PostgreSQL shows to its clients. *trouble*: why that is not what the spec asks for."""

    ca: bytes = field(default=b"", repr=False)  # by which clients verify it; empty where nothing is served yet
    expires: datetime | None = None
    trouble: str = ""


@dataclass(frozen=True)
class Standing:
    """Of one instance: the mark of its template, and whether that and its pod have certificates."""

    template: str
    made_with: bool
    runs_with: bool


def carries(pod: Object) -> bool:
    """Whether *pod*, or a template of one, has certificates."""
    return any(one.get("name") == names.VOLUME_TLS for one in objects(pod, "spec", "volumes"))


def mode(spec: PostgresClusterSpec, instances: Sequence[Standing], before: Callable[[], str]) -> Mode:
    """*before*: the mark of a template as a release before TLS makes it from the spec of now."""
    if all(one.made_with and one.runs_with for one in instances):
        return Mode.WHOLE
    if spec.tls is not None or any(one.made_with for one in instances):
        return Mode.BEGUN
    mark = before()
    return Mode.OFF if all(one.template == mark for one in instances) else Mode.BEGUN


def judge(cluster: str, spec: PostgresClusterSpec, now: Mode, served: Served) -> tuple[bool, str, str]:
    """Status, reason and message of the condition."""
    if served.trouble:
        return False, UNUSABLE, served.trouble
    if now is Mode.OFF:
        way = f"""kubectl patch pgc {cluster} --type=merge -p '{{"spec":{{"tls":{{"required":true}}}}}}'"""
        said = "clients and replication speak clear text, as its instances were made by a release before TLS"
        return False, "ClearText", f"{said}; `{way}` restarts one after the other with certificates"
    if now is Mode.BEGUN:
        return False, "TurningOn", "TLS is required once all instances have been restarted with certificates"
    if spec.tls is not None and not spec.tls.required:
        return True, "ClientsMayChoose", "instances speak TLS; spec.tls.required is false, so clients need not"
    return True, "Encrypted", "clients, replication and Patroni speak TLS"
