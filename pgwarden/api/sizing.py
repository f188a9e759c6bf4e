"""Requests and limits of a container of ours, as its namespace wants them. Pure.

A ResourceQuota refuses a pod with a container that does not name what it counts; a LimitRange bounds what is named.
What a user has set is left as it is: only what is missing and asked for is added. What we set ourselves is fitted in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import Any

import msgspec

from pgwarden.api.objects import Object
from pgwarden.api.quantity import parse_quantity
from pgwarden.api.reading import get, objects

REQUESTS, LIMITS = "requests", "limits"
#: What a quota counts → what each container of the pod must name then. Kubernetes asks that of no other resource.
NAMED = {
    "cpu": "requests.cpu",
    "memory": "requests.memory",
    "requests.cpu": "requests.cpu",
    "requests.memory": "requests.memory",
    "limits.cpu": "limits.cpu",
    "limits.memory": "limits.memory",
}
#: Below this no quota shrinks what we set ourselves: the sidecar would be killed, or too slow to archive.
LEAST = {
    "requests.cpu": "10m",
    "requests.memory": "32Mi",
    "requests.ephemeral-storage": "16Mi",
    "limits.cpu": "50m",
    "limits.memory": "128Mi",
    "limits.ephemeral-storage": "256Mi",
}
_UNITS = (("Gi", 1024**3), ("Mi", 1024**2))
Amount = Fraction | None


class Range(msgspec.Struct, frozen=True, kw_only=True):
    """What LimitRanges say of one resource; empty: nothing. `usual` is the limit of a container that names none."""

    resource: str
    least: str = ""
    most: str = ""
    ratio: str = ""  # of a limit to its request, at most
    usual: str = ""


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """What is left of `limits.cpu` or its like for one container more. `by` says what bounds it."""

    word: str
    amount: str
    by: str
    least: str  # it is not shrunk below this


class Asks(msgspec.Struct, frozen=True, kw_only=True):
    """What a namespace asks of each container."""

    named: frozenset[str] = frozenset()  # of NAMED's values
    ranges: tuple[Range, ...] = ()
    together: tuple[Range, ...] = ()  # of all containers of a pod
    left: tuple[Left, ...] = ()  # for this container
    bare: bool = False  # it may name nothing: a quota is against pods that do, and the others of this one do not

    def naming(self, more: Iterable[str]) -> Asks:
        return msgspec.structs.replace(self, named=self.named | frozenset(more))

    def shared_by(self, containers: int) -> Asks:
        """For each of so many *containers* that run at once, where none of them is a user's."""
        if not self.together:
            return self
        parts = tuple(_share(one, containers) for one in self.together)
        return msgspec.structs.replace(self, ranges=_merged([*self.ranges, *parts]), together=())

    def beside(self, others: dict[str, Fraction]) -> Asks:
        """For one container more in a pod whose containers are limited to *others* together."""
        if not self.together:
            return self
        parts = [_rest(one, others.get(one.resource, Fraction(0))) for one in self.together]
        return msgspec.structs.replace(self, ranges=_merged([*self.ranges, *filter(None, parts)]), together=())


NOTHING = Asks()


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """What we give a container by ourselves: `always`, and `if_asked` (`limits.cpu` → `1`) where that must be named."""

    always: Object
    if_asked: dict[str, str]


def asks(quotas: Iterable[Object], limit_ranges: Iterable[Object]) -> Asks:
    """What these ResourceQuotas and LimitRanges of one namespace ask. Whatever shape they have, none is an error."""
    hard = [get(quota, dict, "spec", "hard") or {} for quota in quotas]
    named = {NAMED[name] for one in hard for name in one if name in NAMED}
    items = [item for one in limit_ranges for item in objects(one, "spec", "limits")]
    of = {kind: [item for item in items if item.get("type") == kind] for kind in ("Container", "Pod")}
    ranges, together = (_merged(found for item in of[kind] for found in _ranges(item)) for kind in of)
    return Asks(named=frozenset(named), ranges=ranges, together=together)


