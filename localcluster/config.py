"""Names, addresses and paths of one cluster."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from localcluster.errors import LocalClusterError

# Every cluster has a network namespace of its own, so all of them use the same addresses.
NODE_IP = "10.244.0.1"
POD_CIDR = "10.244.0.0/24"
SERVICE_CIDR = "10.96.0.0/16"
KUBERNETES_SERVICE_IP = "10.96.0.1"
DNS_SERVICE_IP = "10.96.0.10"
DNS_PORT = 1053
API_PORT = 6443
S3_PORT = 7070
S3_HOST = "s3.pgwarden-s3.svc.cluster.local"
STORAGE_CLASSES = ("standard", "standard-2")

DEFAULT_NAME = "pgwarden"
DEFAULT_STATE_ROOT = "/var/lib/pgwarden-localcluster"
# containerd.sock is the longest socket name below the state folder; the kernel allows 107 bytes.
_LONGEST_SOCKET = "/run/containerd.sock.ttrpc"
_SOCKET_LIMIT = 107


@dataclass(frozen=True)
class Cluster:
    """Where one cluster lives. Two clusters with different names share nothing but the cache."""

    name: str
    state: Path

    @property
    def netns(self) -> str:
        return self.name

    @property
    def netns_path(self) -> Path:
        return Path("/run/netns") / self.netns

    @property
    def node(self) -> str:
        return f"{self.name}-node"

    @property
    def cgroup(self) -> str:
        """Root of all pod cgroups, apart from /kubepods of a foreign kubelet."""
        return f"/localcluster-{self.name}"

    @property
    def network_name(self) -> str:
        """CNI network name; libcni keys its host-wide result cache by it."""
        return f"localcluster-{self.name}"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def pids(self) -> Path:
        return self.state / "pids"

    @property
    def pki(self) -> Path:
        return self.state / "pki"

    @property
    def run(self) -> Path:
        """What a reboot would clear."""
        return self.state / "run"

    @property
    def containerd_socket(self) -> Path:
        return self.run / "containerd.sock"

    @property
    def kubeconfig(self) -> Path:
        return self.state / "kubeconfig"

    @property
    def s3(self) -> Path:
        return self.state / "s3"

    @property
    def size_file(self) -> Path:
        return self.state / "size"

    @property
    def apiserver_only(self) -> bool:
        """The size the cluster was made with; it does not change over its life."""
        return self.exists and self.size_file.read_text().strip() == "apiserver"

    @property
    def exists(self) -> bool:
        return self.size_file.is_file()

    def log(self, component: str) -> Path:
        return self.logs / f"{component}.log"


def state_root() -> Path:
    return Path(os.environ.get("PGWARDEN_STATE") or DEFAULT_STATE_ROOT)


def cluster(name: str | None = None) -> Cluster:
    """The cluster of that name; refuses names the kernel or a socket path cannot carry."""
    chosen = name or os.environ.get("PGWARDEN_CLUSTER") or DEFAULT_NAME
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?", chosen):
        raise LocalClusterError(
            f"{chosen!r} cannot name a cluster",
            way_out="use up to 40 lower-case letters, digits and inner dashes",
        )
    state = state_root().absolute() / chosen
    if len(f"{state}{_LONGEST_SOCKET}".encode()) > _SOCKET_LIMIT:
        raise LocalClusterError(
            f"the state folder's path is too long for unix sockets: {state}",
            way_out="set PGWARDEN_STATE to a shorter folder or choose a shorter --name",
        )
    return Cluster(chosen, state)


def clusters() -> list[Cluster]:
    """Every cluster that has a state folder."""
    root = state_root().absolute()
    if not root.is_dir():
        return []
    return [Cluster(path.name, path) for path in sorted(root.iterdir()) if path.is_dir()]
