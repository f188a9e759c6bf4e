"""A controller that has lost its lease begins anew, and its process stays."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from controller import health, main
from controller.repository import metrics as repository_metrics
from controller.runtime import metrics


@pytest.fixture
def terms(monkeypatch: pytest.MonkeyPatch):
    """Runs main.run over terms that end with these codes; what was asked of each."""

    def run(*codes: int | None) -> tuple[int, list[Any]]:
        left, seen = list(codes), []

        async def term(_settings: Any, state: health.State, _stop: Any, probes: asyncio.Task[None]) -> int | None:
            await asyncio.sleep(0)
            assert not probes.done(), "the probes are answered all the time"
            seen.append(state)
            return left.pop(0)

        async def serve(*_: Any) -> None:
            await asyncio.Event().wait()

        monkeypatch.setattr(main, "_term", term)
        monkeypatch.setattr(health, "serve", serve)
        settings = type("Settings", (), {"http_port": 0})
        return asyncio.run(main.run(settings)), seen  # type: ignore[arg-type]

    return run


def test_after_a_lost_lease_comes_another_term_under_the_same_probes(terms):
    code, seen = terms(None, None, 0)
    assert code == 0
    assert len({id(state) for state in seen}) == 1
    assert len(seen) == 3


def test_a_task_that_broke_ends_the_process(terms):
    assert terms(None, 1)[0] == 1


def test_who_does_not_lead_shows_nothing_of_objects():
    repository_metrics.show(("zoo", "gone"), {"conditions": [{"type": "Ready", "status": "True"}]})
    metrics.without_node(("zoo", "gone"), 2)
    repository_metrics.forget_all()
    metrics.forget_all()
    left = [sample for metric in (repository_metrics.CONDITION, metrics.WITHOUT_NODE) for sample in metric.collect()]
    assert not [one for family in left for one in family.samples]
