"""The backup set that pgBackRest begins a restore with. Pure, and the same as pgBackRest 2.60 itself chooses."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pgwarden.api.kinds import RestoreSpec
from pgwarden.api.target import TargetError, parse_lsn, parse_time
from pgwarden.pgbackrest.info import BackupSet, Info


def choose(spec: RestoreSpec, info: Info, repos: Sequence[int], cut: Collection[int] = ()) -> BackupSet | None:
    """Of the first of *repos* that has one: the set that is named, or the newest that ended before the target.

    Of a repository that is *cut* only the newest sets are known: there an older one may be the one, so it is not known.
    """
    for repo in repos:
        found = _of_repo(spec, info, repo)
        if found is not None or repo in cut:
            return found
    return None


def _of_repo(spec: RestoreSpec, info: Info, repo: int) -> BackupSet | None:
    sets = sorted((one for one in info.backups if one.repo == repo), key=lambda one: one.label)
    if spec.set and spec.set != "latest":
        sets = [one for one in sets if one.label == spec.set]
    elif spec.target and spec.target.time is not None:
        # In whole seconds, and strictly before.
        sets = [one for one in sets if _ended_before(one, spec.target.time)]
    elif spec.target and spec.target.lsn is not None:
        sets = [one for one in sets if _is_at_most(one.lsn_stop, spec.target.lsn)]
    return sets[-1] if sets else None


def _ended_before(one: BackupSet, time: str) -> bool:
    try:
        return one.stop.replace(microsecond=0) < parse_time(time).replace(microsecond=0)
    except TargetError:
        return False


def _is_at_most(lsn: str, target: str) -> bool:
    try:
        return parse_lsn(lsn) <= parse_lsn(target)
    except TargetError:
        return False
