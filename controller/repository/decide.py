"""Judgements over the facts: one small function per condition, each a ConditionVerdict. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from controller import claim_growth
from controller.repository import gaps, lost, major_upgrade, room, segment, storages, takeover, tools, volume
from controller.repository.facts import RepositoryFacts
from controller.repository.major_upgrade import MajorChange
from pgwarden.api import names
from pgwarden.api.kinds import READ_ONLY
from pgwarden.api.objects import Object
from pgwarden.api.reading import get, is_going
from pgwarden.api.reasons import HELD, NO_PRIMARY, NOT_STARTING, REFUSED, TOO_OLD
from pgwarden.api.wording import span
from pgwarden.contract.status import told_age
from pgwarden.pgbackrest import info as pgbackrest_info
from pgwarden.pgbackrest.trouble import Trouble
from pgwarden.storages import explain, on_volume

#: Seconds between looks at a Repository that is well. With what `info` waits for a dead storage
#: (commands.PROBE_SECONDS) an outage is in the condition within half a minute.
STEADY = 15.0
UNSETTLED = 3.0  # while it is not, at first
#: What has been out of order for long is looked at after this part of that time: 15 s from five minutes on.
PATIENCE = 1 / 20
#: A quota or a policy is in the way of an object that the Repository consists of.
KUBERNETES_REFUSES = "KubernetesRefuses"
#: Reasons that are told by a warning whatever the condition's status.
ALARMS = frozenset({"ClaimTerminating", "VolumeLost", KUBERNETES_REFUSES}) | HELD
#: Reasons of conditions that are False for no worse cause than that a Repository is being set up.
BEGINNING = frozenset(
    {"HostNotReady", NO_PRIMARY, "StanzaPending", "NoWALYet", takeover.RECOVERING, major_upgrade.PENDING}
)


@dataclass(frozen=True)
class ConditionVerdict:
    """`status` None is Unknown. `reason` is for programs, `message` for people."""

    status: bool | None
    reason: str
    message: str


def reachable(facts: RepositoryFacts) -> ConditionVerdict:
    """Whether the repository host answers and can read every storage."""
    if facts.secret_error:
        return ConditionVerdict(False, "SecretMissing", facts.secret_error)
    if facts.in_the_way:
        return ConditionVerdict(False, "NotOurs", facts.in_the_way)
    if facts.not_applied and not facts.host_ready:
        return ConditionVerdict(False, KUBERNETES_REFUSES, facts.not_applied)
    kept = tools.why_kept(facts.versions) if facts.host_held == NOT_STARTING else ""
    if not facts.host_ready and facts.away is not None:
        where = f"storage {on_volume(facts.spec)}"
        return ConditionVerdict(False, facts.away.reason, f"{where}: {facts.away.sentence}{kept}")
    if not facts.host_ready:
        message = facts.host_message or "the repository host's pod is not ready yet"
        return ConditionVerdict(False, facts.host_held or "HostNotReady", message + kept)
    if facts.info_error:
        return ConditionVerdict(False, explain(facts.info_error).reason, storages.why(facts, facts.info_error))
    half = lost.half(facts)
    told = [
        (storage.name, half if half and storage.name == on_volume(facts.spec) else storage.trouble)
        for storage in storages.look(facts)
        if storage.trouble
    ]
    if told:
        fine = [name for name in facts.spec.storages if name not in dict(told)]
        parts = [f"storage {name}: {trouble.sentence}" for name, trouble in told]
        return ConditionVerdict(
            False, told[0][1].reason, "; ".join([*parts, *(f"storage {name} responds" for name in fine)])
        )
    reads = f"the repository host reads {' and '.join(facts.spec.storages)}"
    age = told_age(facts.info_age)
    if age is not None:
        reads = f"{reads}, slowly: what is said of backups and WAL is more than {span(timedelta(seconds=age))} old"
    if is_going(facts.claim):
        host = f"of Deployment {names.host(facts.key[1])}"
        going = volume.terminating(names.repo_claim(facts.key[1]), [host])
        return ConditionVerdict(True, "ClaimTerminating", f"{reads}, but {going}")
    if get(facts.claim, str, "status", "phase") == "Lost":
        lost_one = f"the volume of claim {names.repo_claim(facts.key[1])} no longer exists in Kubernetes"
        return ConditionVerdict(True, "VolumeLost", f"{reads}, but {lost_one}: a pod that ends cannot start again")
    if facts.not_applied:
        return ConditionVerdict(True, KUBERNETES_REFUSES, f"{reads}, but: {facts.not_applied}")
    return ConditionVerdict(True, "HostAnswers", reads)


def stanza_missing(facts: RepositoryFacts) -> bool:
    """No stanza, or not in every storage."""
    missing = {pgbackrest_info.MISSING_PATH, pgbackrest_info.MISSING_DATA}
    if facts.info is None:
        return True
    return facts.info.code in missing or any(repo.code in missing for repo in facts.info.repos)


def stanza(facts: RepositoryFacts) -> ConditionVerdict:
    if not facts.host_ready or facts.info_error:
        return ConditionVerdict(None, "HostNotReady", "unknown while the repository host is unreachable")
    mismatch = foreign_cluster(facts)
    if mismatch is not None:
        return mismatch
    half = lost.half(facts)
    if half is not None:
        return ConditionVerdict(False, half.reason, _half(facts, half))
    gone = " and ".join(storage.name for storage in storages.unreadable(facts))
    if gone:
        return ConditionVerdict(None, "StorageNotReadable", f"unknown while storage {gone} cannot be read")
    if facts.info is not None and not stanza_missing(facts):
        return ConditionVerdict(True, "StanzaCreated", f"stanza {facts.info.stanza} exists in every storage")
    if facts.spec.is_read_only:
        message = (
            f"storage {' and '.join(facts.spec.storages)} holds no stanza {facts.stanza}, and none is created, as "
            "spec.accessMode is ReadOnly; correct the path, or name its stanza in a new Repository's spec.stanza"
        )
        return ConditionVerdict(False, "StanzaMissing", message)
    full = lost.unwritable(facts)
    if full is not None:  # stanza-create is not tried: it would leave half a file
        return ConditionVerdict(False, full.reason, f"{full.sentence}. The stanza is created after that")
    if facts.stanza_error:
        return ConditionVerdict(False, "StanzaCreateFailed", storages.why(facts, facts.stanza_error))
    if facts.primary is None:
        return ConditionVerdict(
            False, _no_primary(facts), "the stanza is created once a PostgreSQL primary responds; " + _pods(facts)
        )
    return ConditionVerdict(False, "StanzaPending", "the stanza is being created")


def _half(facts: RepositoryFacts, half: Trouble) -> str:
    """What is waited for until it can be set aside."""
    why = facts.stanza_error
    if not why and facts.operation:
        why = f"{facts.operation} is running"
    if not why and facts.primary is None:
        why = "no primary responds; " + _pods(facts)
    room = lost.unwritable(facts)
    if not why and room is not None:
        why = room.sentence
    if not why and not lost.wants_set_aside(facts):
        why = "the primary is another cluster than the stanza was of"
    told = (
        f"storage {on_volume(facts.spec)}: {half.sentence}. What is left is set aside and the stanza is created again"
    )
    return f"{told} once nothing is in the way: {why}" if why else told


def foreign_cluster(facts: RepositoryFacts) -> ConditionVerdict | None:
    """Another PostgreSQL cluster than the one the repository belongs to: nothing of its may be mixed in."""
    change = major_upgrade.found(facts)
    if change is not None:
        return _other_major(facts, change)
    said = takeover.judge(facts)
    return ConditionVerdict(False, said.reason, said.message) if said else None


def _other_major(facts: RepositoryFacts, change: MajorChange) -> ConditionVerdict:
    if facts.stanza_error and major_upgrade.is_accepted(facts, change):
        return ConditionVerdict(False, major_upgrade.FAILED, storages.why(facts, facts.stanza_error))
    reason = major_upgrade.PENDING if major_upgrade.is_accepted(facts, change) else major_upgrade.REASON
    return ConditionVerdict(False, reason, major_upgrade.message(facts, change))


def archiving(facts: RepositoryFacts) -> ConditionVerdict:
    """True only when a segment was seen in every storage and the archiver is not failing now."""
    if facts.spec.is_read_only:
        return ConditionVerdict(False, READ_ONLY, "nothing is archived: spec.accessMode is ReadOnly")
    primary = facts.primary
    if primary is None:
        return ConditionVerdict(None, _no_primary(facts), _pods(facts))
    if primary.postgres.archive_mode not in {"on", "always"}:
        if primary.postgres.pending_restart:
            return ConditionVerdict(
                False,
                "RestartOwed",
                f"archive_mode is set; restart PostgreSQL in pod {primary.name} to start archiving",
            )
        return ConditionVerdict(False, "ArchiveModeOff", f"archive_mode is off in pod {primary.name}")
    command = primary.postgres.archive_command or "(empty)"
    if "pgwarden" not in command:
        return ConditionVerdict(
            False, "OtherArchiveCommand", f"archive_command in pod {primary.name} is not pgwarden's: {command}"
        )
    foreign = foreign_cluster(facts)
    if foreign is not None:  # the WAL that is there is another's
        return ConditionVerdict(False, foreign.reason, f"nothing of pod {primary.name} is archived: {foreign.message}")
    failing = _failing(facts)
    if failing:
        return ConditionVerdict(False, "ArchiveCommandFailing", failing)
    if facts.info is None:
        return ConditionVerdict(None, "RepositoryUnknown", "the contents of the repository are not known yet")
    gone = " and ".join(storage.name for storage in storages.unreadable(facts))
    if gone:
        return ConditionVerdict(None, "StorageNotReadable", f"unknown while storage {gone} cannot be read")
    newest: list[str] = []
    for number, storage in enumerate(facts.spec.storages, 1):
        archive = facts.info.archive(number)
        if archive is None or not archive.max:
            return ConditionVerdict(False, "NoWALYet", segment.message(facts, storage, no_stanza(facts)))
        newest.append(archive.max)
    return ConditionVerdict(True, "WALArchived", f"WAL up to {min(newest)} is in {' and '.join(facts.spec.storages)}")


def writable(facts: RepositoryFacts) -> ConditionVerdict | None:
    """Whether the local storage's volume takes what is written to it; None where no storage is on one."""
    if not on_volume(facts.spec):
        return None
    trouble = lost.unwritable(facts)
    if trouble is not None:
        return ConditionVerdict(False, trouble.reason, trouble.sentence)
    if facts.volume is None or not facts.volume.mounted:
        return ConditionVerdict(None, "HostNotReady", "unknown while the repository host is unreachable")
    return ConditionVerdict(True, "VolumeWritable", f"the volume of storage {on_volume(facts.spec)} can be written to")


