"""`pgbackrest info` of a Repository, asked of the repository host that answers."""

from __future__ import annotations

from collections.abc import Iterable

from controller.agents import AgentError
from controller.context import Context
from controller.pods import has_ended
from pgwarden.api import names
from pgwarden.api.objects import Object
from pgwarden.contract import calls
from pgwarden.contract.status import Status
from pgwarden.kube.cache import Key
from pgwarden.pgbackrest.info import Info, InfoError, parse_info
from pgwarden.storages import explain

#: All versions of the newest files of a stanza are listed.
AS_OF_SECONDS = 60.0
NO_POD = "the repository host has no running pod"


def name(repository: Object) -> str:
    """Of the stanza that *repository* works on."""
    return names.stanza(repository["metadata"]["name"], repository["spec"].get("stanza") or "")


def addresses(pods: Iterable[Object]) -> list[str]:
    """Of those that may answer. A pod that was evicted stays as an object, with the address that it had."""
    found = [str(pod.get("status", {}).get("podIP") or "") for pod in pods if not has_ended(pod)]
    return [address for address in found if address]


async def ask(
    context: Context, key: Key, hosts: Iterable[Object], *, refresh: bool = False
) -> tuple[Status | None, str]:
    """The answer of the first of *hosts* that can read the repository; else the last that there was, or None, and why.

    The reason is pgBackRest's own where a host has answered. One that ends may stand before one that answers.
    """
    told, why = None, NO_POD
    for address in addresses(hosts):
        try:
            answer = await context.agents.host(key, address, calls.status(refresh=refresh))
        except AgentError as error:
            why = why if told else str(error)
            continue
        if not answer.info_error:
            return answer, ""
        told, why = answer, answer.info_error
    return told, why


async def ask_as_of(
    context: Context, key: Key, hosts: Iterable[Object], repo: int, time: str
) -> tuple[Object | None, str]:
    """What storage number *repo* held at *time*: the stanza's element of `info`, or why there is none."""
    why = NO_POD
    for address in addresses(hosts):
        try:
            answer = await context.agents.host(key, address, calls.info_as_of(repo, time), seconds=AS_OF_SECONDS)
        except AgentError as error:
            why = str(error)
            continue
        if answer.ok and answer.info:
            return answer.info, ""
        why = answer.error or f"there was no stanza at {time}, or the bucket keeps no versions"
    return None, why


async def read(context: Context, namespace: str, repository: str, *, refresh: bool = False) -> Info | str:
    """What the host's agent has read, or why nothing could be had, in one line for people.

    It is ten seconds old at most; with *refresh* it is read anew.
    """
    key = namespace, repository
    answer, why = await ask(context, key, await context.hosts(*key), refresh=refresh)
    if answer is None:
        return why
    if why:
        return explain(why).sentence
    try:
        known = context.caches.repositories.get(*key)
        info = parse_info([answer.info], name(known)) if answer.info and known else None
    except InfoError as error:
        return str(error)
    return info or "no answer yet"
