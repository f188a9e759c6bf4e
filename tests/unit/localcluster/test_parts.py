"""The pure parts: names, pid files, go.mod, archives, DNS, signatures."""

from __future__ import annotations

import hashlib
import json
import socket
import struct
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from localcluster import (
    builders,
    dns_probe,
    host,
    lifecycle,
    loading,
    manifests,
    pki,
    processes,
    s3,
    teardown,
    tiny_images,
)
from localcluster.api import object_path
from localcluster.config import Cluster, cluster
from localcluster.errors import LocalClusterError


@pytest.fixture
def own(tmp_path: Path) -> Cluster:
    return Cluster("unit", tmp_path / "unit")


@pytest.mark.parametrize("name", ["", "Upper", "-x", "x-", "a/b", "a" * 41, ".."])
def test_refuses_names_that_cannot_be_paths(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGWARDEN_CLUSTER", name or "..")
    with pytest.raises(LocalClusterError, match="cannot name"):
        cluster(name)


def test_refuses_a_state_folder_too_long_for_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGWARDEN_STATE", "/" + "x" * 100)
    with pytest.raises(LocalClusterError, match="too long"):
        cluster("pgwarden")


def test_two_names_share_nothing(tmp_path: Path) -> None:
    one, two = Cluster("one", tmp_path / "one"), Cluster("two", tmp_path / "two")
    for attribute in ("netns_path", "node", "cgroup", "network_name", "containerd_socket", "kubeconfig"):
        assert getattr(one, attribute) != getattr(two, attribute)


def test_two_nodes_share_nothing_but_the_cluster(own: Cluster) -> None:
    own.state.mkdir(parents=True)
    first, second = own, own.add_machine()
    assert own.machines == (first, second)
    parts = (
        "netns_path", "node", "cgroup", "network_name", "containerd_socket", "ip", "pod_cidr", "pids", "logs", "volumes",
    )  # fmt: skip
    for attribute in parts:
        assert getattr(first, attribute) != getattr(second, attribute)
    assert not {one.name for one in pki.identities(own)} - {
        *(one.name for one in pki.identities(Cluster("unit", own.state / "x"))), "kubelet-2", "kubelet-server-2",
    }  # fmt: skip
    assert second.node == "unit-node2"
    assert own.machine(2) == second


def test_a_killed_nodes_number_is_never_used_again(own: Cluster) -> None:
    """A node of its name would seem to have its volumes, and they would be empty."""
    own.state.mkdir(parents=True)
    assert own.add_machine().number == 2
    own.forget_machine(2)
    assert own.machines == (own,)
    assert own.add_machine().number == 3
    assert [one.number for one in Cluster("unit", own.state).machines] == [1, 3]


@pytest.mark.parametrize("number", [1, 3])
def test_only_a_node_beside_the_first_can_be_killed(own: Cluster, number: int) -> None:
    own.state.mkdir(parents=True)
    own.add_machine()
    with pytest.raises(LocalClusterError, match=f"no node {number} that can be killed"):
        lifecycle.kill_node(own, number)


def test_each_node_has_one_copy_of_a_blob_that_both_have(own: Cluster) -> None:
    own.state.mkdir(parents=True)
    second = own.add_machine()
    folders = [one.state / "containerd/io.containerd.content.v1.content/blobs/sha256" for one in (own, second)]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "both").write_text("x")
    (folders[1] / "own").write_text("y")
    loading.share_blobs(own, second)
    assert (folders[0] / "both").samefile(folders[1] / "both")
    assert sorted(path.name for path in folders[1].iterdir()) == ["both", "own"]


def test_a_process_is_found_again_and_ended(own: Cluster) -> None:
    component = processes.Component("sleeper", ("sleep", "60"), in_netns=False)
    process = processes.spawn(own, component)
    assert processes.running(own, "sleeper") == process
    assert process.fingerprint == component.fingerprint()
    processes.stop(own, ["sleeper"], grace=5)
    assert processes.running(own, "sleeper") is None
    assert processes.start_time(process.pid) is None


