"""What was discovered, as a table, as data, and as manifests for Git. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from pgwarden.api.objects import Object
from pgwarden.api.reading import get
from pgwarden.cli import output
from pgwarden.cli.output import count
from pgwarden.discovery import findings
from pgwarden.discovery.findings import Finding, MakeRepository
from pgwarden.discovery.likeness import Likeness

WIDTH = 120  # what a table may take
_HEADS = ("NAMESPACE", "POSTGRESQL", "PODS", "SEEN BY", "STATE", "REPOSITORY")
_NARROWEST = 16  # to which a column is cut before another one is


def as_text(found: Sequence[Finding]) -> list[str]:
    """The table, then a line for each reason; sentences in a column would make every row too wide."""
    rows = [
        (
            one.namespace,
            one.title,
            one.pods,
            _seen_by(one.likeness),
            one.state,
            one.repository if _is_there(one) else "",
        )
        for one in found
    ]
    lines = output.table(_HEADS, _fitting(rows))
    said = [f"{one.namespace} {one.title}: {text}" for one in found for text in (*one.reasons, *one.warnings)]
    return [*lines, *([""] if said else []), *(line for text in said for line in _wrapped(text))]


def summary(found: Sequence[Finding]) -> str:
    protected = sum(one.state == findings.PROTECTED for one in found)
    injectable = sum(one.state == findings.INJECTABLE for one in found)
    text = f"{count(len(found), 'PostgreSQL')} found, {protected} protected"
    return f"{text}, {injectable} can be" if injectable else text


def _is_there(one: Finding) -> bool:
    return one.exists or one.state == findings.NO_REPOSITORY


def _seen_by(like: Likeness) -> str:
    if like.operator:
        return like.operator
    if "image" in like.by:
        return like.image.partition("@")[0].rsplit("/", 1)[-1]
    return "port 5432" if "port" in like.by else "data folder"


def _fitting(rows: Sequence[Sequence[Any]]) -> list[list[str]]:
    """Cells cut so that the table is not wider than WIDTH: of the widest column first."""
    cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
    widths = [max(len(row[n]) for row in [list(_HEADS), *cells]) for n in range(len(_HEADS))]
    while sum(widths) + 2 * (len(widths) - 1) > WIDTH and max(widths) > _NARROWEST:
        widths[widths.index(max(widths))] -= 1
    return [[_cut(cell, width) for cell, width in zip(row, widths, strict=True)] for row in cells]


def _cut(text: str, width: int) -> str:
    """Both ends are kept: names differ there."""
    if len(text) <= width:
        return text
    head = (width - 1) // 2
    return f"{text[:head]}…{text[len(text) - (width - 1 - head) :]}"


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent="  ", subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )


def as_data(one: Finding) -> dict[str, Any]:
    return {
        "namespace": one.namespace,
        "kind": one.kind,
        "name": one.name,
        "state": one.state,
        "pods": one.pods,
        "injectedPods": one.injected,
        "seenBy": list(one.likeness.by),
        "operator": one.likeness.operator or None,
        "container": one.likeness.container or None,
        "image": one.likeness.image or None,
        "repository": one.repository or None,
        "repositoryExists": one.exists,
        "reasons": list(one.reasons),
        "warnings": list(one.warnings),
    }


#: What is said about manifests; standard output is the manifests alone.
HOW_TO_APPLY = (
    "apply with: kubectl apply --server-side -f FILE (Repositories stand first; the label restarts the pods),",
    "or use the workloads as patches of a Kustomization. Primary and replicas of one cluster that are workloads of",
    "their own need one Repository: give both its name.",
)


def manifests(found: Iterable[Finding], make: MakeRepository) -> list[Object]:
    """For each that can be injected its Repository, unless that is there; then the label of each workload."""
    patches = list(findings.patches(found))
    missing = [make(one.namespace, one.repository) for one, _ in patches if not one.exists]
    return [*missing, *(patch for _, patch in patches)]


def secrets_of(made: Iterable[Object]) -> list[str]:
    """Namespace and name of each Secret with S3 keys that the Repositories name."""
    found = []
    for one in made:
        name = get(one, str, "spec", "s3", "credentialsSecretRef", "name")
        if name:
            found.append(f"{one['metadata']['namespace']}/{name}")
    return found
