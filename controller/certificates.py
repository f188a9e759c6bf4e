"""Certificate authorities and leaves, made by `cryptography`. Pure but for the random numbers; the clock is passed in.

Extensions follow RFC 5280 strictly (key identifiers, critical basic constraints): Python 3.13 and later refuse less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pgwarden.api import names

CA_DAYS = 3650
LEAF_DAYS = 90
#: A leaf is issued anew when less than this part of its life is left.
RENEW_AT = 1 / 3
_BACKDATE = timedelta(minutes=10)  # for clocks that run behind ours


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, both PEM."""

    cert: bytes
    key: bytes


def new_ca(common_name: str, now: datetime) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(common_name)
    usage = _usage(sign_certificates=True)
    cert = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(now + timedelta(days=CA_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Pair(cert.public_bytes(serialization.Encoding.PEM), _pem(key))


def issue(ca: Pair, common_name: str, dns_names: Sequence[str], now: datetime, days: int = LEAF_DAYS) -> Pair:
    """A leaf for *common_name*, good as a server for *dns_names* and as a client."""
    authority = x509.load_pem_x509_certificate(ca.cert)
    signer = serialization.load_pem_private_key(ca.key, password=None)
    if not isinstance(signer, ec.EllipticCurvePrivateKey):
        raise TypeError("the certificate authority's key must be an elliptic curve key, as new_ca makes it")
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(common_name))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign_certificates=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if dns_names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(n) for n in dns_names]), critical=False
        )
    return Pair(builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM), _pem(key))


def still_good(leaf: Pair, ca: Pair, common_name: str, dns_names: Sequence[str], now: datetime) -> bool:
    """Whether *leaf* was issued by *ca* for exactly these names and has more than RENEW_AT of its life left."""
    try:
        cert = x509.load_pem_x509_certificate(leaf.cert)
        authority = x509.load_pem_x509_certificate(ca.cert)
        cert.verify_directly_issued_by(authority)
    except Exception:  # noqa: BLE001  whatever is wrong with it, the answer is a new one
        return False
    if now > _renews(cert):
        return False
    try:
        found = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
            x509.DNSName
        )
    except x509.ExtensionNotFound:
        found = []
    return sorted(found) == sorted(dns_names) and cert.subject == _name(common_name)


def authority_good(ca: Pair, now: datetime) -> bool:
    """Whether *ca* can be read, can sign, and outlives the leaves that it would sign now."""
    try:
        cert = x509.load_pem_x509_certificate(ca.cert)
        key = serialization.load_pem_private_key(ca.key, password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != cert.public_key():
            return False
    except Exception:  # noqa: BLE001  whatever is wrong with it, the answer is a new one
        return False
    return cert.not_valid_after_utc - now > timedelta(days=2 * LEAF_DAYS)


def _name(common_name: str) -> x509.Name:
    """X.509 allows 64 characters: who verifies looks at the alternative names, which are whole."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names.short(common_name, 64))])


def expires(cert: bytes) -> datetime:
    return x509.load_pem_x509_certificate(cert).not_valid_after_utc


def begins(cert: bytes) -> datetime:
    """When it was made."""
    return x509.load_pem_x509_certificate(cert).not_valid_before_utc + _BACKDATE


def is_certificate(pem: bytes) -> bool:
    try:
        x509.load_pem_x509_certificate(pem)
    except ValueError:
        return False
    return True


def renews(cert: bytes) -> datetime:
    """From then on it is issued anew."""
    return _renews(x509.load_pem_x509_certificate(cert))


def _renews(cert: x509.Certificate) -> datetime:
    whole = cert.not_valid_after_utc - cert.not_valid_before_utc
    return cert.not_valid_after_utc - whole * RENEW_AT


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
