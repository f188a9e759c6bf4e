"""Each node's network namespace: nothing of the host's addresses, routes or rules is touched."""

from __future__ import annotations

from pathlib import Path

from localcluster.commands import run
from localcluster.config import POD_CIDR, SERVICE_CIDR, Cluster, Machine

_BRIDGE = "cni0"
# All of these are per network namespace. bridge-nf-call makes kube-proxy's rules
# see traffic between two pods of the bridge, which a Service needs on one node.
_SYSCTLS = {
    "net.ipv4.ip_forward": "1",
    "net.ipv4.conf.all.route_localnet": "1",
    "net.bridge.bridge-nf-call-iptables": "1",
}


def inside(machine: Machine) -> list[str]:
    """The words to put before a command that has to run in the namespace."""
    return ["nsenter", f"--net={machine.netns_path}", "--"]


def exists(machine: Machine) -> bool:
    """Whether the namespace is there; a stale file left by a killed `ip` is not one."""
    return machine.netns_path.is_file() and _is_namespace(machine.netns_path)


def _is_namespace(path: Path) -> bool:
    return path.stat().st_dev == Path("/proc/self/ns/net").stat().st_dev


def identity(path: Path) -> int | None:
    """Inode of a network namespace, equal for every way of naming the same one."""
    try:
        return path.stat().st_ino
    except OSError:
        return None


def holds(machine: Machine, pid: int) -> bool:
    """Whether a process lives in the node's present namespace and not in a deleted one."""
    return identity(Path(f"/proc/{pid}/ns/net")) == identity(machine.netns_path)


def create(machine: Machine) -> None:
    """Make the namespace, its bridge and routes; every part is skipped when present."""
    if not exists(machine):
        machine.netns_path.unlink(missing_ok=True)
        run(["ip", "netns", "add", machine.netns], way_out="run as root (CAP_SYS_ADMIN)")
    script = [f"{key}={value}" for key, value in _SYSCTLS.items()]
    # One shell in the namespace instead of ten processes. The node's address must be on an
    # interface before kubelet starts; the service route makes Service addresses reachable
    # for the API server's webhook calls (the packet needs a route before it is rewritten).
    run(
        [
            *inside(machine),
            "sh",
            "-euc",
            f"""
ip link set lo up
ip link show {_BRIDGE} >/dev/null 2>&1 || ip link add {_BRIDGE} type bridge
ip address replace {machine.ip}/24 dev {_BRIDGE}
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


def delete(machine: Machine) -> None:
    """Remove the namespace; its bridge and veth pairs go with it."""
    if exists(machine):
        run(["ip", "netns", "delete", machine.netns])
    machine.netns_path.unlink(missing_ok=True)


def link(cluster: Cluster, machine: Machine) -> None:
    """A cable between the first node and *machine*, and routes to one another's pods; skipped when present.

    Other nodes are reached by way of the first.
    """
    device, here, there = _link(machine)
    if run([*inside(machine), "sh", "-c", "ip -o link show up0 2>/dev/null || true"]).strip():
        return
    run(
        [
            *inside(cluster),
            "sh",
            "-euc",
            f"""
if ip link show {device} >/dev/null 2>&1; then ip link delete {device}; fi
ip link add {device} type veth peer name up0 netns {machine.netns}
ip address replace {here}/30 dev {device}
ip link set {device} up
ip route replace {machine.pod_cidr} via {there} src {cluster.ip}
""",
        ],
        way_out="the kernel must offer veth pairs; CAP_NET_ADMIN is needed",
    )
    run(
        [
            *inside(machine),
            "sh",
            "-euc",
            f"""
ip address replace {there}/30 dev up0
ip link set up0 up
ip route replace {POD_CIDR} via {here} src {machine.ip}
""",
        ]
    )


def cut(cluster: Cluster, machine: Machine) -> None:
    """Pull the cable out. What is sent to the node is lost without an answer, as with one that has no power."""
    if not exists(cluster):
        return
    run([*inside(cluster), "ip", "route", "replace", "blackhole", machine.pod_cidr])
    device, _, _ = _link(machine)
    run([*inside(cluster), "sh", "-c", f"ip link delete {device} 2>/dev/null || true"])


def _link(machine: Machine) -> tuple[str, str, str]:
    """The device in the first node's namespace, its address, and that of its other end."""
    return f"n{machine.number}", f"10.243.{machine.number}.1", f"10.243.{machine.number}.2"
