"""What must be true of requests and limits: Kubernetes says it only when a pod is made, and then nothing starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pgwarden.api import outside
from pgwarden.api.faults import brief
from pgwarden.api.judging import Case
from pgwarden.api.kinds import RepositorySpec
from pgwarden.api.near import near
from pgwarden.api.objects import Object
from pgwarden.api.quantity import parse_quantity, size
from pgwarden.api.reading import get
from pgwarden.pgbackrest import memory

_KNOWN = ("cpu", "memory", "ephemeral-storage")
#: Of each container that runs our programs: with less, Python is killed, or slower than its probes wait.
OURS: Mapping[str, str] = {"memory": "64Mi", "cpu": "50m"}
#: Of an instance: PostgreSQL's shared memory, and Patroni.
INSTANCE: Mapping[str, str] = {"memory": "192Mi", "cpu": "50m"}


def check(case: Case, path: Sequence[str], least: Mapping[str, str], needs: str) -> None:
    """The resources at *path* of the spec. *least*: limits without which *needs*."""
    field, given = f"spec.{'.'.join(path)}", case.get(dict, *path) or {}
    limits, requests = (get(given, dict, bound) or {} for bound in ("limits", "requests"))
    for bound, values in (("limits", limits), ("requests", requests)):
        for name, value in values.items():
            problem = _name_problem(name) or _value_problem(value)
            if problem:
                case.refuse(f"{field}.{bound}.{name[:80]}", _shown(value), problem, "resources")
    for name, value in requests.items():
        limit = parse_quantity(limits.get(name))
        if limit is not None and (parse_quantity(value) or 0) > limit:
            message = f"is more than the limit of {limits[name]}; lower it, or raise the limit"
            case.refuse(f"{field}.requests.{name}", value, message, "resources")
    for name, enough in least.items():
        amount = parse_quantity(limits.get(name))
        if amount is not None and 0 <= amount < (parse_quantity(enough) or 0):
            message = f"is too little: {needs}; use at least {enough}"
            case.refuse(f"{field}.limits.{name}", limits[name], message, "resources")


def _name_problem(name: Any) -> str:
    if name in _KNOWN or "/" in str(name) or str(name).startswith("hugepages-"):
        return ""
    meant = near(str(name).lower(), _KNOWN)
    hint = f"did you mean {meant[0]}?" if meant else f"use {', '.join(_KNOWN)}, or an extended one (example.com/name)"
    return f"is not a resource of a container; {hint}"


def _value_problem(value: Any) -> str:
    amount = parse_quantity(value)
    if amount is None:
        return "must be a quantity such as 500m or 1Gi"
    return "must not be negative" if amount < 0 else ""


def _shown(value: Any) -> Any:
    return brief(value) if isinstance(value, str) else value


def warn_of_memory(case: Case, repository: Object | None, options: Sequence[Any] = ()) -> None:
    """Whether a backup of *repository* with a Backup's own *options* fits into the sidecars' memory."""
    try:
        spec = msgspec.convert((repository or {}).get("spec"), RepositorySpec)
    except outside.UNREADABLE:  # told as a fault
        return
    limits = get(spec.sidecar_resources, dict, "limits") or {}
    given = limits.get("memory") if spec.sidecar_resources is not None else memory.sidecar_memory(spec)
    has, needs = parse_quantity(given), memory.needed(spec, options)
    if has is None or has >= needs:
        return
    whose = "" if repository is case.obj else "the Repository's "
    case.warn(
        f"a backup with this process-max and compress-level needs about {size(needs)} in the sidecar beside "
        f"PostgreSQL, which is limited to {given} and may be killed (OOMKilled); raise {whose}"
        "spec.sidecarResources.limits.memory, or lower them"
    )
