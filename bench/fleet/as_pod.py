"""A controller that runs as in its pod: with a ServiceAccount's token and address, and without what only developers have.

With a kubeconfig it would load the kubernetes package, 20 MB that no controller in a cluster ever loads.
"""

from __future__ import annotations

import base64
import shlex
import sys
from urllib.parse import urlsplit

import yaml

from bench.schedules.world import World
from pgwarden.kube.access import SERVICE_ACCOUNT

_NAMESPACE, _ACCOUNT = "pgwarden-system", "pgwarden-controller"
_HOURS = 12
#: The `rich` that development tools bring is not in the image; structlog loads it where it is.
_PROGRAM = "import runpy, sys; sys.modules['rich'] = None; runpy.run_module('controller', run_name='__main__')"


def controller(world: World) -> tuple[list[str], dict[str, str]]:
    """Its command line and environment. May be asked for again: a second one is another start of the same pod."""
    files = world.folder / "service-account"
    cluster = yaml.safe_load(world.kubeconfig.read_text())["clusters"][0]["cluster"]
    if not files.exists():
        files.mkdir(mode=0o700)
        (files / "ca.crt").write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
        (files / "token").write_text(_token(world))
    server = urlsplit(cluster["server"])
    environment = {"KUBERNETES_SERVICE_HOST": str(server.hostname), "KUBERNETES_SERVICE_PORT": str(server.port or 443)}
    target = shlex.quote(str(SERVICE_ACCOUNT))
    mount = f"mkdir -p {target} && mount --bind {shlex.quote(str(files))} {target} && "
    run = shlex.join([sys.executable, "-c", _PROGRAM])
    # In a mount namespace of its own; the process stays the same one through both.
    return ["unshare", "--mount", "sh", "-c", f"{mount}exec {run}"], environment


def _token(world: World) -> str:
    kubectl, account = world.kubectl, f"{_NAMESPACE}:{_ACCOUNT}"
    kubectl.run("create", "serviceaccount", _ACCOUNT, f"--namespace={_NAMESPACE}")
    kubectl.run("create", "clusterrolebinding", _ACCOUNT, "--clusterrole=cluster-admin", f"--serviceaccount={account}")
    return kubectl.run("create", "token", _ACCOUNT, f"--namespace={_NAMESPACE}", f"--duration={_HOURS}h").stdout.strip()
