"""Certificates as plain as clusters have them: an authority with basicConstraints alone, a leaf with its address alone.

The CAs of EKS, MicroK8s and older kubeadm have no key identifiers. Python 3.13 and later refuse them by default.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


def be_strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """The flags of ssl.create_default_context in the image's Python, whatever Python the tests run in."""
    before = ssl.create_default_context

    def strict(*args: object, **kwargs: object) -> ssl.SSLContext:
        context = before(*args, **kwargs)  # type: ignore[arg-type]
        context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
        return context

    monkeypatch.setattr(ssl, "create_default_context", strict)


@dataclass(frozen=True)
class Signed:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


def signed(
    name: str, issuer: Signed | None = None, *, until: datetime = NOW + DAY, address: str = "", dns: str = ""
) -> Signed:
    """As plain as can be: a CA has basicConstraints alone, a leaf its address or name alone."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - 9 * DAY)
        .not_valid_after(until)
    )
    if issuer is None:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=False)
    if address or dns:
        there: x509.GeneralName = x509.DNSName(dns) if dns else x509.IPAddress(IPv4Address(address))
        found = x509.SubjectAlternativeName([there])
        builder = builder.add_extension(found, critical=False)
    return Signed(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key)


def serving(leaf: Signed, folder: Path, *more: Signed) -> ssl.SSLContext:
    """The context of a server that shows *leaf*, and *more* as its chain."""
    cert, key = folder / "server.crt", folder / "server.key"
    cert.write_bytes(b"".join(one.pem for one in (leaf, *more)))
    key.write_bytes(leaf.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context
