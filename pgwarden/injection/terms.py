"""What a Repository says of the injection of the pods that name it."""

from __future__ import annotations

from typing import Any

import msgspec

from pgwarden import storages
from pgwarden.api import names, outside
from pgwarden.api.faults import Fault
from pgwarden.api.kinds import PostgresAccess, RepositorySpec
from pgwarden.pgbackrest.memory import sidecar_memory

_LABEL = f"metadata.labels[{names.LABEL_REPOSITORY}]"


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    repository: str
    stanza: str
    access: PostgresAccess
    resources: bytes  # JSON of spec.sidecarResources; empty: the default
    memory: str  # the limit of a sidecar that is not given one
    role_arn: str = ""
    pull_secrets: tuple[str, ...] = ()  # for the sidecar's image
    service_account: str = ""  # of pods that name none, with keyType web-id


def terms_of(repository: dict[str, Any], name: str) -> Terms | Fault:
    """What *repository* says of the pods that name it."""
    try:
        spec = msgspec.convert(repository.get("spec", {}), RepositorySpec)
    except outside.UNREADABLE as error:
        return Fault(_LABEL, name, f"the Repository of this name is invalid: {error}", "repository")
    if spec.is_read_only:
        message = "this Repository is read-only, so that the pod could not archive into it"
        way = "set its spec.accessMode to ReadWrite, or remove the label to run without backups"
        return Fault(_LABEL, name, f"{message}; {way}", "read-only")
    resources = msgspec.json.encode(spec.sidecar_resources, order="sorted") if spec.sidecar_resources else b""
    return Terms(
        repository=name,
        stanza=names.stanza(name, spec.stanza),
        access=_as_said(spec.postgres),
        resources=resources,
        memory=sidecar_memory(spec),
        role_arn=storages.role(spec),
        pull_secrets=tuple(one.name for one in spec.pod_template.spec.image_pull_secrets or ()),
        service_account=spec.service_account_name if storages.uses_service_account(spec) else "",
    )


#: What the API server once wrote into each Repository that did not say it.
_OLD_DEFAULTS = {"port": 5432, "socket_directory": "/var/run/postgresql", "user": "postgres", "database": "postgres"}


def _as_said(access: PostgresAccess) -> PostgresAccess:
    """Without the defaults of a stored Repository, which nobody said: with all four there, it was stored with them."""
    there = {name: getattr(access, name) for name in _OLD_DEFAULTS}
    if not all(there.values()):
        return access
    plain = {"port": None, "socket_directory": "", "user": "", "database": ""}
    return msgspec.structs.replace(
        access, **{name: plain[name] for name, value in there.items() if value == _OLD_DEFAULTS[name]}
    )


def no_repository(name: str, namespace: str) -> Fault:
    """The fault of a pod in *namespace*, empty where that is not known, which names a Repository that is not there."""
    where = f"namespace {namespace}" if namespace else "the pod's namespace"
    message = f"there is no Repository of this name in {where}; create it, or remove the label to run without backups"
    return Fault(_LABEL, name, message, "no-repository")
