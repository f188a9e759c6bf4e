"""Keeps the webhook's certificate: the Secret that its replicas watch, and the caBundle that the API server trusts.

Done by the leader. The chart renders neither, so that rendering twice gives the same bytes and `helm upgrade`
never takes a certificate from under running pods. On a new CA the old one stays in the bundle until the next renewal.
"""

from __future__ import annotations

import asyncio
import base64

import aiohttp
import structlog

from pgwarden.api import names
from pgwarden.controller import certificates
from pgwarden.controller.certificates import Pair
from pgwarden.controller.context import Context
from pgwarden.kube import errors, paths
from pgwarden.kube.client import Object

log = structlog.get_logger()
PERIOD = 10.0  # seconds; a fresh install or a reverted caBundle must not block longer
KEY_BUNDLE = "ca-bundle.crt"


async def keep(context: Context) -> None:
    """Look each PERIOD; never ends. A failure is logged and tried again."""
    while True:
        try:
            await reconcile(context)
        except (errors.ApiError, aiohttp.ClientError, TimeoutError, OSError) as error:
            log.warning("the webhook's certificate could not be checked", error=str(error))
        await asyncio.sleep(PERIOD)


async def reconcile(context: Context) -> None:
    bundle = await _ensure_secret(context)
    for plural, name in (
        ("mutatingwebhookconfigurations", context.settings.mutating_webhook),
        ("validatingwebhookconfigurations", context.settings.validating_webhook),
    ):
        await _ensure_bundle(context, paths.of(plural, "", name), bundle)


async def _ensure_secret(context: Context) -> bytes:
    settings, now = context.settings, context.clock()
    path = paths.of("secrets", settings.namespace, settings.tls_secret)
    found = await context.client.find(path)
    data = {k: base64.b64decode(v) for k, v in ((found or {}).get("data") or {}).items()}
    dns = [
        f"{settings.webhook_service}.{settings.namespace}.svc",
        f"{settings.webhook_service}.{settings.namespace}.svc.cluster.local",
    ]
    ca = Pair(data.get(names.KEY_CA_CERT, b""), data.get(names.KEY_CA_KEY, b""))
    leaf = Pair(data.get(names.KEY_TLS_CERT, b""), data.get(names.KEY_TLS_KEY, b""))
    bundle = data.get(KEY_BUNDLE, b"")
    if certificates.still_good(leaf, ca, dns[0], dns, now):
        return bundle or ca.cert
    if not certificates.authority_good(ca, now):
        ca = certificates.new_ca("pgwarden webhook", now)
        bundle = ca.cert + data.get(names.KEY_CA_CERT, b"")
    leaf = certificates.issue(ca, dns[0], dns, now)
    content = {
        names.KEY_CA_CERT: ca.cert,
        names.KEY_CA_KEY: ca.key,
        names.KEY_TLS_CERT: leaf.cert,
        names.KEY_TLS_KEY: leaf.key,
        KEY_BUNDLE: bundle or ca.cert,
    }
    body: Object = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": settings.tls_secret,
            "namespace": settings.namespace,
            "labels": {names.MANAGED_BY: "pgwarden"},
        },
        "type": "Opaque",
        "data": {key: base64.b64encode(value).decode() for key, value in content.items()},
    }
    await context.client.apply(path, body)
    log.info("issued the webhook's certificate", dns=dns[0], expires=str(certificates.expires(leaf.cert)))
    return content[KEY_BUNDLE]


async def _ensure_bundle(context: Context, path: str, bundle: bytes) -> None:
    """Patch only existing configurations: at uninstall nothing of ours makes them again."""
    configuration = await context.client.find(path)
    if configuration is None:
        return
    encoded = base64.b64encode(bundle).decode()
    webhooks = configuration.get("webhooks") or []
    if all(hook["clientConfig"].get("caBundle") == encoded for hook in webhooks):
        return
    changed = [hook | {"clientConfig": hook["clientConfig"] | {"caBundle": encoded}} for hook in webhooks]
    version = configuration["metadata"]["resourceVersion"]
    await context.client.merge(path, {"metadata": {"resourceVersion": version}, "webhooks": changed})
    log.info("wrote the caBundle", configuration=configuration["metadata"]["name"])
