"""Connections to API servers whose CA is as clusters have it, over a real handshake on the loopback device.

The CAs of EKS, MicroK8s and older kubeadm have no key identifiers. Python 3.13 and later refuse them by default.
"""

from __future__ import annotations

import base64
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import aiohttp
import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer

from controller import agents, certificates
from controller.cluster import keep_place
from harness.waiting import SLOWER
from pgwarden.cli import session
from pgwarden.kube import access, tls
from pgwarden.kube.client import KubeClient
from tests.unit import sources
from tests.unit.plain_ca import DAY, NOW, Signed, be_strict, serving, signed

ROOT = Path(__file__).parents[3]
REFUSED = (ssl.SSLError, aiohttp.ClientConnectorError)


@pytest.fixture(autouse=True)
def _as_python_3_13(monkeypatch: pytest.MonkeyPatch) -> None:
    be_strict(monkeypatch)


CA = signed("kubernetes")
LEAF = signed("kube-apiserver", CA, address="127.0.0.1")


@pytest.fixture
async def api_server(tmp_path: Path):
    """Starts an API server with that certificate; its port."""
    opened: list[TestServer] = []

    async def start(leaf: Signed) -> int:
        app = web.Application()
        app.router.add_get("/version", _version)
        server = TestServer(app, host="127.0.0.1")
        await server.start_server(ssl=serving(leaf, tmp_path, LEAF))  # which is no authority
        opened.append(server)
        assert server.port is not None
        return server.port

    yield start
    for one in opened:
        await one.close()


async def _version(_: web.Request) -> web.Response:
    return web.json_response({"gitVersion": "v1.35.4"})


# --- the three ways to it ----------------------------------------------------------------------------------------


def in_a_pod(folder: Path, port: int, ca: bytes, monkeypatch: pytest.MonkeyPatch, **_: object) -> None:
    account = folder / "account"
    account.mkdir()
    (account / "ca.crt").write_bytes(ca)
    (account / "token").write_text("t0ken")
    monkeypatch.setattr(access, "SERVICE_ACCOUNT", account)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(port))
    monkeypatch.delenv("KUBECONFIG", raising=False)


