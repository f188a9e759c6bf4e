"""Whether a Restore that has not begun was done before, by what an earlier one of its name has left. Pure."""

from __future__ import annotations

from datetime import datetime

import msgspec

from controller import returned
from controller.pods import postgres_facts
from controller.restore import planning, workload
from controller.restore.facts import RestoreFacts
from controller.runtime import conditions
from pgwarden.api import names, records
from pgwarden.api import target as forms
from pgwarden.api.objects import Object
from pgwarden.api.reading import is_going
from pgwarden.api.records import Mark
from pgwarden.pgbackrest.info import BackupSet


def mark(facts: RestoreFacts) -> Mark | None:
    """The mark of the earlier Restore that did the same; None where it is to be done.

    It is known by the backup that it ended with, where that is of this very database, or by the claim that it keeps or
    has put in place. One that was deleted before PostgreSQL had recovered has left none, or is undone
    first.
    """
    if facts.plan is not None or workload.stopped_by_vanished(facts) is not None:
        return None
    by_set, by_claim = _by_set(facts), _by_claim(facts)
    if by_set is not None and by_claim is not None:
        return msgspec.structs.replace(by_set, kept_claim=by_claim.kept_claim)
    return by_set or by_claim


def undecided(facts: RestoreFacts) -> str:
    """Why nobody can say yet whether it was done before; empty where that is known."""
    made = _ended_with(facts)
    if made is None or _is_of_this_database(facts, made) is not None:
        return ""
    return (
        f"a Restore {facts.name} of this spec ended with backup set {made.label}; whether it restored this database is "
        f"known once its PostgreSQL responds. Use another name to restore without waiting"
    )


def _ended_with(facts: RestoreFacts) -> BackupSet | None:
    info = facts.stanza
    return returned.ended_with(facts.restore, info) if info else None


def _by_set(facts: RestoreFacts) -> Mark | None:
    made = _ended_with(facts)
    if made is None or not _is_of_this_database(facts, made):
        return None
    return Mark(
        uid=made.annotations.get(names.PGBACKREST_ANNOTATION_RESTORE_UID, "")[:64] or "unknown",
        name=facts.name,
        order=made.annotations.get(names.PGBACKREST_ANNOTATION_RESTORE_ORDER, "")[:64],
        phase="Completed",
        reason="Completed",
        completion_time=conditions.timestamp(made.stop),
    )


def _is_of_this_database(facts: RestoreFacts, made: BackupSet) -> bool | None:
    """Whether *made* is of the database that is here; None where nobody knows yet.

    A namespace that was made anew over the bucket that is left may have an empty database of its own: what was restored
    is not there. With `onExistingBackups: Recover` that one gives way to the latest state of the one from before.
    """
    here = str((facts.repository or {}).get("status", {}).get("systemIdentifier") or "")
    info = facts.stanza
    if facts.repo_spec.recovers or _was_there(facts, made.stop):
        return True
    return here == info.system_id_of(made) if here and info else None


def _was_there(facts: RestoreFacts, moment: datetime) -> bool:
    """Whether a claim of this database is older than *moment*. A Restore in place makes the claim anew."""
    known = [(pod, postgres_facts(pod)) for pod in facts.labelled_pods()]
    named = {planning.claim_name(pod, found) for pod, found in known if found}
    claims = [claim for name, claim in facts.claims.items() if name in named]
    claims += facts.members.claims if facts.members else ()
    made = [str(claim["metadata"].get("creationTimestamp", "")) for claim in claims]
    return any(forms.parse_time(text) < moment for text in made if text)


def _by_claim(facts: RestoreFacts) -> Mark | None:
    kept = [(name, claim) for name, claim in sorted(facts.claims.items()) if _keeps(facts, claim)]
    restored = [("", claim) for _, claim in sorted(facts.claims.items()) if _is_restored(facts, claim)]
    for name, claim in kept + restored:
        annotations = claim["metadata"].get("annotations", {})
        if not is_going(claim) and records.was_done(facts.restore, annotations.get(names.ANNOTATION_RESTORE_ORDER, "")):
            return Mark(
                uid=annotations.get(names.ANNOTATION_RESTORE_UID, "")[:64] or "unknown",
                name=facts.name,
                order=annotations[names.ANNOTATION_RESTORE_ORDER][:64],
                phase="Completed",
                reason="Completed",
                completion_time=claim["metadata"].get("creationTimestamp", ""),
                kept_claim=name,
            )
    return None


def _is_restored(facts: RestoreFacts, claim: Object) -> bool:
    """Whether *claim* is the user's, made anew by a Restore of this name."""
    metadata = claim["metadata"]
    by = metadata.get("annotations", {}).get(names.LABEL_RESTORE)
    return bool(by == facts.name and names.LABEL_KEPT_BY not in metadata.get("labels", {}))


def _keeps(facts: RestoreFacts, claim: Object) -> bool:
    labels = claim["metadata"].get("labels", {})
    return bool(labels.get(names.LABEL_KEPT_BY) == facts.name)
