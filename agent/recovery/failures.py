"""What a server that ended before its time means: another try in another way, another try later, or the end. Pure.

The texts are PostgreSQL's own, of 14 to 18, from xlogrecovery.c, xlog.c, twophase.c, origin.c, rmgr.c, miscinit.c,
dfmgr.c, fd.c and md.c.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from agent.recovery.orders import NOT_FOUND
from agent.recovery.server_log import ServerLog
from pgwarden.api import quantity

#: More slots for prepared transactions, or for replication origins, than any WAL has needed: no further than this.
MOST_SLOTS = 100_000
_PARAMETER = re.compile(r"(max_\w+) = (\d+) is a lower setting than on the primary server, where its value was (\d+)")
_INCREASE = re.compile(r'[Ii]ncrease "?(max_\w+)"?')
_FULL = re.compile(r"No space left on device|Disk quota exceeded")
_NOT_WRITTEN = re.compile(r"unable to write '")
#: Bytes; a volume with less is full.
LITTLE = 16 * 2**20
_HEAD = re.compile(r"^.* P\d+ +(?=\w+:)")  # time and process of a line of pgBackRest
#: A file that is not what the manifest says, or that cannot be unpacked; and one of a set that is not there.
_DAMAGED = re.compile(
    r"error restoring '.*': actual checksum '\w+' does not match expected checksum '\w+'"
    r"|(?:zst|lz4|bz2) error: \[|zlib threw error: \["
)
_GONE = re.compile(r"missing file '[^'\n]*/backup/[^/'\n]+/\d{8}-\d{6}F[^'\n]*'")
_FORKED = re.compile(r"target timeline \S+ forked from backup timeline|is not in the history of target timeline")
_KILLED = re.compile(r"\S.*process \(PID \d+\) was terminated by signal 9.*")
_SEGMENT = re.compile(r"[0-9A-F]{24}")


@dataclass(frozen=True)
class Verdict:
    """*reason* CamelCase and *message* a sentence. *final*: another try would end in the same way."""

    reason: str
    message: str
    final: bool = True
    least: Mapping[str, int] = field(default_factory=dict)  # try again with these parameters
    preload: bool = False  # try again with the libraries
    to_end: bool = False  # try again without the target


class Failed(Exception):
    """The recovery ends. *exit_code* is pgBackRest's."""

    def __init__(self, verdict: Verdict, exit_code: int = -1) -> None:
        super().__init__(verdict.message)
        self.verdict = verdict
        self.exit_code = exit_code


@dataclass(frozen=True)
class Context:
    """How the server had been started."""

    major: str = ""
    parameters: Mapping[str, int] = field(default_factory=dict)
    libraries: str = ""  # what may be preloaded
    preloaded: bool = False
    target: Mapping[str, str] = field(default_factory=dict)
    ended_at: str = ""  # the segment that the archive did not have, where that was taken for its end
    given: str = ""  # the last segment that it had


def judge(log: ServerLog, exit_code: int, context: Context) -> Verdict:
    """Of a server that has ended without a promotion that was asked for."""
    errors = "\n".join(log.errors)
    for words, handle in _TABLE:
        if found := words.search(errors):
            return handle(found, _line(errors, found), context)
    if exit_code == NOT_FOUND:
        return Verdict(
            "NoServer",
            f"{' '.join(log.lines) or 'the image has no PostgreSQL'}; the recovery runs in the workload's own image, "
            f"which needs /bin/sh and PostgreSQL {context.major}",
        )
    if exit_code > 128:
        return Verdict("ServerKilled", f"PostgreSQL was ended by signal {exit_code - 128}", final=False)
    if killed := next((found[0] for line in log.lines if (found := _KILLED.search(line))), ""):
        said = f"{killed}; where the container ran out of memory, give it more"
        return Verdict("ServerKilled", said, final=False)
    said = log.errors[-1] if log.errors else (log.lines[-1] if log.lines else "it said nothing")
    return Verdict("ServerFailed", f"PostgreSQL ended with {exit_code}: {said}", final=False)


_PAST_IT = "restore to a moment before it (spec.target), or a newer set (spec.set)"