def sized(facts: RepositoryFacts) -> ConditionVerdict | None:
    """Whether the local storage's claim is as large as the spec says; None where there is none."""
    if not on_volume(facts.spec) or facts.claim is None:
        return None
    if facts.growth is not None:
        return ConditionVerdict(False, facts.growth.reason, facts.growth.message)
    name = names.repo_claim(facts.key[1])
    return ConditionVerdict(True, claim_growth.AS_SPECIFIED, f"claim {name} has the size that the spec asks for")


def has_room(facts: RepositoryFacts) -> ConditionVerdict:
    """Whether the volumes of storage, data and WAL have room."""
    return ConditionVerdict(*room.verdict(facts))


def same_version(facts: RepositoryFacts) -> ConditionVerdict | None:
    """Whether host and pods have this release's pgBackRest; None where that is not known."""
    found = tools.verdict(facts.versions, on_volume=bool(on_volume(facts.spec)))
    return ConditionVerdict(*found) if found else None


def continuous(facts: RepositoryFacts) -> ConditionVerdict:
    """Whether recovery can go through all WAL since the newest backup of each storage."""
    return ConditionVerdict(*gaps.verdict(facts))


def ready(facts: RepositoryFacts) -> ConditionVerdict:
    """All that a backup needs: host, storage, stanza, room. Names the first thing that is missing."""
    for verdict in (reachable(facts), stanza(facts)):
        if verdict.status is not True:
            return ConditionVerdict(False, verdict.reason, verdict.message)
    if facts.spec.is_read_only:
        message = "what is there can be restored; spec.accessMode is ReadOnly, so neither WAL nor backups are added"
        return ConditionVerdict(False, READ_ONLY, message)
    written = writable(facts)
    if written is not None and written.status is False:
        return written
    return ConditionVerdict(True, "Ready", "the repository takes WAL and backups")


