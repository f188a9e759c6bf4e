"""Progress of a Backup or Restore until it is over. The work is the cluster's: to stop looking changes nothing."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp

from pgwarden.api import names, records
from pgwarden.api.registry import BY_PLURAL
from pgwarden.cli import output
from pgwarden.cli.errors import OK, UNABLE, WRONG
from pgwarden.cli.session import Session
from pgwarden.cli.terminal import Terminal
from pgwarden.kube import errors, paths

Object = dict[str, Any]
POLL = 1.0  # seconds between two looks
STEPS = ("Validated", "Fenced", "VolumeReady", "Restored", "Stopped", "Swapped", "Started", "Recovered", "BackedUp")
#: Phases that end the waiting, and whether well. A cluster that is Failed may be mended by a change of its spec.
_ENDS = {"Completed": True, "Failed": False}
_CLUSTER_ENDS = {"Ready": True, "Failed": False}
_PERCENT = re.compile(r"(\d{1,3}(?:\.\d+)?)%")
_LOG_LINE = re.compile(r"P\d\d\s+(?:INFO|DETAIL|WARN|ERROR): (.*)")
_LOG_LINES = "40"


@dataclass(frozen=True)
class Log:
    """What the end of pgBackRest's log tells: its own percentage, and what it said last."""

    percent: str = ""
    last: str = ""


@dataclass
class _Shown:
    """What was said already, where lines cannot be written over."""

    text: str = ""
    tens: int = -1
    started: float = field(default_factory=time.monotonic)


async def until_over(
    session: Session, terminal: Terminal, plural: str, obj: Object, seconds: int, *, made: bool = False
) -> int:
    """0 where it is Completed, 1 where it is Failed or gone, 2 where *seconds* (0: no end) end the looking.

    One that was *made* just now and is the record of an earlier one was not done: 1.
    """
    try:
        async with asyncio.timeout(seconds or None):
            ended = await _follow(session, terminal, plural, obj)
            return WRONG if made and records.is_record(obj) else ended
    except TimeoutError:
        _leave(terminal, plural, obj, f"still {_phase(obj)} after {seconds} s")
        return UNABLE
    except asyncio.CancelledError:
        _leave(terminal, plural, obj, "it goes on in the cluster")
        raise


def again(word: str, obj: Object, following: str = " --wait") -> str:
    """The command that looks at *obj* once more."""
    namespace = obj["metadata"].get("namespace", "")
    where = f" -n {namespace}" if namespace else ""
    return f"look again: kubectl pgwarden show {word} {obj['metadata']['name']}{where}{following}"


def _leave(terminal: Terminal, plural: str, obj: Object, why: str) -> None:
    if terminal.live:
        terminal.overwrite("")
    terminal.note(f"{obj['kind']} {obj['metadata']['name']}: {why}; {again(BY_PLURAL[plural].word, obj)}")


async def _follow(session: Session, terminal: Terminal, plural: str, obj: Object) -> int:
    shown = _Shown()
    while True:
        try:
            found = await session.find(plural, obj["metadata"]["name"])
            if found is None or found["metadata"].get("uid") != obj["metadata"].get("uid"):
                _end(terminal)
                terminal.note(f"{obj['kind']} {obj['metadata']['name']} has been deleted")
                return WRONG
            obj |= found
            if _phase(obj) in ends(obj) and _is_current(obj):
                return _over(terminal, obj)
            log = await read_log(session, plural, obj)
        except (errors.ApiError, aiohttp.ClientError, OSError) as error:
            _show(terminal, shown, f"the API server does not answer, trying again: {error}", Log())
        else:
            _show(terminal, shown, line(obj, log, datetime.now(UTC)), log)
        await asyncio.sleep(POLL)


def line(obj: Object, log: Log, now: datetime) -> str:
    """`Running  1 min 5 s  step Restored (4 of 9)  37.20 %  Job hippo-restore-1 runs`."""
    status = obj.get("status") or {}
    began = output.moment(status.get("startTime") or obj["metadata"].get("creationTimestamp"))
    parts = [_phase(obj), output.span(now - began) if began else ""]
    step = status.get("step")
    if step:
        parts.append(f"step {step} ({STEPS.index(step) + 1} of {len(STEPS)})" if step in STEPS else f"step {step}")
    parts.append(f"{log.percent} %" if log.percent else "")
    said = str(status.get("message") or status.get("reason") or "")
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
    said = status.get("message") or status.get("reason") or ""
    terminal.say(f"{obj['kind']} {obj['metadata']['name']} {_phase(obj)}{took}: {said}")
    return OK if ends(obj)[_phase(obj)] else WRONG


def _is_current(obj: Object) -> bool:
    """A cluster's status may still speak of the spec of before."""
    generation = obj["metadata"].get("generation")
    return obj["kind"] != "PostgresCluster" or (obj.get("status") or {}).get("observedGeneration") in {None, generation}


def ends(obj: Object) -> dict[str, bool]:
    """The phases at which *obj* need not be waited for any more, and whether each is a good one."""
    return _CLUSTER_ENDS if obj["kind"] == "PostgresCluster" else _ENDS


def _phase(obj: Object) -> str:
    status = obj.get("status") or {}
    return str(status.get("phase") or "Pending")


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


def read(text: str) -> Log:
    """pgBackRest names a percentage with each file where --log-level-console is detail."""
    said = [found[1].strip() for found in map(_LOG_LINE.search, text.splitlines()) if found]
    percent = next((found[-1] for found in map(_PERCENT.findall, reversed(said)) if found), "")
    return Log(percent, said[-1] if said else "")
