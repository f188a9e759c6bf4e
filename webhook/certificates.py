"""The serving certificate: one Secret, watched, and loaded into the live TLS context when the controller renews it."""

from __future__ import annotations

import base64
import ssl

import structlog

from pgwarden.api import names
from pgwarden.api.objects import Object
from pgwarden.kube import paths
from pgwarden.kube.cache import WatchCache
from pgwarden.kube.client import KubeClient
from pgwarden.kube.tls import load_pair
from webhook import metrics

log = structlog.get_logger()


def server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["http/1.1"])
    return context


class Certificates:
    """`context` serves the newest good pair: a Secret that is broken or deleted leaves the one before in place."""

    def __init__(self, client: KubeClient, namespace: str, secret: str) -> None:
        self.context = server_context()
        self.loaded = False
        self.cache = WatchCache(client, paths.of("secrets", namespace), field_selector=f"metadata.name={secret}")
        self.cache.listen(self._on_event)

    def _on_event(self, event: str, secret: Object, _: Object | None) -> None:
        if event == "DELETED":
            log.warning("the certificate's Secret is gone, serving on with what was in it")
            return
        try:
            self.load(secret)
        except Exception as error:  # noqa: BLE001  whatever is wrong with it, the pair before serves on
            # The type alone: a parser's message may quote what it could not parse.
            log.error("the certificate's Secret is not usable", error=type(error).__name__, loaded=self.loaded)  # noqa: TRY400
            return
        metrics.CERTIFICATE_LOADS.inc()
        log.info("certificate loaded", version=secret["metadata"].get("resourceVersion", ""))

    def load(self, secret: Object) -> None:
        """Take the pair for all handshakes from now on; open connections keep theirs."""
        data = secret["data"]
        pair = b"\n".join(base64.b64decode(data[key]) for key in (names.KEY_TLS_KEY, names.KEY_TLS_CERT))
        load_pair(server_context(), pair)  # first where it does no harm: a failed load would leave a mixed pair behind
        load_pair(self.context, pair)
        self.loaded = True
