# ruff: noqa: T201  it speaks to a person at a terminal
"""`make demo`. With KUBECONFIG: your own cluster (IMAGE, POSTGRES_IMAGE, NAMESPACE); without: one on this machine."""

from __future__ import annotations

import os
import sys

from demo import ground as grounds
from demo.ground import Ground
from demo.narrator import DemoError, Narrator
from demo.story import RESTORE, Story
from harness.install import NAMESPACE
from localcluster.config import DEFAULT_NAME
from localcluster.errors import LocalClusterError

TITLE = """pgwarden: backup and point-in-time restore of PostgreSQL on Kubernetes.
Each line that begins with $ is run exactly as shown; you can type it yourself."""


def main() -> int:
    tell = Narrator()
    print(TITLE, flush=True)
    try:
        ground = grounds.lay(tell)
        Story(tell, ground).play()
    except DemoError as error:
        return _failed(error.step, error.why, error.look)
    except LocalClusterError as error:
        return _failed("the local cluster", str(error), ("docs/localcluster.md",))
    except KeyboardInterrupt:
        print(
            "\nstopped; what was created is left as it is. `make demo` starts over, `make cluster-down` removes it all."
        )
        return 130
    tell.summary()
    _next(tell, ground)
    return 0


def _failed(step: str, why: str, look: tuple[str, ...]) -> int:
    print(f"\nFAILED in step {step}\n   why: {why}" if step else f"\nFAILED: {why}", flush=True)
    for one in look:
        print(f"   look at: {one}")
    sys.stdout.flush()
    return 1


def _next(tell: Narrator, ground: Ground) -> None:
    k = f"kubectl -n {ground.namespace}"
    if ground.local:
        name = "" if ground.name == DEFAULT_NAME else f"PGWARDEN_CLUSTER={ground.name} "
        first = f'eval "$({name}.venv/bin/python -m localcluster env)"   # KUBECONFIG, and kubectl and helm on the PATH'
        last = [f"{name}make cluster-down", "# removes every trace of the cluster"]
    else:
        first = f"export KUBECONFIG={tell.environment['KUBECONFIG']}"
        last = [
            f"kubectl delete namespace {ground.namespace}; helm uninstall pgwarden -n {NAMESPACE}",
            "# everything but the CRDs",
        ]
    lines = [
        (first, ""),
        (f"{k} get pgwarden", "# all of pgwarden's objects"),
        (f"{k} describe pgrepo hippo", "# conditions, backup sets, the recovery window"),
        (f"{k} describe pgr {RESTORE}", "# the steps of the restore, one condition each"),
        (f"{k} exec -it postgres-0 -c postgres -- psql -U postgres", "# look around"),
        (
            f".venv/bin/python -m pgwarden.cli.main -n {ground.namespace} undo {RESTORE}",
            "# undo the restore; asks first",
        ),
        (last[0], last[1]),
    ]
    print("\n== The cluster is still running. What to try next:")
    for command, comment in lines:
        print(f"   {command}{'   ' + comment if comment else ''}")
    sys.stdout.flush()


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(main())