def fitted(given: Object | None, size: Size, wanted: Asks) -> Object:
    """The resources of a container. *given*: what the user has set, None where nothing is."""
    if wanted.bare and given is None:
        return {}
    start = size.always if given is None else given
    found = {bound: dict(start.get(bound) or {}) for bound in (REQUESTS, LIMITS)}
    ours = {(bound, name) for bound in found for name in found[bound]} if given is None else set()
    for word in sorted(wanted.named):
        _name(word, found, ours, size)
    for one in wanted.ranges:
        if one.ratio and one.resource in found[REQUESTS] and not one.usual:  # else Kubernetes misses a limit
            _name(f"{LIMITS}.{one.resource}", found, ours, size)
        _fit(one, found, ours)
    _shrink(wanted, found, ours)
    return {bound: values for bound, values in found.items() if values}


def same(one: Object, other: Object) -> bool:
    """Whether two containers' resources are, however written: of `1000m` the API server makes `1`."""
    return _amounts(one) == _amounts(other)


def _amounts(given: Object) -> dict[tuple[str, str], Any]:
    return {
        (bound, name): amount if (amount := parse_quantity(value)) is not None else value
        for bound in (REQUESTS, LIMITS)
        for name, value in (get(given, dict, bound) or {}).items()
    }


def _name(word: str, found: dict[str, Any], ours: set[tuple[str, str]], size: Size) -> None:
    """Add what *word* says, where it is missing. For Kubernetes a request that is not named is the limit: one of the
    user's is left alone, beside one of ours that would reserve too much.
    """
    bound, name = word.split(".", 1)
    if name in found[bound] or (bound == REQUESTS and name in found[LIMITS] and (LIMITS, name) not in ours):
        return
    value = (size.always.get(bound) or {}).get(name) or size.if_asked.get(word)
    if value is None:
        return
    request = parse_quantity(found[REQUESTS].get(name)) if bound == LIMITS else None
    larger = request is not None and request > (parse_quantity(value) or 0)
    found[bound][name] = found[REQUESTS][name] if larger else value
    ours.add((bound, name))
    if bound == LIMITS:
        _name(f"{REQUESTS}.{name}", found, ours, size)


def _fit(one: Range, found: dict[str, Any], ours: set[tuple[str, str]]) -> None:
    """Move what is *ours* into the range."""
    name, limits, requests = one.resource, found[LIMITS], found[REQUESTS]
    least, most, ratio = parse_quantity(one.least), parse_quantity(one.most), parse_quantity(one.ratio)
    limit, request = parse_quantity(limits.get(name)), parse_quantity(requests.get(name))
    if limit is not None and (LIMITS, name) in ours:
        limit = _between(limit, least, most)
        limits[name] = _text(name, limit, limits[name])
    in_force = limit if limit is not None else parse_quantity(one.usual)
    if request is not None and (REQUESTS, name) in ours:
        request = _between(request, least, _lower(most, in_force))
        if ratio and in_force is not None:
            request = max(request, in_force / ratio)
        requests[name] = _text(name, request, requests[name])
    elif request is not None and ratio and limit is not None and (LIMITS, name) in ours:
        limits[name] = _text(name, min(limit, request * ratio), limits[name], math.floor)


def _shrink(wanted: Asks, found: dict[str, Any], ours: set[tuple[str, str]]) -> None:
    """Of what is *ours* take away what is more than is left; but a LimitRange's minimum stays, and a user's request."""
    ranges = {one.resource: one for one in wanted.ranges}
    for one in wanted.left:
        bound, name = one.word.split(".", 1)
        value = parse_quantity(found[bound].get(name))
        if value is None or (bound, name) not in ours:
            continue
        request = found[REQUESTS].get(name) if (REQUESTS, name) not in ours else None
        bounds = (one.amount, one.least, ranges[name].least if name in ranges else "", request)
        most = max(amount for each in bounds if (amount := parse_quantity(each)) is not None)
        found[bound][name] = _text(name, min(value, most), found[bound][name])
        _keep_relation(name, ranges.get(name), found, ours)


