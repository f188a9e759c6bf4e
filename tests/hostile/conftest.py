"""The webhook's own server, for bodies that come over TLS."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bench.webhook.world import certificate
from pgwarden.injection.pods import Pod
from tests.hostile import world
from webhook import certificates
from webhook.review import Typed
from webhook.server import Server
from webhook.serving import SERVERS


@pytest.fixture(params=SERVERS)
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[int, ssl.SSLContext]]:
    """Its port on this machine, and the context that trusts it."""
    handlers = world.handlers()
    calls = {"/mutate": Typed(handlers.mutate_pods, Pod), "/check": handlers.check_kinds}
    listening = Server(calls | {"/validate": handlers.check_kinds}, dict, request.param)
    pair = certificate()
    (tmp_path / "pair").write_text(pair["tls.key"] + pair["tls.crt"], "ascii")
    context = certificates.server_context()
    context.load_cert_chain(tmp_path / "pair")
    await listening.start(context, 0, 0, host="localhost")
    yield listening.addresses[1][1], ssl.create_default_context(cadata=pair["ca.crt"])
    await listening.stop()
