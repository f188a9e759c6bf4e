"""What ResourceQuotas, and the pod's own resources, leave for a sidecar beside the pod's containers. Pure.

What a quota has used lags behind. Another pod may have been let in since: then Kubernetes refuses this one, and what
makes it tries again. Or a pod that has just gone is still counted: the webhook waits for that, for a moment.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import msgspec

from pgwarden.api.objects import Object
from pgwarden.api.quantity import parse_quantity
from pgwarden.api.reading import get, objects
from pgwarden.api.sizing import LEAST, LIMITS, NAMED, REQUESTS, Asks, Left, written
from pgwarden.injection.pods import OWN_CONTAINERS, Container, InitContainer, Pod, Resources

#: What a quota counts → what of a container it is.
_COUNTED = NAMED | {
    "ephemeral-storage": "requests.ephemeral-storage",
    "requests.ephemeral-storage": "requests.ephemeral-storage",
    "limits.ephemeral-storage": "limits.ephemeral-storage",
}
QUOTA = "ResourceQuota"
_NAMING = "NotBestEffort"  # the scope of pods that name some CPU or memory
_OF_PODS = ("cpu", "memory")  # that a pod can name as a whole
_COARSE = 1024**2  # bytes: so that answers for pods that are alike are alike
_NONE = Resources()
#: By resource.
Amounts = dict[str, Fraction]


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """One of a quota's: the pods that it counts."""

    name: str
    operator: str = "Exists"
    values: tuple[str, ...] = ()


class Quota(msgspec.Struct, frozen=True, kw_only=True):
    """What of it is free, in the words of `LEAST`."""

    name: str
    free: tuple[tuple[str, Fraction], ...]
    scopes: tuple[Scope, ...] = ()


def outline(quota: Object) -> Object:
    """No more of a ResourceQuota than `read` looks at: of one that counts nothing of a container, only its name."""
    metadata = {key: quota["metadata"].get(key, "") for key in ("namespace", "name", "resourceVersion")}
    said = {part: _counted(get(quota, dict, "status", part) or {}) for part in ("hard", "used")}
    spec = get(quota, dict, "spec") or {}
    scopes = {key: spec[key] for key in ("scopes", "scopeSelector") if key in spec}
    return {"metadata": metadata} | ({"status": said} if said["hard"] else {}) | ({"spec": scopes} if scopes else {})


def read(quota: Object) -> Quota | None:
    """None where it counts nothing of a container, and no pod for naming something.

    Kubernetes holds pods against what its status says.
    """
    hard, used = (_counted(get(quota, dict, "status", part) or {}) for part in ("hard", "used"))
    free: Amounts = {}
    for key, written_amount in hard.items():
        most = parse_quantity(written_amount)
        if most is not None:
            rest = most - (parse_quantity(used.get(key)) or 0)
            free[_COUNTED[key]] = min(rest, free.get(_COUNTED[key], rest))
    scopes = _scopes(quota)
    if not free and all(one.name != _NAMING for one in scopes):
        return None
    return Quota(name=str(quota["metadata"]["name"]), free=tuple(sorted(free.items())), scopes=scopes)


def within(wanted: Asks, pod: Pod, quotas: Iterable[Quota], most: Amounts) -> Asks:
    """What is asked of a sidecar of *pod* that takes *most* by itself, by resource: `cpu` or its like."""
    counting = [one for one in quotas if _counts(one, pod)]
    if not counting and pod.spec.resources is None:
        return wanted
    if any(scope.name == _NAMING for one in counting for scope in one.scopes) and _names_nothing(pod):
        return msgspec.structs.replace(wanted, bare=True)
    found = left(pod, counting, most)
    return msgspec.structs.replace(wanted, left=found) if found else wanted


def left(pod: Pod, counting: Iterable[Quota], most: Amounts) -> tuple[Left, ...]:
    """What is less than *most*, by the quotas that count the pod and by the pod itself."""
    whole = pod.spec.resources
    own = {bound: together(pod, bound) for bound in (REQUESTS, LIMITS)}
    found = [] if whole is None else _of_pod(whole, own[REQUESTS])
    for quota in counting:
        for word, free in quota.free:
            bound, name = word.split(".", 1)
            # A pod that names it as a whole uses no more of it with a sidecar.
            if whole is None or not _is_named(whole, name):
                rest = free - own[bound].get(name, Fraction(0))
                found.append(_left(word, rest, f"{QUOTA} {quota.name}", LEAST[word]))
    return tuple(one for one in found if _is_less(one, most))


