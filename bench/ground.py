"""The cluster, the installation and the filled PostgreSQL that the measurements run on."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.install import LOCAL_IMAGE, Helm, wait_admission
from harness.kubectl import Kubectl, is_true
from harness.postgres import IMAGE, Postgres, manifests, statefulset
from localcluster.config import cluster
from localcluster.tools import Tools

RESULTS = Path(__file__).resolve().parent / "results"
_BEGAN = time.monotonic()


def say(text: str) -> None:
    print(f"[{time.monotonic() - _BEGAN:6.1f}s] {text}", flush=True)


@dataclass(frozen=True)
class Ground:
    kubectl: Kubectl
    postgres: Postgres

    def bytes(self) -> int:
        """The size of all databases, as PostgreSQL counts it."""
        return int(self.postgres.sql("SELECT sum(pg_database_size(oid)) FROM pg_database"))

    def clean(self) -> None:
        self.kubectl.run("delete", "namespace", self.kubectl.namespace, "--wait=false")


def lay(scale: int) -> Ground:
    """A namespace of its own with a Repository and a PostgreSQL of *scale* times 15 MB that archives its WAL."""
    return _postgres(install("pgwarden", "postgres"), scale)


def install(*images: str) -> Kubectl:
    """The local cluster with *images* of this checkout, and pgwarden in it."""
    _localcluster("localcluster", "up")
    if os.environ.get("BENCH_AS_IT_IS") != "1":
        _localcluster("localcluster.images", "build", *images, "--load")
    tools, own = Tools(), cluster()
    kubectl = Kubectl(str(tools.path("kubectl")), own.kubeconfig)
    system = kubectl.within("pgwarden-system")
    if os.environ.get("BENCH_AS_IT_IS") == "1":  # what is installed is what is to be measured
        return kubectl
    before = system.run("get", "pods", "-o", "name", check=False).stdout.split()
    say("installing pgwarden by its chart")
    Helm(str(tools.path("helm")), own.kubeconfig).install(LOCAL_IMAGE)
    if before:  # the tag stayed the same, the image may not have
        for name in ("pgwarden-webhook", "pgwarden-controller"):
            system.run("rollout", "restart", f"deployment/{name}")
            system.run("rollout", "status", f"deployment/{name}", "--timeout=120s", seconds=150)
    wait_admission(kubectl)
    return kubectl


def _localcluster(*words: str) -> None:
    subprocess.run([sys.executable, "-m", *words], check=True, stdout=subprocess.DEVNULL)


def _postgres(kubectl: Kubectl, scale: int) -> Ground:
    space = namespace(kubectl)
    repository = manifests("repository")
    repository[0]["spec"]["local"]["size"] = "40Gi"
    image = os.environ.get("PGWARDEN_POSTGRES_IMAGE", IMAGE)
    space.apply(*repository, *statefulset(image, storage="20Gi"))
    postgres = Postgres(space)
    postgres.wait_ready()
    space.until("pgrepo", "hippo", is_true("Archiving"), "archives", 180)
    return fill(space, postgres, scale)


def namespace(kubectl: Kubectl) -> Kubectl:
    """One of its own."""
    name = f"bench-{uuid.uuid4().hex[:5]}"
    kubectl.run("create", "namespace", name)
    return kubectl.within(name)


def fill(space: Kubectl, postgres: Postgres, scale: int) -> Ground:
    say(f"filling PostgreSQL: pgbench -i -s {scale} in namespace {space.namespace}")
    postgres.run("pgbench", "-U", "postgres", "-i", "-q", "-s", str(scale), "postgres", seconds=1800)
    postgres.sql("CREATE TABLE beats (at timestamptz); CHECKPOINT", seconds=300)
    return Ground(space, postgres)


def commit() -> str:
    """The one that is measured, in short."""
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def measured(name: str, lay: Callable[[int], Ground], text: Callable[[Ground, int, int], str]) -> int:
    """Lay the ground, save what *text* (of the ground, rounds and scale) says as results, and clear up; the exit code.

    BENCH_SCALE (140), BENCH_ROUNDS (3), BENCH_KEEP=1 keeps the namespace.
    """
    scale, rounds = int(os.environ.get("BENCH_SCALE", "140")), int(os.environ.get("BENCH_ROUNDS", "3"))
    ground = lay(scale)
    try:
        found = text(ground, rounds, scale)
    finally:
        if os.environ.get("BENCH_KEEP") != "1":
            ground.clean()
    path = RESULTS / f"{name}-{time.strftime('%Y%m%d', time.gmtime())}-scale{scale}.md"
    path.write_text(found, encoding="utf-8")
    print(f"\n{found}\nsaved as bench/results/{path.name}")
    return 0
