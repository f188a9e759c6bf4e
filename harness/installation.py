"""The end-to-end tier's fixtures, for all of its folders: one cluster and one installation for the whole session, and a
namespace of its own for each test module. A plugin of pytest (tests/conftest.py).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from harness.install import LOCAL_IMAGE, ROOT, Helm, wait_admission
from harness.kubectl import Kubectl
from harness.postgres import IMAGE
from localcluster.image_inputs import IMAGES
from localcluster.pytest_plugin import ClusterHandle
from localcluster.tools import Tools

TESTS = ROOT / "tests"
#: The folders whose modules share a cluster with all others of the stream.
FOLDERS = (TESTS / "e2e", TESTS / "redteam")
#: Seconds of each module, as `make durations` saved them from the last run of all.
DURATIONS: dict[str, float] = json.loads((TESTS / "e2e" / "durations.json").read_text())
#: They restart the release or the cluster: the last ones of their stream.
LAST = ("test_upgrade", "test_z_chart_lifecycle", "test_zz_cluster_restart")


def _is_own(item: pytest.Item) -> bool:
    return any(folder in item.path.parents for folder in FOLDERS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Streams take the next module when they are free: the longest first, so that all of them end together."""

    def place(item: pytest.Item) -> tuple[bool, float, str]:
        module = item.path.stem
        return module in LAST, -DURATIONS.get(module, float("inf")), module

    ordered = iter(sorted(filter(_is_own, items), key=place))
    items[:] = [next(ordered) if _is_own(item) else item for item in items]


def pytest_runtestloop(session: pytest.Session) -> None:
    """Images are built before the first test begins, and its time: the first time on a machine takes minutes."""
    own = any(map(_is_own, session.items))
    wanted = [name for name, image in IMAGES.items() if not image.apart]
    if own and not session.config.option.collectonly and "PGWARDEN_USE_KUBECONFIG" not in os.environ:
        subprocess.run([sys.executable, "-m", "localcluster.images", "build", *wanted], check=True)


@dataclass(frozen=True)
class Installed:
    """pgwarden in a cluster: what runs it, and with which images."""

    cluster: ClusterHandle
    kubectl: Kubectl
    helm: Helm
    image: str
    postgres_image: str


@pytest.fixture(scope="session")
def installed(cluster: ClusterHandle) -> Installed:
    """Images built from this checkout, loaded, and the chart installed with nothing but the image's name."""
    image = os.environ.get("PGWARDEN_IMAGE", LOCAL_IMAGE)
    if cluster.local is not None:
        subprocess.run([sys.executable, "-m", "localcluster.images", "build", "--load"], check=True)
    tools = Tools()
    kubectl = Kubectl(str(tools.path("kubectl")), cluster.kubeconfig)
    helm = Helm(str(tools.path("helm")), cluster.kubeconfig)
    before = image_ids(kubectl)
    helm.install(image)
    if before:  # an older installation with the same tag: its pods must take the new image
        kubectl.within("pgwarden-system").run("rollout", "restart", "deployment")
        for name in ("pgwarden-webhook", "pgwarden-controller"):
            kubectl.within("pgwarden-system").run(
                "rollout", "status", f"deployment/{name}", "--timeout=120s", seconds=150
            )
    wait_admission(kubectl)
    return Installed(cluster, kubectl, helm, image, os.environ.get("PGWARDEN_POSTGRES_IMAGE", IMAGE))


def image_ids(kubectl: Kubectl) -> list[str]:
    found = kubectl.within("pgwarden-system").run("get", "pods", "-o", "name", check=False)
    return found.stdout.split()


@pytest.fixture(scope="module")
def space(installed: Installed, request: pytest.FixtureRequest) -> Iterator[Kubectl]:
    """kubectl in a new namespace, named after the test module."""
    topic = request.module.__name__.rpartition(".")[2].removeprefix("test_").replace("_", "-")[:40]
    name = f"{topic}-{uuid.uuid4().hex[:5]}"
    installed.kubectl.run("create", "namespace", name)
    yield installed.kubectl.within(name)
    if os.environ.get("PGWARDEN_KEEP_NAMESPACES") != "1":
        installed.kubectl.run("delete", "namespace", name, "--wait=false", "--ignore-not-found")


@pytest.fixture(scope="module")
def far(installed: Installed, space: Kubectl) -> Iterator[Kubectl]:
    """kubectl in a second namespace."""
    name = f"{space.namespace}-far"
    installed.kubectl.run("create", "namespace", name)
    yield installed.kubectl.within(name)
    installed.kubectl.run("delete", "namespace", name, "--wait=false")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """With a failed test, what an on-call engineer would look at first."""
    outcome = yield
    report = outcome.get_result()
    space = getattr(item, "funcargs", {}).get("space")
    if report.when == "call" and report.failed and isinstance(space, Kubectl) and _is_own(item):
        report.sections.append(("the namespace at that moment", _picture(space)))


def _picture(space: Kubectl) -> str:
    looks: list[tuple[str, ...]] = [
        ("get", "pods,pvc,jobs,statefulsets,pgwarden", "-o", "wide"),
        ("describe", "pgwarden"),
        ("get", "events", "--sort-by=.lastTimestamp"),
    ]
    pods = space.run("get", "pods", "-o", "name", check=False).stdout.split()
    looks += [("logs", pod, "--all-containers", "--prefix", "--tail=60") for pod in pods]
    texts = [space.run(*look, check=False).stdout[-12000:] for look in looks]
    system = space.within("pgwarden-system")
    texts.append(system.run("logs", "deployment/pgwarden-controller", "--tail=60", check=False).stdout)
    return "\n\n".join(texts)
