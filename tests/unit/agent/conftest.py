"""A kubelet's projected volume and a small certificate authority."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agent.paths import Paths
from tests.unit.agent.recovery.conftest import BIN

#: These run a real server, where the machine has one.
collect_ignore = [] if BIN is not None else ["test_roles.py", "test_search_path.py"]


class Authority:
    def __init__(self, name: str = "hippo-ca") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.pem = _sign(self._name, self._name, self._key.public_key(), self._key, ca=True)

    def leaf(self, name: str) -> tuple[bytes, bytes]:
        """Certificate and key, PEM; *name* is common name and DNS name."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        plain = serialization.NoEncryption()
        encoded = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        return _sign(subject, self._name, key.public_key(), self._key, dns=name), encoded


def _sign(subject, issuer, public, signer, *, ca=False, dns="") -> bytes:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if dns:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(dns)]), critical=False)
    return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


class Source:
    """A projected volume, changed as the kubelet changes one: a new folder, then `..data` in one rename."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._count = 0

    def publish(self, files: Mapping[str, bytes]) -> None:
        self._count += 1
        new = self.folder / f"..{self._count}"
        new.mkdir(parents=True)
        for name, content in files.items():
            (new / name).write_bytes(content)
        data = self.folder / "..data"
        old = data.resolve() if data.is_symlink() else None
        (self.folder / "..data_tmp").symlink_to(new.name)
        (self.folder / "..data_tmp").rename(data)
        for link in self.folder.iterdir():
            if link.is_symlink() and link.name != "..data":
                link.unlink()
        for name in files:
            (self.folder / name).symlink_to(f"..data/{name}")
        if old:
            shutil.rmtree(old)


@pytest.fixture(scope="session")
def authority():
    return Authority()


@pytest.fixture(scope="session")
def other_authority():
    return Authority("another-ca")


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths.below(tmp_path)


@pytest.fixture
def source(paths: Paths) -> Source:
    return Source(paths.source)


@pytest.fixture
def files(authority) -> dict[str, bytes]:
    """A complete source of a PostgreSQL pod."""
    certificate, key = authority.leaf("hippo-pods")
    return {
        "pod.conf": b"[global]\nrepo1-host=hippo-pgbackrest\n",
        "credentials.conf": b"[global]\nrepo1-cipher-pass=secret\n",
        "ca.crt": authority.pem,
        "tls.crt": certificate,
        "tls.key": key,
    }
