"""What a service mesh does to pods: a proxy beside every container of some of them, which never ends by itself.
And what other admission webhooks make of them.

By a mutating webhook of the test's own, in a pod of the namespace: that needs no API that is not served everywhere.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from controller import certificates
from harness.kubectl import Kubectl, Object, condition

PROXY = "proxy"
#: What restricted Pod Security asks of a container.
RESTRICTED: Object = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "runAsUser": 65534,
    "seccompProfile": {"type": "RuntimeDefault"},
}
_NAME = "mesh"
#: Ends on SIGTERM alone, as a proxy does.
FOREVER = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); signal.pause()"
_SERVER = """
import base64, http.server, json, ssl

PATCH = json.load(open("/mesh/patch.json"))

class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        patch = base64.b64encode(json.dumps(PATCH).encode()).decode()
        said = {"uid": review["request"]["uid"], "allowed": True, "patchType": "JSONPatch", "patch": patch}
        body = json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": said}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/mesh/tls.crt", "/mesh/tls.key")
server = http.server.ThreadingHTTPServer(("", 8443), Handler)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


@contextmanager
def proxies(space: Kubectl, image: str, labels: dict[str, str], code: str = FOREVER, **fields: Any) -> Iterator[None]:
    """Every pod with *labels* that is created in the namespace gets a proxy meanwhile. *image* has Python.

    It runs *code*, and has the other *fields* of a container.
    """
    proxy = container(image, PROXY, code) | fields
    with patching(space, image, labels, [{"op": "add", "path": "/spec/containers/-", "value": proxy}]):
        yield


@contextmanager
def patching(space: Kubectl, image: str, labels: dict[str, str], patch: list[Object]) -> Iterator[None]:
    """Every pod with *labels* that is created in the namespace gets the JSON *patch* meanwhile."""
    name = f"{_NAME}-{space.namespace}"
    authority = certificates.new_ca(_NAME, datetime.now(UTC))
    leaf = certificates.issue(authority, _NAME, [f"{_NAME}.{space.namespace}.svc"], datetime.now(UTC))
    space.apply(*_serving(image, leaf, patch))
    space.until("pod", _NAME, _is_ready, "is ready", 60)
    space.apply(_webhook(name, space.namespace, authority.cert, labels))
    try:
        yield
    finally:
        space.run("delete", "mutatingwebhookconfiguration", name)
        space.run("delete", "pod", _NAME)


def containers(pod: Object) -> list[str]:
    return [one["name"] for one in pod["spec"]["containers"]]


def _serving(image: str, leaf: certificates.Pair, patch: list[Object]) -> list[Object]:
    data = {"tls.crt": leaf.cert.decode(), "tls.key": leaf.key.decode(), "patch.json": json.dumps(patch)}
    server = container(image, "server", _SERVER) | {
        "securityContext": RESTRICTED,
        "volumeMounts": [{"name": "mesh", "mountPath": "/mesh"}],
        "readinessProbe": {"tcpSocket": {"port": 8443}, "periodSeconds": 1},
    }
    volumes = [{"name": "mesh", "secret": {"secretName": _NAME}}]
    return [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": _NAME}, "stringData": data},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": _NAME},
            "spec": {"selector": {"app": _NAME}, "ports": [{"port": 443, "targetPort": 8443}]},
        },
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": _NAME, "labels": {"app": _NAME}},
            "spec": {"containers": [server], "volumes": volumes, "terminationGracePeriodSeconds": 0},
        },
    ]


def container(image: str, name: str, code: str) -> Object:
    """One that runs Python's *code*."""
    policy = {"imagePullPolicy": "Never"} if image.startswith("localhost/") else {}
    return {"name": name, "image": image, "command": ["python3", "-u", "-c", code]} | policy


def _webhook(name: str, namespace: str, authority: bytes, labels: dict[str, str]) -> Object:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    service = {"name": _NAME, "namespace": namespace, "path": "/", "port": 443}
    hook = {
        "name": "mesh.example.org",
        "rules": [rule],
        "clientConfig": {"service": service, "caBundle": base64.b64encode(authority).decode()},
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "objectSelector": {"matchLabels": labels},
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Fail",
        "timeoutSeconds": 5,
    }
    kind = "MutatingWebhookConfiguration"
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name},
        "webhooks": [hook],
    }


def _is_ready(pod: Object) -> bool:
    found = condition(pod, "Ready")
    return found is not None and found["status"] == "True"
