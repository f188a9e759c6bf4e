"""An API server and etcd of their own, filled with many objects; and processes whose CPU and memory are read."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.kubectl import Kubectl
from localcluster import lifecycle, teardown
from localcluster.config import cluster as named
from localcluster.processes import all_running
from localcluster.tools import Tools
from pgwarden.kube import access
from pgwarden.kube.client import KubeClient

Object = dict[str, Any]
ROOT = Path(__file__).resolve().parents[2]
NAMESPACES = [f"team-{n:02}" for n in range(4)]
AT_ONCE = 12  # requests on their way while objects are made
_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass
class World:
    client: KubeClient
    kubectl: Kubectl
    kubeconfig: Path
    folder: Path
    processes: list[Process] = field(default_factory=list)

    def start(self, name: str, argv: Sequence[str], environment: dict[str, str]) -> Process:
        """A process under test, which ends with the world at the latest."""
        self.processes.append(Process(name, argv, environment, self.folder))
        return self.processes[-1]

    async def each(self, requests: Iterable[tuple[str, str, Object]]) -> float:
        """Send (method, path, body), AT_ONCE at a time; seconds."""
        began, rest = time.monotonic(), iter(requests)

        async def work() -> None:
            for method, path, body in rest:
                kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
                await self.client.request(method, path, body=body, content_type=kind)

        await asyncio.gather(*(work() for _ in range(AT_ONCE)))
        return time.monotonic() - began


@asynccontextmanager
async def world(folder: Path, *, first: bool = True) -> AsyncIterator[World]:
    """*first*: before other work on the machine."""
    own, tools = named(f"bench-{os.getpid()}"), Tools()
    try:
        lifecycle.up(own, apiserver_only=True)
        kubectl = Kubectl(str(tools.path("kubectl")), own.kubeconfig)
        kubectl.run("apply", "-f", str(ROOT / "crds"))
        kubectl.run("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
        for name in ("pgwarden-system", *NAMESPACES):
            kubectl.run("create", "namespace", name)
        if first:
            _ahead(os.getpid(), *(one.pid for one in all_running(own).values()))
        async with KubeClient(await access.from_kubeconfig(str(own.kubeconfig))) as client:
            made = World(client, kubectl, own.kubeconfig, folder)
            try:
                yield made
            finally:
                for one in made.processes:
                    one.stop()
    finally:
        with lifecycle.locked(own):
            teardown.down(own)


def _ahead(*pids: int) -> None:
    """Before other work on the machine, where that is allowed. What such a process starts is so as well."""
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                os.sched_setscheduler(int(task.name), os.SCHED_RR, os.sched_param(1))


class Process:
    """One process under test: its output goes to a file."""

    def __init__(self, name: str, argv: Sequence[str], environment: dict[str, str], folder: Path) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self.started = time.monotonic()
        with self.log.open("ab") as stream:
            self._process = subprocess.Popen(
                argv, env=os.environ | environment, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream
            )

    @property
    def age(self) -> float:
        return time.monotonic() - self.started

    def cpu(self) -> float:
        """Seconds of CPU so far, user and system."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text("ascii").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / _TICK

    def memory(self) -> float:
        """Resident MB (10^6 bytes) now."""
        return int(Path(f"/proc/{self._process.pid}/statm").read_text("ascii").split()[1]) * _PAGE / 1e6

    def peak(self) -> float:
        status = Path(f"/proc/{self._process.pid}/status").read_text("ascii")
        return next(int(line.split()[1]) * 1024 / 1e6 for line in status.splitlines() if line.startswith("VmHWM:"))

    def check(self) -> None:
        if self._process.poll() is not None:
            raise RuntimeError(f"{self.name} has ended: {self.log.read_text(errors='replace')[-3000:]}")

    async def until(self, good: Callable[[], bool], what: str, seconds: float, pause: float = 0.1) -> float:
        """Seconds since the process was started, at which it was *good*."""
        while not good():
            self.check()
            if self.age > seconds:
                raise RuntimeError(f"{self.name}: {what} did not come within {seconds} s")
            await asyncio.sleep(pause)
        return self.age

    async def settled(self, seconds: float = 300, quiet: float = 0.05) -> float:
        """When it began to use less than *quiet* of a core, over three seconds; since its start."""
        calm = 0
        while calm < 3:
            self.check()
            if self.age > seconds:
                return float("nan")
            before = self.cpu()
            await asyncio.sleep(1)
            calm = calm + 1 if self.cpu() - before < quiet else 0
        return self.age - 3

    async def steady(self, seconds: float) -> dict[str, float]:
        """Percent of a core, and memory, over *seconds* in which nothing is due."""
        before = self.cpu()
        await asyncio.sleep(seconds)
        return {"cpu": 100 * (self.cpu() - before) / seconds, "rss": self.memory(), "peak": self.peak()}

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)


def page(port: int, path: str) -> str:
    """GET on 127.0.0.1; empty where nobody answers well."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""
