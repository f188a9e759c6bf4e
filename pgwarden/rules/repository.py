"""What must be true of a Repository."""

from __future__ import annotations

import posixpath
import re
from typing import Any

import msgspec

from pgwarden.api import archive_timeout, names
from pgwarden.api.judging import Case
from pgwarden.api.kinds import RepositorySpec
from pgwarden.api.objects import Object
from pgwarden.api.reading import get
from pgwarden.pgbackrest.user_options import ParsedOptions
from pgwarden.rules import adoption, backup_sets, pod_template, resources, retention
from pgwarden.rules.common import check_options, has_full_retention
from pgwarden.storages import BY_NAME, DEFAULT, NAMES, REGISTER, TYPES, role, uses_service_account
from pgwarden.storages import names_of as storages_of

_ORDINALS = ("first", "second", "third", "fourth", "fifth")
_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


#: Folders that an empty volume would hide, and those below which none may be hidden either.
_NEEDED_WITH_ALL = ("/bin", "/dev", "/etc", "/lib", "/lib64", "/opt/pgwarden", "/pgwarden", "/proc", "/sbin", "/sys")
_NEEDED = frozenset(
    (*_NEEDED_WITH_ALL, "/", "/opt", "/usr", "/usr/bin", "/usr/lib", "/usr/lib64", "/usr/local", "/usr/local/bin")
) | {"/usr/local/lib", "/usr/sbin", "/usr/share", "/usr/local/share", "/usr/lib/postgresql", "/var", "/var/lib"}


def check(case: Case) -> None:
    _check_name(case)
    storages = _check_storage_type(case)
    for storage in REGISTER:
        held = case.old is not None and backup_sets.of(case.old).of_storage(storage.name).some
        storage.check(case, storages, holds_backups=held)
    options = check_options(case, "repository", case.obj if storages else None, storages or ())
    _check_retention(case, options)
    _check_archive_timeout(case)
    _check_socket(case)
    adoption.check(case)
    _check_resources(case)
    pod_template.check(case, ("podTemplate",))
    if case.old is not None:
        _check_change(case, case.old, storages)
    elif case.standing:
        _check_kept(case, case.obj, storages)
    if "archive-push-queue-max" in options.settings:
        case.warn(
            "archive-push-queue-max lets pgBackRest drop WAL when the queue is full; point-in-time recovery is then "
            "possible only from the next backup on"
        )
    if options.settings.get("archive-header-check") == "n":
        case.warn("--no-archive-header-check: WAL of another PostgreSQL cluster would be archived unnoticed")
    if (level := options.settings.get("log-level-console")) in {"debug", "trace"}:
        case.warn(f"--log-level-console={level}: each command writes thousands of lines; set it for one Backup instead")


def _check_name(case: Case) -> None:
    if not case.name:  # generateName: the schema's rule sees the result
        return
    if len(case.name) > 52:
        message = f"must have at most 52 characters, not {len(case.name)}: Services are named after it"
        case.refuse("metadata.name", case.name[:80], message, "name")
    elif not _NAME.fullmatch(case.name):
        message = "must be lower-case letters, digits and dashes, beginning with a letter: Services are named after it"
        case.refuse("metadata.name", case.name, message, "name")


def _check_storage_type(case: Case) -> tuple[str, ...] | None:
    """The storages; None if they cannot be determined."""
    value = case.get(str, "storageType")
    if value is None:
        return None if "storageType" in (case.get(dict) or {}) else (DEFAULT,)
    parts = value.split(",")
    problem = _storage_type_problem(value, parts)
    if problem:
        case.refuse("spec.storageType", value[:100], problem, "storageType")
        # The storages that were meant, if that is clear, so that other faults are reported too.
        meant = {part.strip().lower() for part in parts}
        return tuple(sorted(meant, key=NAMES.index)) if meant and meant <= set(NAMES) else None
    return tuple(parts)


def _storage_type_problem(value: str, parts: list[str]) -> str:
    known = f"write {', '.join(NAMES)}, or {TYPES[-1]} for {'both' if len(NAMES) == 2 else 'all'}"
    bare = [part.strip().lower() for part in parts]
    unknown = [part for part in bare if part not in BY_NAME]
    if not value.strip():
        return f"is empty; {known}"
    if any(unknown):
        named = next(part for part in unknown if part)
        ours = next((storage.name for storage in REGISTER if named in storage.also_called), "")
        instead = f" (pgwarden calls it {ours})" if ours else ""
        return f"{named[:50]} is not a storage{instead}; {known}"
    if unknown:
        return f"has a stray comma; {known}"
    if len(set(bare)) < len(bare):
        return f"lists {next(part for part in bare if bare.count(part) > 1)} twice; {known}"
    ordered = sorted(bare, key=NAMES.index)
    if bare != ordered:
        wrong = next(name for name, there in zip(ordered, bare, strict=True) if name != there)
        return f"lists {wrong} {_ORDINALS[bare.index(wrong)]}; write {','.join(ordered)}"
    if bare != parts:
        return f"must be lower case without spaces; write {','.join(bare)}"
    return ""


