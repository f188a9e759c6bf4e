"""What people read when an agent cannot be reached: words, never Python objects."""

from __future__ import annotations

import ssl
from errno import ECONNREFUSED, EHOSTUNREACH

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from controller.agents import _why

KEY = ConnectionKey("10.0.0.7", 8433, True, ssl.create_default_context(), None, None, None)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (aiohttp.ClientConnectorError(KEY, OSError(ECONNREFUSED, "x")), "connection refused"),
        (aiohttp.ClientConnectorError(KEY, OSError(EHOSTUNREACH, "x")), "no route to host"),
        (aiohttp.ClientConnectorSSLError(KEY, ssl.SSLError(1, "[SSL] unknown ca")), "unknown ca"),
        (aiohttp.ClientConnectorCertificateError(KEY, ssl.CertificateError("expired")), "certificate is invalid"),
        (aiohttp.ServerDisconnectedError(), "it closed the connection"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_an_error_is_told_in_words(error: Exception, words: str):
    assert words in _why(error)
    assert "SSLContext" not in _why(error)
    assert "object at 0x" not in _why(error)
