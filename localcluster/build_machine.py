"""What a build takes from this machine: programs, and the way to its mirrors. Nothing of it stays in an image."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from localcluster.commands import run
from localcluster.console import step
from localcluster.errors import LocalClusterError
from localcluster.image_inputs import pip_configuration

# The machine's apt settings without which its mirror cannot be used from inside a build either.
APT_SETTINGS = (
    "Acquire::Check-Valid-Until",
    "Acquire::Check-Date",
    "Acquire::http::Proxy",
    "Acquire::https::Proxy",
)
PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
# Where the machine's pip configuration is mounted during a build; nothing of it stays in the image.
PIP_MOUNT = "/mnt"


def require(programs: dict[str, str]) -> None:
    """Install the packages whose programs are missing."""
    if os.geteuid() != 0:
        raise LocalClusterError("building images needs root (debootstrap, mounts)")
    missing = sorted({package for program, package in programs.items() if shutil.which(program) is None})
    if not missing:
        return
    with step(f"installing {', '.join(missing)}"):
        run(["apt-get", "update", "-q"], limit=300)
        run(
            ["apt-get", "install", "-y", "-q", "--no-install-recommends", *missing],
            env={"DEBIAN_FRONTEND": "noninteractive"},
            limit=900,
        )


def apt_repositories() -> list[str]:
    """The addresses of the archives that apt knows."""
    return run(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]).splitlines()


def apt_settings() -> str:
    return "".join(run(["apt-config", "dump", name]) for name in APT_SETTINGS)


def proxy_arguments() -> list[str]:
    return [f"--build-arg={name}={os.environ[name]}" for name in PROXY_VARIABLES if os.environ.get(name)]


def machine_pip(folder: Path) -> None:
    """The folder that a build mounts: this machine's pip configuration and certificates."""
    folder.mkdir(parents=True, exist_ok=True)
    bundle = Path("/etc/ssl/certs/ca-certificates.crt")
    if bundle.is_file():
        shutil.copyfile(bundle, folder / "ca.crt")
    try:
        listing = run([sys.executable, "-m", "pip", "config", "list"]).splitlines()
    except LocalClusterError:
        listing = []
    certificates = f"{PIP_MOUNT}/ca.crt" if bundle.is_file() else None
    (folder / "pip.conf").write_text(pip_configuration(listing, certificates))
