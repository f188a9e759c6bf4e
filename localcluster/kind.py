"""The same size of cluster by kind, where a container engine answers.

UNTESTED: the machines this package was written on have no engine. Kept minimal
on purpose; S3, the second StorageClass and `stop`/`start` exist only locally.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from localcluster.commands import run
from localcluster.config import cluster
from localcluster.console import step
from localcluster.errors import LocalClusterError
from localcluster.pki import write_private
from localcluster.versions import KUBERNETES

_IMAGE = f"kindest/node:v{KUBERNETES}"


def _require_engine() -> None:
    for program in ("kind", "docker"):
        if shutil.which(program) is None:
            raise LocalClusterError(f"{program} is not installed", way_out="use the default --provider local")
    run(
        ["docker", "info"],
        limit=20,
        what="docker info",
        way_out="no container engine answers; use the default --provider local",
    )


def up(name: str) -> int:
    """Create the cluster unless kind knows it, and write its kubeconfig."""
    _require_engine()
    if name not in run(["kind", "get", "clusters"]).split():
        with step(f"kind create cluster {name}"):
            run(
                ["kind", "create", "cluster", "--name", name, "--image", _IMAGE, "--wait", "180s"],
                limit=900,
                what="kind create cluster",
            )
    path: Path = cluster(name).state.with_name(f"{name}.kind.kubeconfig")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_private(path, run(["kind", "get", "kubeconfig", "--name", name]))
    print(f"export KUBECONFIG={path}")
    return 0


def down(name: str) -> int:
    """Delete kind's cluster of that name."""
    _require_engine()
    with step(f"kind delete cluster {name}"):
        run(["kind", "delete", "cluster", "--name", name], limit=300)
    cluster(name).state.with_name(f"{name}.kind.kubeconfig").unlink(missing_ok=True)
    return 0