def phase(facts: RepositoryFacts) -> str:
    if ready(facts).reason == READ_ONLY:
        return READ_ONLY
    if ready(facts).status is not True:
        foreign = foreign_cluster(facts)
        if foreign:
            return "Pending" if foreign.reason in takeover.WAITING else "Failed"
        return "Degraded" if _has_taken_wal(facts) else "Pending"
    return (
        "Degraded"
        if archiving(facts).status is False
        or gaps.unmended(facts)
        or any(p.problem for p in facts.pods)
        or facts.refused_workloads
        or facts.not_applied
        or facts.refused
        or is_going(facts.claim)
        else "Ready"
    )


def why(facts: RepositoryFacts) -> tuple[str, str]:
    """The phase as a word and a sentence: the first thing that keeps it from being Ready."""
    for verdict in (foreign_cluster(facts), ready(facts), archiving(facts), continuous(facts)):
        if verdict is not None and verdict.status is False:
            return verdict.reason, verdict.message
    if facts.refused_workloads:
        return REFUSED, _refusals(facts)
    told = next(((pod.name, pod.problem) for pod in facts.pods if pod.problem), None)
    if told is not None:
        return "PodNotProtected", f"pod {told[0]}: {told[1]}"
    if facts.not_applied:
        return KUBERNETES_REFUSES, facts.not_applied
    if facts.refused:
        return "NoLongerValid", facts.refused
    if is_going(facts.claim):
        return "ClaimGoing", "the claim of the local storage is being deleted"
    verdict = ready(facts)
    return verdict.reason, verdict.message


