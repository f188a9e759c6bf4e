"""Reading all that a Repository is judged by: from the caches, and from the agents. Decides nothing."""

from __future__ import annotations

import asyncio
import dataclasses

from controller import operations
from controller.agents import AgentError
from controller.context import Context
from controller.pods import has_ended, is_ready, postgres_facts, waiting_reason
from controller.repository.facts import PodView, RepositoryFacts
from pgwarden.api import names
from pgwarden.api.objects import Object
from pgwarden.contract import calls, server_facts
from pgwarden.contract.status import Status
from pgwarden.kube.cache import Key
from pgwarden.pgbackrest.info import Info, InfoError, parse_info


def pods(context: Context, key: Key) -> list[PodView]:
    """The labelled pods that are there to stay."""
    caches = context.caches
    return [
        PodView(pod["metadata"]["name"], pod.get("status", {}).get("podIP", ""), postgres_facts(pod))
        for pod in caches.labelled(caches.postgres_pods, key[0], names.LABEL_REPOSITORY, key[1])
        if "deletionTimestamp" not in pod["metadata"] and not has_ended(pod)
    ]


async def gather(context: Context, facts: RepositoryFacts) -> RepositoryFacts:
    namespace, name = facts.key
    caches = context.caches
    seen = await asyncio.gather(*(_ask(context, facts.key, pod) for pod in pods(context, facts.key)))
    running = operations.holder(
        [
            *caches.of_repository(caches.backups, namespace, name),
            *caches.of_repository(caches.restores, namespace, name),
        ]
    )
    times = [
        (schedule.get("status") or {}).get("nextScheduleTimes", [])[:1]
        for schedule in caches.of_repository(caches.schedules, namespace, name)
    ]
    facts = dataclasses.replace(
        facts,
        pods=tuple(seen),
        operation=operations.title(running) if running else "",
        next_scheduled=min((time[0] for time in times if time), default=""),
    )
    return await ask_host(context, facts)


async def ask_host(context: Context, facts: RepositoryFacts) -> RepositoryFacts:
    """With what `info` says now."""
    namespace, name = facts.key
    hosts = context.caches.hosts(namespace, name)
    ready = next((pod for pod in hosts if is_ready(pod)), None)
    if ready is None:
        return dataclasses.replace(facts, host_message=_why_not_ready(hosts))
    try:
        call = calls.status(refresh=True, segment_size=server_facts.of(facts.repository).wal_segment_size or 0)
        answer = await context.agents.host((namespace, name), ready["status"]["podIP"], call)
        info, error = _info(answer, names.stanza(name))
    except AgentError as problem:
        return dataclasses.replace(facts, host_message=str(problem))
    return dataclasses.replace(facts, host_ready=True, info=info, info_error=error, archives=answer.archives or ())


def host_ip(context: Context, key: Key) -> str:
    """Of the repository host that is ready; empty where none is."""
    return next((str(pod["status"]["podIP"]) for pod in context.caches.hosts(*key) if is_ready(pod)), "")


async def _ask(context: Context, key: Key, pod: PodView) -> PodView:
    if pod.facts is None or not pod.ip:
        return pod
    try:
        answer = await context.agents.pod(key, pod.ip, calls.status())
    except AgentError as error:
        return dataclasses.replace(pod, error=str(error))
    return dataclasses.replace(pod, answer=answer)


def _info(answer: Status, stanza: str) -> tuple[Info | None, str]:
    if answer.info_error:
        return None, answer.info_error
    if answer.info is None:
        return None, ""
    try:
        return parse_info([answer.info], stanza), ""
    except InfoError as error:
        return None, str(error)


def _why_not_ready(hosts: list[Object]) -> str:
    """What Kubernetes says of a host that does not come up."""
    return waiting_reason(hosts) or "the repository host's pod is not ready yet"