def together(pod: Pod, bound: str) -> Amounts:
    """What Kubernetes takes for the pod's requests or limits, without what is ours: what runs at once, or what runs
    before if that is more.
    """
    total: Amounts = {}
    for one in pod.spec.containers:
        _add(total, _amounts(one, bound))
    staying: Amounts = {}
    peak: Amounts = {}
    for init in pod.spec.init_containers or ():
        if init.name in OWN_CONTAINERS:
            continue
        here = dict(staying)
        _add(here, _amounts(init, bound))
        peak = {name: max(peak.get(name, value), value) for name, value in (peak | here).items()}
        if init.restart_policy == "Always":
            staying = here
    _add(total, staying)
    total = {name: max(total.get(name, Fraction(0)), peak.get(name, Fraction(0))) for name in {*total, *peak}}
    overhead = _read(pod.spec.overhead)
    _add(total, {name: value for name, value in overhead.items() if bound == REQUESTS or name in total})
    return total


def _of_pod(whole: Resources, requests: Amounts) -> list[Left]:
    """Kubernetes refuses a pod whose containers request more than it does, or of which one is limited to more."""
    by = "the pod's own spec.resources"
    asked, limits = _read(whole.requests), _read(whole.limits)
    found = [
        _left(f"{REQUESTS}.{name}", asked[name] - requests.get(name, Fraction(0)), by, "0")
        for name in _OF_PODS
        if name in asked
    ]
    return found + [_left(f"{LIMITS}.{name}", limits[name], by, "0") for name in _OF_PODS if name in limits]


def _names_nothing(pod: Pod) -> bool:
    everybody = [pod.spec.resources, *(one.resources for one in pod.spec.containers)]
    everybody += [one.resources for one in pod.spec.init_containers or () if one.name not in OWN_CONTAINERS]
    amounts = [_read(bound) for one in everybody if one is not None for bound in (one.requests, one.limits)]
    return not any(one.get(name) for one in amounts for name in _OF_PODS)


def _is_named(whole: Resources, name: str) -> bool:
    return name in _OF_PODS and (name in (whole.requests or {}) or name in (whole.limits or {}))


def _left(word: str, rest: Fraction, by: str, least: str) -> Left:
    name = word.split(".", 1)[1]
    rest = max(rest, Fraction(0))
    if name != "cpu" and rest >= _COARSE:
        rest -= rest % _COARSE
    return Left(word=word, amount=written(name, rest, math.floor), by=by, least=least)


def _is_less(one: Left, most: Amounts) -> bool:
    usual = most.get(one.word.split(".", 1)[1])
    return usual is not None and (parse_quantity(one.amount) or 0) < usual


def _amounts(one: Container | InitContainer, bound: str) -> Amounts:
    """For Kubernetes a request that is not named is the limit."""
    given = one.resources or _NONE
    return _read(given.limits if bound == LIMITS else {**(given.limits or {}), **(given.requests or {})})


def _read(given: dict[str, Any] | None) -> Amounts:
    return {name: value for name, found in (given or {}).items() if (value := parse_quantity(found)) is not None}


def _add(total: Amounts, more: Amounts) -> None:
    for name, value in more.items():
        total[name] = total.get(name, Fraction(0)) + value


# --- quotas ------------------------------------------------------------------------------------------------------


def _counted(amounts: Object) -> Object:
    return {key: value for key, value in amounts.items() if key in _COUNTED}


def _scopes(quota: Object) -> tuple[Scope, ...]:
    plain = [Scope(name=name) for name in get(quota, list, "spec", "scopes") or [] if isinstance(name, str)]
    selected = [
        Scope(
            name=get(one, str, "scopeName") or "",
            operator=get(one, str, "operator") or "",
            values=tuple(value for value in get(one, list, "values") or [] if isinstance(value, str)),
        )
        for one in objects(quota, "spec", "scopeSelector", "matchExpressions")
    ]
    return (*plain, *selected)


def _counts(quota: Quota, pod: Pod) -> bool:
    return all(_matches(one, pod) for one in quota.scopes)


def _matches(scope: Scope, pod: Pod) -> bool:
    """With a sidecar, which requests something, no pod is BestEffort. What is not known here bounds nothing."""
    if scope.name == _NAMING:
        return True
    if scope.name in {"Terminating", "NotTerminating"}:
        return (pod.spec.active_deadline_seconds is not None) == (scope.name == "Terminating")
    if scope.name != "PriorityClass":
        return False
    named = pod.spec.priority_class_name
    return {
        "Exists": bool(named),
        "DoesNotExist": not named,
        "In": named in scope.values,
        "NotIn": named not in scope.values,
    }.get(scope.operator, False)
