"""`pgbackrest info` of a Repository, asked of the repository host that answers."""

from __future__ import annotations

from controller.agents import AgentError
from controller.context import Context
from pgwarden.api import names
from pgwarden.contract import calls
from pgwarden.pgbackrest.info import Info, InfoError, parse_info
from pgwarden.storages import explain


async def read(context: Context, namespace: str, repository: str, *, refresh: bool = False) -> Info | str:
    """What the host's agent has read, or why nothing could be had, in one line for people.

    It is ten seconds old at most; with *refresh* it is read anew. A host that ends may stand before one that answers.
    """
    stanza, why = names.stanza(repository), "the repository host has no running pod"
    call = calls.status(refresh=refresh)
    for pod in context.caches.hosts(namespace, repository):
        ip = pod.get("status", {}).get("podIP")
        if not ip:
            continue
        try:
            answer = await context.agents.host((namespace, repository), ip, call)
            info = parse_info([answer.info], stanza) if answer.info else None
        except (AgentError, InfoError) as error:
            why = str(error)
            continue
        if info is not None and not answer.info_error:
            return info
        why = explain(answer.info_error).sentence if answer.info_error else "no answer yet"
    return why
