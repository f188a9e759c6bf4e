"""Keeps the webhook's certificate: the Secret that its replicas watch, and the caBundle that the API server trusts.

Done by the leader. The chart renders neither, so that rendering twice gives the same bytes and `helm upgrade`
never takes a certificate from under running pods. On a new CA the old one stays in the bundle until the next renewal,
and the API server is told of the new one before any replica can serve it.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import Sequence
from datetime import datetime, timedelta

import aiohttp
import structlog
from prometheus_client import Gauge

from controller import certificates, secret_data
from controller.certificates import Pair, expires
from controller.context import Context
from controller.runtime.backoff import Pace, Tries
from pgwarden.api import names
from pgwarden.api.objects import Object
from pgwarden.kube import errors, paths
from pgwarden.kube.cache import WatchCache

log = structlog.get_logger()
PERIOD = 10.0  # seconds between looks that no change of a configuration has asked for
LONGEST_PAUSE = 60.0  # seconds after a failure; the first is a second, and each next is twice as long
#: Somebody else who writes another caBundle each time is answered this often at most, after growing pauses.
PACE = Pace(timedelta(seconds=1), timedelta(minutes=1))
KEY_BUNDLE = "ca-bundle.crt"
EXPIRY = Gauge(
    "pgwarden_webhook_certificate_expiry_timestamp_seconds", "When the certificate that the webhook serves expires."
)


async def keep(context: Context) -> None:
    """Look each PERIOD, and at once when a configuration is made or changed. Never ends; a failure is tried again."""
    changed = asyncio.Event()
    caches = [
        WatchCache(context.client, paths.of(plural), field_selector=f"metadata.name={name}")
        for plural, name in _configurations(context)
    ]
    failures = 0
    async with asyncio.TaskGroup() as group:
        for cache in caches:
            cache.listen(lambda *_: changed.set())
            group.create_task(cache.run())
        tries: Tries[str] = Tries(PACE)
        while True:
            changed.clear()
            try:
                if await reconcile(context):
                    tries.tried("", context.clock())
                    await asyncio.sleep(pause(tries, context.clock()))
                failures = 0
            except (errors.ApiError, aiohttp.ClientError, TimeoutError, OSError) as error:
                failures += 1
                log.warning("the webhook's certificate could not be checked", error=str(error))
            except Exception:
                failures += 1
                log.exception("the webhook's certificate could not be checked")
            if failures:
                await asyncio.sleep(min(2.0 ** min(failures - 1, 9), LONGEST_PAUSE))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), PERIOD)


def pause(tries: Tries[str], now: datetime) -> float:
    """Seconds until what has just been written may be written again. One write is no reason to wait."""
    known, due = tries.get(""), tries.next("")
    if known is None or due is None or known.times < 2:
        return 0.0
    return max(0.0, (due - now).total_seconds())


async def reconcile(context: Context) -> bool:
    """Whether a caBundle had to be written that is not news of ours."""
    settings, now = context.settings, context.clock()
    path = paths.of("secrets", settings.namespace, settings.tls_secret)
    found = await context.client.find(path)
    data = secret_data.decode(found or {})
    dns = [
        f"{settings.webhook_service}.{settings.namespace}.svc",
        f"{settings.webhook_service}.{settings.namespace}.svc.{settings.cluster_domain}",
    ]
    content = decide(data, dns, now)
    EXPIRY.set(expires(content[names.KEY_TLS_CERT]).timestamp())
    written = False
    for plural, name in _configurations(context):
        written |= await _ensure_bundle(context, paths.of(plural, "", name), content[KEY_BUNDLE])
    if content != data:
        await context.client.apply(path, _secret(settings.namespace, settings.tls_secret, content))
        log.info("wrote the webhook's certificate", dns=dns[0], expires=str(expires(content[names.KEY_TLS_CERT])))
    return written and content == data


def decide(data: dict[str, bytes], dns: Sequence[str], now: datetime) -> dict[str, bytes]:
    """What the Secret has to hold, given what it holds: the same where that is good for longer."""
    ca = Pair(data.get(names.KEY_CA_CERT, b""), data.get(names.KEY_CA_KEY, b""))
    leaf = Pair(data.get(names.KEY_TLS_CERT, b""), data.get(names.KEY_TLS_KEY, b""))
    bundle = data.get(KEY_BUNDLE, b"") or ca.cert
    if not certificates.still_good(leaf, ca, dns[0], dns, now):
        bundle = ca.cert
        if not certificates.authority_good(ca, now):
            ca = certificates.new_ca("pgwarden webhook", now)
            bundle = ca.cert + data.get(names.KEY_CA_CERT, b"")
        leaf = certificates.issue(ca, dns[0], dns, now)
    return {
        names.KEY_CA_CERT: ca.cert,
        names.KEY_CA_KEY: ca.key,
        names.KEY_TLS_CERT: leaf.cert,
        names.KEY_TLS_KEY: leaf.key,
        KEY_BUNDLE: bundle,
    }


def _secret(namespace: str, name: str, content: dict[str, bytes]) -> Object:
    metadata = {"name": name, "namespace": namespace, "labels": {names.MANAGED_BY: "pgwarden"}}
    return secret_data.made(metadata, content)


def _configurations(context: Context) -> tuple[tuple[str, str], ...]:
    settings = context.settings
    return (
        ("mutatingwebhookconfigurations", settings.mutating_webhook),
        ("validatingwebhookconfigurations", settings.validating_webhook),
    )


async def _ensure_bundle(context: Context, path: str, bundle: bytes) -> bool:
    """Patch only existing configurations: at uninstall nothing of ours makes them again. Whether it was patched."""
    configuration = await context.client.find(path)
    if configuration is None:
        return False
    encoded = base64.b64encode(bundle).decode()
    webhooks = configuration.get("webhooks") or []
    if all(hook["clientConfig"].get("caBundle") == encoded for hook in webhooks):
        return False
    changed = [hook | {"clientConfig": hook["clientConfig"] | {"caBundle": encoded}} for hook in webhooks]
    version = configuration["metadata"]["resourceVersion"]
    await context.client.merge(path, {"metadata": {"resourceVersion": version}, "webhooks": changed})
    log.info("wrote the caBundle", configuration=configuration["metadata"]["name"])
    return True
