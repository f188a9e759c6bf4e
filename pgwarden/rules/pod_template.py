"""What must be true of a podTemplate: else Kubernetes would refuse the repository host and Jobs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from pgwarden.api.faults import brief
from pgwarden.api.judging import Case
from pgwarden.api.objects import Object
from pgwarden.api.reading import get, objects
from pgwarden.rules import taken_keys

_KEY = re.compile(r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_NUMBER = re.compile(r"-?[0-9]{1,18}")
_WITHOUT_VALUES = ("Exists", "DoesNotExist")


def check(case: Case, path: Sequence[str]) -> None:
    """The podTemplate at *path* of the spec."""
    field, given = f"spec.{'.'.join(path)}", case.get(dict, *path)
    if given is None:
        return
    for where, value, message in _problems(given):
        shown = brief(value) if isinstance(value, str) else None
        case.refuse(f"{field}.{where}", shown, message, "podTemplate")


Problem = tuple[str, Any, str]


def _problems(template: Object) -> Iterator[Problem]:
    for kind in ("labels", "annotations"):
        for name in get(template, dict, "metadata", kind) or {}:
            yield from _own_key(f"metadata.{kind}", name)
    for name in get(template, dict, "spec", "nodeSelector") or {}:
        yield from _key("spec.nodeSelector", name)
    for number, one in enumerate(objects(template, "spec", "tolerations")):
        yield from _toleration(f"spec.tolerations[{number}]", one)
    affinity = get(template, dict, "spec", "affinity") or {}
    yield from _node_affinity("spec.affinity.nodeAffinity", get(affinity, dict, "nodeAffinity") or {})
    for kind in ("podAffinity", "podAntiAffinity"):
        for where, term in _pod_terms(f"spec.affinity.{kind}", get(affinity, dict, kind) or {}):
            yield from _pod_term(where, term)
    for number, one in enumerate(objects(template, "spec", "topologySpreadConstraints")):
        yield from _spread(f"spec.topologySpreadConstraints[{number}]", one)


def _own_key(field: str, name: Any) -> Iterator[Problem]:
    found = list(_key(field, name))
    if not found and taken_keys.is_taken(str(name)):
        found = [(f"{field}.{name}", None, "is set by pgwarden or by Kubernetes; remove it")]
    yield from found


def _key(field: str, name: Any) -> Iterator[Problem]:
    if not isinstance(name, str) or not _KEY.fullmatch(name):
        message = "is not a name of a label, such as example.com/name: letters, digits, -, _ and ., 63 at most"
        yield f"{field}.{str(name)[:80]}", None, message


def _toleration(field: str, one: Object) -> Iterator[Problem]:
    key, operator, value = one.get("key") or "", one.get("operator") or "Equal", one.get("value") or ""
    if operator == "Exists" and value:
        yield f"{field}.value", value, "has no meaning with operator Exists, which tolerates any value; remove one"
    if operator == "Equal" and not key:
        yield f"{field}.key", None, "is required with operator Equal; to tolerate every taint, set operator to Exists"
    if one.get("tolerationSeconds") is not None and one.get("effect") != "NoExecute":
        yield f"{field}.tolerationSeconds", None, "needs effect NoExecute: other taints evict nobody"


def _node_affinity(field: str, affinity: Object) -> Iterator[Problem]:
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    terms = objects(affinity, required, "nodeSelectorTerms")
    if required in affinity and not terms:
        yield f"{field}.{required}.nodeSelectorTerms", None, "must have a term; without any no node fits"
    for number, term in enumerate(terms):
        yield from _node_term(f"{field}.{required}.nodeSelectorTerms[{number}]", term)
    preferred = "preferredDuringSchedulingIgnoredDuringExecution"
    for number, one in enumerate(objects(affinity, preferred)):
        yield from _node_term(f"{field}.{preferred}[{number}].preference", get(one, dict, "preference") or {})


def _node_term(field: str, term: Object) -> Iterator[Problem]:
    for number, one in enumerate(objects(term, "matchExpressions")):
        yield from _expression(f"{field}.matchExpressions[{number}]", one)
    for number, one in enumerate(objects(term, "matchFields")):
        if len(get(one, list, "values") or []) != 1:
            yield f"{field}.matchFields[{number}].values", None, "must be the name of one node"


def _expression(field: str, one: Object) -> Iterator[Problem]:
    operator, values = get(one, str, "operator"), get(one, list, "values") or []
    if not one.get("key"):
        yield f"{field}.key", None, "must not be empty"
    if operator in _WITHOUT_VALUES and values:
        yield f"{field}.values", None, f"must be empty with operator {operator}"
    elif operator in {"In", "NotIn"} and not values:
        yield f"{field}.values", None, f"must not be empty with operator {operator}"
    elif operator in {"Gt", "Lt"} and not (len(values) == 1 and _NUMBER.fullmatch(str(values[0]))):
        yield f"{field}.values", None, f"must be one whole number with operator {operator}"


def _pod_terms(field: str, affinity: Object) -> Iterator[tuple[str, Object]]:
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    for number, one in enumerate(objects(affinity, required)):
        yield f"{field}.{required}[{number}]", one
    preferred = "preferredDuringSchedulingIgnoredDuringExecution"
    for number, one in enumerate(objects(affinity, preferred)):
        yield f"{field}.{preferred}[{number}].podAffinityTerm", get(one, dict, "podAffinityTerm") or {}


def _pod_term(field: str, term: Object) -> Iterator[Problem]:
    for selector in ("labelSelector", "namespaceSelector"):
        yield from _selector(f"{field}.{selector}", get(term, dict, selector) or {})


def _selector(field: str, selector: Object) -> Iterator[Problem]:
    for name in get(selector, dict, "matchLabels") or {}:
        yield from _key(f"{field}.matchLabels", name)
    for number, one in enumerate(objects(selector, "matchExpressions")):
        yield from _expression(f"{field}.matchExpressions[{number}]", one)


def _spread(field: str, one: Object) -> Iterator[Problem]:
    yield from _selector(f"{field}.labelSelector", get(one, dict, "labelSelector") or {})
    if one.get("minDomains") is not None and one.get("whenUnsatisfiable") != "DoNotSchedule":
        yield f"{field}.minDomains", None, "needs whenUnsatisfiable DoNotSchedule"
