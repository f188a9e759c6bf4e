"""Which right the author of an object needs for what it names, and the refusal where it is missing. Pure.

Who may create pods may run any image, as every account of the namespace, with any label: that is the right for all of
these. A Secret is asked for by name, as its value could be read through an object of ours.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pgwarden.api import names
from pgwarden.api.faults import Fault, brief
from pgwarden.rules.named import DEFAULT_ACCOUNT, Named, What

RULE = "requester"
_SHOWN = 5  # of the operator's images


class Right(msgspec.Struct, frozen=True):
    """A verb on a resource in a namespace, as RBAC has it. Without *name*: on all of them."""

    verb: str
    resource: str
    namespace: str
    name: str = ""
    group: str = ""

    def __str__(self) -> str:
        resource = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{self.verb} {resource}{f'/{self.name}' if self.name else ''} -n {self.namespace}"


def to_use(one: Named, namespace: str, images: Sequence[str]) -> Right | None:
    """None where everybody may: an image that the operator allows."""
    if one.what is What.SECRET:
        return Right("get", "secrets", namespace, one.name)
    if one.what is What.IMAGE and is_allowed(one.name, images):
        return None
    return Right("create", "pods", namespace)


def to_look(namespace: str, name: str) -> Right:
    """At a Repository."""
    return Right("get", "repositories", namespace, name, names.GROUP)


def is_allowed(image: str, images: Sequence[str]) -> bool:
    """Whether one of *images* is this one, has it below (`registry/folder/`), or is its repository (`registry/x`)."""
    return any(_covers(allowed, image) for allowed in images)


def _covers(allowed: str, image: str) -> bool:
    if not image.startswith(allowed) or not allowed:
        return False
    rest = image[len(allowed) :]
    if not rest:
        return not allowed.endswith("/")
    # A colon may begin the port of a registry, too: a tag and a digest have no slash.
    return allowed.endswith("/") or (rest[0] in ":@" and "/" not in rest)


def missing(one: Named, right: Right, user: str, kind: str, images: Sequence[str]) -> Fault:
    """The refusal of *user*, who names it in an object of *kind* without the *right* to."""
    who = brief(user) or "the requester"
    match one.what:
        case What.SECRET:
            why, instead = f"a {kind} may name only Secrets that its author may read", "name another Secret"
        case What.ACCOUNT:
            why, instead = f"a {kind} may run pods as a service account only for who may create pods", "omit it"
            if one.name == DEFAULT_ACCOUNT:
                instead = "set another keyType"
        case What.IMAGE:
            why, instead = f"a {kind} may choose an image only for who may create pods", f"omit it{_or_one(images)}"
        case What.LABEL | What.ANNOTATION:
            why, instead = f"a {kind} may put {one.what}s on pods only for who may create pods", "omit it"
    message = (
        f"{who} may not {right.verb} {right.resource} in namespace {right.namespace}, and {why}; {instead}, ask for "
        f"that right (kubectl auth can-i {right}), or have somebody who has it make this change"
    )
    return Fault(one.field, _shown(one), message, RULE)


def _shown(one: Named) -> str:
    """The field has a label's key already."""
    return brief(one.part) if one.what in {What.LABEL, What.ANNOTATION} else one.name


def _or_one(images: Sequence[str]) -> str:
    if not images:
        return ""
    more = f" and {len(images) - _SHOWN} more" if len(images) > _SHOWN else ""
    return f" or take one that the operator allows ({', '.join(images[:_SHOWN])}{more})"


def not_told(one: Named, user: str, reason: str) -> Fault:
    """Nobody could say whether *user* has the right."""
    who = brief(user) or "the requester"
    message = (
        f"it could not be found out whether {who} may use this {one.what}: {reason}; nothing is wrong with the object, "
        "try again"
    )
    return Fault(one.field, _shown(one), message, RULE)
