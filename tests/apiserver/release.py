"""The chart's objects in a bare API server, and its two programs run for real in that cluster's network.

Nothing of the chart is replaced. No kube-proxy runs in this size, so the Service's address is put on the loopback
device of the cluster's own network namespace, and the webhook listens on the Service's port there. Both programs act with
the rights of their own service accounts and the environment of their own Deployments.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from harness.install import CHART, NAMESPACE, ROOT, Helm
from harness.kubectl import Kubectl
from harness.processes import with_default_signals
from harness.waiting import SLOWER, until
from localcluster.config import API_PORT
from localcluster.pytest_plugin import ClusterHandle

Object = dict[str, Any]
WEBHOOK_PROBES = 8080
LEASE = "pgwarden-controller"
SECRET = "pgwarden-webhook-tls"
CONFIGURATIONS = ("mutatingwebhookconfiguration", "validatingwebhookconfiguration")
_ASK = "import sys, urllib.request; sys.stdout.write(urllib.request.urlopen(sys.argv[1], timeout=2).read().decode())"


@dataclass
class Program:
    """A running `python -m webhook` or `python -m controller`; its output goes to `log`."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    port: int

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def terminate(self) -> int:
        """The exit code after SIGTERM."""
        if self.alive:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def lines(self) -> list[Object]:
        """What it has logged, line by line."""
        return [json.loads(one) for one in self.log.read_text().splitlines() if one.startswith("{")]


