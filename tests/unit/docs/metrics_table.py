"""The table of docs/metrics.md, from the metrics themselves: `python -m tests.unit.docs.metrics_table` writes it."""

from __future__ import annotations

import importlib
from pathlib import Path

from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "metrics.md"
BEGIN, END = "<!-- table -->", "<!-- end of table -->"
#: The programs that serve metrics: each is a package.
PROGRAMS = ("agent", "controller", "webhook")
PREFIX = "pgwarden_"


def rows() -> list[tuple[str, str, str, str, str]]:
    """Name, type, labels, who serves it, help: in order of their names."""
    holders = _holders()
    found = {}
    for collector in list(REGISTRY._collector_to_names):
        for metric in _described(collector):
            if metric.name.startswith(PREFIX):
                found[_name(metric)] = (metric, _labels(collector, metric), holders[id(collector)])
    return [
        (name, metric.type, ", ".join(labels) or "", server, metric.documentation)
        for name, (metric, labels, server) in sorted(found.items())
    ]


def _holders() -> dict[int, str]:
    """The program in whose modules an object is, by its id: a program knows no other one's modules."""
    return {
        id(value): program
        for program in PROGRAMS
        for module in _modules(program)
        for value in vars(importlib.import_module(module)).values()
    }


def _modules(program: str) -> list[str]:
    """Those of it that may register a metric."""
    sources = sorted((ROOT / program).rglob("*.py"))
    return [
        ".".join(source.relative_to(ROOT).with_suffix("").parts)
        for source in sources
        if "prometheus_client" in source.read_text(encoding="utf-8")
    ]


def table() -> str:
    lines = ["| name | type | labels | served by | what |", "|---|---|---|---|---|"]
    for name, kind, labels, server, about in rows():
        lines.append(f"| `{name}` | {kind} | {labels} | {server} | {about} |")
    return "\n".join(lines)


def written() -> str:
    return PAGE.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0].strip()


def _described(collector: object) -> list[Metric]:
    if isinstance(collector, MetricWrapperBase):
        return list(collector.describe())
    return [one for one in collector.collect() if one.name.startswith(PREFIX)]  # type: ignore[attr-defined]


def _labels(collector: object, metric: Metric) -> tuple[str, ...]:
    return tuple(getattr(collector, "_labelnames", None) or getattr(metric, "_labelnames", ()))


def _name(metric: Metric) -> str:
    return f"{metric.name}_total" if metric.type == "counter" else metric.name


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}", encoding="utf-8")