def _check_retention(case: Case, options: ParsedOptions) -> None:
    full = case.get(int, "retention", "full")
    if case.get(str, "retention", "fullType") == "time" and full is None:
        case.refuse("spec.retention.full", None, "is required with fullType time; set the number of days", "retention")
    for kind in ("full", "diff"):
        twice = [name for name in options.retention if name.endswith(f"-retention-{kind}")]
        if twice and case.get(int, "retention", kind) is not None:
            message = f"is also set in options as --{twice[0]}; remove one of the two"
            case.refuse(f"spec.retention.{kind}", case.get(int, "retention", kind), message, "retention")
    if not has_full_retention(case.obj):
        case.warn("no retention is set: backups are kept forever; set spec.retention.full")
    retention.check_repository(case)


def _check_archive_timeout(case: Case) -> None:
    value = case.get(str, "archiveTimeout")
    if value is not None and archive_timeout.seconds(value) is None:
        case.refuse("spec.archiveTimeout", value[:50], archive_timeout.FORM, "archiveTimeout")


def _check_socket(case: Case) -> None:
    """An empty folder is mounted there, in PostgreSQL's container and in the sidecar, where the pod has none."""
    folder = case.get(str, "postgres", "socketDirectory")
    if folder is None or (case.old is not None and get(case.old, str, "spec", "postgres", "socketDirectory") == folder):
        return
    plain = posixpath.normpath(f"/{folder.strip('/')}")
    if plain in _NEEDED or any(plain.startswith(f"{one}/") for one in _NEEDED_WITH_ALL):
        message = "hides what containers need, as an empty volume is mounted there; use a folder of the socket's own"
        case.refuse("spec.postgres.socketDirectory", folder, message, "socketDirectory")


def _check_resources(case: Case) -> None:
    host = "the repository host and Jobs are killed, or ended by their probes"
    resources.check(case, ("resources",), resources.OURS, host)
    sidecar = "the sidecar is killed, or too slow, and PostgreSQL is only started after it"
    resources.check(case, ("sidecarResources",), resources.OURS, sidecar)
    if not case.faults:
        resources.warn_of_memory(case, case.obj)


def _check_change(case: Case, old: Object, storages: tuple[str, ...] | None) -> None:
    if get(old, dict, "spec", "encryption") != case.get(dict, "encryption"):
        message = "cannot be changed: pgBackRest cannot re-encrypt existing backups; create a new Repository"
        case.refuse("spec.encryption", None, message, "immutable")
    before = storages_of(old)
    for storage in REGISTER:
        if storages and storage.name in before and storage.name in storages:
            storage.check_change(case, old)
    _warn_of_running_pods(case, old)
    _check_kept(case, old, storages)


def _warn_of_running_pods(case: Case, old: Object) -> None:
    """A pod that runs keeps what it was injected with, and Kubernetes restarts nothing for it."""
    pods, before, after = get(old, list, "status", "pods"), _started_with(old), _started_with(case.obj)
    changed = [what for what in before if what in after and before[what] != after[what]]
    if pods and changed:
        named = " and ".join(changed)
        case.warn(f"{named}: pods that run keep what they started with until they are restarted ({len(pods)} of them)")


def _started_with(repository: Object) -> dict[str, Any]:
    """What the webhook puts into a pod as that is created, by how a user names it."""
    try:
        spec = msgspec.convert(get(repository, dict, "spec") or {}, RepositorySpec)
    except msgspec.ValidationError:
        return {}
    if not set(spec.storages) <= set(NAMES):
        return {}
    return {
        "spec.postgres": msgspec.structs.replace(spec.postgres, major_version=None),  # that is of the stanza
        "spec.sidecarResources": spec.sidecar_resources,
        "the identity at the storage": (role(spec), uses_service_account(spec) and spec.service_account_name),
    }


def _check_kept(case: Case, known: Object, storages: tuple[str, ...] | None) -> None:
    """Refuses to drop a storage that holds backups, by the status of *known*, unless the user has said that it may."""
    given_up = get(case.obj, str, "metadata", "annotations", names.ANNOTATION_GIVE_UP)
    for gone in [storage for storage in NAMES if storages and storage not in storages]:
        count = backup_sets.of(known).of_storage(gone).least
        if count:
            holds = f"{count} backups" if count > 1 else "a backup"
            if gone == given_up:
                left = BY_NAME[gone].left_behind(case.name, get(known, dict, "spec", gone))
                case.warn(f"storage {gone} is given up: it holds {holds}, which stay in {left}; nothing uses them")
                continue
            message = (
                f"cannot remove storage {gone}: it still holds {holds}; if it is lost, or no longer wanted, say so "
                f"with the annotation {names.ANNOTATION_GIVE_UP}={gone}"
            )
            case.refuse("spec.storageType", case.get(str, "storageType"), message, "narrowing")