def corrupt(segment: str, behind: str, invalid: str, *, damaged: bool) -> Verdict:
    """Replay ended in *segment* though the archive has *behind*, or *damaged*: its bytes are not those that came."""
    said = invalid or "its records do not go on"
    why = ["its bytes in the archive are not those that were archived"] if damaged else []
    why += [f"the archive goes on to {behind}"] if behind else []
    return Verdict("CorruptSegment", f"replay ends in {segment} ({said}), but {' and '.join(why)}; {_PAST_IT}")


def unreadable(segment: str, said: str, *, final: bool) -> Verdict:
    """pgBackRest cannot unpack or decrypt it; *said* are its words."""
    text = f"{segment} is damaged in the archive: it cannot be unpacked ({said}); {_PAST_IT}"
    return Verdict("CorruptSegment", text, final=final)


def no_room(segment: str, room: int, size: int, *, final: bool) -> Verdict:
    """For *segment* of *size* bytes there are *room* bytes."""
    line = f"{quantity.size(room)} left, segment {segment} has {quantity.size(size)}"
    return replace(_out_of_space(None, line, Context()), final=final)


def other_layout(major: str) -> Verdict:
    """pg_controldata does not understand the control file."""
    return _wrong_version("pg_controldata cannot read its control file", major)


def collations(log: ServerLog) -> str:
    """A sentence where the image's collations are of another version than the database's; empty where not."""
    if not any("collation version mismatch" in line for line in log.lines):
        return ""
    detail = next((line.partition("DETAIL:")[2].strip() for line in log.lines if "DETAIL:" in line), "")
    return (
        f"the image's collations differ from those of the backup ({detail}): rebuild the indexes that use them "
        f"(REINDEX DATABASE), then run ALTER DATABASE … REFRESH COLLATION VERSION in each database"
    )


def of_copy(text: str, room: int) -> Verdict | None:
    """Of pgBackRest's output; None where it is not known that another try would end in the same way.

    *room* is what the new volume has left, in bytes: of a write that was cut short pgBackRest does not say why.
    """
    known: list[tuple[re.Pattern[str], Handler]] = [(_FULL, _out_of_space), (_FORKED, _timeline)]
    known += [(_DAMAGED, _corrupt_backup), (_GONE, _corrupt_backup)]
    known += [(_NOT_WRITTEN, _out_of_space)] if room < LITTLE else []
    for words, handle in known:
        if found := words.search(text):
            return handle(found, _HEAD.sub("", _line(text, found)).strip(), Context())
    return None


def _line(text: str, found: re.Match[str]) -> str:
    begin = text.rfind("\n", 0, found.start()) + 1
    end = text.find("\n", found.end())
    return text[begin : end if end >= 0 else len(text)]


def _corrupt_backup(_found: re.Match[str] | None, line: str, _context: Context) -> Verdict:
    return Verdict("CorruptBackup", f"the backup set is damaged in the repository ({line}); use another: spec.set")


def _out_of_space(_found: re.Match[str] | None, line: str, _context: Context) -> Verdict:
    return Verdict("OutOfSpace", f"the new volume is full ({line}); restore into a larger one: spec.newVolume.size")


def _insufficient(found: re.Match[str], line: str, context: Context) -> Verdict:
    asked = {name: int(value) for name, _, value in _PARAMETER.findall(line)}
    if asked and any(context.parameters.get(name, 0) < value for name, value in asked.items()):
        return Verdict("InsufficientParameter", f"WAL asks for larger parameters: {line}", final=False, least=asked)
    return _larger(found, line, context)


def _larger(_found: re.Match[str], line: str, context: Context) -> Verdict:
    """Too few slots; WAL does not say how many there have to be."""
    name = increase[1] if (increase := _INCREASE.search(line)) else "max_prepared_transactions"
    if name.startswith("max_active_replication"):
        name = "max_replication_slots"
    have = context.parameters.get(name, 0)
    if have < MOST_SLOTS:
        least = {name: max(64, min(MOST_SLOTS, have * 8))}
        return Verdict("InsufficientParameter", f"{name} = {have} is too low: {line}", final=False, least=least)
    return Verdict("InsufficientParameter", f"{name} = {have} is not enough for the WAL: {line}")


def _library(found: re.Match[str], line: str, _context: Context) -> Verdict:
    name = next((one for one in found.groups() if one), "")
    return Verdict(
        "LibraryMissing",
        f'the image lacks the library "{name}" ({line}); use an image with it, as the one that the backup comes from',
    )


