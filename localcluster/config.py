"""Names, addresses and paths of one cluster."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from localcluster.errors import LocalClusterError

# Every cluster has network namespaces of its own, so all of them use the same addresses.
NODE_IP = "10.244.0.1"
#: Of all nodes; node N's pods have 10.244.(N-1).0/24.
POD_CIDR = "10.244.0.0/16"
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
_LONGEST_SOCKET = "/n99/run/containerd.sock.ttrpc"
#: Addresses are 10.244.(N-1).x and 10.243.N.x.
_MOST_NODES = 99
_SOCKET_LIMIT = 107


@dataclass(frozen=True)
class Machine:
    """Where one node lives: its folder, network namespace, cgroup and addresses."""

    name: str
    state: Path
    number: int = 1

    @property
    def ip(self) -> str:
        return f"10.244.{self.number - 1}.1"

    @property
    def pod_cidr(self) -> str:
        return f"10.244.{self.number - 1}.0/24"

    @property
    def netns(self) -> str:
        return self.name

    @property
    def netns_path(self) -> Path:
        return Path("/run/netns") / self.netns

    @property
    def node(self) -> str:
        """The name of the Node object."""
        return f"{self.name.partition('.')[0]}-node" + (str(self.number) if self.number > 1 else "")

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
    def run(self) -> Path:
        """What a reboot would clear."""
        return self.state / "run"

    @property
    def volumes(self) -> Path:
        """What its pods' claims of the local StorageClasses become folders of."""
        return self.state / "volumes"

    @property
    def containerd_socket(self) -> Path:
        return self.run / "containerd.sock"

    def log(self, component: str) -> Path:
        return self.logs / f"{component}.log"


@dataclass(frozen=True)
class Cluster(Machine):
    """Where one cluster lives: its control plane, beside the first node, and what the nodes share.

    Two clusters with different names share nothing but the cache.
    """

    @property
    def pki(self) -> Path:
        return self.state / "pki"

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

    @property
    def machines(self) -> tuple[Machine, ...]:
        """Those that are alive, the first one first."""
        return (self, *(self.machine(number) for number in self._nodes()["alive"]))

    def machine(self, number: int) -> Machine:
        # No cluster's name has a dot: this is nobody's.
        return Machine(f"{self.name}.n{number}", self.state / f"n{number}", number) if number > 1 else self

    def add_machine(self) -> Machine:
        """One more. A number is never used again: volumes of a dead node must not seem to be back, and empty."""
        nodes = self._nodes()
        number = nodes["made"][0] + 1
        if number > _MOST_NODES:
            raise LocalClusterError(f"cluster {self.name} has had {_MOST_NODES} nodes, and has no address for another")
        self._write({"made": [number], "alive": [*nodes["alive"], number]})
        return self.machine(number)

    def forget_machine(self, number: int) -> None:
        nodes = self._nodes()
        self._write({**nodes, "alive": [one for one in nodes["alive"] if one != number]})

    def _nodes(self) -> dict[str, list[int]]:
        try:
            found: dict[str, list[int]] = json.loads((self.state / "nodes.json").read_text())
        except FileNotFoundError:
            return {"made": [1], "alive": []}
        return found

    def _write(self, nodes: dict[str, list[int]]) -> None:
        temporary = self.state / ".nodes.json"
        temporary.write_text(json.dumps(nodes))
        temporary.rename(self.state / "nodes.json")


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
