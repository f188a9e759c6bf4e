"""In place of kubelet and kube-controller-manager: ReplicaSet and pod of each repository host, and what agents mount."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from pathlib import Path
from typing import Any

from bench.fleet.agents import Agent, Pair
from bench.fleet.objects import Member, running
from pgwarden.api import names
from pgwarden.kube import errors, paths
from pgwarden.kube.cache import Key, WatchCache, wait_synced
from pgwarden.kube.client import KubeClient

Object = dict[str, Any]
AT_ONCE = 12


class Kubelet:
    def __init__(self, client: KubeClient, folder: Path) -> None:
        self._client = client
        self._folder = folder
        self.pairs: dict[Key, Pair] = {}
        self._members: dict[Key, Member] = {}
        ours = names.LABEL_OWNER_REPOSITORY
        self._configs = WatchCache(client, paths.of("configmaps"), label_selector=ours)
        self._secrets = WatchCache(client, paths.of("secrets"), label_selector=ours)
        self._deployments = WatchCache(client, paths.of("deployments"), label_selector=ours)
        self._caches = (self._configs, self._secrets, self._deployments)
        self._changed: asyncio.Queue[Key] = asyncio.Queue()
        self._waiting: set[Key] = set()
        self._has_pod: set[Key] = set()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        for cache in self._caches:
            cache.listen(lambda _kind, obj, _before: self._note(obj))
            self._tasks.append(asyncio.create_task(cache.run()))
        await wait_synced(*self._caches)
        self._tasks += [asyncio.create_task(self._work()) for _ in range(AT_ONCE)]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for pair in self.pairs.values():
            await pair.host.close()
            await pair.pod.close()

    def join(self, member: Member, pair: Pair) -> None:
        """From here on its agents get what they mount as soon as that is there."""
        self.pairs[member.key], self._members[member.key] = pair, member
        self._wake(member.key)

    def _note(self, obj: Object) -> None:
        metadata = obj["metadata"]
        self._wake((metadata["namespace"], metadata["labels"][names.LABEL_OWNER_REPOSITORY]))

    def _wake(self, key: Key) -> None:
        if key in self.pairs and key not in self._waiting:
            self._waiting.add(key)
            self._changed.put_nowait(key)

    async def _work(self) -> None:
        while True:
            key = await self._changed.get()
            self._waiting.discard(key)
            await self._mount(key, self.pairs[key].host, names.host(key[1]), names.KEY_HOST_CONF)
            await self._mount(key, self.pairs[key].pod, names.pods(key[1]), names.KEY_POD_CONF)
            await self._run_host(key)

    async def _mount(self, key: Key, agent: Agent, secret: str, conf_key: str) -> None:
        config, found = self._configs.get(key[0], names.host(key[1])), self._secrets.get(key[0], secret)
        if config is None or found is None:
            return
        files = {name: base64.b64decode(value) for name, value in found["data"].items()}
        await agent.given(files | {conf_key: config["data"][conf_key].encode()})

    async def _run_host(self, key: Key) -> None:
        """The Deployment's pod, Ready once its agent can answer."""
        deployment = self._deployments.get(key[0], names.host(key[1]))
        if deployment is None or key in self._has_pod:
            return
        template = deployment["spec"]["template"]
        metadata = {"name": f"{names.host(key[1])}-0", "namespace": key[0], "labels": template["metadata"]["labels"]}
        by = await self._replica_set(deployment, metadata)
        metadata |= {"ownerReferences": [_owner("ReplicaSet", by)]}
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
        with contextlib.suppress(errors.Conflict):
            await self._client.create(paths.of("pods", key[0]), body)
        path = paths.of("pods", key[0], metadata["name"], "status")
        await self._client.merge(path, running(self._members[key].host_ip))
        self._has_pod.add(key)

    async def _replica_set(self, deployment: Object, metadata: Object) -> Object:
        """By which the controller knows whose the pod is."""
        path = paths.of("replicasets", metadata["namespace"])
        spec = {key: deployment["spec"][key] for key in ("replicas", "selector", "template")}
        about = metadata | {"ownerReferences": [_owner("Deployment", deployment)]}
        try:
            return await self._client.create(
                path, {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": about, "spec": spec}
            )
        except errors.Conflict:
            return await self._client.get(f"{path}/{metadata['name']}")


def _owner(kind: str, obj: Object) -> Object:
    metadata = obj["metadata"]
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
    }
