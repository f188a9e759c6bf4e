"""Kubernetes Events: what `kubectl describe` shows. The same event again raises its count instead of making another."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import aiohttp
import structlog

from pgwarden.api import names, outside
from pgwarden.api.objects import Object
from pgwarden.kube import errors, paths
from pgwarden.kube.client import KubeClient

log = structlog.get_logger()
_LIMIT = 1024  # characters of a message that the API server takes


class Recorder:
    """Writes Events about objects, and to the log, which outlives them. A failure never stops the work it tells of."""

    def __init__(self, client: KubeClient, component: str, instance: str = "") -> None:
        self._client = client
        self._source = {"component": component, "host": instance}

    async def normal(self, obj: Object, reason: str, message: str) -> None:
        await self._record(obj, "Normal", reason, message)

    async def warning(self, obj: Object, reason: str, message: str) -> None:
        await self._record(obj, "Warning", reason, message)

    async def _record(self, obj: Object, kind: str, reason: str, message: str) -> None:
        metadata, message = obj["metadata"], outside.printable(message)
        namespace = metadata.get("namespace", "default")
        about = {"kind": obj.get("kind", ""), "namespace": namespace, "name": metadata["name"]}
        (log.warning if kind == "Warning" else log.info)(message, reason=reason, **about)
        digest = hashlib.sha256(f"{metadata.get('uid')}{kind}{reason}{message}".encode()).hexdigest()[:12]
        name = f"{names.short(metadata['name'], 200)}.{digest}"
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": {
                "apiVersion": obj.get("apiVersion", ""),
                "kind": obj.get("kind", ""),
                "name": metadata["name"],
                "namespace": namespace,
                "uid": metadata.get("uid", ""),
            },
            "type": kind,
            "reason": reason,
            "message": message[:_LIMIT],
            "source": self._source,
            "reportingComponent": self._source["component"],
            "reportingInstance": self._source["host"],
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        try:
            await self._write(namespace, name, event, now)
        except errors.Terminating:
            return
        except (errors.ApiError, aiohttp.ClientError, TimeoutError, OSError) as error:
            log.warning("event not written", reason=reason, object=metadata["name"], error=str(error))

    async def _write(self, namespace: str, name: str, event: Object, now: str) -> None:
        try:
            await self._client.create(paths.of("events", namespace), event)
        except errors.Conflict:
            existing = await self._client.find(paths.of("events", namespace, name))
            count = int((existing or {}).get("count") or 1) + 1
            await self._client.merge(paths.of("events", namespace, name), {"count": count, "lastTimestamp": now})
