"""A watch cache: one list, then one watch for ever, of one resource; the latest objects by (namespace, name).

Of all namespaces, or of each of some: then one list and one watch of each, into the same cache.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Any

import aiohttp
import structlog

from pgwarden.api.objects import Object
from pgwarden.kube import errors, index
from pgwarden.kube.client import METADATA, PAGE, KubeClient
from pgwarden.kube.packed import Packed, Plain

Key = tuple[str, str]
Listener = Callable[[str, Object, Object | None], None]
FIELD_SELECTOR = "fieldSelector"
NAMESPACE = "namespace"  # the index that every cache has
LASTING = 5.0  # seconds; a watch that ends before was cut by something on the way, and is not resumed without a pause
BACKOFF = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # seconds between attempts while the API server does not answer
#: Seconds after which a namespace that may not be read holds up the others no more: it may be gone, its Role with it.
REFUSED = 30.0
EVERYWHERE = ""  # as a namespace: all of them
log = structlog.get_logger()


def key_of(obj: Object) -> Key:
    metadata = obj["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def about(obj: Any) -> dict[str, Any]:
    """Namespace and name of *obj*, for a log line about an object of whatever shape."""
    metadata = obj.get("metadata") if isinstance(obj, dict) else None
    found = metadata if isinstance(metadata, dict) else {}
    return {"namespace": found.get("namespace", ""), "name": found.get("name", "")}


def _named(obj: Any) -> Key:
    found = about(obj)
    return found["namespace"], found["name"]


class WatchCache:
    """`run()` keeps `items` in step with the cluster until cancelled; `synced` is set after the first full list.
    Of several namespaces: of each that may be read.

    Listeners get (ADDED | MODIFIED | DELETED, object, the object before or None), once a change.
    """

    def __init__(
        self,
        client: KubeClient,
        where: str | Mapping[str, str],
        *,
        label_selector: str = "",
        field_selector: str = "",
        transform: Callable[[Object], Object] | None = None,
        indexes: Mapping[str, index.Value] | None = None,
        packed: bool = False,
    ) -> None:
        """*where*: a path, or a path for each namespace (`paths.each`).

        *packed*: in a small part of the memory, and read anew each time that one is looked at.
        """
        self.items: Plain | Packed = Packed() if packed else Plain()
        values = {NAMESPACE: index.namespace} | dict(indexes or {})
        self._indexes = {name: index.Index(value) for name, value in values.items()}
        self.synced = asyncio.Event()
        self._transform = transform or _slim
        self._listeners: list[Listener] = []
        params: dict[str, str] = {}
        if label_selector:
            params["labelSelector"] = label_selector
        if field_selector:
            params[FIELD_SELECTOR] = field_selector
        found = {EVERYWHERE: where} if isinstance(where, str) else where
        self.watchers = [_Watcher(client, self, namespace, path, params) for namespace, path in found.items()]

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def get(self, namespace: str, name: str) -> Object | None:
        return self.items.get((namespace, name))

    def in_namespace(self, namespace: str) -> Iterator[Object]:
        return iter(self.by(NAMESPACE, namespace))

    def has_index(self, name: str) -> bool:
        return name in self._indexes

    def by(self, name: str, value: Hashable) -> list[Object]:
        """The objects that index *name* has under *value*, in no order."""
        return [self.items[key] for key in self._indexes[name][value]]

    def later(self, name: str, value: Hashable) -> Callable[[], list[Object]]:
        """As `by`, of now, but read when it is called: what waits meanwhile holds texts that the cache holds too."""
        return self.items.later(self._indexes[name][value])

    def outlines(self) -> list[Object]:
        """`metadata` and `spec` of all, for who goes through all of very many again and again."""
        return list(self.items.outlines())

    def versions(self, name: str, value: Hashable) -> list[str]:
        """Of the same objects name and resourceVersion, sorted: others than before where one came, changed or went."""
        return sorted(f"{key[1]}={self.items.version(key)}" for key in self._indexes[name][value])

    def version(self, namespace: str, name: str) -> str:
        """The resourceVersion of one object; empty where it is not there."""
        key = namespace, name
        return self.items.version(key) if key in self.items else ""

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for watcher in self.watchers:
                group.create_task(watcher.run())

    def listed(self) -> None:
        """What each watcher says of itself; after the last one all is here."""
        if all(watcher.listed for watcher in self.watchers):
            self.synced.set()

    def keys(self, namespace: str) -> Iterable[Key]:
        return self.items if namespace == EVERYWHERE else self._indexes[NAMESPACE][namespace]

    def put(self, raw: Any) -> None:
        with self._alone(raw):
            self._put(raw)

    def drop(self, obj: Any) -> None:
        with self._alone(obj):
            self._drop(obj)

    def _put(self, raw: Object) -> None:
        obj = self._transform(raw)
        key = key_of(obj)
        if key in self.items and self.items.version(key) == obj["metadata"]["resourceVersion"]:
            return
        before = self.items.get(key)
        self.items[key] = obj
        for one in self._indexes.values():
            one.put(key, obj, before)
        self._tell("ADDED" if before is None else "MODIFIED", obj, before)

    def _drop(self, obj: Object) -> None:
        key = key_of(obj)
        before = self.items.pop(key, None)
        if before is not None:
            for one in self._indexes.values():
                one.drop(key, before)
            self._tell("DELETED", before, before)

    def _tell(self, kind: str, obj: Object, before: Object | None) -> None:
        for listener in self._listeners:
            with self._alone(obj):
                listener(kind, obj, before)

    @contextlib.contextmanager
    def _alone(self, obj: Any) -> Iterator[None]:
        """What breaks over one object is logged with its name, and stops neither the others nor the watch."""
        try:
            yield
        except Exception:
            log.exception("an object was passed over", path=self.watchers[0].path, **about(obj))


class _Watcher:
    """What there is at one path, which is all of one namespace or of all of them, into one cache."""

    def __init__(
        self, client: KubeClient, cache: WatchCache, namespace: str, path: str, params: Mapping[str, str]
    ) -> None:
        self.path = path
        self.version = ""  # where to resume the watch; empty: list again
        self.listed = False
        self._refused: float | None = None  # when the API server first refused it, of several times in a row
        self._client, self._cache, self._namespace, self._params = client, cache, namespace, dict(params)

    async def run(self) -> None:
        failures = 0
        while True:
            began, trouble = time.monotonic(), ""
            try:
                if not self.version or await self._went_back():
                    self.version = await self._list()
                await self._watch()
            except aiohttp.SocketTimeoutError:
                log.debug("watch was silent, resuming it", path=self.path)
            except (errors.ApiError, aiohttp.ClientConnectorError, TimeoutError) as error:
                trouble = str(error) or type(error).__name__
                self._mind_refusal(isinstance(error, errors.ApiError) and error.status == 403)
                if not (isinstance(error, errors.ApiError) and error.status == 429):
                    # Our version is too old for it, or it was away. etcd may have been restored meanwhile, and a watch
                    # would not say what that has undone.
                    self.version = ""
            except (aiohttp.ClientError, OSError, ValueError) as error:  # the stream broke off
                trouble = str(error)
            except Exception as error:
                log.exception("watch broke in a way that nobody thought of", path=self.path)
                trouble = f"{type(error).__name__}: {error}"
            if time.monotonic() - began >= LASTING:
                failures = 0
            if trouble or time.monotonic() - began < LASTING:  # the normal end comes after minutes
                await self._pause(failures, trouble)
                failures += 1

    def _mind_refusal(self, refused: bool) -> None:
        """Where other namespaces are watched as well, they are not held up by one that may not be read."""
        if not refused or self.listed or self._namespace == EVERYWHERE:
            self._refused = None
            return
        self._refused = self._refused or time.monotonic()
        if time.monotonic() - self._refused >= REFUSED:
            log.error("a namespace of watchNamespaces cannot be read, doing without it", path=self.path)
            self._done()

    def _done(self) -> None:
        self.listed = True
        self._cache.listed()

    async def _pause(self, failures: int, trouble: str) -> None:
        wait = BACKOFF[min(failures, len(BACKOFF) - 1)]
        if trouble:
            log.warning("watch broke, trying again", path=self.path, error=trouble, seconds=wait)
        await asyncio.sleep(wait * random.uniform(0.8, 1.2))  # noqa: S311  spread, not secrecy

    async def _list(self) -> str:
        seen: set[Key] = set()
        params: dict[str, str] = {"limit": str(PAGE)} | self._params
        while True:
            async with self._client.listing:
                page = await self._client.page(self.path, params)
                for raw in page.objects():
                    seen.add(_named(raw))
                    self._cache.put(raw)
            version, params["continue"] = page.metadata["resourceVersion"], page.metadata.get("continue", "")
            del page
            if not params["continue"]:
                break
        for key in set(self._cache.keys(self._namespace)) - seen:
            self._cache.drop(self._cache.items[key])
        self._done()
        return str(version)

    async def _went_back(self) -> bool:
        """Whether the API server's state is older than ours, as after a restore of etcd: a watch would stay silent.

        Asked without the label: where few objects have it, the API server would read all others to find one.
        """
        params = {"limit": "1"} | {key: value for key, value in self._params.items() if key == FIELD_SELECTOR}
        newest: Any = await self._client.request("GET", self.path, params=params, accept=METADATA)
        version = str(newest["metadata"]["resourceVersion"])
        return version.isdecimal() and self.version.isdecimal() and int(version) < int(self.version)

    async def _watch(self) -> None:
        async for event in self._client.watch(self.path, self._params | {"resourceVersion": self.version}):
            obj = event["object"]
            self.version = obj["metadata"]["resourceVersion"]
            if event["type"] == "DELETED":
                self._cache.drop(obj)
            elif event["type"] != "BOOKMARK":
                self._cache.put(obj)


def _slim(obj: Object) -> Object:
    """Without managedFields: half of an object's size, and nothing here reads them."""
    obj.get("metadata", {}).pop("managedFields", None)
    return obj


async def wait_synced(*caches: WatchCache) -> None:
    await asyncio.gather(*(cache.synced.wait() for cache in caches))