def settled(facts: RepositoryFacts) -> bool:
    """Nothing is being waited for. Without a primary that answers something is, unless no pod is to be protected."""
    return phase(facts) in {"Ready", READ_ONLY} and (facts.primary is not None or not facts.pods)


def pause(facts: RepositoryFacts, conditions: list[Object]) -> float:
    """Seconds until the next look. Storage and PostgreSQL send no events; all else wakes the controller by a watch."""
    if settled(facts):
        return STEADY
    turned = max(datetime.fromisoformat(one["lastTransitionTime"]) for one in conditions)
    return min(STEADY, max(UNSETTLED, (facts.now - turned).total_seconds() * PATIENCE))


def no_stanza(facts: RepositoryFacts) -> str:
    """Why the stanza is not in every storage; empty where it is."""
    found = stanza(facts)
    return "" if found.status is True else found.message


def _failing(facts: RepositoryFacts) -> str:
    primary = facts.primary
    if primary is None:
        return ""
    archiver = primary.archiver
    failed, archived = archiver.last_failed_time or "", archiver.last_archived_time or ""
    if not failed or failed <= archived or (not archived and failed <= _stanza_made(facts)):
        return ""
    queued = primary.unarchived
    said = primary.answer.archive_error if primary.answer else None
    because = f": {storages.why(facts, said, of_pods=True)}" if said else ""
    return (
        f"archive_command fails for {archiver.last_failed_wal}, last at {failed}{because}; "
        f"{queued} segment{' waits' if queued == 1 else 's wait'} in pg_wal of pod {primary.name}, and PostgreSQL "
        "retries within a minute"
    )


def _has_taken_wal(facts: RepositoryFacts) -> bool:
    """It has worked before, so that what is there is safe and something needs a hand."""
    return bool(((facts.repository.get("status") or {}).get("archive") or {}).get("max"))


def _stanza_made(facts: RepositoryFacts) -> str:
    """When, as far as the status knows; what failed before that has failed for want of a stanza."""
    listed = (facts.repository.get("status") or {}).get("conditions", [])
    made = next((one for one in listed if one["type"] == "StanzaCreated" and one["status"] == "True"), None)
    return str(made["lastTransitionTime"]) if made else f"{facts.now:%Y-%m-%dT%H:%M:%SZ}"


def _no_primary(facts: RepositoryFacts) -> str:
    """The reason for it."""
    if facts.refused_workloads:
        return REFUSED
    if any(pod.postgres.too_old for pod in facts.pods):
        return TOO_OLD
    return next((pod.stuck.reason for pod in facts.pods if pod.stuck is not None), NO_PRIMARY)


def _refusals(facts: RepositoryFacts) -> str:
    return "; ".join(map(str, facts.refused_workloads))


def _pods(facts: RepositoryFacts) -> str:
    if facts.refused_workloads:
        return _refusals(facts)
    if not facts.pods:
        name = facts.repository["metadata"]["name"]
        return f"no pod carries the label pgwarden.io/repository: {name}"
    said = "; ".join(f"{pod.name}: {pod.problem or pod.role}" for pod in facts.pods)
    return f"no pod is a responding primary ({said})"
