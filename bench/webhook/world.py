"""The two webhooks as processes on one core, the load on the other, and an API server to watch."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bench.webhook import shapes
from tests.unit.webhook.fake_api import FakeApi

GO = Path(__file__).parent / "go"
IMAGE = "pgwarden.example/pgwarden:1"
SERVER_CORE, LOAD_CORE = "0", "1"
#: One core for the server and one for the load, whatever else the machine does: in rounds that are so short, and with
#: such pauses between them, that others hardly notice.
_AHEAD = ("chrt", "-f", "1") if os.geteuid() == 0 else ()
_SECRET = "/api/v1/namespaces/pgwarden-system/secrets/pgwarden-webhook-tls"


class Server:
    """One webhook under test."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, first_answer: float) -> None:
        self.process, self.port, self.first_answer = process, port, first_answer

    def cpu(self) -> float:
        """Seconds of CPU so far, user and system, of all threads."""
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text("ascii").split()[0]) for task in tasks) / 1e9

    def memory(self, what: str = "VmRSS") -> float:
        """MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text("ascii")
        return next(int(line.split()[1]) / 1000 for line in status.splitlines() if line.startswith(f"{what}:")) * 1.024

    async def stop(self) -> None:
        self.process.terminate()
        await self.process.wait()


class World:
    """A folder with certificate, Repositories and binaries; `ours` and `peer` start the two webhooks."""

    def __init__(self, folder: Path, api: str, python: list[str], programs: Path) -> None:
        """*python* starts Python, which finds serve.py and constant.py in *programs*."""
        self.folder, self._api, self._python, self._programs = folder, api, python, programs

    async def ours(self) -> Server:
        port, http = _free_port(), _free_port()
        environment = os.environ | {"BENCH_API": self._api, "PGWARDEN_IMAGE": IMAGE}
        environment["PGWARDEN_CHECK_REQUESTER"] = "false"  # or what the API server takes for it would be measured
        arguments = ["--port", str(port), "--http-port", str(http), "--drain-seconds", "0"]
        command = [*self._python, str(self._programs / "serve.py"), *arguments]
        return await self._start("pgwarden", command, port, environment)

    async def constant(self) -> Server:
        port = _free_port()
        command = [*self._python, str(self._programs / "constant.py"), str(port)]
        pair = "".join((self.folder / name).read_text("ascii") for name in ("tls.key", "tls.crt"))
        return await self._start("constant", command, port, os.environ | {"BENCH_PAIR": pair})

    async def peer(self) -> Server:
        port = _free_port()
        arguments = ["--port", str(port), "--certificates", str(self.folder), "--image", IMAGE]
        command = [str(self.folder / "peer"), *arguments, "--repositories", str(self.folder / "repositories.json")]
        return await self._start("peer", command, port, os.environ | {"GOMAXPROCS": "1"})

    async def _start(self, name: str, command: list[str], port: int, environment: dict[str, str]) -> Server:
        began = time.monotonic()
        with (self.folder / f"{name}.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *_AHEAD, "taskset", "-c", SERVER_CORE, *command, stdout=log, stderr=log, env=environment
            )
        body = shapes.review(shapes.pods()[0])
        while True:
            try:
                answer = await self.ask(port, "/mutate", body)
            except OSError:
                if process.returncode is not None or time.monotonic() - began > 30:
                    raise
                await asyncio.sleep(0.005)
                continue
            assert b'"patch":' in answer, answer
            return Server(process, port, time.monotonic() - began)

    async def ask(self, port: int, path: str, body: bytes) -> bytes:
        """One review on a connection of its own; the body of its answer."""
        tls = ssl.create_default_context(cafile=str(self.folder / "ca.crt"))
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname="localhost")
        writer.write(
            f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
        )
        writer.write(body)
        answer = await reader.read()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        head, _, content = answer.partition(b"\r\n\r\n")
        if b" 200 " not in head.split(b"\r\n", 1)[0]:
            raise OSError(answer[:300])
        return _unchunked(content) if b"chunked" in head.lower() else content

    async def load(self, server: Server, bodies: str, start: int, **flags: Any) -> dict[str, Any]:
        """Run the load generator for `seconds`; its figures, and the server's CPU-seconds for 1,000 reviews."""
        given = {"address": f"127.0.0.1:{server.port}", "ca": self.folder / "ca.crt", "mark": shapes.MARK} | flags
        given |= {"bodies": self.folder / bodies, "start": start}
        words = [f"--{name}={value}" for name, value in given.items()]
        await asyncio.sleep(flags.get("seconds", 0))
        before = server.cpu()
        process = await asyncio.create_subprocess_exec(
            *_AHEAD,
            "taskset",
            "-c",
            LOAD_CORE,
            self.folder / "load",
            *words,
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | {"GOMAXPROCS": "1"},
        )
        text, _ = await process.communicate()
        assert process.returncode == 0, f"the load generator ended with {process.returncode}"
        figures: dict[str, Any] = json.loads(text)
        return figures | {"cpu": (server.cpu() - before) / figures["count"] * 1000}


@contextlib.asynccontextmanager
async def world(folder: Path, python: list[str], programs: Path) -> AsyncIterator[World]:
    """Build the Go commands, write the files, serve the API; all of it is gone afterwards."""
    for command in ("peer", "load"):
        build = await asyncio.create_subprocess_exec("go", "build", "-o", folder / command, f"./{command}", cwd=GO)
        assert await build.wait() == 0
    data = certificate()
    for name, value in data.items():
        (folder / name).write_text(value, "ascii")
    (folder / "repositories.json").write_text(json.dumps(shapes.repositories()), "utf-8")
    (folder / "pods").write_bytes(b"\n".join(shapes.review(pod) for pod in shapes.pods()))
    api = FakeApi()
    api.unsynced.set()
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    await api.put(
        _SECRET, {"metadata": {"name": "pgwarden-webhook-tls", "namespace": "pgwarden-system"}, "data": encoded}
    )
    for repository in shapes.repositories():
        path = f"/apis/pgwarden.io/v1alpha1/namespaces/{shapes.NAMESPACE}/repositories/{repository['metadata']['name']}"
        await api.put(path, repository)
    runner = web.AppRunner(api.app(), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield World(folder, f"http://127.0.0.1:{runner.addresses[0][1]}", python, programs)
    finally:
        await runner.cleanup()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _unchunked(content: bytes) -> bytes:
    whole = b""
    while content:
        size, _, content = content.partition(b"\r\n")
        length = int(size, 16)
        whole, content = whole + content[:length], content[length + 2 :]
        if not length:
            break
    return whole


def certificate() -> dict[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=24))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public = certificate.public_bytes(serialization.Encoding.PEM).decode()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return {"ca.crt": public, "tls.crt": public, "tls.key": private}
