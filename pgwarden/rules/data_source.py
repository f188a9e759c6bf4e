"""The source of a clone: a Repository that allows it, and a point that it can recover to."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from pgwarden import storages
from pgwarden.api.faults import Elsewhere, Waits
from pgwarden.api.judging import Case
from pgwarden.api.near import near
from pgwarden.api.objects import Object
from pgwarden.api.postgres_majors import DEFAULT, major_of
from pgwarden.api.reading import condition, get, objects
from pgwarden.rules import backup_sets, restore
from pgwarden.rules.common import check_options, check_storage
from pgwarden.storages import names_of as storages_of

FIELD = "spec.dataSource"
#: What the rules of a Restore name, as they write it.
_OF_A_RESTORE = re.compile(r"\bspec\.(?=(storage|repoTargetTime)\b)")


def check(case: Case) -> None:
    given = case.get(dict, "dataSource")
    if case.old is not None:
        _check_unchanged(case, given, get(case.old, dict, "spec", "dataSource"))
        return
    if given is None or has_begun(case.obj):
        return
    source = _find(case, given)
    if source is not None and _check_allowed(case, source):
        _check_source(case, source)
        _check_point(case, given, source)


def has_begun(cluster: Object) -> bool:
    """Whether the clone has started: from then on the state of the source does not matter."""
    said = [one.get("reason") for one in objects(cluster, "status", "conditions") if one.get("type") == "DataSource"]
    return bool(set(said) & {"Cloning", "Cloned", "CloneFailed", "Recovering", "Recovered", "RecoveryFailed"})


def allows(source: Object, namespace: str) -> bool:
    """Whether clusters in *namespace* may be cloned from Repository *source*."""
    own = get(source, str, "metadata", "namespace")
    listed = get(source, list, "spec", "cloneableFrom") or []
    return namespace == own or "*" in listed or namespace in listed


def unusable(source: Object, storage: str) -> bool:
    """Whether a clone cannot read *storage*."""
    return not storages.BY_NAME[storage].can_be_cloned_from(source)


def _check_unchanged(case: Case, now: Object | None, before: Object | None) -> None:
    if now != before:
        message = "cannot be changed after creation; create another PostgresCluster"
        case.refuse(FIELD, None, message, "immutable")


def _find(case: Case, given: dict[str, Any]) -> Object | None:
    name, namespace = get(given, str, "repository"), get(given, str, "namespace") or case.namespace
    if not name:
        return None
    if (namespace, name) == (case.namespace, case.name):
        message = (
            "is this cluster's own Repository; name the Repository of the cluster to clone, or, to begin with what its "
            "own one holds, omit dataSource and set spec.repository.onExistingBackups to Recover"
        )
        case.refuse(f"{FIELD}.repository", name, message, "dataSource")
        return None
    found = case.lookup.repository(namespace, name)
    if found is None and namespace == case.namespace:
        message = _absent(case, name)
        case.refuse(f"{FIELD}.repository", name[:63], message, "dataSource", Waits.SOURCE_MISSING)
    elif found is None:
        told = f"there is no Repository {name[:63]} in namespace ", "; check spec.dataSource"
        _refuse_elsewhere(case, namespace, name, told, Waits.SOURCE_MISSING)
    return found


def _absent(case: Case, name: str) -> str:
    here = [
        get(one, str, "metadata", "name") or "" for one in case.lookup.repositories() if _is_in(one, case.namespace)
    ]
    meant = near(name, here, 3)
    offered = f"did you mean {' or '.join(meant)}?" if meant else "check spec.dataSource.namespace"
    return f"there is no Repository of this name in namespace {case.namespace}; {offered}"


def _refuse_elsewhere(case: Case, namespace: str, name: str, told: tuple[str, str], waits: Waits) -> None:
    """The same for a source that is not there and for one that allows no clone: who may not look cannot tell which."""
    message = (
        f"no Repository {name[:63]} in namespace {namespace[:63]} allows clones into namespace {case.namespace}; check "
        f"spec.dataSource, or ask its owner to add {case.namespace} to spec.cloneableFrom"
    )
    elsewhere = Elsewhere(((namespace, name),), told)
    case.refuse(f"{FIELD}.namespace", namespace[:63], message, "cloneableFrom", waits, elsewhere=elsewhere)


def _is_in(obj: Object, namespace: str) -> bool:
    return get(obj, str, "metadata", "namespace") == namespace


def _check_allowed(case: Case, source: Object) -> bool:
    if allows(source, case.namespace):
        return True
    name, namespace = (get(source, str, "metadata", field) or "" for field in ("name", "namespace"))
    mine = case.namespace
    told = (
        f"Repository {name} in namespace ",
        f" does not allow clones into namespace {mine}; its owner can add {mine} to spec.cloneableFrom",
    )
    _refuse_elsewhere(case, namespace, name, told, Waits.NOT_ALLOWED)
    return False


def _check_source(case: Case, source: Object) -> None:
    """What Patroni needs of the data: its superuser, and a version that the image has."""
    name = get(source, str, "metadata", "name")
    user = get(source, str, "spec", "postgres", "user") or "postgres"
    if user != "postgres":
        message = f"the superuser of Repository {name} is {user}; a PostgresCluster needs one named postgres"
        case.refuse(f"{FIELD}.repository", name, message, "dataSource", Waits.SOURCE_UNSUITABLE)
    wanted = case.get(int, "postgresVersion") or DEFAULT
    major = major_of(_version(case, source))
    if major is not None and major != wanted:
        message = f"Repository {name} holds PostgreSQL {major}, and a clone keeps the version; set {major}"
        case.refuse("spec.postgresVersion", wanted, message, "dataSource", Waits.SOURCE_UNSUITABLE)
    storage = case.get(str, "dataSource", "storage") or ""
    left = [one for one in storages_of(source) if not unusable(source, one) and storage in {"", one}]
    if not left and storage in {"", *storages_of(source)}:
        message = (
            f"Repository {name} has keyType web-id, which a clone cannot use; choose a source with keyType shared or "
            "with a local storage"
        )
        case.refuse(f"{FIELD}.storage", storage or None, message, "dataSource", Waits.SOURCE_UNSUITABLE)


def _version(case: Case, source: Object) -> str | None:
    """Of the set to clone from, where that is from before a major upgrade; else of the source's server."""
    label = case.get(str, "dataSource", "set") or ""
    listed = backup_sets.of(source).labelled(label) if label else []
    before = (get(one, str, "postgresVersion") for one in listed)
    return next(filter(None, before), None) or get(source, str, "status", "postgresVersion")


def _check_point(case: Case, given: dict[str, Any], source: Object) -> None:
    """The rules of a Restore, with each fault at the path that the user wrote."""
    metadata = {"name": case.name, "namespace": get(source, str, "metadata", "namespace")}
    asked: Object = {"kind": "Restore", "metadata": metadata, "spec": given}
    inner = msgspec.structs.replace(case, obj=asked, old=None, faults=[], warnings=[], notes=[])
    check_storage(inner, source)
    check_options(inner, "restore", source)
    restore.check_point(inner, source)
    for fault in inner.faults:
        message = _OF_A_RESTORE.sub(f"{FIELD}.", fault.message)
        case.refuse(f"{FIELD}{fault.field.removeprefix('spec')}", fault.value, message, fault.rule, fault.waits)
    for warning in inner.warnings:
        case.warn(f"{FIELD}: {warning}")
    case.notes += [f"{FIELD}: {note}" for note in inner.notes]
    if condition(source, "Ready") == "False" and not inner.faults:
        name = get(source, str, "metadata", "name")
        case.warn(f"{FIELD}: Repository {name} is not Ready: the clone waits until it is")
