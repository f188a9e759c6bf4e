"""Fixtures: pods and Repositories with defaults to override, certificates, a fake API server."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from harness.patches import carried_out
from pgwarden.injection import pipeline
from pgwarden.injection.decide import Inject
from pgwarden.injection.patch import encode
from pgwarden.injection.settings import Settings

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="session")
def settings():
    return Settings(image="pgwarden.example/pgwarden:1")


@pytest.fixture(scope="session")
def repository():
    def build(name="hippo", namespace="zoo", **spec):
        metadata = {"name": name, "namespace": namespace, "resourceVersion": "1"}
        return {"apiVersion": "pgwarden.io/v1alpha1", "kind": "Repository", "metadata": metadata, "spec": spec}

    return build


@pytest.fixture(scope="session")
def pod():
    """A StatefulSet's pod of the official image; keywords override the container's fields."""

    def build(**container):
        main = {
            "name": "postgres",
            "image": "postgres:17",
            "volumeMounts": [{"name": "data", "mountPath": "/var/lib/postgresql/data"}],
        } | container
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "hippo-0", "namespace": "zoo", "labels": {"pgwarden.io/repository": "hippo"}},
            "spec": {
                "containers": [main],
                "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
            },
        }

    return build


@pytest.fixture(scope="session")
def operations(settings, repository):
    """The patch of a pod, as the API server reads it; fails where the pod is not injected."""

    def build(pod, found=None):
        decision = pipeline.decision_on(pod, found or repository(), settings)
        assert isinstance(decision, Inject), decision
        return json.loads(encode(pipeline.operations(decision)))

    return build


@pytest.fixture(scope="session")
def applied():
    return carried_out


def golden_names():
    return sorted(path.stem for path in GOLDEN.glob("*.yaml"))


@pytest.fixture(params=golden_names())
def golden(request, repository):
    """(pod, Repository, path of its patch)."""
    documents = list(yaml.safe_load_all((GOLDEN / f"{request.param}.yaml").read_text("utf-8")))
    found = documents[1] if len(documents) > 1 else repository()
    return documents[0], found, GOLDEN / f"{request.param}.patch.json"


@pytest.fixture(scope="session")
def pair():
    """A self-signed certificate for localhost, as the data of the Secret that the controller makes."""

    def build(name):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        plain = serialization.NoEncryption()
        encoded = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        return {"ca.crt": pem.decode(), "tls.crt": pem.decode(), "tls.key": encoded.decode()}

    return build


@pytest.fixture(scope="session")
def secret():
    def build(data, version="1"):
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
        metadata = {"name": "pgwarden-webhook-tls", "namespace": "pgwarden-system", "resourceVersion": version}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": encoded}

    return build


@pytest.fixture(scope="session")
def review_of():
    """The body of an AdmissionReview."""

    def build(obj, *, operation="CREATE", old=None, **request):
        content = {
            "uid": "1-2-3",
            "operation": operation,
            "kind": {"group": "", "version": "v1", "kind": obj.get("kind", "") if isinstance(obj, dict) else ""},
            "namespace": "zoo",
            "object": obj,
            "oldObject": old,
            "options": {"apiVersion": "meta.k8s.io/v1", "kind": "CreateOptions"},
            "userInfo": {"username": "u"},
        } | request
        return json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": content}).encode()

    return build
