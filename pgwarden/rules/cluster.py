"""What must be true of a PostgresCluster, and of the Repository in it."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from pgwarden.api import names
from pgwarden.api.faults import Waits, brief
from pgwarden.api.judging import Case
from pgwarden.api.objects import Object
from pgwarden.api.postgres_majors import DEFAULT
from pgwarden.api.quantity import parse_quantity
from pgwarden.api.reading import condition, get
from pgwarden.rules import data_source, pod_template, repository, resources

_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_PARAMETER = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?")
_SPEC = re.compile(r"\bspec\.")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ARCHIVES = "pgwarden sets it, so that WAL reaches the Repository"
_PATRONI = "Patroni sets it"
#: Parameter → why it cannot be set.
RESERVED = {
    "archive_mode": _ARCHIVES,
    "archive_command": _ARCHIVES,
    "archive_library": _ARCHIVES,
    "restore_command": _ARCHIVES,
    "archive_cleanup_command": "it would remove WAL that other instances need",
    "recovery_end_command": _PATRONI,
    "cluster_name": _PATRONI,
    "config_file": _PATRONI,
    "data_directory": _PATRONI,
    "external_pid_file": _PATRONI,
    "hba_file": _PATRONI,
    "hot_standby": _PATRONI,
    "ident_file": _PATRONI,
    "listen_addresses": _PATRONI,
    "port": "Services and the sidecar expect 5432",
    "primary_conninfo": _PATRONI,
    "primary_slot_name": _PATRONI,
    "promote_trigger_file": _PATRONI,
    "standby_mode": _PATRONI,
    "synchronous_standby_names": "set spec.synchronous instead",
    "unix_socket_directories": "the sidecar expects the default",
    "wal_log_hints": "pg_rewind needs it on",
}

_CERTIFICATES = "instances always speak TLS; for a certificate of your own set spec.tls.secretRef"
#: The same, of what was admitted once: a cluster that has it keeps it, and is warned.
RESERVED_LATER = {
    "include": "a file of settings would pass what is checked here; write them in spec.parameters",
    "include_dir": "files of settings would pass what is checked here; write them in spec.parameters",
    "include_if_exists": "a file of settings would pass what is checked here; write them in spec.parameters",
    "ssl": _CERTIFICATES,
    "ssl_ca_file": _CERTIFICATES,
    "ssl_cert_file": _CERTIFICATES,
    "ssl_crl_dir": _CERTIFICATES,
    "ssl_crl_file": _CERTIFICATES,
    "ssl_key_file": _CERTIFICATES,
    "ssl_passphrase_command": "it runs a program in each instance; use a key without a passphrase, in a Secret",
}
#: Of ssl_min_protocol_version; PostgreSQL's default is TLSv1.2.
_BROKEN_PROTOCOLS = {"tlsv1", "tlsv1.1"}
#: Parameter → whether it is dangerous on or off, and what it does then to what backups are for.
DANGEROUS = {
    "fsync": (False, "after a crash of the node the data, and backups of it, may be corrupt"),
    "full_page_writes": (False, "after a crash of the node the data, and backups of it, may be corrupt"),
    "ignore_checksum_failure": (True, "corrupt pages are read, and copied into backups, as if they were good"),
    "zero_damaged_pages": (True, "damaged pages are emptied for good, and what was in them is lost"),
}

#: Parameters that must not be lower on a replica than on its primary → Patroni's default.
AT_LEAST_THE_PRIMARYS = {
    "max_connections": 100,
    "max_locks_per_transaction": 64,
    "max_prepared_transactions": 0,
    "max_wal_senders": 10,
    "max_worker_processes": 8,
}


def check(case: Case) -> None:
    _check_name(case)
    _check_size(case)
    needs = "PostgreSQL and Patroni do not start with less"
    resources.check(case, ("instances", "resources"), resources.INSTANCE, needs)
    pod_template.check(case, ("instances", "podTemplate"))
    _check_image(case)
    _check_parameters(case)
    _check_tls(case)
    _check_repository(case)
    data_source.check(case)
    if case.old is None:
        _check_taken(case)
    else:
        _check_change(case, case.old)
        _check_lowered(case, case.old)
    replicas = case.get(int, "instances", "replicas")
    if case.get(bool, "synchronous") and (replicas or 1) < 2:
        case.warn("spec.synchronous has no effect with one instance: there is no replica to wait for")


def _check_name(case: Case) -> None:
    if not case.name:  # generateName: the schema's rule sees the result
        return
    if len(case.name) > names.CLUSTER_NAME_LIMIT:
        message = (
            f"must have at most {names.CLUSTER_NAME_LIMIT} characters, not {len(case.name)}: pods are named after it"
        )
        case.refuse("metadata.name", case.name[:80], message, "name")
    elif not _NAME.fullmatch(case.name):
        message = "must be lower-case letters, digits and dashes, beginning with a letter: Services are named after it"
        case.refuse("metadata.name", case.name, message, "name")


def _check_size(case: Case) -> None:
    size = case.get(str, "instances", "storage", "size")
    if size is None:
        return
    amount = parse_quantity(size)
    if amount is None:
        message = "must be a quantity such as 10Gi or 500Mi"
        case.refuse("spec.instances.storage.size", size[:50], message, "size")
    elif amount < 128 * 1024 * 1024:
        message = "is too small for PostgreSQL and its WAL; use at least 128Mi, better 1Gi or more"
        case.refuse("spec.instances.storage.size", size[:50], message, "size")


def _check_image(case: Case) -> None:
    version = case.get(int, "postgresVersion")
    if version not in {None, DEFAULT} and not case.get(str, "image"):
        has = f"the operator's image has PostgreSQL {DEFAULT}"
        message = f"{has}; set spec.image to an image with Patroni and this version"
        case.refuse("spec.postgresVersion", version, message, "image")


#: A tuple: what a user gives need not be hashable.
_WAL_LEVELS = ("replica", "logical")


def _check_parameters(case: Case) -> None:
    for name, value in (case.get(dict, "parameters") or {}).items():
        field = f"spec.parameters.{name[:80]}"
        folded = name.lower() if isinstance(name, str) else ""
        if not _PARAMETER.fullmatch(folded) or len(folded) > 63:
            case.refuse(field, None, "is not a parameter name, such as work_mem or auto_explain.log_timing", "name")
        elif folded != name:
            case.refuse(field, None, f"must be lower case; write {folded}", "name")
        elif folded in RESERVED or folded.startswith("recovery_target"):
            why = RESERVED.get(folded, "a Restore sets it")
            case.refuse(field, brief(value) if isinstance(value, str) else value, f"cannot be set: {why}", "reserved")
        elif folded in RESERVED_LATER:
            _refuse_or_warn(case, name, value, f"cannot be set: {RESERVED_LATER[name]}", "reserved")
        elif folded == "ssl_min_protocol_version" and str(value).lower() in _BROKEN_PROTOCOLS:
            _refuse_or_warn(case, name, value, "must be TLSv1.2 or TLSv1.3: older protocols are broken", "tls")
        elif folded == "wal_level" and value not in _WAL_LEVELS:
            message = "must be replica or logical: lower levels omit WAL that a restore needs"
            case.refuse(field, brief(value) if isinstance(value, str) else value, message, "wal-level")
        elif isinstance(value, str) and _CONTROL.search(value):
            case.refuse(
                field,
                brief(value) if isinstance(value, str) else value,
                "must not contain control characters",
                "control",
            )

        if folded in DANGEROUS and _is(value) is DANGEROUS[folded][0]:
            case.warn(f"{field} {'on' if DANGEROUS[folded][0] else 'off'}: {DANGEROUS[folded][1]}")


def _refuse_or_warn(case: Case, name: str, value: object, message: str, rule: str) -> None:
    """A warning of what a cluster has from before the rule."""
    before = get(case.old, dict, "spec", "parameters") or {} if case.old is not None else {}
    if before.get(name) == value:
        case.warn(f"spec.parameters.{name}: {message}")
    else:
        case.refuse(f"spec.parameters.{name}", brief(str(value)), message, rule)


def _is(value: object) -> bool | None:
    """As PostgreSQL reads a switch: whole words, their beginnings, and numbers. None where it is none."""
    said = str(value).strip().lower()
    if said == "1" or (said and any(word.startswith(said) for word in ("true", "yes"))) or said == "on":
        return True
    if said == "0" or said in {"of", "off"} or (said and any(word.startswith(said) for word in ("false", "no"))):
        return False
    return None


def _check_tls(case: Case) -> None:
    name = case.get(str, "tls", "secretRef", "name")
    if case.name and name in {names.instance_tls(case.name), names.instance_ca(case.name)}:
        message = "is the name of a Secret of pgwarden's own; choose another name for yours"
        case.refuse("spec.tls.secretRef.name", name, message, "tls")


def _check_repository(case: Case) -> None:
    """The rules of a Repository, with each fault at the path that the user wrote."""
    spec = case.get(dict, "repository")
    if spec is None:
        spec = {}
    old = get(case.old, dict, "spec", "repository") if case.old is not None else None
    inner = msgspec.structs.replace(
        case,
        obj=_as_repository(case.obj, spec),
        old=_as_it_was(case.old, old) if case.old is not None and old is not None else None,
        faults=[],
        warnings=[],
        notes=[],
    )
    repository.check(inner)
    for fault in inner.faults:
        if fault.field.startswith("spec"):
            case.faults.append(msgspec.structs.replace(fault, field=f"spec.repository{fault.field[4:]}"))
    for warning in inner.warnings:
        case.warn(_SPEC.sub("spec.repository.", warning))
    case.notes += inner.notes


def _as_repository(obj: Object, spec: dict[str, Any]) -> Object:
    metadata = {"name": get(obj, str, "metadata", "name"), "namespace": get(obj, str, "metadata", "namespace")}
    return {
        "apiVersion": names.API_VERSION,
        "kind": "Repository",
        "metadata": {key: value for key, value in metadata.items() if value is not None},
        "spec": {key: value for key, value in spec.items() if key != "postgres"},
    }


def _as_it_was(old: Object, spec: dict[str, Any]) -> Object:
    """With the pods that run: what they started with is told of."""
    return _as_repository(old, spec) | {"status": {"pods": get(old, list, "status", "instances") or []}}


def _check_taken(case: Case) -> None:
    """The cluster's Repository has its name: an existing one of somebody else must not be taken over."""
    found = case.lookup.repository(case.namespace, case.name) if case.name else None
    if found is None:
        _warn_of_earlier(case)
        return
    owners = get(found, list, "metadata", "ownerReferences") or []
    if not any(get(owner, str, "kind") == "PostgresCluster" for owner in owners):
        message = "a Repository of this name exists, and the cluster needs one of its own; choose another name"
        case.refuse("metadata.name", case.name, message, "taken", Waits.NAME_TAKEN)


