"""The command line of every process of a cluster. Start order is `lifecycle`'s matter."""

from __future__ import annotations

import json
from pathlib import Path

from localcluster import netpol, pki, rights
from localcluster.config import (
    API_PORT,
    DNS_PORT,
    DNS_SERVICE_IP,
    NODE_IP,
    POD_CIDR,
    S3_PORT,
    SERVICE_CIDR,
    Cluster,
    Machine,
)
from localcluster.processes import Component
from localcluster.runtime import containerd_config, kubelet_config
from localcluster.tools import Tools

_ETCD = "http://127.0.0.1:2379"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def _kubeconfig(cluster: Cluster, identity: str) -> Path:
    """A component's own kubeconfig; inside the namespace the API server has its real port."""
    path = cluster.state / f"{identity}.kubeconfig"
    pki.write_private(path, pki.kubeconfig(cluster, identity))
    return path


def _node_kubeconfig(cluster: Cluster, machine: Machine, identity: str) -> Path:
    """The same on any node: the API server is beside the first one."""
    host = "127.0.0.1" if machine is cluster else NODE_IP
    path = machine.state / f"{identity}.kubeconfig"
    pki.write_private(path, pki.kubeconfig(cluster, identity, host=host))
    return path


def _config(machine: Machine, name: str, text: str) -> Path:
    path = machine.state / name
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
    return path


def etcd(cluster: Cluster, tools: Tools) -> Component:
    """--unsafe-no-fsync: test data; a killed process loses nothing, only a power cut would."""
    return Component(
        "etcd",
        (
            str(tools.path("etcd")),
            "--data-dir",
            str(cluster.state / "etcd"),
            "--listen-client-urls",
            _ETCD,
            "--advertise-client-urls",
            _ETCD,
            "--listen-peer-urls",
            "http://127.0.0.1:2380",
            "--unsafe-no-fsync",
        ),
    )


def apiserver(cluster: Cluster, tools: Tools) -> Component:
    """RBAC and the default admission plugins, as a user's cluster has them, and the one that OpenShift adds."""
    keys = cluster.pki
    flags = {
        "etcd-servers": _ETCD,
        "secure-port": str(API_PORT),
        "advertise-address": NODE_IP,
        "service-cluster-ip-range": SERVICE_CIDR,
        "authorization-mode": "Node,RBAC",
        "client-ca-file": f"{keys}/ca.crt",
        "tls-cert-file": f"{keys}/apiserver.crt",
        "tls-private-key-file": f"{keys}/apiserver.key",
        "service-account-issuer": "https://kubernetes.default.svc.cluster.local",
        "service-account-key-file": f"{keys}/service-account.key",
        "service-account-signing-key-file": f"{keys}/service-account.key",
        "kubelet-certificate-authority": f"{keys}/ca.crt",
        "kubelet-client-certificate": f"{keys}/apiserver-kubelet-client.crt",
        "kubelet-client-key": f"{keys}/apiserver-kubelet-client.key",
        # The node's name is in no DNS; logs and exec go to its address.
        "kubelet-preferred-address-types": "InternalIP",
        "allow-privileged": "true",
        # Who sets an owner reference with blockOwnerDeletion must have `update` of the owner's finalizers; who changes
        # the owners of what is there, `delete` of it.
        "enable-admission-plugins": "OwnerReferencesPermissionEnforcement",
        # It counts every resource's keys again and again: a quarter of what an idle API server takes of the CPU.
        "feature-gates": "SizeBasedListCostEstimate=false",
    }
    flags |= {
        "audit-policy-file": str(_config(cluster, "audit-policy.json", json.dumps(rights.POLICY))),
        "audit-log-path": str(rights.audit_log(cluster)),
        "audit-log-maxsize": "2048",
    }
    if cluster.apiserver_only:
        # No controller makes service accounts in this size, so pods must do without one.
        flags["disable-admission-plugins"] = "ServiceAccount"
    return _with_flags("kube-apiserver", tools, flags)


def _with_flags(name: str, tools: Tools, flags: dict[str, str], inputs: tuple[Path, ...] = ()) -> Component:
    words = tuple(f"--{key}={value}" for key, value in flags.items())
    return Component(name, (str(tools.path(name)), *words), {"PATH": _PATH}, inputs)


def controller_manager(cluster: Cluster, tools: Tools) -> Component:
    keys = cluster.pki
    return _with_flags(
        "kube-controller-manager",
        tools,
        {
            "kubeconfig": str(_kubeconfig(cluster, "controller-manager")),
            "service-account-private-key-file": f"{keys}/service-account.key",
            "root-ca-file": f"{keys}/ca.crt",
            "cluster-signing-cert-file": f"{keys}/ca.crt",
            "cluster-signing-key-file": f"{keys}/ca.key",
            "use-service-account-credentials": "true",
            "allocate-node-cidrs": "false",
            "leader-elect": "false",
            # A ready node loses its taint at the next of these rounds; the default is 5 s.
            "node-monitor-period": "1s",
            "flex-volume-plugin-dir": f"{cluster.state}/kubelet/volumeplugins",
        },
    )


