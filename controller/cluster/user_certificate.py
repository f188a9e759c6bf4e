"""Whether PostgreSQL can serve a certificate of the user's own, in a Secret of type kubernetes.io/tls. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509 import Certificate

from pgwarden.api import names

TYPE = "kubernetes.io/tls"
KEYS = (names.KEY_TLS_CERT, names.KEY_TLS_KEY, names.KEY_CA_CERT)
#: Certificates between the server's and its CA's, at most.
_CHAIN = 8


def fault(data: Mapping[str, bytes], now: datetime) -> str:
    """Why *data*, a Secret's, cannot be served, as the end of a sentence about it; empty where it can."""
    missing = [key for key in KEYS if not data.get(key, b"").strip()]
    if missing:
        return f"has no {' and no '.join(missing)}"
    try:
        chain = x509.load_pem_x509_certificates(data[names.KEY_TLS_CERT])
        authorities = x509.load_pem_x509_certificates(data[names.KEY_CA_CERT])
    except ValueError:
        return f"has no certificates that can be read in {names.KEY_TLS_CERT} and {names.KEY_CA_CERT}"
    try:
        key = serialization.load_pem_private_key(data[names.KEY_TLS_KEY], password=None)
    except TypeError:
        return f"has an encrypted key in {names.KEY_TLS_KEY}; PostgreSQL needs one without a passphrase"
    except Exception:  # noqa: BLE001  whatever is wrong with it
        return f"has no private key that can be read in {names.KEY_TLS_KEY}"
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    if key.public_key().public_bytes(*form) != chain[0].public_key().public_bytes(*form):
        return f"has a key in {names.KEY_TLS_KEY} that does not belong to the certificate in {names.KEY_TLS_CERT}"
    if now >= chain[0].not_valid_after_utc:
        return f"has a certificate that expired at {chain[0].not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}"
    if now < chain[0].not_valid_before_utc:
        return f"has a certificate that is valid only from {chain[0].not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ}"
    if not _leads_to(chain[0], chain[1:], authorities):
        return f"has a certificate that was not issued by {names.KEY_CA_CERT}: instances would not believe each other"
    return ""


def _leads_to(leaf: Certificate, between: Sequence[Certificate], authorities: Sequence[Certificate]) -> bool:
    found = leaf
    for _ in range(_CHAIN):
        if any(_issued(found, one) for one in authorities):
            return True
        above = next((one for one in between if one != found and _issued(found, one)), None)
        if above is None:
            return False
        found = above
    return False


def _issued(cert: Certificate, by: Certificate) -> bool:
    try:
        cert.verify_directly_issued_by(by)
    except Exception:  # noqa: BLE001  not by that one
        return False
    return True
