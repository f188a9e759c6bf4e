"""Whether the server that is to recover can read the backup set: both must be of one major version. Pure.

After a major upgrade (stanza-upgrade) a stanza has sets of several.
"""

from __future__ import annotations

from controller.recovery import target
from controller.recovery.hindrance import Hindrance, never
from pgwarden.api import target as forms
from pgwarden.api.kinds import DataSource, RepositorySpec, RestoreSpec
from pgwarden.api.postgres_majors import major_of
from pgwarden.pgbackrest.info import BackupSet, Info


def chosen(spec: RestoreSpec, repository: RepositorySpec, info: Info | None) -> BackupSet | None:
    """The set that pgBackRest will restore, as far as that can be told: the newest one that ends before the target."""
    repo, moment = target.repo_number(spec, repository), target.wanted_time(spec)
    sets = [one for one in info.backups if repo in {None, one.repo}] if info else []
    if spec.set and spec.set != "latest":
        return next((one for one in sets if one.label == spec.set), None)
    if moment is not None:
        sets = [one for one in sets if one.stop < moment] or sets
    lsn = spec.target.lsn if spec.target else None
    if lsn:
        sets = [one for one in sets if one.lsn_stop and forms.parse_lsn(one.lsn_stop) <= forms.parse_lsn(lsn)] or sets
    return max(sets, key=lambda one: (-one.repo, one.stop), default=None)


def major(info: Info | None, found: BackupSet | None) -> int | None:
    return major_of(info.version_of(found)) if info is not None and found is not None else None


def other(
    spec: RestoreSpec, repository: RepositorySpec, info: Info | None, server: str | None, who: str
) -> Hindrance | None:
    """Why *who*, which runs PostgreSQL *server* (its version, None where that is not known), cannot recover the set."""
    found = chosen(spec, repository, info)
    of_set, of_server = major(info, found), major_of(server)
    if found is None or of_set is None or of_server is None or of_set == of_server:
        return None
    text = f"backup set {found.label} is of PostgreSQL {of_set}, and {who} runs PostgreSQL {of_server}, which cannot "
    text += f"read it. Restore it into a claim of its own (spec.volumeClaim), with spec.image of PostgreSQL {of_set}"
    newest = _newest(info, of_server)
    later = f"; or choose a set of PostgreSQL {of_server}, such as {newest}" if newest else ""
    back = f"; or set the image of {who} back to PostgreSQL {of_set} first"
    return never("SetOfOtherVersion", text + later + back)


def of_source(wanted: DataSource, repository: RepositorySpec, info: Info | None, version: int | None) -> str:
    """Why a cluster of PostgreSQL *version* cannot be cloned from the set; empty where it can, as far as is known."""
    found = chosen(wanted.as_restore(), repository, info)
    of_set = major(info, found)
    if found is None or of_set is None or version is None or of_set == version:
        return ""
    return f"backup set {found.label} is of PostgreSQL {of_set}, and spec.postgresVersion is {version}"


def _newest(info: Info | None, wanted: int) -> str:
    sets = [one for one in info.backups if major(info, one) == wanted] if info else []
    return sets[-1].label if sets else ""
