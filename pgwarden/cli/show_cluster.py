"""show cluster: a table of clusters; of a single one also its instances and conditions. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pgwarden.api.objects import Object
from pgwarden.api.reading import get, objects
from pgwarden.cli import output, recovery_view
from pgwarden.cli.output import clock, moment
from pgwarden.cli.short_messages import described

_HEADS = (
    "CLUSTER",
    "PHASE",
    "PRIMARY",
    "READY",
    "AUTOFAIL",
    "LAST BACKUP",
    "RECOVERABLE FROM",
    "RECOVERABLE TO",
)


def lines(found: list[Object], now: datetime, *, whole: bool) -> list[str]:
    if not found:
        return []
    rows = [_row(obj) for obj in found]
    messages = [
        f"  {obj['metadata']['name']}: {described(obj, obj['status']['message'])}"
        for obj in found
        if get(obj, str, "status", "message") and get(obj, str, "status", "phase") != "Ready"
    ]
    blocks = [block for obj in found if whole for block in (_details(obj), recovery_view.lines(obj, now))]
    details = [line for block in blocks if block for line in ("", *block)]
    return [*output.table(_HEADS, rows), *messages, *details]


def _row(obj: Object) -> tuple[Any, ...]:
    status = obj.get("status") or {}
    window = status.get("recoveryWindow") or {}
    return (
        obj["metadata"]["name"],
        status.get("phase") or "Pending",
        status.get("primary"),
        status.get("ready"),
        status.get("autofail"),
        get(obj, str, "status", "lastBackup", "label"),
        clock(moment(window.get("earliest"))),
        clock(moment(window.get("latest"))),
    )


def _details(obj: Object) -> list[str]:
    instances = [
        (
            one.get("name"),
            one.get("role"),
            "yes" if one.get("ready") else "no",
            one.get("state"),
            one.get("timeline"),
            one.get("pod"),
        )
        for one in objects(obj, "status", "instances")
    ]
    heads = ("INSTANCE", "ROLE", "READY", "STATE", "TIMELINE", "POD")
    told = [
        f"  {one.get('name')}: {described(obj, one['message'])}"
        for one in objects(obj, "status", "instances")
        if one.get("message")
    ]
    told += [
        f"  {one.get('type')} {one.get('status')}: {described(obj, one.get('message'))}"
        for one in objects(obj, "status", "conditions")
    ]
    return [*(output.table(heads, instances) if instances else []), *told]