def _keep_relation(name: str, one: Range | None, found: dict[str, Any], ours: set[tuple[str, str]]) -> None:
    """No request above its limit, and no limit above what its request allows."""
    limit, request = parse_quantity(found[LIMITS].get(name)), parse_quantity(found[REQUESTS].get(name))
    if limit is None or request is None:
        return
    if request > limit and (REQUESTS, name) in ours:
        found[REQUESTS][name], request = found[LIMITS][name], limit
    ratio = parse_quantity(one.ratio) if one is not None else None
    if ratio and (LIMITS, name) in ours and limit > request * ratio:
        least = parse_quantity(LEAST.get(f"{LIMITS}.{name}")) or Fraction(0)
        found[LIMITS][name] = _text(name, min(limit, max(request * ratio, least)), found[LIMITS][name], math.floor)


def _between(value: Fraction, least: Amount, most: Amount) -> Fraction:
    value = value if least is None else max(value, least)
    return value if most is None else min(value, most)


def _lower(one: Amount, other: Amount) -> Amount:
    known = [value for value in (one, other) if value is not None]
    return min(known, default=None)


def _text(name: str, value: Fraction, before: Any, rounded: Callable[[Fraction], int] = math.ceil) -> str:
    """*value* as a quantity; *before*, as it was written, where it is the same."""
    return str(before) if parse_quantity(before) == value else written(name, value, rounded)


def written(name: str, value: Fraction, rounded: Callable[[Fraction], int] = math.ceil) -> str:
    """*value* of resource *name* as a quantity, rounded to thousandths of a CPU or whole bytes."""
    if not value:
        return "0"
    if name == "cpu":
        return f"{rounded(value * 1000)}m"
    whole = rounded(value)
    suffix, unit = next(((suffix, unit) for suffix, unit in _UNITS if whole % unit == 0), ("", 1))
    return f"{whole // unit}{suffix}"


# --- LimitRanges -------------------------------------------------------------------------------------------------


def _ranges(item: Object) -> Iterator[Range]:
    bounds = {"least": "min", "most": "max", "ratio": "maxLimitRequestRatio", "usual": "default"}
    said = {ours: get(item, dict, theirs) or {} for ours, theirs in bounds.items()}
    for name in sorted({name for values in said.values() for name in values}):
        known = {ours: str(values[name]) for ours, values in said.items() if parse_quantity(values.get(name))}
        yield Range(resource=name, **known)


def _merged(ranges: Iterable[Range]) -> tuple[Range, ...]:
    """One for each resource: the narrowest of all."""
    by_name: dict[str, list[Range]] = {}
    for one in ranges:
        by_name.setdefault(one.resource, []).append(one)
    return tuple(_narrowest(name, found) for name, found in sorted(by_name.items()))


def _narrowest(name: str, found: list[Range]) -> Range:
    def pick(values: list[str], largest: bool = False) -> str:
        known = sorted((value for value in values if value), key=lambda value: parse_quantity(value) or 0)
        return known[-1 if largest else 0] if known else ""

    return Range(
        resource=name,
        least=pick([one.least for one in found], largest=True),
        most=pick([one.most for one in found]),
        ratio=pick([one.ratio for one in found]),
        usual=pick([one.usual for one in found]),
    )


def _share(one: Range, containers: int) -> Range:
    """The part of it that each of so many containers may have."""
    least, most = parse_quantity(one.least), parse_quantity(one.most)
    return Range(
        resource=one.resource,
        least="" if least is None else written(one.resource, least / containers, math.ceil),
        most="" if most is None else written(one.resource, most / containers, math.floor),
        ratio=one.ratio,
    )


def _rest(one: Range, taken: Fraction) -> Range | None:
    """What *taken* leaves of it for one more; None where that is nothing, and so beyond any help."""
    most = parse_quantity(one.most)
    if most is None or most <= taken:
        return None
    return Range(resource=one.resource, most=written(one.resource, most - taken, math.floor))