def scheduler(cluster: Cluster, tools: Tools) -> Component:
    return _with_flags(
        "kube-scheduler",
        tools,
        {
            "kubeconfig": str(_kubeconfig(cluster, "scheduler")),
            "leader-elect": "false",
        },
    )


def proxy(cluster: Cluster, machine: Machine, tools: Tools) -> Component:
    """Zero for every conntrack setting means: leave the kernel's values alone."""
    return _with_flags(
        "kube-proxy",
        tools,
        {
            "kubeconfig": str(_node_kubeconfig(cluster, machine, "proxy")),
            "proxy-mode": "iptables",
            "cluster-cidr": POD_CIDR,
            "hostname-override": machine.node,
            "healthz-bind-address": "127.0.0.1:10256",
            "conntrack-max-per-core": "0",
            "conntrack-min": "0",
            "conntrack-tcp-timeout-established": "0",
            "conntrack-tcp-timeout-close-wait": "0",
            # A changed endpoint lands in at most this time; the default of 1 s is kept low for tests.
            "iptables-min-sync-period": "100ms",
        },
    )


def network_policies(cluster: Cluster, machine: Machine, tools: Tools) -> Component:
    return Component(
        "network-policies",
        (
            str(tools.path("network-policies")),
            "-kubeconfig",
            str(_node_kubeconfig(cluster, machine, "network-policies")),
            "-node",
            machine.node,
            "-queue",
            str(netpol.QUEUE),
        ),
    )


def containerd(machine: Machine, tools: Tools) -> Component:
    config = _config(
        machine,
        "containerd.toml",
        containerd_config(
            machine,
            runc=tools.path("runc"),
            plugins=tools.folder("containernetworking-plugins"),
        ),
    )
    program = tools.path("containerd")
    # The shim is looked up on PATH before beside containerd: ours has to win.
    path = f"{program.parent}:{tools.path('runc').parent}:{_PATH}"
    return Component("containerd", (str(program), "--config", str(config)), {"PATH": path}, (config,))


def kubelet(cluster: Cluster, machine: Machine, tools: Tools) -> Component:
    config = _config(machine, "kubelet.json", json.dumps(kubelet_config(cluster, machine), indent=1))
    _config(machine, "resolv.conf", f"nameserver {DNS_SERVICE_IP}\n")
    return _with_flags(
        "kubelet",
        tools,
        {
            "config": str(config),
            "kubeconfig": str(_node_kubeconfig(cluster, machine, f"kubelet{pki.suffix(machine)}")),
            "root-dir": f"{machine.state}/kubelet",
            "cert-dir": f"{machine.state}/kubelet/pki",
            "hostname-override": machine.node,
            "node-ip": machine.ip,
        },
        inputs=(config,),
    )


_COREFILE = """cluster.local:{port} in-addr.arpa:{port} {{
    bind {ip}
    errors
    ready 127.0.0.1:8181
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {kubeconfig}
        ttl 5
    }}
    loadbalance
}}
# Nothing is forwarded: a name outside the cluster does not exist here, and says so at once.
.:{port} {{
    bind {ip}
    errors
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""


def coredns(cluster: Cluster, tools: Tools) -> Component:
    text = _COREFILE.format(port=DNS_PORT, ip=NODE_IP, kubeconfig=_kubeconfig(cluster, "coredns"))
    config = _config(cluster, "Corefile", text)
    return Component("coredns", (str(tools.path("coredns")), "-conf", str(config)), {}, (config,))


def provisioner(cluster: Cluster, tools: Tools, helper_image: str) -> Component:
    paths = [
        {"node": "DEFAULT_PATH_FOR_NON_LISTED_NODES", "paths": [str(cluster.volumes)]},
        *({"node": one.node, "paths": [str(one.volumes)]} for one in cluster.machines[1:]),
    ]
    config = _config(cluster, "local-path.json", json.dumps({"nodePathMap": paths}))
    return Component(
        "local-path-provisioner",
        (
            str(tools.path("local-path-provisioner")),
            "start",
            "--config",
            str(config),
            "--kubeconfig",
            str(_kubeconfig(cluster, "local-path-provisioner")),
            "--namespace",
            "local-path-storage",
            "--provisioner-name",
            "rancher.io/local-path",
            "--helper-image",
            helper_image,
        ),
        {},
        (config,),
    )


def versitygw(cluster: Cluster, tools: Tools, access: str, secret: str) -> Component:
    """Keys go by environment: a command line is readable by every user of the machine."""
    return Component(
        "versitygw",
        (
            str(tools.path("versitygw")),
            "--port",
            f"{NODE_IP}:{S3_PORT}",
            "--cert",
            f"{cluster.s3}/server.crt",
            "--key",
            f"{cluster.s3}/server.key",
            "--iam-dir",
            f"{cluster.s3}/iam",
            "--quiet",
            "posix",
            "--sidecar",
            f"{cluster.s3}/metadata",
            "--versioning-dir",
            f"{cluster.s3}/versions",
            f"{cluster.s3}/buckets",
        ),
        {"ROOT_ACCESS_KEY": access, "ROOT_SECRET_KEY": secret},
    )
