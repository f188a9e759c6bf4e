"""Configuration files of containerd, CNI and kubelet, all below the state folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from localcluster import pki
from localcluster.config import DNS_SERVICE_IP, Cluster, Machine
from localcluster.versions import PAUSE_IMAGE

_CRI = 'plugins."io.containerd.grpc.v1.cri"'

_EVICTION = {
    "memory.available": "100Mi",
    "nodefs.available": "1%",
    "nodefs.inodesFree": "1%",
    "imagefs.available": "1%",
}


def containerd_config(machine: Machine, *, runc: Path, plugins: Path) -> str:
    """Every path is the node's own, so that several containerds live side by side.

    restrict_oom_score_adj: without CAP_SYS_RESOURCE runc cannot lower a score and fails obscurely.
    """
    return f"""version = 2
root = "{machine.state}/containerd"
state = "{machine.run}/containerd"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
  "io.containerd.tracing.processor.v1.otlp",
]

[grpc]
  address = "{machine.containerd_socket}"

[plugins."io.containerd.internal.v1.opt"]
  path = "{machine.state}/containerd/opt"

[{_CRI}]
  sandbox_image = "{PAUSE_IMAGE}"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  stream_server_address = "127.0.0.1"

[{_CRI}.cni]
  bin_dir = "{plugins}"
  conf_dir = "{machine.state}/cni/net.d"

[{_CRI}.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[{_CRI}.containerd.runtimes.runc.options]
  BinaryName = "{runc}"
  Root = "{machine.run}/runc"
  SystemdCgroup = false
"""


def write_cni(machine: Machine) -> None:
    """Pods on the bridge cni0, addresses remembered below the state folder."""
    folder = machine.state / "cni" / "net.d"
    folder.mkdir(parents=True, exist_ok=True)
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        # Pods know one another by their own addresses, on whichever node; and nothing leaves the cluster.
        "ipMasq": False,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "dataDir": str(machine.run / "ipam"),
            "ranges": [[{"subnet": machine.pod_cidr, "rangeStart": f"{machine.ip[:-1]}2"}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
    conflist = {"cniVersion": "0.4.0", "name": machine.network_name, "plugins": [bridge, portmap]}
    (folder / "10-bridge.conflist").write_text(json.dumps(conflist, indent=1))


def kubelet_config(cluster: Cluster, machine: Machine) -> dict[str, Any]:
    """Defaults, but for what a cgroup-v1 sandbox needs and what makes tests quick."""
    keys, suffix = cluster.pki, pki.suffix(machine)
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": machine.ip,
        "tlsCertFile": f"{keys}/kubelet-server{suffix}.crt",
        "tlsPrivateKeyFile": f"{keys}/kubelet-server{suffix}.key",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{keys}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": f"unix://{machine.containerd_socket}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": machine.cgroup,
        "failCgroupV1": False,
        "failSwapOn": False,
        # Where / is no plain disk, kubelet cannot measure it and would refuse to start.
        "localStorageCapacityIsolation": False,
        "clusterDNS": [DNS_SERVICE_IP],
        "clusterDomain": "cluster.local",
        "resolvConf": f"{machine.state}/resolv.conf",
        "podLogsDir": f"{machine.state}/podlogs",
        "volumePluginDir": f"{machine.state}/kubelet/volumeplugins",
        "maxPods": 250,
        # Images come from `load`, not from a registry: collecting one would lose it.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": _EVICTION,
        # A changed Secret reaches its volume within seconds instead of a minute.
        "configMapAndSecretChangeDetectionStrategy": "Watch",
        "syncFrequency": "5s",
        "nodeStatusUpdateFrequency": "5s",
    }
