"""The timeline that a Restore follows: one that the archive has, and that leads on from a backup."""

from __future__ import annotations

from pgwarden.api.faults import Waits
from pgwarden.api.judging import Case
from pgwarden.api.objects import Object
from pgwarden.api.reading import get, objects
from pgwarden.api.target import timeline_number, timeline_of_segment
from pgwarden.rules.backup_sets import BackupSets


def check(case: Case, sets: BackupSets, label: str, repository: Object | None) -> None:
    """*sets* are those that the Restore may begin from: any of them, or the one of that *label*."""
    text = case.get(str, "targetTimeline")
    wanted = timeline_number(text) if text else None
    if text is None or wanted is None:
        return
    if wanted == 0:
        case.refuse("spec.targetTimeline", text, "is not a timeline; timelines start at 1", "timeline")
        return
    name = get(repository, str, "metadata", "name")
    first, newest = sets.first_timeline(label), _newest(sets, repository)
    if newest and wanted > newest:
        message = f"Repository {name} has no WAL on this timeline; the newest is {newest} (latest)"
        case.refuse("spec.targetTimeline", text, message, "timeline", Waits.NO_SUCH_TIMELINE)
    elif first is not None and wanted < first:
        which = f"backup {label} is" if label else "all usable backups are"
        message = f"{which} on a later timeline ({first} or higher), and recovery cannot go back"
        case.refuse("spec.targetTimeline", text, message, "timeline", Waits.NO_SUCH_TIMELINE)


def _newest(sets: BackupSets, repository: Object | None) -> int:
    """The newest timeline that has WAL in the storages of *sets*; 0 where one of them may have newer than is known."""
    entries = {get(one, str, "name"): one for one in objects(repository, "status", "storages")}
    chosen = [entries.get(one.name, {}) for one in sets.held]
    if not sets.known or any(get(one, bool, "reachable") is False for one in chosen):
        return 0
    segments = [get(repository, str, "status", "archive", "max"), *(get(one, str, "lastWal") for one in chosen)]
    ends = [timeline_of_segment(one.get("walStop")) for one in sets.newest_first]
    return max(filter(None, [*ends, *map(timeline_of_segment, segments)]), default=0)
