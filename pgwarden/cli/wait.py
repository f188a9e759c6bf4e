"""Progress of an operation until it is over. The cluster does the work: to stop watching changes nothing."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import aiohttp

from pgwarden.api import names, records
from pgwarden.api.objects import Object
from pgwarden.api.reading import condition, found_condition
from pgwarden.api.registry import BY_PLURAL
from pgwarden.cli import output, recovery_view
from pgwarden.cli.errors import OK, UNABLE, WRONG
from pgwarden.cli.session import Session
from pgwarden.cli.terminal import Terminal
from pgwarden.kube import errors, paths

POLL = 1.0  # seconds between two looks
STEPS = (
    *("Validated", "Fenced", "VolumeReady", "Restored", "Replayed"),
    *("Stopped", "Recovered", "Swapped", "Started", "BackedUp"),
)
#: While one of these is current, the recovery itself tells how far it is.
_RECOVERING = ("Restored", "Replayed", "Recovered")
#: Phases that end the wait, and whether well. A change of its spec may mend a cluster that is Failed.
_ENDS = {"Completed": True, "Failed": False}
#: A Repository is Ready only once a labelled pod runs; before that its storage can be reached, or cannot.
_REACHABLE = "Reachable"
_STANDING = {
    "PostgresCluster": {"Ready": True, "Failed": False},
    "Repository": {_REACHABLE: True, "Failed": False},
}
_PERCENT = re.compile(r"(\d{1,3}(?:\.\d+)?)%")
_COPIES = re.compile(r" copies: (\d{1,3}) %")
_LOG_LINE = re.compile(r"P\d\d\s+(?:INFO|DETAIL|WARN|ERROR): (.*)")
_LOG_LINES = "40"


@dataclass(frozen=True)
class Log:
    """The end of pgBackRest's log: its own percentage, and its last message."""

    percent: str = ""
    last: str = ""


@dataclass
class _Shown:
    """What was shown, where lines cannot be overwritten."""

    text: str = ""
    tens: int = -1
    started: float = field(default_factory=time.monotonic)


async def until_over(
    session: Session, terminal: Terminal, plural: str, obj: Object, seconds: int, *, made: bool = False
) -> int:
    """0 where it is Completed, 1 where it is Failed or deleted, 2 after *seconds* (0: no limit).

    One that was *made* just now and is the record of an earlier one was not done: 1.
    """
    try:
        async with asyncio.timeout(seconds or None):
            ended = await _follow(session, terminal, plural, obj)
            return WRONG if made and records.is_record(obj) else ended
    except TimeoutError:
        _leave(terminal, plural, obj, f"is still {_phase(obj)} after {seconds} s")
        return UNABLE
    except asyncio.CancelledError:
        _leave(terminal, plural, obj, "continues in the cluster")
        raise


def again(word: str, obj: Object, following: str = " --wait") -> str:
    """The command that watches *obj*, or without *following* shows it."""
    namespace = obj["metadata"].get("namespace", "")
    where = f" -n {namespace}" if namespace else ""
    name, verb = obj["metadata"]["name"], "watch" if following else "see"
    return f"{verb} it with: kubectl pgwarden show {word} {name}{where}{following}"


def _leave(terminal: Terminal, plural: str, obj: Object, why: str) -> None:
    if terminal.live:
        terminal.overwrite("")
    following = "" if plural == "repositories" else " --wait"
    how = again(BY_PLURAL[plural].word, obj, following)
    terminal.note(f"{obj['kind']} {obj['metadata']['name']} {why}; {how}")


async def _follow(session: Session, terminal: Terminal, plural: str, obj: Object) -> int:
    shown = _Shown()
    while True:
        try:
            found = await session.find(plural, obj["metadata"]["name"])
            if found is None or found["metadata"].get("uid") != obj["metadata"].get("uid"):
                _end(terminal)
                terminal.note(f"{obj['kind']} {obj['metadata']['name']} was deleted")
                return WRONG
            obj |= found
            if _phase(obj) in ends(obj) and _is_current(obj):
                return _over(terminal, obj)
            log = with_status(await read_log(session, plural, obj), obj)
        except (errors.ApiError, aiohttp.ClientError, OSError) as error:
            _show(terminal, shown, f"cannot reach the API server, retrying: {error}", Log())
        else:
            _show(terminal, shown, line(obj, log, datetime.now(UTC)), log)
        await asyncio.sleep(POLL)


