"""The lanes in which `make test` runs its tiers."""

from __future__ import annotations

import pytest

from harness import lanes
from harness.lanes import Lane


def test_every_module_of_the_end_to_end_tier_is_in_one_stream_and_those_that_end_the_cluster_are_last(monkeypatch):
    monkeypatch.delenv("PGWARDEN_USE_KUBECONFIG", raising=False)
    first, second, beside = lanes.lanes()
    named = [
        word for lane in (first, second) for command in lane.commands for word in command if word.startswith("tests/")
    ]
    assert sorted(named) == sorted(f"tests/e2e/{path.name}" for path in lanes.E2E.glob("test_*.py"))
    assert second.commands[0][-2:] == ("tests/e2e/test_z_chart_lifecycle.py", "tests/e2e/test_zz_cluster_restart.py")
    assert (first.cluster, second.cluster) == ("", "pgwarden-2")
    assert {word for command in beside.commands for word in command if word.startswith("tests/")} == {
        "tests/unit", "tests/hostile",
    }  # fmt: skip


def test_on_somebodys_cluster_the_streams_follow_one_another(monkeypatch):
    monkeypatch.setenv("PGWARDEN_USE_KUBECONFIG", "/tmp/kubeconfig")
    assert [len(lane.commands) for lane in lanes.lanes()] == [2, 1]


@pytest.mark.parametrize(("commands", "code"), [([("true",), ("true",)], 0), ([("false",), ("true",)], 1)])
def test_a_lane_that_fails_goes_on_and_fails_the_whole(monkeypatch, capsys, commands, code):
    made = [Lane("one", [("sh", "-c", "echo seen"), *commands]), Lane("two", [("true",)])]
    monkeypatch.setattr(lanes, "lanes", lambda: list(made))
    monkeypatch.setattr(lanes.subprocess, "run", lambda *_, **__: None)
    assert lanes.main() == code
    assert len(made[0].codes) == 3
    said = capsys.readouterr().out
    assert "seen" in said
    assert f"===== one: {'FAILED' if code else 'passed'}" in said