def kubeconfig(folder: Path, port: int, ca: bytes, monkeypatch: pytest.MonkeyPatch, **more: object) -> None:
    cluster = {"server": f"https://127.0.0.1:{port}", "certificate-authority-data": base64.b64encode(ca).decode()}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": cluster | more}],
        "users": [{"name": "u", "user": {"token": "t0ken"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    (folder / "config").write_text(yaml.safe_dump(config))
    monkeypatch.setenv("KUBECONFIG", str(folder / "config"))


async def the_programs() -> KubeClient:
    return await KubeClient.from_environment()


async def the_command_line(context: str = "") -> KubeClient:
    args = SimpleNamespace(kubeconfig="", context=context, namespace="")
    return KubeClient(await session._access(args))  # type: ignore[arg-type]


async def of_a_context() -> KubeClient:
    return await the_command_line("x")


WAYS = pytest.mark.parametrize(
    ("prepare", "connect"),
    [
        pytest.param(in_a_pod, the_programs, id="a pod's service account"),
        pytest.param(kubeconfig, the_programs, id="a program's kubeconfig"),
        pytest.param(kubeconfig, the_command_line, id="kubectl pgwarden"),
        pytest.param(kubeconfig, of_a_context, id="kubectl pgwarden --context"),
    ],
)


@WAYS
async def test_an_api_server_whose_ca_has_no_key_identifiers_is_believed(
    api_server, prepare, connect, tmp_path, monkeypatch
):
    prepare(tmp_path, await api_server(LEAF), CA.pem, monkeypatch)
    async with await connect() as client:
        assert await client.get("/version") == {"gitVersion": "v1.35.4"}


OTHER = signed("kubernetes")
WRONG = {
    "expired": (signed("kube-apiserver", CA, address="127.0.0.1", until=NOW - DAY), CA, "expired"),
    "of another name": (signed("kube-apiserver", CA, address="192.0.2.1"), CA, "mismatch"),
    "of no name": (signed("127.0.0.1", CA), CA, "mismatch"),
    "of another CA": (signed("kube-apiserver", OTHER, address="127.0.0.1"), CA, "verify failed"),
    "signed by a leaf": (signed("kube-apiserver", LEAF, address="127.0.0.1"), CA, "verify failed"),
}


@WAYS
@pytest.mark.parametrize(("leaf", "ca", "words"), WRONG.values(), ids=WRONG)
async def test_a_certificate_that_proves_nothing_is_refused(
    api_server, prepare, connect, leaf, ca, words, tmp_path, monkeypatch
):
    prepare(tmp_path, await api_server(leaf), ca.pem, monkeypatch)
    async with await connect() as client:
        with pytest.raises(REFUSED, match=words):
            await client.get("/version")


async def test_only_who_asks_for_it_goes_without_verification(api_server, tmp_path, monkeypatch):
    kubeconfig(
        tmp_path, await api_server(WRONG["expired"][0]), CA.pem, monkeypatch, **{"insecure-skip-tls-verify": True}
    )
    async with await the_command_line() as client:
        assert await client.get("/version")


def test_agents_are_asked_over_tls_1_3_with_the_controllers_certificate():
    ca = certificates.new_ca("pgwarden hippo", NOW)
    mine = certificates.issue(ca, "pgwarden-controller", [], NOW)
    data = {"ca.crt": ca.cert, "controller.crt": mine.cert, "controller.key": mine.key}
    made = agents._context({key: base64.b64encode(value).decode() for key, value in data.items()})
    assert made.minimum_version == ssl.TLSVersion.TLSv1_3
    assert made.check_hostname
    assert made.verify_mode == ssl.CERT_REQUIRED
    assert not made.verify_flags & ssl.VERIFY_X509_STRICT


def test_nothing_older_than_tls_1_2_is_spoken():
    assert tls.client_context().minimum_version == ssl.TLSVersion.TLSv1_2


def test_no_other_context_is_made_for_connections_of_ours():
    """One that is made elsewhere has the defaults of whatever Python runs it."""
    makers = ("create_default_context", "PROTOCOL_TLS_CLIENT", "_create_unverified_context", "wrap_socket")
    found = [
        str(path.relative_to(ROOT))
        for path in sources.modules()
        if any(maker in path.read_text("utf-8") for maker in makers)
    ]
    assert sorted(found) == ["controller/cluster/keep_place.py", "pgwarden/kube/tls.py"]


def test_what_runs_without_our_library_trusts_as_it_does(tmp_path):
    ca = tmp_path / "ca.crt"
    ca.write_bytes(certificates.new_ca("kubernetes", NOW).cert)
    mine, ours = keep_place.context(ca), tls.client_context(ca_file=ca)
    for one in (mine, ours):
        assert (one.check_hostname, one.verify_mode) == (True, ssl.CERT_REQUIRED)
    assert (mine.verify_flags, mine.minimum_version) == (ours.verify_flags, ours.minimum_version)


# --- under a Python that is strict of itself ---------------------------------------------------------------------

_STRICT = "import ssl; assert ssl.create_default_context().verify_flags & ssl.VERIFY_X509_STRICT"


@pytest.fixture(scope="session")
def strict_python() -> str:
    """A Python 3.13 or later: on PATH, or installed beside the one that runs this."""
    on_path = [shutil.which(f"python3.{minor}") for minor in (15, 14, 13)]
    for found in [*on_path, *map(str, Path(sys.base_prefix).parent.glob("*/bin/python3.1[3-9]"))]:
        if found and subprocess.run([found, "-c", _STRICT], capture_output=True, check=False).returncode == 0:
            return found
    pytest.skip("no Python 3.13 or later at hand")


@pytest.fixture
def greeter(tmp_path: Path) -> Iterator[int]:
    """Shakes hands by TLS with whoever comes; its port."""
    context, door = serving(LEAF, tmp_path), socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = door.accept()
                with context.wrap_socket(connection, server_side=True) as secured:
                    secured.sendall(b"hello")
            except ssl.SSLError:
                continue
            except OSError:
                return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield door.getsockname()[1]
    door.shutdown(socket.SHUT_RDWR)
    door.close()
    thread.join(10)


_ASK = """
import runpy, socket, ssl, sys
make = runpy.run_path(sys.argv[1])["client_context"] if sys.argv[1] else ssl.create_default_context
context = make(**{"ca_file" if sys.argv[1] else "cafile": sys.argv[3]})
with socket.create_connection(("127.0.0.1", int(sys.argv[2]))) as plain:
    print(context.wrap_socket(plain, server_hostname="127.0.0.1").recv(5).decode())
"""


@pytest.mark.parametrize(
    ("module", "answer"),
    [
        pytest.param(str(ROOT / "pgwarden/kube/tls.py"), "hello", id="ours"),
        pytest.param("", "Missing Authority Key Identifier", id="Python's own, which is why"),
    ],
)
def test_python_3_13_shakes_hands_with_such_a_server(strict_python, greeter, tmp_path, module, answer):
    (tmp_path / "ca.crt").write_bytes(CA.pem)
    argv = [strict_python, "-c", _ASK, module, str(greeter), str(tmp_path / "ca.crt")]
    asked = subprocess.run(argv, text=True, capture_output=True, timeout=30 * SLOWER, check=False)
    assert answer in asked.stdout + asked.stderr
