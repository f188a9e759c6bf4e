"""A connection to the cluster of the chosen context, and the reads that the commands share."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from pgwarden.api import names
from pgwarden.api.objects import Object
from pgwarden.api.registry import BY_PLURAL
from pgwarden.cli.errors import CliError, unknown
from pgwarden.kube import access, errors, kubeconfig, paths
from pgwarden.kube.client import KubeClient, find_named


@dataclass
class Session:
    client: KubeClient
    namespace: str

    async def all(self, plural: str, namespace: str | None = None) -> list[Object]:
        """Objects of *plural*, by namespace and name. *namespace* "" is all of them."""
        where = self.namespace if namespace is None else namespace
        found: list[Object] = []
        params = {"limit": "500"}
        while True:
            page: Any = await self.client.get(paths.of(plural, where), params)
            found += [_whole(plural, item) for item in page["items"]]
            params["continue"] = page["metadata"].get("continue", "")
            if not params["continue"]:
                return sorted(found, key=lambda o: (o["metadata"].get("namespace", ""), o["metadata"]["name"]))

    async def find(self, plural: str, name: str) -> Object | None:
        found = await find_named(self.client, plural, self.namespace, name)
        return None if found is None else _whole(plural, found)

    async def repository(self, name: str) -> Object:
        """CliError, with near names, where there is none."""
        found = await self.find("repositories", name)
        if found is None:
            raise unknown("Repository", name, self.namespace, names_of(await self.all("repositories")))
        return found

    async def everything(self, namespace: str | None = None) -> dict[str, list[Object]]:
        """All objects of our kinds, by plural."""
        lists = await asyncio.gather(*(self.all(plural, namespace) for plural in BY_PLURAL))
        return dict(zip(BY_PLURAL, lists, strict=True))

    async def is_namespace_missing(self) -> bool:
        """False also where the right to ask is missing."""
        try:
            return await self.client.find(paths.of("namespaces", name=self.namespace)) is None
        except errors.Invalid:
            return False

    async def for_rules(self, repository: str) -> list[Object]:
        """What the rules look at: this namespace, and where the Repository is not in it, all that may be read."""
        there = [obj for each in (await self.everything()).values() for obj in each]
        if not any(obj["kind"] == "Repository" and obj["metadata"]["name"] == repository for obj in there):
            try:
                elsewhere = await self.all("repositories", "")
            except errors.Invalid:  # no right to look there
                elsewhere = []
            there += [obj for obj in elsewhere if obj["metadata"]["namespace"] != self.namespace]
        return there


def names_of(objects: list[Object]) -> list[str]:
    return [str(obj["metadata"]["name"]) for obj in objects]


def _whole(plural: str, obj: Object) -> Object:
    """List items come without kind; managedFields are for programs."""
    obj["metadata"].pop("managedFields", None)
    return {"apiVersion": names.API_VERSION, "kind": BY_PLURAL[plural].name} | obj if plural in BY_PLURAL else obj


def known_namespace(args: argparse.Namespace) -> str:
    """The namespace that a command works in; empty where neither flag nor kubeconfig says."""
    return str(args.namespace or kubeconfig.namespace(args.kubeconfig, args.context))


@asynccontextmanager
async def connect(args: argparse.Namespace) -> AsyncIterator[Session]:
    namespace = known_namespace(args) or "default"
    async with KubeClient(await _access(args)) as client:
        yield Session(client, namespace)


async def _access(args: argparse.Namespace) -> access.Access:
    if kubeconfig.files(args.kubeconfig):
        return await access.from_kubeconfig(args.kubeconfig, args.context)
    inside = access.in_cluster()
    if inside is None:
        raise CliError("no kubeconfig found: set KUBECONFIG or --kubeconfig (lint and inject need none)")
    return inside