def line(obj: Object, log: Log, now: datetime) -> str:
    """`Running  1 min 5 s  step Restored (4 of 10)  37.20 %  Job hippo-restore-1 runs`."""
    status = obj.get("status") or {}
    began = output.moment(status.get("startTime") or obj["metadata"].get("creationTimestamp"))
    parts = [_phase(obj), output.span(now - began) if began else ""]
    step = status.get("step")
    if step:
        parts.append(f"step {step} ({STEPS.index(step) + 1} of {len(STEPS)})" if step in STEPS else f"step {step}")
    found = recovery_view.of(obj) if recovery_view.is_under_way(obj) else {}
    percent = log.percent or recovery_view.percent(found)
    parts.append(f"{percent} %" if percent else "")
    if found and (step in _RECOVERING or obj["kind"] == "PostgresCluster"):
        parts.append(recovery_view.short(found, now))
        return "  ".join(part for part in parts if part)
    said = _said(obj)
    running = status.get("reason") in {"JobRuns", "JobStarting"} or step == "Restored"
    parts.append(log.last if running and log.last else said)
    return "  ".join(part for part in parts if part)


def _show(terminal: Terminal, shown: _Shown, text: str, log: Log) -> None:
    if terminal.live:
        terminal.overwrite(text)
        return
    # In a log file every line stays: one for each change, and for each tenth.
    elapsed = re.compile(r"  \d+ (?:d|h|min|s)(?: \d+ (?:h|min|s))?(?=  |$)")
    bare = elapsed.sub("", text, count=1).replace(f"{log.percent} %", "").replace(log.last, "")
    tens = int(float(log.percent or 0) // 10)
    if bare != shown.text or tens > shown.tens:
        shown.text, shown.tens = bare, tens
        terminal.note(text)


def _end(terminal: Terminal) -> None:
    if terminal.live:
        terminal.overwrite("")


def _over(terminal: Terminal, obj: Object) -> int:
    _end(terminal)
    status = obj.get("status") or {}
    began, ended = output.moment(status.get("startTime")), output.moment(status.get("completionTime"))
    took = f" after {output.span(ended - began)}" if began and ended and not records.is_record(obj) else ""
    terminal.say(f"{obj['kind']} {obj['metadata']['name']} {_phase(obj)}{took}: {_said(obj)}")
    return OK if ends(obj)[_phase(obj)] else WRONG


def _is_current(obj: Object) -> bool:
    """A standing object's status may still speak of its previous spec."""
    generation = obj["metadata"].get("generation")
    return obj["kind"] not in _STANDING or (obj.get("status") or {}).get("observedGeneration") in {None, generation}


def ends(obj: Object) -> dict[str, bool]:
    """The phases at which *obj* need not be waited for any more, and whether each is a good one."""
    return _STANDING.get(obj["kind"], _ENDS)


def _phase(obj: Object) -> str:
    if obj["kind"] == "Repository" and condition(obj, _REACHABLE) == "True":
        return _REACHABLE
    status = obj.get("status") or {}
    return str(status.get("phase") or "Pending")


def _said(obj: Object) -> str:
    status = obj.get("status") or {}
    if obj["kind"] == "Repository":
        found = found_condition(obj, _REACHABLE)
        return str(found.get("message")) if found else ""
    return str(status.get("message") or status.get("reason") or "")


async def read_log(session: Session, plural: str, obj: Object) -> Log:
    """The end of the log of the Job's newest pod; nothing where there is none, or no right to read it."""
    of = BY_PLURAL[plural]
    if not of.label:
        return Log()
    name = names.short(obj["metadata"]["name"], 63)
    selector = {"labelSelector": f"{of.label}={name},{names.LABEL_COMPONENT}={of.word}"}
    try:
        pods = (await session.client.get(paths.of("pods", session.namespace), selector))["items"]
        if not pods:
            return Log()
        newest = max(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")))
        path = paths.of("pods", session.namespace, newest["metadata"]["name"], "log")
        text = await session.client.get(path, {"tailLines": _LOG_LINES, "container": "pgbackrest"}, 5.0)
    except (errors.NotFound, errors.Invalid):
        return Log()
    return read(str(text))


def with_status(log: Log, obj: Object) -> Log:
    """Of a backup the status says how far it is, where its log does not."""
    found = _COPIES.search(_said(obj)) if obj["kind"] == "Backup" and not log.percent else None
    return replace(log, percent=found[1]) if found else log


def read(text: str) -> Log:
    """pgBackRest names a percentage with each file where --log-level-console is detail."""
    said = [found[1].strip() for found in map(_LOG_LINE.search, text.splitlines()) if found]
    percent = next((found[-1] for found in map(_PERCENT.findall, reversed(said)) if found), "")
    return Log(percent, said[-1] if said else "")
