"""What must be true of a Repository over what another pgBackRest has laid: its stanza, and who may write there."""

from __future__ import annotations

from pgwarden.api import names
from pgwarden.api.faults import Waits
from pgwarden.api.judging import Case
from pgwarden.api.kinds import READ_ONLY, READ_WRITE
from pgwarden.api.objects import Object
from pgwarden.api.reading import get
from pgwarden.storages import BY_NAME, names_of


def check(case: Case) -> None:
    """Of a Repository."""
    mode = _mode(case.obj)
    new = next((name for name in names_of(case.obj) if name in BY_NAME and BY_NAME[name].on_volume), None)
    if mode == READ_ONLY and new is not None:
        message = f"ReadOnly is for a bucket: the volume of storage {new} is new and empty; name no such storage"
        case.refuse("spec.accessMode", mode, message, "accessMode")
    if case.old is None:
        return
    if _stanza(case.old) != _stanza(case.obj):
        message = "cannot be changed: the backups are of the stanza that is named; create a new Repository"
        case.refuse("spec.stanza", _stanza(case.obj), message, "immutable")
    before = _mode(case.old)
    if before == READ_WRITE and mode == READ_ONLY:
        message = (
            "cannot be set on a Repository that is written to: its pods would not start again; suspend its "
            "BackupSchedules, or create another Repository"
        )
        case.refuse("spec.accessMode", mode, message, "accessMode")
    if before == READ_ONLY and mode == READ_WRITE:
        _warn_of_takeover(case)


def check_use(case: Case, repository: Object) -> None:
    """Of a Backup or BackupSchedule, which write."""
    if is_read_only(repository):
        name = get(repository, str, "metadata", "name") or ""
        message = f"Repository {name} is read-only; set its spec.accessMode to ReadWrite first"
        case.refuse("spec.repository", name, message, "accessMode", Waits.REPOSITORY_READ_ONLY)


def is_read_only(repository: Object) -> bool:
    return _mode(repository) == READ_ONLY


def _warn_of_takeover(case: Case) -> None:
    kept = case.get(int, "retention", "full")
    fate = "it keeps all backups"
    if kept is not None:
        unit = "days of" if case.get(str, "retention", "fullType") == "time" else "full"
        fate = f"after its first backup it keeps {kept} {unit} backups, and removes older ones"
    said = f"pgwarden writes to stanza {_stanza(case.obj)} from now on: {fate}"
    case.warn(f"{said}. Stop whatever else archives or backs up there")


def _mode(repository: Object) -> str:
    return get(repository, str, "spec", "accessMode") or READ_WRITE


def _stanza(repository: Object) -> str:
    return names.stanza(get(repository, str, "metadata", "name") or "", get(repository, str, "spec", "stanza") or "")
