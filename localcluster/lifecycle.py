"""Bringing a cluster up: from nothing, from a stopped one or from a half-dead one.

Every step first looks whether its result is there already, so `up` on a
healthy cluster only verifies and `up` on a broken one restarts what is dead.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from localcluster import (
    cgroups,
    components,
    host,
    loading,
    manifests,
    netns,
    netpol,
    pki,
    ports,
    processes,
    runtime,
    s3,
    teardown,
)
from localcluster.api import Api
from localcluster.commands import run
from localcluster.config import DNS_SERVICE_IP, S3_HOST, Cluster, Machine
from localcluster.console import say, step, wait_until
from localcluster.errors import LocalClusterError
from localcluster.processes import Component
from localcluster.tools import Tools, prepare_host
from localcluster.versions import HELPER_IMAGE

APISERVER_TOOLS = ("kubernetes", "etcd-server", "kubectl")


@contextmanager
def locked(cluster: Cluster) -> Iterator[None]:
    """One up, stop or down at a time; the lock lies beside the state, which `down` removes."""
    cluster.state.parent.mkdir(parents=True, exist_ok=True)
    path = cluster.state.parent / f".{cluster.name}.lock"
    while True:
        with path.open("w") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say(f"another command is working on cluster {cluster.name}; waiting")
                fcntl.flock(stream, fcntl.LOCK_EX)
            # `down` removes the file: a lock on a removed file excludes nobody, so try again.
            if path.exists() and path.stat().st_ino == os.fstat(stream.fileno()).st_ino:
                try:
                    yield
                finally:
                    _drop_lock(cluster, path)
                return
        cluster.state.parent.mkdir(parents=True, exist_ok=True)


def _drop_lock(cluster: Cluster, path: Path) -> None:
    """Leave no lock file, nor an empty root folder, of a cluster that is gone."""
    if not cluster.state.exists():
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            cluster.state.parent.rmdir()


def up(
    cluster: Cluster, *, apiserver_only: bool = False, helper_image: str = HELPER_IMAGE, nodes: int | None = None
) -> None:
    """Make the cluster run and return when it is usable, with at least *nodes* nodes; None: those that it has."""
    tools = Tools()
    needed = APISERVER_TOOLS if apiserver_only else ()
    prepare_host(tools, needed)
    tools.ensure(needed)
    with locked(cluster):
        _choose_size(cluster, apiserver_only)
        while not apiserver_only and len(cluster.machines) < (nodes or 1):
            cluster.add_machine()
        restarted = _clear_remains(cluster) and cluster.kubeconfig.exists()
        _prepare(cluster)
        _control_plane(cluster, tools)
        if not cluster.apiserver_only:
            _node(cluster, tools, helper_image)
            if restarted:
                _wait_pods(cluster)
    say(f"cluster {cluster.name} is ready; KUBECONFIG={cluster.kubeconfig}")


def _choose_size(cluster: Cluster, apiserver_only: bool) -> None:
    if cluster.exists and cluster.apiserver_only != apiserver_only:
        raise LocalClusterError(
            f"cluster {cluster.name} exists in the other size",
            way_out=f"python3 -m localcluster down --name {cluster.name}, or another --name",
        )
    cluster.state.mkdir(parents=True, exist_ok=True)
    cluster.size_file.write_text("apiserver" if apiserver_only else "full")


def _clear_remains(cluster: Cluster) -> bool:
    """Whether everything has to be started anew.

    Processes in a namespace that is gone cannot be reached any more: end them.

    After a reboot of the machine there is neither a process nor a namespace,
    and what a reboot would clear is cleared here.
    """
    alive = [(machine, one) for machine in cluster.machines for one in processes.all_running(machine).values()]
    lost = [one.pid for machine, one in alive if not netns.holds(machine, one.pid)]
    if lost or not alive:
        teardown.end_everything(cluster, grace=0)
    return bool(lost) or not alive


def _prepare(cluster: Cluster) -> None:
    with step("network namespace, keys and configuration"):
        pki.create(cluster)
        if not cluster.apiserver_only:
            host.record(cluster)
        for machine in cluster.machines:
            _prepare_machine(cluster, machine)
        port = ports.ensure_forwarder(cluster)["api"]
        text = pki.kubeconfig(cluster, "admin", port)
        if not cluster.kubeconfig.exists() or cluster.kubeconfig.read_text() != text:
            pki.write_private(cluster.kubeconfig, text)


def _prepare_machine(cluster: Cluster, machine: Machine) -> None:
    for folder in (machine.run, machine.volumes, machine.logs):
        folder.mkdir(parents=True, exist_ok=True)
    if not cluster.apiserver_only:
        cgroups.create(machine)
        runtime.write_cni(machine)
    netns.create(machine)
    if machine is not cluster:
        netns.link(cluster, machine)


def ensure_running(machine: Machine, component: Component) -> bool:
    """Start a component that is dead or runs with another configuration; True if started."""
    alive = processes.running(machine, component.name)
    if alive and alive.fingerprint == component.fingerprint():
        return False
    if alive:
        say(f"{component.name}: its configuration changed; restarting it")
        processes.stop(machine, [component.name])
    processes.spawn(machine, component)
    return True


def _died(machine: Machine, *names: str) -> LocalClusterError | None:
    """An error for the first of these that has ended."""
    for name in names:
        if processes.running(machine, name) is None:
            return LocalClusterError(
                f"{name} ended while the cluster was starting",
                log=machine.log(name),
                way_out="mend the cause in the log and run `up` again",
            )
    return None


def _died_with(cluster: Cluster, machine: Machine) -> LocalClusterError | None:
    """The same of what a node needs to become Ready."""
    return _died(machine, "kubelet", "containerd") or _died(cluster, "kube-controller-manager", "kube-scheduler")


def _control_plane(cluster: Cluster, tools: Tools) -> None:
    """etcd and the API server; containerd starts meanwhile and gets its images."""
    ensure_running(cluster, components.etcd(cluster, tools))
    ensure_running(cluster, components.apiserver(cluster, tools))
    if not cluster.apiserver_only:
        for machine in cluster.machines:
            ensure_running(machine, components.containerd(machine, tools))
        _spawn_s3(cluster, tools)
        for machine in cluster.machines:
            _images(cluster, machine, tools)
    with step("waiting for the API server"):
        wait_until(
            "API server",
            Api(cluster).ready,
            limit=120,
            failed=lambda: _died(cluster, "etcd", "kube-apiserver", ports.FORWARDER),
        )


def _images(cluster: Cluster, machine: Machine, tools: Tools) -> None:
    """Each node has all images: there is no registry to pull from."""
    wait_until(
        f"containerd of {machine.node}",
        lambda: loading.containerd_answers(machine, tools),
        limit=60,
        failed=lambda: _died(machine, "containerd"),
    )
    loading.load_own(machine, tools)
    if machine is not cluster:
        loading.copy(cluster, machine, tools)


def _spawn_s3(cluster: Cluster, tools: Tools) -> None:
    access, secret = s3.prepare(cluster)
    ensure_running(cluster, components.versitygw(cluster, tools, access, secret))


def start_s3(cluster: Cluster, tools: Tools) -> None:
    """End an outage made by `s3 stop`."""
    _spawn_s3(cluster, tools)
    wait_until("S3 store", lambda: s3.answers(cluster), limit=30, failed=lambda: _died(cluster, "versitygw"))


def _node(cluster: Cluster, tools: Tools, helper_image: str) -> None:
    api = Api(cluster)
    with step("DNS, storage and S3 objects"):
        for document in (
            *manifests.dns(),
            *manifests.storage(helper_image),
            *manifests.object_store(),
            *manifests.network_policies(),
        ):
            api.apply(document)
    # Before the kubelets: no pod connects to another until somebody judges it.
    for machine in cluster.machines:
        netpol.ask(machine)
        ensure_running(machine, components.network_policies(cluster, machine, tools))
    for component in (
        components.kubelet(cluster, cluster, tools),
        components.controller_manager(cluster, tools),
        components.scheduler(cluster, tools),
        components.proxy(cluster, cluster, tools),
        components.coredns(cluster, tools),
        components.provisioner(cluster, tools, helper_image),
    ):
        ensure_running(cluster, component)
    for machine in cluster.machines[1:]:
        ensure_running(machine, components.kubelet(cluster, machine, tools))
        ensure_running(machine, components.proxy(cluster, machine, tools))
    _wait_node(cluster, api)


def node_ready(machine: Machine, api: Api) -> bool:
    """Ready, and confirmed by the kubelet of now: after a stop the API still shows the old state.

    kubelet posts a heartbeat at its start and then seldom, so any later one will do.
    """
    node = api.get(f"/api/v1/nodes/{machine.node}")
    if node is None or processes.running(machine, "kubelet") is None:
        return False
    began = int(processes.started_at(machine, "kubelet"))
    for one in node["status"].get("conditions", []):
        if (one["type"], one["status"]) == ("Ready", "True"):
            confirmed = dt.datetime.fromisoformat(one["lastHeartbeatTime"]).timestamp() >= began
            return confirmed and not node["spec"].get("taints")
    return False


def _wait_node(cluster: Cluster, api: Api) -> None:
    with step("waiting for the node" if len(cluster.machines) == 1 else "waiting for the nodes"):
        for machine in cluster.machines:
            wait_until(
                f"{machine.node} Ready",
                partial(node_ready, machine, api),
                limit=120,
                failed=partial(_died_with, cluster, machine),
            )
            wait_until(
                f"NetworkPolicies of {machine.node}",
                partial(netpol.is_judged, machine),
                limit=60,
                failed=partial(_died, machine, "network-policies"),
            )
        wait_until(
            "service account of namespace default",
            lambda: api.get("/api/v1/namespaces/default/serviceaccounts/default") is not None,
            limit=60,
            failed=partial(_died_with, cluster, cluster),
        )
    with step("waiting for cluster DNS and S3"):
        ask_dns(cluster, S3_HOST, 60)
        wait_until("S3 store", lambda: s3.answers(cluster), limit=30, failed=lambda: _died(cluster, "versitygw"))


def _stale_pods(cluster: Cluster, api: Api) -> list[str]:
    """Pods that are Ready only on paper, from before their kubelet's start."""
    starts = {machine.node: processes.started_at(machine, "kubelet") for machine in cluster.machines}
    pods = (api.get("/api/v1/pods?resourceVersion=0") or {}).get("items", [])
    stale = []
    for pod in pods:
        began = starts.get(pod["spec"].get("nodeName"), 0)  # that of a dead node says nothing
        for one in pod.get("status", {}).get("conditions", []):
            if (one["type"], one["status"]) == ("Ready", "True"):
                # Whole seconds: a change in the second of the start is taken as new.
                changed = dt.datetime.fromisoformat(one["lastTransitionTime"]).timestamp()
                if changed < int(began):
                    stale.append(f"{pod['metadata']['namespace']}/{pod['metadata']['name']}")
    return stale


