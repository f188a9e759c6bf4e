"""The cluster's network namespace: nothing of the host's addresses, routes or rules is touched."""

from __future__ import annotations

from pathlib import Path

from localcluster.commands import run
from localcluster.config import NODE_IP, SERVICE_CIDR, Cluster

_BRIDGE = "cni0"
# All of these are per network namespace. bridge-nf-call makes kube-proxy's rules
# see traffic between two pods of the bridge, which a Service needs on one node.
_SYSCTLS = {
    "net.ipv4.ip_forward": "1",
    "net.ipv4.conf.all.route_localnet": "1",
    "net.bridge.bridge-nf-call-iptables": "1",
}


def inside(cluster: Cluster) -> list[str]:
    """The words to put before a command that has to run in the namespace."""
    return ["nsenter", f"--net={cluster.netns_path}", "--"]


def exists(cluster: Cluster) -> bool:
    """Whether the namespace is there; a stale file left by a killed `ip` is not one."""
    return cluster.netns_path.is_file() and _is_namespace(cluster.netns_path)


def _is_namespace(path: Path) -> bool:
    return path.stat().st_dev == Path("/proc/self/ns/net").stat().st_dev


def identity(path: Path) -> int | None:
    """Inode of a network namespace, equal for every way of naming the same one."""
    try:
        return path.stat().st_ino
    except OSError:
        return None


def holds(cluster: Cluster, pid: int) -> bool:
    """Whether a process lives in the cluster's present namespace and not in a deleted one."""
    return identity(Path(f"/proc/{pid}/ns/net")) == identity(cluster.netns_path)


def create(cluster: Cluster) -> None:
    """Make the namespace, its bridge and routes; every part is skipped when present."""
    if not exists(cluster):
        cluster.netns_path.unlink(missing_ok=True)
        run(["ip", "netns", "add", cluster.netns], way_out="run as root (CAP_SYS_ADMIN)")
    script = [f"{key}={value}" for key, value in _SYSCTLS.items()]
    # One shell in the namespace instead of ten processes. The node's address must be on an
    # interface before kubelet starts; the service route makes Service addresses reachable
    # for the API server's webhook calls (the packet needs a route before it is rewritten).
    run(
        [
            *inside(cluster),
            "sh",
            "-euc",
            f"""
ip link set lo up
ip link show {_BRIDGE} >/dev/null 2>&1 || ip link add {_BRIDGE} type bridge
ip address replace {NODE_IP}/24 dev {_BRIDGE}
ip link set {_BRIDGE} up
ip route replace {SERVICE_CIDR} dev {_BRIDGE}
for setting in {" ".join(script)}; do
  file=/proc/sys/$(echo "${{setting%%=*}}" | tr . /)
  [ ! -e "$file" ] || echo "${{setting#*=}}" > "$file"
done
""",
        ],
        way_out="the kernel must offer bridges; CAP_NET_ADMIN is needed",
    )


def delete(cluster: Cluster) -> None:
    """Remove the namespace; its bridge and veth pairs go with it."""
    if exists(cluster):
        run(["ip", "netns", "delete", cluster.netns])
    cluster.netns_path.unlink(missing_ok=True)
