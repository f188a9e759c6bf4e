"""The condition BackedUp of a PostgresCluster: by its backups, and by what its Repository says of them. Pure."""

from __future__ import annotations

from controller.cluster import decide
from controller.cluster.facts import ClusterFacts
from controller.runtime import conditions
from pgwarden.api import records
from pgwarden.api.objects import Object
from pgwarden.api.reading import objects
from pgwarden.storages import BY_NAME

Judgement = tuple[bool | None, str, str]
#: Of one that is True by the storage that answers.
AWAY = "StorageAway"
#: PostgreSQL keeps each segment until all storages have it: so says the Repository while one of them is away.
_FAILING = "ArchiveCommandFailing"


def judge(facts: ClusterFacts) -> Judgement:
    last = facts.last_backup
    if last:
        return _broken(facts) or (True, "HasBackup", f"the last backup is {last.get('label')}")
    if decide.first_backup_failed(facts):
        ended = [one for one in facts.backups if not records.is_record(one)]
        failed = [one for one in ended if (one.get("status") or {}).get("phase") == "Failed"]
        last = max(failed, key=lambda one: str(one["status"].get("completionTime") or ""))
        due = decide.backup_due(facts)
        again = f"; another is taken at {conditions.timestamp(due)}" if due else ""
        said = last["status"].get("message", "")
        return False, "FirstBackupFailed", f"Backup {last['metadata']['name']} failed: {said}{again}"
    return False, "NoBackup", "there is no backup yet"


def _broken(facts: ClusterFacts) -> Judgement | None:
    """Why the backups that are there protect the cluster no more, by the Repository's own conditions. Unknown while
    they cannot be read, False where nothing is added to them or WAL is missing. None where no condition is False: some
    are Unknown at each change of the primary.
    """
    listed = ((facts.repository or {}).get("status") or {}).get("conditions", [])
    found = {one["type"]: one for one in listed if one["status"] == "False"}
    by_other = _by_the_other(facts, found) if "Reachable" in found else None
    if by_other is not None:
        return by_other
    one = next((found[kind] for kind in ("Ready", "Reachable", "Archiving", "WALContinuous") if kind in found), None)
    if one is None:
        return None
    return None if "Reachable" in found else False, one["reason"], f"Repository: {one['message']}"


def _by_the_other(facts: ClusterFacts, found: dict[str, Object]) -> Judgement | None:
    """While one storage is away: what the other one protects, where it has backups and WAL still goes there. None: none
    does. *found* are the Repository's conditions that are False.
    """
    entries = objects(facts.repository, "status", "storages")
    away = [one for one in entries if one.get("reachable") is False]
    there = [str(one.get("name")) for one in entries if one.get("ready") is True]
    last = facts.last_backup_in(there)
    if not away or last is None:
        return None
    on_volume = any(BY_NAME[name].on_volume for name in there if name in BY_NAME)
    kinds = (*(["Writable"] if on_volume else []), "Archiving", "WALContinuous")
    broken = [found[kind] for kind in kinds if kind in found and not _is_for_the_one_away(found[kind], there)]
    told = "; ".join(f"storage {one.get('name')}: {one.get('message') or 'it does not answer'}" for one in away)
    if broken:
        return False, broken[0]["reason"], f"Repository: {broken[0]['message']}; {told}"
    return True, AWAY, f"the last backup in storage {' and '.join(there)} is {last.get('label')}; {told}"


def _is_for_the_one_away(condition: Object, there: list[str]) -> bool:
    """Whether archive_command fails for no storage of those that are *there*."""
    named = any(f"storage {name}: " in condition["message"] for name in there)
    return bool(condition["reason"] == _FAILING) and not named
