"""Whether a pod looks like one of PostgreSQL, and by what. Pure, and only a guess: no pod is asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from pgwarden.api.objects import Object
from pgwarden.api.reading import get, objects
from pgwarden.discovery import marks


class Likeness(msgspec.Struct, frozen=True, kw_only=True):
    """How a pod shows that PostgreSQL runs in it."""

    by: tuple[str, ...]  # label, image, port, folder: the strongest first
    container: str = ""  # the one that shows it; empty where a label of the pod alone does
    image: str = ""
    operator: str = ""  # who makes the pod; empty: nobody that is known


def likeness(pod: Object) -> Likeness | None:
    """None where *pod*, or a pod of that template, does not look like PostgreSQL.

    A pod that ends by itself (of a Job, or with restartPolicy Never or OnFailure) serves nobody, whatever its image.
    """
    if get(pod, str, "spec", "restartPolicy") in {"Never", "OnFailure"}:
        return None
    operator = operator_of(get(pod, dict, "metadata", "labels") or {})
    found = [(tuple(_signs(container)), container) for container in objects(pod, "spec", "containers")]
    signs, container = max(found, key=lambda one: _weight(one[0]), default=((), {}))
    if not operator and not signs:
        return None
    return Likeness(
        by=(*(("label",) if operator else ()), *signs),
        container=_text(container.get("name")) if signs else "",
        image=_text(container.get("image")) if signs else "",
        operator=operator,
    )


def operator_of(labels: dict[str, Any]) -> str:
    """Who runs a PostgreSQL whose pod has these *labels*; empty where no operator that is known does."""
    for operator in marks.OPERATORS:
        if all(key in labels and (not value or labels[key] == value) for key, value in operator.labels.items()):
            return operator.name
    return ""


def _weight(signs: tuple[str, ...]) -> tuple[bool, int]:
    return "image" in signs, len(signs)


def _signs(container: Object) -> Iterator[str]:
    """By what one container shows a server; nothing where it is known to be something else."""
    image = _text(container.get("image")).lower()
    if _runs_a_client(container):
        return
    named = marks.is_image(image) is not None
    if not named and marks.is_other(_without_registry(image)):
        return
    on_port = any(port.get("containerPort") == marks.PORT for port in objects(container, "ports"))
    in_folder = any(marks.is_folder(_text(one.get("mountPath"))) for one in objects(container, "volumeMounts"))
    if named:
        yield "image"
    if on_port:
        yield "port"
    if in_folder and (named or on_port or _runs_a_server(container)):
        yield "folder"


def _without_registry(image: str) -> str:
    """The host of a registry, such as proxy.example.com, says nothing of what is in the image."""
    host, slash, path = image.partition("/")
    return path if slash and ("." in host or ":" in host or host == "localhost") else image


def _words(container: Object) -> str:
    """Command and arguments, as far as they are read."""
    words = " ".join(_text(word) for field in ("command", "args") for word in get(container, list, field) or ())
    return words[: marks.MOST_WORDS]


def _runs_a_client(container: Object) -> bool:
    said = _words(container)
    return marks.is_client(said) is not None and marks.is_server(said) is None


def _runs_a_server(container: Object) -> bool:
    return marks.is_server(_words(container)) is not None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
