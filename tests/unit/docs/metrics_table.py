"""The table of docs/metrics.md, from the metrics themselves: `python -m tests.unit.docs.metrics_table` writes it."""

from __future__ import annotations

import importlib
from pathlib import Path

from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric

PAGE = Path(__file__).resolve().parents[3] / "docs" / "metrics.md"
BEGIN, END = "<!-- table -->", "<!-- end of table -->"
#: Everything that is served, by who serves it.
SERVED = {
    "controller": (
        "controller.main", "controller.runtime.metrics", "controller.runtime.outcomes", "controller.runtime.queues",
        "controller.runtime.api_metrics", "controller.repository.metrics", "controller.webhook_certificate",
    ),
    "webhook": ("webhook.metrics",),
}  # fmt: skip


def rows() -> list[tuple[str, str, str, str, str]]:
    """Name, type, labels, who serves it, help: in order of their names."""
    for modules in SERVED.values():
        for module in modules:
            importlib.import_module(module)
    found = {}
    for collector in list(REGISTRY._collector_to_names):
        for metric in _described(collector):
            if metric.name.startswith("pgwarden_"):
                found[_name(metric)] = (metric, _labels(collector, metric))
    return [
        (name, metric.type, ", ".join(labels) or "", _server(name), metric.documentation)
        for name, (metric, labels) in sorted(found.items())
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
    return [one for one in collector.collect() if one.name.startswith("pgwarden_")]  # type: ignore[attr-defined]


def _labels(collector: object, metric: Metric) -> tuple[str, ...]:
    return tuple(getattr(collector, "_labelnames", None) or getattr(metric, "_labelnames", ()))


def _name(metric: Metric) -> str:
    return f"{metric.name}_total" if metric.type == "counter" else metric.name


def _server(name: str) -> str:
    if name == "pgwarden_webhook_certificate_expiry_timestamp_seconds":
        return "controller"
    return "webhook" if name.startswith("pgwarden_webhook_") else "controller"


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}", encoding="utf-8")
