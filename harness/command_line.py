"""`kubectl pgwarden`, as somebody runs it in a namespace."""

from __future__ import annotations

import os
import subprocess
import sys

from harness.kubectl import Kubectl
from harness.waiting import SLOWER


def argv(space: Kubectl, *words: str) -> list[str]:
    where = ["-n", space.namespace, f"--kubeconfig={space.kubeconfig}"]
    return [sys.executable, "-m", "pgwarden.cli.main", *words, *where]


def pgwarden(space: Kubectl, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv(space, *words), env=os.environ | {"COLUMNS": "200"}, capture_output=True,
        text=True, timeout=120 * SLOWER, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
