"""Why Kubernetes makes no pod of a Job or a StatefulSet, in its own words: it says so in Events alone (FailedCreate).

They are asked for only where a pod is missing, so a cluster in order costs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import aiohttp
import structlog

from controller import jobs
from controller.context import Context
from controller.pods import has_ended, words
from pgwarden.api import names
from pgwarden.api.objects import Object
from pgwarden.api.reading import get, moment
from pgwarden.api.sizing import LEAST
from pgwarden.kube import errors, paths
from pgwarden.kube.cache import Key
from pgwarden.kube.client import KubeClient, find_named

log = structlog.get_logger()
REASON = "FailedCreate"
#: A pod that is to come is there within this time.
SOON = timedelta(seconds=3)
#: Between two looks at the workloads of a namespace.
PAUSE = timedelta(seconds=10)
#: Kubernetes tries again within this time, and says so again.
FRESH = timedelta(minutes=20)
#: In the words of a quota that counts what containers have. The sidecar is as small by then as it gets by itself.
_SIZES = re.compile(r"exceeded quota: .*\b(cpu|memory)=")
_SIDECAR = (
    f"with it counts its sidecar, {LEAST['requests.cpu']} CPU and {LEAST['requests.memory']} "
    f"(limits {LEAST['limits.cpu']} and {LEAST['limits.memory']}) at least"
)
_MOST = 100  # Events of one answer, and workloads that are looked at


@dataclass(frozen=True)
class Refused:
    """A workload whose pod Kubernetes does not make."""

    kind: str
    name: str
    why: str

    def __str__(self) -> str:
        said = f"Kubernetes creates no pod of {self.kind} {self.name}: {self.why}"
        return f"{said}; {_SIDECAR}" if _SIZES.search(self.why) else said


async def of_job(client: KubeClient, job: Object | None, pods: Iterable[Object], now: datetime) -> str:
    """Of one that is not over, and of whose *pods* none waits or runs."""
    known = list(pods)
    if job is None or jobs.finished(job) or not all(map(has_ended, known)):
        return ""
    since = jobs.without_pod_since(job, known)
    return "" if since is None or now - since < SOON else await of(client, job, now, since)


async def of(client: KubeClient, obj: Object, now: datetime, since: datetime | None = None) -> str:
    """Of *obj*, which lacks a pod (*since* then); empty where nothing is said."""
    metadata = obj["metadata"]
    selector = f"involvedObject.uid={metadata['uid']},reason={REASON}"
    found = await _events(client, metadata.get("namespace", ""), selector)
    listed = [one for one in found if _is_fresh(one, now, since)]
    return words(str(max(listed, key=_last).get("message") or "")) if listed else ""


async def _events(client: KubeClient, namespace: str, selector: str) -> list[Object]:
    """None of them where they cannot be read: what they explain is told without."""
    try:
        found = await client.get(paths.of("events", namespace), {"fieldSelector": selector, "limit": str(_MOST)})
    except (errors.ApiError, aiohttp.ClientError, TimeoutError, OSError) as error:
        log.info("Events cannot be read", namespace=namespace, error=str(error))
        return []
    return [one for one in get(found, list, "items") or [] if isinstance(one, dict)]


def _is_fresh(event: Object, now: datetime, since: datetime | None = None) -> bool:
    at = moment(_last(event))
    return at is not None and now - at <= FRESH and (since is None or at >= since)


def _last(event: Object) -> str:
    series = get(event, str, "series", "lastObservedTime")
    return str(series or event.get("lastTimestamp") or event.get("eventTime") or "")


class Workloads:
    """Users' StatefulSets and Deployments with the label of a Repository whose pods Kubernetes refuses."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._known: dict[Key, tuple[datetime, tuple[Refused, ...]]] = {}

    def forget(self, key: Key) -> None:
        self._known.pop(key, None)

    async def of(self, key: Key) -> tuple[Refused, ...]:
        """Those of Repository *key*."""
        now = self._context.clock()
        known = self._known.get(key)
        if known is None or now - known[0] >= PAUSE:
            self._known[key] = known = now, await self._look(key)
        return known[1]

    async def _look(self, key: Key) -> tuple[Refused, ...]:
        newest: dict[tuple[str, str], Object] = {}
        for event in await _events(self._context.client, key[0], f"reason={REASON}"):
            found = _workload(get(event, dict, "involvedObject") or {})
            fresh = found is not None and _is_fresh(event, self._context.clock())
            if found is not None and fresh and (found not in newest or _last(event) >= _last(newest[found])):
                newest[found] = event
        refused = []
        for (kind, name), event in sorted(newest.items()):
            there = await find_named(self._context.client, f"{kind.lower()}s", key[0], name)
            if there is not None and _lacks_pods(there, key[1]):
                refused.append(Refused(kind, name, words(str(event.get("message") or ""))))
        return tuple(refused)


def _workload(about: Object) -> tuple[str, str] | None:
    """Whom a user knows of it: of a ReplicaSet its Deployment."""
    kind, name = about.get("kind"), str(about.get("name") or "")
    if kind == "ReplicaSet":
        kind, name = "Deployment", name.rpartition("-")[0]
    return (str(kind), name) if kind in {"StatefulSet", "Deployment"} and names.is_object_name(name) else None


def _lacks_pods(workload: Object, repository: str) -> bool:
    labels = get(workload, dict, "spec", "template", "metadata", "labels") or {}
    wanted = get(workload, int, "spec", "replicas")
    there = get(workload, int, "status", "replicas") or 0
    return labels.get(names.LABEL_REPOSITORY) == repository and there < (1 if wanted is None else wanted)