def _resource_manager(found: re.Match[str], line: str, context: Context) -> Verdict:
    if context.libraries and not context.preloaded:
        return Verdict("LibraryNeeded", f"WAL needs a library: {line}", final=False, preload=True)
    preloaded = context.libraries or "none"
    return Verdict(
        "LibraryMissing",
        f"WAL was written by an extension's resource manager {found[1]} that no preloaded library (now: {preloaded}) "
        f"has; name its library in shared_preload_libraries of the workload",
    )


def _version(_found: re.Match[str], line: str, context: Context) -> Verdict:
    return _wrong_version(line, context.major)


def _wrong_version(said: str, major: str) -> Verdict:
    return Verdict(
        "WrongVersion",
        f"the backup is PostgreSQL {major}'s, and the image has another version ({said}); use an image of PostgreSQL "
        f"{major}",
    )


def _timeline(_found: re.Match[str], line: str, _context: Context) -> Verdict:
    return Verdict(
        "WrongTimeline",
        f"{line}; choose another timeline (spec.targetTimeline) or a backup of that one (spec.set)",
    )


def _not_reached(_found: re.Match[str], line: str, context: Context) -> Verdict:
    if "recovery_target_time" in context.target:
        return Verdict("TargetAfterTheEnd", "the target lies after the last commit in the archive", False, to_end=True)
    named = {name: value for name, value in context.target.items() if not name.endswith(("_action", "_timeline"))}
    wanted = ", ".join(f"{name.removeprefix('recovery_target_')} {value}" for name, value in sorted(named.items()))
    return Verdict("TargetNotReached", f"{line}: the WAL in the archive has no {wanted}; choose another target")


def _ends_too_early(_found: re.Match[str], line: str, context: Context) -> Verdict:
    if context.given and not context.ended_at:  # it had all that was asked for
        return Verdict("CorruptSegment", f"{context.given} cannot be replayed ({line}); restore another set: spec.set")
    missing = f"{context.ended_at} is missing in the archive" if context.ended_at else "a WAL segment is missing"
    return Verdict(
        "MissingSegment", f"{missing}, which the backup needs ({line}); restore an older or a newer set: spec.set"
    )


def _corrupt(_found: re.Match[str], line: str, _context: Context) -> Verdict:
    segment = found[0] if (found := _SEGMENT.search(line)) else "a WAL segment"
    return Verdict("CorruptSegment", f"{segment} cannot be replayed ({line}); restore to a moment before it")


def _minimal(_found: re.Match[str], line: str, _context: Context) -> Verdict:
    return Verdict("WalLevelMinimal", f"{line}; restore to a moment before wal_level was minimal, or a newer set")


def _locale(_found: re.Match[str], line: str, _context: Context) -> Verdict:
    return Verdict("LocaleMissing", f"the image lacks the locale of the database ({line}); use an image with it")


def _storage(_found: re.Match[str], line: str, _context: Context) -> Verdict:
    return Verdict("StorageNotReadable", f"WAL could not be had from the archive ({line})", final=False)


Handler = Callable[[re.Match[str], str, Context], Verdict]
_TABLE: tuple[tuple[re.Pattern[str], Handler], ...] = tuple(
    (re.compile(words), handle)
    for words, handle in (
        (_FULL.pattern, _out_of_space),
        (r"insufficient parameter settings", _insufficient),
        (r"maximum number of prepared transactions reached|could not find free replication state", _larger),
        (r'could not access file "([^"]+)"|could not load library "([^"]+)"', _library),
        (r"resource manager with ID (\d+) not registered", _resource_manager),
        (r"database files are incompatible with server|incompatible with (?:this version|server)", _version),
        (r"database locale is incompatible|invalid locale|not recognized by setlocale", _locale),
        (r"requested timeline \d+ |recovery target timeline \d+ does not exist|unexpected timeline ID", _timeline),
        (r"recovery ended before configured recovery target was reached", _not_reached),
        (r"WAL ends before (?:end of online backup|consistent recovery point)", _ends_too_early),
        (r"could not locate (?:a valid|required) checkpoint record|could not find redo location", _ends_too_early),
        (r'could not restore file "([^"]+)" from archive', _storage),
        (r"wal_level=minimal", _minimal),
        (
            r"incorrect resource manager data checksum|WAL file is from different database system|has wrong size",
            _corrupt,
        ),
    )
)
