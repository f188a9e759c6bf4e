"""How much the sidecar may have, in the company of the containers that are there already.

A quota lets a pod in only where each of its containers names what the quota counts. So these containers tell what ours
must name, and no cache has to know the quota. What LimitRanges allow, and what quotas have left, no container shows:
they are read (`Asks`).
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from typing import Any

import msgspec

from pgwarden.api.objects import Object
from pgwarden.api.quantity import parse_quantity
from pgwarden.api.sizing import LEAST, LIMITS, NAMED, REQUESTS, Asks, Left, Size, fitted
from pgwarden.injection.pods import OWN_CONTAINERS, Container, InitContainer, Pod, Resources
from pgwarden.injection.room import Amounts, together

REQUESTED: Object = {"cpu": "20m", "memory": "64Mi"}
#: Where a limit must be named: enough for a backup's compression, and never more than PostgreSQL itself has.
_CPU = "1"
#: Of the pod's disk, where that is limited: our emptyDirs count too, with WAL that is fetched ahead.
_DISK = {"limits.ephemeral-storage": "512Mi", "requests.ephemeral-storage": "64Mi"}
_NONE = Resources()


class Company(msgspec.Struct, frozen=True, kw_only=True):
    """What the pod's own containers say of their resources."""

    named: tuple[str, ...]  # what each of them names, such as limits.cpu
    cpu: str  # the limit of PostgreSQL's; empty: none
    limits: tuple[tuple[str, str], ...]  # of all that run at once, by resource
    disk: bool  # whether the pod's disk is limited


def company(pod: Pod, index: int) -> Company:
    """*index* is that of PostgreSQL's container."""
    inits = [one for one in pod.spec.init_containers or () if one.name not in OWN_CONTAINERS]
    containers: list[Container | InitContainer] = [*pod.spec.containers, *inits]
    everybody = [one.resources or _NONE for one in containers]
    summed = together(pod, LIMITS)
    return Company(
        named=tuple(sorted(word for word in set(NAMED.values()) if all(_names(one, word) for one in everybody))),
        cpu=_quantity((everybody[index].limits or {}).get("cpu")),
        limits=tuple((name, str(value)) for name, value in sorted(summed.items())),
        disk="ephemeral-storage" in summed,
    )


def sidecar(given: Object | None, memory: str, beside: Company, wanted: Asks) -> Object:
    """Its resources. *given*: spec.sidecarResources; *memory*: its limit where that is not given."""
    named = {*beside.named, *(["limits.ephemeral-storage"] if beside.disk else [])}
    size = Size(always={REQUESTS: REQUESTED, LIMITS: {"memory": memory}}, if_asked={"limits.cpu": _cpu(beside)} | _DISK)
    others = {name: Fraction(value) for name, value in beside.limits}
    return fitted(given, size, wanted.naming(named).beside(others))


@lru_cache(64)
def most(memory: str) -> Amounts:
    """What a sidecar takes by itself at most, where its memory is limited to *memory*."""
    amounts = {"cpu": _CPU, "memory": memory, "ephemeral-storage": _DISK["limits.ephemeral-storage"]}
    return {name: value for name, written in amounts.items() if (value := parse_quantity(written)) is not None}


class Shrunk(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the usual sizes. Empty texts: nothing."""

    less: str = ""  # what is less than usual
    lacking: str = ""  # where even the least is more than there is left


def shrunk(usual: Object, found: Object, left: tuple[Left, ...]) -> Shrunk:
    """*usual* and *found*: the sidecar's resources without and with what is *left*."""
    by = {one.word: one.by for one in sorted(left, key=_amount, reverse=True)}  # the narrowest of each
    less = [
        f"{word} {value} instead of {before}" + (f" ({by[word]})" if word in by else "")
        for word, value, before in _changed(usual, found)
    ]
    lacking = [
        f"{one.by} leaves {one.amount} of {one.word} beside this pod's containers, and the sidecar needs {value}"
        for one in left
        if (value := _value(found, one.word)) and (parse_quantity(value) or 0) > _amount(one)
    ]
    return Shrunk(less=", ".join(less), lacking="; ".join(lacking))


def _amount(one: Left) -> Fraction:
    return parse_quantity(one.amount) or Fraction(0)


def _changed(usual: Object, found: Object) -> Iterator[tuple[str, str, str]]:
    for word in LEAST:
        value, before = _value(found, word), _value(usual, word)
        if parse_quantity(value) != parse_quantity(before):
            yield word, value, before


def _value(given: Object, word: str) -> str:
    bound, name = word.split(".", 1)
    return str((given.get(bound) or {}).get(name) or "")


def _cpu(beside: Company) -> str:
    own = parse_quantity(beside.cpu)
    return beside.cpu if own and own < (parse_quantity(_CPU) or 0) else _CPU


def _names(one: Resources, word: str) -> bool:
    bound, name = word.split(".", 1)
    return name in (one.limits or {}) or (bound == REQUESTS and name in (one.requests or {}))


def _quantity(value: Any) -> str:
    return str(value) if parse_quantity(value) is not None else ""
