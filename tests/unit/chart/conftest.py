"""Renders the chart with the real helm: $HELM, else PATH, else the cache that localcluster builds tools into."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
CHART = ROOT / "charts" / "pgwarden"
NAMESPACE = "pgwarden-system"
KUBERNETES = "1.35.0"

Object = dict[str, Any]


def find_helm() -> str | None:
    if os.environ.get("HELM"):
        return os.environ["HELM"]
    if found := shutil.which("helm"):
        return found
    cached = Path(os.environ.get("PGWARDEN_CACHE") or Path.home() / ".cache" / "pgwarden") / "tools"
    return next((str(path) for path in sorted(cached.glob("helm-*/helm"), reverse=True)), None)


@dataclass(frozen=True)
class Rendered:
    text: str
    objects: tuple[Object, ...] = field(repr=False)

    def all(self, kind: str) -> list[Object]:
        return [obj for obj in self.objects if obj["kind"] == kind]

    def one(self, kind: str, name: str, namespace: str | None = None) -> Object:
        found = [
            obj
            for obj in self.all(kind)
            if obj["metadata"]["name"] == name and namespace in (None, obj["metadata"].get("namespace"))
        ]
        assert len(found) == 1, f"{kind} {name}: {len(found)} of them"
        return found[0]

    def pods(self) -> Iterator[tuple[str, Object, Object]]:
        """(what, metadata, spec) of all pods that the chart makes, itself or by a Deployment."""
        for obj in self.objects:
            name = f"{obj['kind']}/{obj['metadata']['name']}"
            if obj["kind"] == "Pod":
                yield name, obj["metadata"], obj["spec"]
            elif obj["kind"] in {"Deployment", "Job", "StatefulSet", "DaemonSet"}:
                template = obj["spec"]["template"]
                yield name, {"namespace": obj["metadata"]["namespace"], **template["metadata"]}, template["spec"]


@dataclass(frozen=True)
class Helm:
    program: str

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.program, *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def template(
        self,
        *arguments: str | Path,
        release: str = "pgwarden",
        namespace: str = NAMESPACE,
        kubernetes: str = KUBERNETES,
        chart: Path = CHART,
    ) -> subprocess.CompletedProcess[str]:
        return self.run("template", release, chart, "--namespace", namespace, "--kube-version", kubernetes, *arguments)

    def text(self, *arguments: str | Path, **options: Any) -> str:
        result = self.template(*arguments, **options)
        assert result.returncode == 0, result.stderr
        return result.stdout

    @cache  # noqa: B019 - one Helm per session
    def render(self, *arguments: str | Path, **options: Any) -> Rendered:
        text = self.text(*arguments, **options)
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        return Rendered(text, tuple(obj for obj in yaml.load_all(text, loader) if obj))

    def refusal(self, *arguments: str | Path, **options: Any) -> str:
        result = self.template(*arguments, **options)
        assert result.returncode != 0, "it was rendered"
        return result.stderr


@pytest.fixture(scope="session")
def helm() -> Helm:
    program = find_helm()
    if program is None:
        pytest.skip("no helm: set HELM, or run `python3 -m localcluster tools --only helm`")
    return Helm(program)


@pytest.fixture(scope="session")
def chart() -> Path:
    return CHART


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture
def render(helm: Helm) -> Callable[..., Rendered]:
    return helm.render


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`combination`: each file in ci/ is a combination of values that must hold in every respect."""
    if "combination" in metafunc.fixturenames:
        files = sorted((CHART / "ci").glob("*-values.yaml"))
        metafunc.parametrize("combination", files, ids=[file.name.removesuffix("-values.yaml") for file in files])
