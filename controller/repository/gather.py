"""Reading all that a Repository is judged by: from the caches, and from the agents. Decides nothing."""

from __future__ import annotations

import asyncio
import dataclasses

from controller import node_lookup, operations
from controller.agents import AgentError
from controller.context import Context
from controller.pods import has_ended, is_ready, is_spare, postgres_facts, refused, waiting_reason
from controller.repository import volume
from controller.repository.facts import PodView, RepositoryFacts
from controller.repository.volume import VolumeView
from controller.runtime import conditions
from pgwarden import storages
from pgwarden.api import names
from pgwarden.api.objects import Object
from pgwarden.contract import calls, server_facts
from pgwarden.contract.status import Status
from pgwarden.kube.cache import Key
from pgwarden.kube.client import find_named
from pgwarden.pgbackrest.info import Info, InfoError, parse_info


def pods(context: Context, key: Key) -> list[PodView]:
    """The labelled pods that are there to stay."""
    return [_view(pod) for pod in _staying(context, key)]


async def answering(context: Context, key: Key) -> list[PodView]:
    """Of those the ones on a node that answers: for each other one, a backup would wait a minute."""
    staying = _staying(context, key)
    silent = await node_lookup.on_silent_nodes(context.client, [pod for pod in staying if not is_ready(pod)])
    return [_view(pod) for pod in staying if pod["metadata"]["name"] not in silent]


def _staying(context: Context, key: Key) -> list[Object]:
    caches = context.caches
    labelled = caches.labelled(caches.postgres_pods, key[0], names.LABEL_REPOSITORY, key[1])
    return [pod for pod in labelled if "deletionTimestamp" not in pod["metadata"] and not has_ended(pod)]


def _view(pod: Object) -> PodView:
    return PodView(pod["metadata"]["name"], pod.get("status", {}).get("podIP", ""), postgres_facts(pod))


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
    """With what `info` says now: of the repository host, or of the spare one while that is not ready."""
    hosts = context.caches.hosts(*facts.key)
    why, size = "", server_facts.of(facts.repository).wal_segment_size or 0
    for pod in hosts:
        if not is_ready(pod):
            continue
        try:
            call = calls.status(refresh=True, segment_size=size)
            answer = await context.agents.host(facts.key, pod["status"]["podIP"], call)
            info, error = _info(answer, names.stanza(facts.key[1]))
        except AgentError as problem:
            why = why or str(problem)
            continue
        facts = dataclasses.replace(
            facts,
            host_ready=True,
            info=info,
            info_error=error,
            archives=answer.archives or (),
            volume=answer.volume,
        )
        return facts if not is_spare(pod) else await _without_host(context, facts, hosts)
    why = why or _why_not_ready(hosts, _refused(context, facts.key))
    return await _without_host(context, dataclasses.replace(facts, host_ready=False, host_message=why), hosts)


async def _without_host(context: Context, facts: RepositoryFacts, hosts: list[Object]) -> RepositoryFacts:
    """With what keeps the repository host from its volume, and whether a spare one is to answer in its place."""
    if not storages.on_volume(facts.spec) or facts.claim is None:
        return facts
    view = await _volume(context, facts.claim, hosts)
    lost = volume.lost(view, hosts)
    reachable = conditions.find((facts.repository.get("status") or {}).get("conditions", []), "Reachable") or {}
    since = str(reachable.get("lastTransitionTime")) if reachable.get("status") == "False" else ""
    spare = len(facts.spec.storages) > 1 and volume.is_spare_wanted(hosts, lost, since, facts.now)
    late = facts.host_ready or volume.is_late(hosts, since, facts.now)
    away = volume.away(view, hosts, _refused(context, facts.key)) if late else lost
    return dataclasses.replace(facts, away=away, spare_wanted=spare)


async def _volume(context: Context, claim: Object, hosts: list[Object]) -> VolumeView:
    """The claim as it is now, its volume, and the node that this is on."""
    metadata, client = claim["metadata"], context.client
    claim = await find_named(client, "persistentvolumeclaims", metadata["namespace"], metadata["name"]) or claim
    named = volume.volume_name(claim)
    found = await find_named(client, "persistentvolumes", "", named) if named else None
    node = volume.node_name(found, hosts)
    return VolumeView(claim, found, node, await find_named(client, "nodes", "", node) if node else None)


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


def _why_not_ready(hosts: list[Object], no_pod: str) -> str:
    """What Kubernetes says of a host that does not come up; *no_pod* is why it creates no pod."""
    if not hosts and no_pod:
        return f"Kubernetes refuses the repository host's pod: {no_pod}"
    return waiting_reason(hosts) or "the repository host's pod is not ready yet"


def _refused(context: Context, key: Key) -> str:
    return refused(context.caches.deployments.get(key[0], names.host(key[1])))
