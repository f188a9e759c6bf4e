"""The one way to make a TLS context for a connection that we open: to the API server, to our agents, to a bucket.

And the one way to give a context its certificate.
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path


def client_context(
    *,
    ca_file: str | Path | None = None,
    ca_data: str | None = None,
    verify: bool = True,
    minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
) -> ssl.SSLContext:
    """Trusts the CA in *ca_file* or *ca_data* (PEM), the system's where neither is given. OSError, ssl.SSLError.

    Chain, expiry and host name are checked. The extensions that RFC 5280 asks of a CA are not: from Python 3.13 on the
    default is to refuse a certificate authority without key identifiers or key usage, and those of EKS, MicroK8s and
    older kubeadm have none. Nobody can exchange the CA of a running cluster for the sake of a client of it.
    """
    context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None, cadata=ca_data)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.minimum_version = minimum
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def load_pair(context: ssl.SSLContext, pair: bytes) -> None:
    """Key and certificate, PEM, one after the other; ssl.SSLError where they cannot be used.

    OpenSSL reads files only; this one has no name and is gone with its descriptor, so that the key is on no disk.
    """
    descriptor = os.memfd_create("pgwarden-tls", os.MFD_CLOEXEC)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(pair)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
