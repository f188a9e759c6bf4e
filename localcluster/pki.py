"""Keys and certificates, by the openssl command.

One CA signs everything of a cluster. Elliptic-curve keys, because fifteen RSA
keys would cost seconds at every cold `up`.
"""

from __future__ import annotations

import base64
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from localcluster.commands import run
from localcluster.config import (
    API_PORT,
    KUBERNETES_SERVICE_IP,
    NODE_IP,
    S3_HOST,
    Cluster,
    Machine,
)

_CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
_DAYS = "3650"
#: Extensions of the cluster's CA, and of what it signs: as EKS, MicroK8s and older kubeadm make them, without key
#: identifiers and key usage. A client that asks for them, as Python's default does from 3.13 on, must not pass here.
AS_PLAIN_AS_CAN_BE = ("-addext", "subjectKeyIdentifier=none", "-addext", "authorityKeyIdentifier=none")
_BY_THE_BOOK = ("-addext", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature")


@dataclass(frozen=True)
class Identity:
    """One certificate: file name, subject, and where it may be presented."""

    name: str
    common_name: str
    organization: str = ""
    names: tuple[str, ...] = ()
    server: bool = False

    @property
    def subject(self) -> str:
        return (f"/O={self.organization}" if self.organization else "") + f"/CN={self.common_name}"


def identities(cluster: Cluster) -> list[Identity]:
    """Everyone who talks TLS inside the cluster, each with the user name RBAC expects."""
    api_names = (
        "IP:127.0.0.1",
        f"IP:{KUBERNETES_SERVICE_IP}",
        f"IP:{NODE_IP}",
        "DNS:localhost",
        "DNS:kubernetes",
        "DNS:kubernetes.default",
        "DNS:kubernetes.default.svc",
        "DNS:kubernetes.default.svc.cluster.local",
    )
    return [
        Identity("apiserver", "kube-apiserver", names=api_names, server=True),
        Identity("admin", "localcluster-admin", "system:masters"),
        Identity("apiserver-kubelet-client", "kube-apiserver-kubelet-client", "system:masters"),
        Identity("controller-manager", "system:kube-controller-manager"),
        Identity("scheduler", "system:kube-scheduler"),
        Identity("proxy", "system:kube-proxy"),
        Identity("network-policies", "localcluster:network-policies"),
        Identity("coredns", "localcluster:coredns"),
        Identity("local-path-provisioner", "localcluster:local-path-provisioner"),
        *(identity for machine in cluster.machines for identity in _kubelet(machine)),
    ]


def _kubelet(machine: Machine) -> list[Identity]:
    """What it serves with, and what it is to the API server."""
    names = (f"IP:{machine.ip}", f"DNS:{machine.node}")
    return [
        Identity(f"kubelet-server{suffix(machine)}", machine.node, names=names, server=True),
        Identity(f"kubelet{suffix(machine)}", f"system:node:{machine.node}", "system:nodes"),
    ]


def suffix(machine: Machine) -> str:
    """Of the names of a node's keys: all of them lie in one folder."""
    return f"-{machine.number}" if machine.number > 1 else ""


def make_ca(folder: Path, name: str, common_name: str, extensions: tuple[str, ...] = _BY_THE_BOOK) -> None:
    """A self-signed CA as NAME.crt and NAME.key, unless it is there already."""
    certificate = folder / f"{name}.crt"
    if certificate.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{name}.crt"
    run(
        [
            "openssl",
            "req",
            "-x509",
            *_CURVE,
            "-days",
            _DAYS,
            "-subj",
            f"/CN={common_name}",
            *extensions,
            "-keyout",
            folder / f"{name}.key",
            "-out",
            temporary,
        ]
    )
    temporary.rename(certificate)


def sign(folder: Path, ca: str, identity: Identity) -> None:
    """Issue one certificate; written last under its final name, so a half-made one is redone."""
    certificate = folder / f"{identity.name}.crt"
    if certificate.exists():
        return
    request, temporary = folder / f"{identity.name}.csr", folder / f".{identity.name}.crt"
    usage = "serverAuth" if identity.server else "clientAuth"
    extensions = ["-addext", f"extendedKeyUsage={usage}"]
    if identity.names:
        extensions += ["-addext", f"subjectAltName={','.join(identity.names)}"]
    key = folder / f"{identity.name}.key"
    run(["openssl", "req", *_CURVE, "-subj", identity.subject, *extensions, "-keyout", key, "-out", request])
    issuer: list[str | Path] = [
        "-CA",
        folder / f"{ca}.crt",
        "-CAkey",
        folder / f"{ca}.key",
        "-set_serial",
        f"0x{os.urandom(16).hex()}",
    ]
    words = [*issuer, "-days", _DAYS, "-copy_extensions", "copy", "-out", temporary]
    run(["openssl", "x509", "-req", "-in", request, *words])
    temporary.rename(certificate)
    request.unlink()


def create(cluster: Cluster) -> None:
    """All of the cluster's keys; existing ones are kept, they are etcd's data's identity."""
    cluster.pki.mkdir(parents=True, exist_ok=True, mode=0o700)
    make_ca(cluster.pki, "ca", f"localcluster-{cluster.name}", AS_PLAIN_AS_CAN_BE)
    service_account = cluster.pki / "service-account.key"
    if not service_account.exists():
        temporary = cluster.pki / ".service-account.key"
        run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", temporary])
        temporary.rename(service_account)
    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(sign, cluster.pki, "ca", one) for one in identities(cluster)]:
            future.result()


def create_s3(cluster: Cluster) -> None:
    """A CA of its own for S3: pgwarden must be told to trust it, as with a private store."""
    make_ca(cluster.s3, "ca", f"localcluster-{cluster.name}-s3")
    sign(
        cluster.s3,
        "ca",
        Identity(
            "server",
            S3_HOST,
            server=True,
            names=(
                f"DNS:{S3_HOST}",
                f"DNS:*.{S3_HOST}",
                "DNS:s3.pgwarden-s3.svc",
                "DNS:s3.pgwarden-s3",
                "DNS:localhost",
                f"IP:{NODE_IP}",
                "IP:127.0.0.1",
            ),
        ),
    )


def kubeconfig(cluster: Cluster, identity: str, port: int = API_PORT, host: str = "127.0.0.1") -> str:
    """A kubeconfig with everything embedded: it can be copied anywhere."""

    def data(file: str) -> str:
        return base64.b64encode((cluster.pki / file).read_bytes()).decode()

    return f"""apiVersion: v1
kind: Config
clusters:
- name: {cluster.name}
  cluster:
    server: https://{host}:{port}
    certificate-authority-data: {data("ca.crt")}
users:
- name: {cluster.name}-{identity}
  user:
    client-certificate-data: {data(f"{identity}.crt")}
    client-key-data: {data(f"{identity}.key")}
contexts:
- name: {cluster.name}
  context: {{cluster: {cluster.name}, user: {cluster.name}-{identity}}}
current-context: {cluster.name}
"""


def write_private(path: Path, text: str) -> None:
    """Write a file with secrets: never readable by others, never half-written."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
    temporary.rename(path)