@dataclass
class Release:
    cluster: ClusterHandle
    kubectl: Kubectl
    helm: Helm
    folder: Path
    programs: list[Program] = field(default_factory=list)
    name: str = "pgwarden"
    fullname: str = "pgwarden"  # what the chart makes of the name
    namespace: str = NAMESPACE
    values: tuple[str, ...] = ()

    @cached_property
    def objects(self) -> list[Object]:
        return self.render()

    def render(self, *arguments: str, hooks: bool = False) -> list[Object]:
        """Without the hooks: those are `helm test`."""
        where = [self.name, str(CHART), f"--namespace={self.namespace}", *self.values]
        argv = ["template", *where, "--kube-version=1.35", *arguments]
        text = self.helm.run(*argv, *([] if hooks else ["--no-hooks"])).stdout
        return [obj for obj in yaml.safe_load_all(text) if obj]

    def of_kind(self, *kinds: str) -> list[Object]:
        return [obj for obj in self.objects if obj["kind"] in kinds]

    def install(self) -> None:
        """`helm install` as a user types it; that no pod follows is this size's nature."""
        where = [self.name, str(CHART), f"--namespace={self.namespace}", *self.values]
        self.helm.run("install", *where, "--create-namespace")
        address = self.kubectl.within(self.namespace).get("service", f"{self.fullname}-webhook")["spec"]["clusterIP"]
        self.inside("ip", "address", "replace", f"{address}/32", "dev", "lo")
        for crd in self.of_kind("CustomResourceDefinition"):
            self.kubectl.run("wait", "--for=condition=Established", f"crd/{crd['metadata']['name']}", "--timeout=30s")

    def inside(self, *argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.cluster.inside(argv), text=True, capture_output=True, check=check, timeout=30 * SLOWER
        )

    def ask(self, port: int, path: str) -> str:
        """GET on a port of plain HTTP inside the network; empty where nobody answers well."""
        return self.inside(sys.executable, "-c", _ASK, f"http://127.0.0.1:{port}{path}", check=False).stdout

    def start(self, component: str, name: str, port: int, **extra: str) -> Program:
        """`python -m webhook` or `python -m controller`, as the chart's Deployment of that component would.

        *extra* are variables besides.
        """
        log = self.folder / f"{name}.log"
        environment = os.environ | self._environment(component, name)
        environment |= {"KUBECONFIG": str(self._kubeconfig(component)), "PGWARDEN_HTTP_PORT": str(port)} | extra
        if component == "webhook":
            environment["PGWARDEN_PORT"] = "443"
        with log.open("ab") as stream:
            process = subprocess.Popen(
                with_default_signals(self.cluster.inside([sys.executable, "-m", component])),
                env=environment,
                cwd=ROOT,
                stdout=stream,
                stderr=stream,
                stdin=subprocess.DEVNULL,
            )
        program = Program(name, process, log, port)
        self.programs.append(program)
        return program

    def wait_ready(self, program: Program, seconds: float = 90) -> None:
        def look() -> bool:
            assert program.alive, program.log.read_text()[-3000:]
            return self.ask(program.port, "/readyz") == "ok\n"

        until(look, f"{program.name} is ready", seconds, lambda: program.log.read_text()[-3000:], 0.2)

    def stop_all(self) -> None:
        for program in self.programs:
            if program.alive:
                program.kill()

    def metric(self, program: Program, name: str) -> float:
        """The sum over all labels; 0 where it is not there."""
        rows = [row.rsplit(" ", 1) for row in self.ask(program.port, "/metrics").splitlines() if row.startswith(name)]
        return sum(float(value) for label, value in rows if label.partition("{")[0] == name)

    def _environment(self, component: str, name: str) -> dict[str, str]:
        fields = {"metadata.namespace": self.namespace, "metadata.name": name}
        (deployment,) = [
            obj for obj in self.of_kind("Deployment") if obj["metadata"]["name"] == f"{self.fullname}-{component}"
        ]
        found = {}
        for one in deployment["spec"]["template"]["spec"]["containers"][0]["env"]:
            source = one.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
            found[one["name"]] = fields[source] if source else one.get("value", "")
        return found

    def _kubeconfig(self, component: str) -> Path:
        """Of the component's own service account: what RBAC does not give it, it does not have here either."""
        path = self.folder / f"{component}.kubeconfig"
        if not path.exists():
            account = f"{self.fullname}-{component}"
            token = self.kubectl.within(self.namespace).run("create", "token", account).stdout.strip()
            config = yaml.safe_load(self.cluster.kubeconfig.read_text())
            config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{API_PORT}"
            config["users"][0]["user"] = {"token": token}
            path.write_text(yaml.safe_dump(config))
        return path

    # --- what the tests look at ----------------------------------------------------------------------------------

    def holder(self) -> str:
        lease = self.kubectl.within(self.namespace).get("lease", f"{self.fullname}-controller")
        return ((lease or {}).get("spec") or {}).get("holderIdentity") or ""

    def bundles(self) -> list[str]:
        """The caBundle of each webhook of both configurations."""
        found = [self.kubectl.get(kind, self.fullname) or {} for kind in CONFIGURATIONS]
        return [hook["clientConfig"].get("caBundle", "") for one in found for hook in one.get("webhooks", [])]

    def secret(self) -> dict[str, bytes]:
        found = self.kubectl.within(self.namespace).get("secret", f"{self.fullname}-webhook-tls") or {}
        return {key: base64.b64decode(value) for key, value in found.get("data", {}).items()}


@dataclass
class Controllers:
    """The controllers that run: at least one leads whenever a test asks for one."""

    release: Release
    running: list[Program] = field(default_factory=list)
    count: int = 0
    extra: dict[str, str] = field(default_factory=dict)

    def start(self) -> Program:
        self.count += 1
        program = self.release.start("controller", f"controller-{self.count}", 8080 + self.count, **self.extra)
        self.running.append(program)
        self.release.wait_ready(program)
        return program

    def leader(self, seconds: float = 30) -> Program:
        """The one that leads; one is started where none runs."""
        self.running = [one for one in self.running if one.alive]
        if not self.running:
            self.start()

        def look() -> Program | None:
            holder = self.release.holder()
            return next((one for one in self.running if holder.startswith(f"{one.name}-")), None)

        return until(look, "a controller leads", seconds, self.release.holder, 0.2)

    def alone(self) -> Program:
        """The leader, with no other controller beside it."""
        leader = self.leader()
        for other in self.running:
            if other is not leader:
                other.terminate()
        return leader

    def restart(self) -> Program:
        """Another process, which begins with nothing in memory."""
        self.alone().terminate()
        return self.leader()
