"""One API server and one installation for the tier; a namespace of its own for each module."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from harness.install import Helm, wait_admission
from harness.kubectl import Kubectl
from localcluster.pytest_plugin import ClusterHandle
from localcluster.tools import Tools
from tests.apiserver.release import WEBHOOK_PROBES, Controllers, Program, Release


@pytest.fixture(scope="session")
def release(apiserver: ClusterHandle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    """The chart installed: everything of it but the pods."""
    tools = Tools()
    kubectl = Kubectl(str(tools.path("kubectl")), apiserver.kubeconfig)
    helm = Helm(str(tools.path("helm")), apiserver.kubeconfig)
    made = Release(apiserver, kubectl, helm, tmp_path_factory.mktemp("release"))
    made.install()
    yield made
    made.stop_all()


@pytest.fixture(scope="session")
def controllers(release: Release) -> Controllers:
    return Controllers(release)


@dataclass
class Webhook:
    """The webhook's process, which some tests end for a while."""

    release: Release
    programs: list[Program] = field(default_factory=list)

    @property
    def program(self) -> Program:
        return self.programs[-1]

    def start(self) -> None:
        name = f"webhook-{len(self.programs) + 1}"
        self.programs.append(self.release.start("webhook", name, WEBHOOK_PROBES))
        self.release.wait_ready(self.program)


@pytest.fixture(scope="session")
def webhook(release: Release, controllers: Controllers) -> Webhook:
    """It serves, and the API server trusts it: the controller has made the certificate."""
    controllers.leader()
    made = Webhook(release)
    made.start()
    wait_admission(release.kubectl)
    return made


@pytest.fixture(scope="module")
def space(release: Release, request: pytest.FixtureRequest) -> Kubectl:
    """kubectl in a new namespace, named after the module. It is left: nothing here finishes a namespace's deletion."""
    topic = request.module.__name__.rpartition(".")[2].removeprefix("test_").replace("_", "-")[:40]
    name = f"{topic}-{uuid.uuid4().hex[:5]}"
    release.kubectl.run("create", "namespace", name)
    return release.kubectl.within(name)