def _warn_of_earlier(case: Case) -> None:
    """A name that was in use: what the webhook may see of that are the Backups, which outlive their cluster."""
    if not case.name or case.standing or case.get(str, "repository", "onExistingBackups") == "Recover":
        return
    there = [one for one in case.lookup.backups(case.namespace, case.name) if _has_its_set(one)]
    if there:
        backup = f"Backup {get(there[-1], str, 'metadata', 'name')}"
        text = f"metadata.name {case.name}: {backup} is of an earlier cluster or Repository of this name"
        way = "set spec.repository.onExistingBackups to Recover for its data, or choose another name"
        case.warn(f"{text}; if its volume or folder is there, too, this one will not begin: {way}")


def _has_its_set(backup: Object) -> bool:
    """As far as it says: nobody looks after one whose Repository is gone."""
    return get(backup, str, "status", "phase") == "Completed" and condition(backup, "Available") != "False"


def _check_change(case: Case, old: Object) -> None:
    before = get(old, int, "spec", "postgresVersion") or DEFAULT
    after = case.get(int, "postgresVersion") or DEFAULT
    if before != after:
        message = f"cannot be changed from {before}: the data directory belongs to one major version"
        case.refuse("spec.postgresVersion", after, message, "immutable")
    path = ("instances", "storage", "storageClassName")
    was, now = get(old, str, "spec", *path) or "", case.get(str, *path) or ""
    if was != now:
        message = "cannot be changed: a volume cannot move to another storage class"
        case.refuse("spec.instances.storage.storageClassName", now, message, "immutable")
    sizes = [parse_quantity(get(one, str, "spec", "instances", "storage", "size") or "10Gi") for one in (old, case.obj)]
    if sizes[0] is not None and sizes[1] is not None and sizes[1] < sizes[0]:
        message = "cannot shrink: a volume can only grow"
        case.refuse("spec.instances.storage.size", case.get(str, "instances", "storage", "size"), message, "immutable")


def _check_lowered(case: Case, old: Object) -> None:
    """Replicas restart first, and one with less than its primary does not start."""
    if (case.get(int, "instances", "replicas") or 1) < 2:
        return
    for name, default in AT_LEAST_THE_PRIMARYS.items():
        before, after = (_number(get(one, dict, "spec", "parameters") or {}, name, default) for one in (old, case.obj))
        if before is not None and after is not None and after < before:
            message = (
                f"cannot be lowered from {before} while there are replicas, which need at least the primary's value; "
                "scale to 1, lower it, then scale back"
            )
            case.refuse(f"spec.parameters.{name}", after, message, "lowered")


def _number(parameters: dict[str, Any], name: str, default: int) -> int | None:
    value = parameters.get(name, default)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 12 else None