def _wait_pods(cluster: Cluster) -> None:
    """After a full stop, wait until kubelet has looked at every pod it had.

    Otherwise `kubectl wait` right after `start` sees Ready of before the stop.
    """
    api = Api(cluster)
    with step("waiting for the state of the pods of before"):
        try:
            wait_until("pod states", lambda: not _stale_pods(cluster, api), limit=60)
        except LocalClusterError:
            say(f"still the state of before the stop: {', '.join(_stale_pods(cluster, api))}")


def kill_node(cluster: Cluster, number: int) -> str:
    """End a node beside the first for good; the name of its Node object, which stays."""
    found = next((one for one in cluster.machines if one.number == number), None)
    if found is None or found is cluster:
        others = [str(one.number) for one in cluster.machines[1:]]
        raise LocalClusterError(
            f"cluster {cluster.name} has no node {number} that can be killed"
            + (": the control plane, DNS and S3 are beside the first" if number == 1 else ""),
            way_out=f"there is {', '.join(others)}" if others else "`up --nodes 2` makes a second one",
        )
    with step(f"killing {found.node}"):
        teardown.kill_node(cluster, found)
    return found.node


def ask_dns(cluster: Cluster, name: str, limit: float) -> None:
    """Resolve a name as a pod does: by the Service's address, so kube-proxy is proven too."""
    probe = Path(__file__).with_name("dns_probe.py")
    run(
        [*netns.inside(cluster), sys.executable, "-I", probe, DNS_SERVICE_IP, "53", name, str(limit)],
        limit=limit + 10,
        what="cluster DNS",
        way_out="see `logs coredns` and `logs kube-proxy`",
    )
