"""RestoreDrills as JUnit XML, which CI systems read: a suite each, its cases the restore and the checks. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from pgwarden.api import outside
from pgwarden.api.objects import Object
from pgwarden.api.reading import get, objects
from pgwarden.contract import last_drills

RESTORE = "pgwarden/restore"  # the case that is no check of the drill's
_TOLD = ("repository", "phase", "reason", "set", "recoveredTo", "bytes", "startTime", "completionTime")


def of(drills: Sequence[Object]) -> str:
    root = Element("testsuites", name="RestoreDrills")
    for drill in drills:
        root.append(_suite(drill))
    indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(root, encoding="unicode")}\n'


def _suite(drill: Object) -> Element:
    status = drill.get("status") or {}
    found = [_restore(drill, status), *(_check(drill, one) for one in objects(drill, "status", "checks"))]
    suite = Element("testsuite", name=_text(drill["metadata"]["name"]), tests=str(len(found)), errors="0")
    for name, tag in (("failures", "failure"), ("skipped", "skipped")):
        suite.set(name, str(sum(case.find(tag) is not None for case in found)))
    seconds = [value for value in (status.get("seconds") or {}).values() if isinstance(value, int)]
    suite.set("time", str(sum(seconds)))
    if status.get("startTime"):
        suite.set("timestamp", _text(status["startTime"]))
    told = SubElement(suite, "properties")
    for name, value in _properties(drill, status):
        SubElement(told, "property", name=name, value=_text(value))
    suite.extend(found)
    return suite


def _properties(drill: Object, status: Object) -> Iterator[tuple[str, Any]]:
    both = status | {"repository": get(drill, str, "spec", "repository")}
    yield from ((name, both[name]) for name in _TOLD if both.get(name) is not None)
    yield from ((f"seconds.{part}", value) for part, value in (status.get("seconds") or {}).items())


def _restore(drill: Object, status: Object) -> Element:
    """What is wrong beside the checks is wrong here: it was not restored, or never checked to the end."""
    case = _case(drill, RESTORE)
    seconds = last_drills.seconds_of(status)
    if seconds is not None:
        case.set("time", str(seconds))
    phase, message = status.get("phase") or "Pending", _text(status.get("message"))
    failed = any(one.get("outcome") == "Failed" for one in objects(drill, "status", "checks"))
    if phase == "Failed" and not failed:
        SubElement(case, "failure", type=_text(status.get("reason")), message=message)
    elif phase not in {"Completed", "Failed"}:
        SubElement(case, "skipped", message=f"the drill is {phase}: {message}")
    return case


def _check(drill: Object, one: Object) -> Element:
    case = _case(drill, _text(one.get("name")))
    message = _text(one.get("message"))
    if one.get("outcome") == "Failed":
        SubElement(case, "failure", type="Failed", message=message)
    elif one.get("outcome") == "Skipped":
        SubElement(case, "skipped", message=message)
    elif message:
        SubElement(case, "system-out").text = message
    return case


def _case(drill: Object, name: str) -> Element:
    return Element("testcase", classname=_text(get(drill, str, "spec", "repository")), name=name)


def _text(value: Any) -> str:
    """XML has no way to say a control character."""
    return outside.printable(str(value if value is not None else ""))