def test_a_reused_pid_is_not_ours(own: Cluster) -> None:
    own.pids.mkdir(parents=True)
    foreign = subprocess.Popen(["sleep", "60"])
    try:
        start = processes.start_time(foreign.pid)
        assert start is not None
        record = {"pid": foreign.pid, "start": start - 1, "fingerprint": ""}
        (own.pids / "etcd.json").write_text(json.dumps(record))
        assert processes.running(own, "etcd") is None
        processes.stop(own, ["etcd"], grace=0)
        processes.end([(foreign.pid, start - 1)], grace=0)
        assert foreign.poll() is None
    finally:
        foreign.kill()
        foreign.wait()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x"}'])
def test_a_torn_pid_file_means_not_running(own: Cluster, text: str) -> None:
    own.pids.mkdir(parents=True)
    (own.pids / "etcd.json").write_text(text)
    assert processes.running(own, "etcd") is None


def test_what_ignores_sigterm_is_killed(own: Cluster) -> None:
    words = ("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done")
    process = processes.spawn(own, processes.Component("stubborn", words, in_netns=False))
    while "ready" not in own.log("stubborn").read_text():
        time.sleep(0.01)
    processes.stop(own, ["stubborn"], grace=0.3)
    assert processes.start_time(process.pid) is None


def test_a_changed_input_changes_the_fingerprint(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("a")
    component = processes.Component("x", ("x",), inputs=(config,))
    before = component.fingerprint()
    config.write_text("b")
    assert component.fingerprint() != before


def test_go_mod_replaces_every_staging_module() -> None:
    upstream = (
        "module k8s.io/kubernetes\n\ngo 1.25.0\n\ngodebug default=go1.25\n\nreplace (\n"
        "\tk8s.io/api => ./staging/src/k8s.io/api\n\tk8s.io/kubelet => ./staging/src/k8s.io/kubelet\n)\n"
    )
    lines = builders.kubernetes_go_mod(upstream, "1.35.4", "0.35.4").splitlines()
    assert "go 1.25.0" in lines
    assert "godebug default=go1.25" in lines
    assert "require k8s.io/kubernetes v1.35.4" in lines
    assert [line for line in lines if "=>" in line] == [
        "\tk8s.io/api => k8s.io/api v0.35.4",
        "\tk8s.io/kubelet => k8s.io/kubelet v0.35.4",
    ]
    with pytest.raises(LocalClusterError, match="another form"):
        builders.kubernetes_go_mod("module x\n", "1.35.4", "0.35.4")


def test_archive_is_what_docker_save_writes(tmp_path: Path) -> None:
    layer = tiny_images.Layer()
    layer.file("pause", b"program")
    layer.link("sh", "pause")
    tiny_images.write_archive(tmp_path / "a.tar", "localhost/a:1", layer, {"Entrypoint": ["/pause"]})
    with tarfile.open(tmp_path / "a.tar") as archive:

        def read(name: str) -> bytes:
            stream = archive.extractfile(name)
            assert stream is not None
            return stream.read()

        (manifest,) = json.loads(read("manifest.json"))
        assert manifest["RepoTags"] == ["localhost/a:1"]
        config = read(manifest["Config"])
        assert manifest["Config"] == f"{hashlib.sha256(config).hexdigest()}.json"
        digest = hashlib.sha256(read(manifest["Layers"][0])).hexdigest()
        assert json.loads(config)["rootfs"]["diff_ids"] == [f"sha256:{digest}"]


def test_layers_are_reproducible() -> None:
    def content() -> bytes:
        layer = tiny_images.Layer()
        layer.directory("bin")
        layer.file("bin/x", b"x")
        return layer.content()

    assert content() == content()


def test_certificates_carry_their_names(own: Cluster) -> None:
    pki.create(own)
    before = (own.pki / "apiserver.crt").read_bytes()
    pki.create(own)
    assert (own.pki / "apiserver.crt").read_bytes() == before
    text = subprocess.run(
        ["openssl", "x509", "-noout", "-subject", "-ext", "subjectAltName", "-in", own.pki / "apiserver.crt"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "IP Address:127.0.0.1" in text
    assert "DNS:kubernetes.default.svc" in text
    subprocess.run(
        ["openssl", "verify", "-CAfile", own.pki / "ca.crt", own.pki / "admin.crt"], check=True, capture_output=True
    )
    assert "https://127.0.0.1:1234" in pki.kubeconfig(own, "admin", 1234)


def test_secrets_are_private(own: Cluster) -> None:
    own.s3.mkdir(parents=True)
    first = s3.credentials(own)
    assert s3.credentials(own) == first
    assert (own.s3 / "credentials").stat().st_mode & 0o077 == 0


def test_dns_answers_are_told_from_failures() -> None:
    assert dns_probe.query("a.b").endswith(b"\1a\1b\0\0\1\0\1")
    ok = struct.pack(">4H", 0x5157, 0x8180, 1, 1) + b"\0" * 8
    assert dns_probe.answered(ok)
    assert not dns_probe.answered(struct.pack(">4H", 0x5157, 0x8183, 1, 0) + b"\0" * 8)
    assert not dns_probe.answered(struct.pack(">4H", 0x1111, 0x8180, 1, 1) + b"\0" * 8)
    assert not dns_probe.answered(b"")


def test_dns_probe_gives_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        assert dns_probe.main("127.0.0.1", str(silent.getsockname()[1]), "a.b", "0.2") == 1


def test_object_paths() -> None:
    documents = [*manifests.dns(), *manifests.storage("image"), *manifests.object_store()]
    paths = {object_path(document) for document in documents}
    assert "/api/v1/namespaces/kube-system" in paths
    assert "/api/v1/namespaces/kube-system/services/kube-dns" in paths
    assert "/apis/storage.k8s.io/v1/storageclasses/standard-2" in paths
    assert "/apis/discovery.k8s.io/v1/namespaces/pgwarden-s3/endpointslices/s3-node" in paths
    assert len(paths) == len(documents)


def test_exactly_one_default_class() -> None:
    key = "storageclass.kubernetes.io/is-default-class"
    classes = [one for one in manifests.storage("image") if one["kind"] == "StorageClass"]
    assert {one["metadata"]["name"]: one["metadata"]["annotations"][key] for one in classes} == {
        "standard": "true",
        "standard-2": "false",
    }


def test_only_own_shims_are_found(own: Cluster) -> None:
    def shim(address: str) -> subprocess.Popen[bytes]:
        words = ["containerd-shim-runc-v2", "-c", "import time; time.sleep(60)", "-namespace", "k8s.io"]
        return subprocess.Popen([*words, "-address", address], executable=sys.executable)

    mine, foreign = shim(str(own.containerd_socket)), shim(f"{own.containerd_socket}-other")
    try:
        deadline = time.monotonic() + 5
        while mine.pid not in teardown.shims(own) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert teardown.shims(own) == [mine.pid]
    finally:
        for process in (mine, foreign):
            process.kill()
            process.wait()


def test_the_host_is_put_back_with_the_last_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGWARDEN_STATE", str(tmp_path / "s"))
    made, kept = tmp_path / "made", tmp_path / "kept"
    monkeypatch.setattr(host, "_SYSCTLS", ())
    monkeypatch.setattr(host, "_FOLDERS", (str(made), str(kept)))
    monkeypatch.setattr(host, "_CNI_RESULTS", made / "results")
    one, two = Cluster("one", tmp_path / "s" / "one"), Cluster("two", tmp_path / "s" / "two")
    for each in (one, two):
        each.state.mkdir(parents=True)
        host.record(each)
        (made / "results").mkdir(parents=True, exist_ok=True)
        (made / "results" / f"{each.network_name}-id-eth0").write_text("{}")
    kept.mkdir()
    (kept / "foreign").write_text("x")
    host.restore(one)
    assert [path.name for path in (made / "results").iterdir()] == ["localcluster-two-id-eth0"]
    (one.state / "host.json").unlink()
    host.restore(two)
    assert not made.exists()
    assert (kept / "foreign").exists()
