"""The timeline that a Restore follows: one that the archive has, and that leads on from a backup."""

from __future__ import annotations

from pgwarden.api.faults import Waits
from pgwarden.api.rules.common import Case, Object, get
from pgwarden.api.target import timeline_number, timeline_of_segment


def check(case: Case, sets: list[Object], repository: Object | None) -> None:
    """*sets* are the backups that the Restore may begin from."""
    text = case.get(str, "targetTimeline")
    wanted = timeline_number(text) if text else None
    if text is None or wanted is None:
        return
    if wanted == 0:
        case.refuse("spec.targetTimeline", text, "is no timeline: they are counted from 1", "timeline")
        return
    name = get(repository, str, "metadata", "name")
    begun = [timeline for entry in sets if (timeline := timeline_of_segment(entry.get("walStop")))]
    newest = max([*begun, timeline_of_segment(get(repository, str, "status", "archive", "max")) or 0])
    if newest and wanted > newest:
        message = f"Repository {name} has no WAL of this timeline; the newest is {newest}, and latest always means that"
        case.refuse("spec.targetTimeline", text, message, "timeline", Waits.NO_SUCH_TIMELINE)
    elif begun and wanted < min(begun):
        which = f"backup {case.get(str, 'set')} is" if _is_set(case) else "all backups that could be restored are"
        message = f"{which} on a later timeline ({min(begun)} or higher), and no recovery leads back"
        case.refuse("spec.targetTimeline", text, message, "timeline", Waits.NO_SUCH_TIMELINE)


def _is_set(case: Case) -> bool:
    return case.get(str, "set") not in {None, "", "latest"}
