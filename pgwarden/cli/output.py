"""Objects as YAML or JSON, tables, and times and sizes for people."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import yaml

from pgwarden.api.objects import Object
from pgwarden.api.wording import clock, count, span

__all__ = ["as_json", "as_yaml", "clock", "count", "formatted", "listed", "moment", "row", "span", "table"]


class _Dumper(yaml.SafeDumper):
    """Without anchors: what is the same twice is written twice."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  the signature is PyYAML's
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        """Lists are indented below their key, as Kubernetes manifests mostly are."""
        super().increase_indent(flow, False)


def as_yaml(obj: Any) -> str:
    return yaml.dump(
        obj, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1_000_000, default_flow_style=False
    )


def as_json(obj: Any) -> str:
    return json.dumps(obj, indent=2, ensure_ascii=False) + "\n"


def formatted(obj: Object, form: str) -> str:
    """*form* is yaml, json or name."""
    if form == "name":
        return f"{obj['kind'].lower()}.pgwarden.io/{obj['metadata']['name']}\n"
    return as_json(obj) if form == "json" else as_yaml(obj)


def listed(objects: Sequence[Object]) -> Object:
    return {"apiVersion": "v1", "kind": "List", "items": list(objects)}


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """Columns two spaces apart; an empty cell is `-`."""
    cells = [[str(cell) if cell not in {None, ""} else "-" for cell in row] for row in rows]
    widths = [max(len(row[n]) for row in [list(heads), *cells]) for n in range(len(heads))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [heads, *cells]
    ]


def row(head: str, *texts: str) -> list[str]:
    """`  head:        text`, further texts below the first; nothing where there is no text."""
    heads = [f"{head}:", *[""] * len(texts)]
    return [f"  {head:<13}{text}" for head, text in zip(heads, filter(None, texts), strict=False)]


def moment(text: Any) -> datetime | None:
    """A time of the API server; None where there is none, or something else."""
    try:
        parsed = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    if parsed is None:
        return None
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
