"""Installing pgwarden into a cluster by its chart, as a user does."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.kubectl import Kubectl
from harness.waiting import SLOWER, patient

ROOT = Path(__file__).resolve().parent.parent
CHART = ROOT / "charts" / "pgwarden"
NAMESPACE = "pgwarden-system"
LOCAL_IMAGE = "localhost/pgwarden:dev"


@dataclass(frozen=True)
class Helm:
    program: str
    kubeconfig: Path

    def run(self, *args: str, check: bool = True, seconds: float = 300) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [self.program, f"--kubeconfig={self.kubeconfig}", *map(patient, args)],
            text=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=seconds * SLOWER,
            check=False,
            env=os.environ | {"HELM_NAMESPACE": NAMESPACE},
        )
        if check and done.returncode != 0:
            raise AssertionError(f"helm {' '.join(args)}: exit {done.returncode}\n{done.stderr.strip()}")
        return done

    def install(self, image: str, *more: str, seconds: float = 240, chart: Path = CHART) -> str:
        """`helm upgrade --install` and wait until webhook and controller are ready."""
        repository, _, tag = image.rpartition(":")
        values = [f"--set=image.repository={repository}", f"--set=image.tag={tag}"]
        if image.startswith("localhost/"):
            values.append("--set=image.pullPolicy=Never")
        argv = [
            "upgrade",
            "--install",
            "pgwarden",
            str(chart),
            "--create-namespace",
            "--wait",
            f"--timeout={seconds:.0f}s",
        ]
        return self.run(*argv, *values, *more, seconds=seconds + 60).stdout

    def uninstall(self) -> None:
        self.run("uninstall", "pgwarden", "--wait", "--ignore-not-found")


@contextmanager
def webhook_away(kubectl: Kubectl) -> Iterator[None]:
    """No webhook answers inside; afterwards all of them do again."""
    system = kubectl.within(NAMESPACE)
    _scale_webhook(system, 0)
    try:
        yield
    finally:
        _scale_webhook(system, 2)
        wait_admission(kubectl)


def _scale_webhook(system: Kubectl, replicas: int) -> None:
    system.run("scale", "deployment/pgwarden-webhook", f"--replicas={replicas}")
    if replicas:
        system.run("rollout", "status", "deployment/pgwarden-webhook", "--timeout=120s", seconds=150)
    else:
        gone = ("wait", "--for=delete", "pod", "-l", "app.kubernetes.io/component=webhook", "--timeout=60s")
        system.run(*gone, seconds=90)


def kill_controller(kubectl: Kubectl) -> str:
    """End the controller as a node's failure would. The name of the pod that was."""
    system = kubectl.within(NAMESPACE)
    pods = system.list("pods", "app.kubernetes.io/component=controller")
    name = str(next(pod for pod in pods if "deletionTimestamp" not in pod["metadata"])["metadata"]["name"])
    system.run("delete", "pod", name, "--force", "--grace-period=0")
    return name


def wait_admission(kubectl: Kubectl, seconds: float = 60) -> None:
    """Until the webhook answers: the caBundle is written a moment after its pods are ready."""
    from harness.waiting import until

    probe = {
        "apiVersion": "pgwarden.io/v1alpha1",
        "kind": "Repository",
        "metadata": {"name": "probe"},
        "spec": {"storageType": "local"},
    }
    import yaml

    said = [""]

    def look() -> bool:
        done = kubectl.within("default").run(
            "apply", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(probe), check=False
        )
        said[0] = done.stderr
        return done.returncode == 0

    until(look, "the webhook answers", seconds, lambda: said[0])
