"""A terminal of strings, a command line of words, and objects with defaults to override."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from pgwarden.cli.main import main
from pgwarden.cli.terminal import Terminal
from tests.unit.contract import produced
from tests.unit.contract.produced import Set

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


class Typed(io.StringIO):
    """Standard input of somebody who is there."""

    def isatty(self) -> bool:
        return True


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@dataclass
class Outcome:
    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No kubeconfig of the machine is read by a test."""
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("PGWARDEN_DEBUG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))


@pytest.fixture
def terminal() -> Terminal:
    return Terminal(io.StringIO(), io.StringIO(), io.StringIO(), width=80)


@pytest.fixture
def someone() -> Callable[[str], Terminal]:
    """A terminal with somebody at it who types *text*."""
    return lambda text: Terminal(io.StringIO(), Screen(), Typed(text), width=80)


@pytest.fixture
def run() -> Callable[..., Outcome]:
    """A command line, as the shell would hand it over."""

    def call(*words: str, stdin: str = "") -> Outcome:
        where = Terminal(io.StringIO(), io.StringIO(), io.StringIO(stdin), width=80)
        code = main(words, where)
        return Outcome(code, where.out.getvalue(), where.err.getvalue())

    return call


@pytest.fixture
def make() -> Callable[..., dict[str, Any]]:
    def build(kind: str, name: str = "one", namespace: str = "zoo", status: Any = None, **spec: Any) -> dict[str, Any]:
        metadata = {"name": name, "namespace": namespace}
        obj = {"apiVersion": "pgwarden.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": copy.deepcopy(spec)}
        return obj | ({"status": copy.deepcopy(status)} if status is not None else {})

    return build


@pytest.fixture
def healthy() -> dict[str, Any]:
    """The status of a Repository that archives, with one full backup of 1 November and a diff of the 5th."""

    full = Set(kind="full", stop=datetime(2026, 11, 1, 0, 10, tzinfo=UTC), number=3)
    of = {"full": full.label, "prior": full.label}
    diff = Set(kind="diff", stop=datetime(2026, 11, 5, 0, 10, tzinfo=UTC), number=9, **of)
    status: dict[str, Any] = produced.repository([full, diff])["status"]
    return status | {
        "phase": "Ready",
        "conditions": [
            {"type": kind, "status": "True", "reason": "Well", "message": f"{kind} it is"}
            for kind in ("Ready", "Reachable", "Archiving")
        ],
        "pods": [{"name": "hippo-0", "role": "primary", "reachable": True, "injected": True}],
    }


@pytest.fixture
def cluster(make):
    def build(replicas=3, phase="Ready", repository=None, autofail=True, **changes):
        instances = [{"name": f"hippo-{n}", "role": "replica", "ready": True} for n in range(1, replicas + 1)]
        instances[-1]["role"] = "primary"
        known = {
            "phase": phase,
            "message": "everything matches the spec",
            "primary": f"hippo-{replicas}",
            "ready": f"{replicas}/{replicas}",
            "autofail": "on" if autofail else "off",
            "instances": instances,
            "conditions": [{"type": "Ready", "status": "True", "message": "hippo-3 takes reads and writes"}],
        }
        spec = {"instances": {"replicas": replicas, "storage": {"size": "2Gi"}}, "autofail": autofail}
        return make(
            "PostgresCluster",
            "hippo",
            status=known | changes,
            repository=repository or {"storageType": "local"},
            **spec,
        )

    return build


@pytest.fixture
def there(make, healthy):
    def build(*objects, **changes):
        """A healthy Repository hippo with *changes* to its status, and *objects* besides."""
        base = make("Repository", "hippo", status=healthy | changes, retention={"full": 7})
        found = {"repositories": [base], "backups": [], "backupschedules": [], "restores": []}
        plurals = {
            "Backup": "backups",
            "BackupSchedule": "backupschedules",
            "Restore": "restores",
            "Repository": "repositories",
            "RestoreDrillSchedule": "restoredrillschedules",
        }
        for obj in objects:
            found.setdefault(plurals[obj["kind"]], []).append(obj)
        return found

    return build


@pytest.fixture
def schedule(make):
    def build(name="nightly", next_run="2026-11-24T01:00:00Z", suspend=False, **more):
        known = {"phase": "Active", "nextScheduleTimes": [next_run], "lastScheduleTime": "2026-11-23T01:00:00Z"}
        return make(
            "BackupSchedule", name, status=known | more, repository="hippo", schedule="0 1 * * *", suspend=suspend
        )

    return build
