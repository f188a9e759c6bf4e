"""A superuser that may come from several Secrets and ConfigMaps (envFrom): the last that has it, as in the kubelet."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pgwarden.contract import environment
from pgwarden.injection.pipeline import decision_on

CHECKS = Path(__file__).parents[3] / "controller" / "drill" / "checks.sh"


def sidecar(operations, one) -> list[dict]:
    return next(each["value"] for each in operations(one) if each["path"].startswith("/spec/initContainers"))[0]["env"]


def from_all(*names: str) -> list[dict]:
    return [{"secretRef": {"name": name}} for name in names]


def test_each_is_a_variable_of_its_own(pod, operations):
    """kubectl apply --server-side refuses two of one name, and kubectl apply may lose one of them."""
    env = sidecar(operations, pod(envFrom=from_all("first", "second", "third")))
    named = [one["name"] for one in env]
    assert len(set(named)) == len(named)
    users = {one["name"]: one["valueFrom"]["secretKeyRef"]["name"] for one in env if "PG_USER" in one["name"]}
    assert users == {
        "PGWARDEN_PG_USER": "first",
        "PGWARDEN_PG_USER_2": "second",
        "PGWARDEN_PG_USER_3": "third",
    }
    assert all(one["valueFrom"]["secretKeyRef"]["optional"] for one in env if "valueFrom" in one)


def test_of_very_many_the_last_are_looked_at(pod, repository, settings):
    """They stand in an annotation of the pod."""
    facts = decision_on(pod(envFrom=from_all(*map(str, range(40)))), repository(), settings).facts
    users = [one.name for one in facts.sources if one.variable == environment.USER]
    assert users == [str(number) for number in range(24, 40)]
    assert environment.by_reference(facts, environment.USER, called="X")[-1]["name"] == "X_16"


@pytest.mark.parametrize(
    ("there", "wanted"),
    [
        pytest.param({"X": "a"}, "a", id="the first alone"),
        pytest.param({"X": "a", "X_2": "b", "X_3": "c"}, "c", id="the last wins"),
        pytest.param({"X": "a", "X_16": "p"}, "p", id="the last of all"),
        pytest.param({"X_2": "b"}, "b", id="the first has it not"),
        pytest.param({"X": "a", "X_2": ""}, "", id="empty is there, too"),
        pytest.param({"X": "a", "X_2": '$(id) "; `id`'}, '$(id) "; `id`', id="text is text"),
        pytest.param({}, None, id="none"),
    ],
)
def test_the_last_that_is_there_counts(there, wanted):
    for name in (environment.USER, environment.PORT, environment.PASSWORD):
        known = {each.replace("X", name, 1): value for each, value in there.items()}
        assert (known | environment.settled(known)).get(name) == wanted
    head, _, _ = CHECKS.read_text().partition("export LC_ALL")
    script = f'{head}\nprintf %s "$DRILL_USER"'
    drill = {each.replace("X", "DRILL_USER", 1): value for each, value in there.items()}
    done = subprocess.run(["sh", "-c", script], env=drill, capture_output=True, text=True, check=True)
    assert done.stdout == (wanted or "")
    assert environment.MOST_SOURCES == 16
    assert "-le 16 " in head
