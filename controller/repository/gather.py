"""Reading all that a Repository is judged by: from the caches, and from the agents. Decides nothing."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

from controller import node_lookup, operations
from controller.agents import AgentError
from controller.context import REPOSITORY, Context
from controller.pods import Held, has_ended, held, image_of, is_ready, is_spare, postgres_facts, refused
from controller.repository import volume
from controller.repository.facts import PodView, RepositoryFacts
from controller.repository.tools import Tools
from controller.repository.volume import VolumeView
from controller.runtime import conditions, slots
from pgwarden import storages
from pgwarden.api import names
from pgwarden.api.objects import Object
from pgwarden.api.reading import is_going
from pgwarden.api.reasons import REFUSED
from pgwarden.contract import calls, server_facts
from pgwarden.contract.status import Status
from pgwarden.kube.cache import Key
from pgwarden.kube.client import find_named
from pgwarden.pgbackrest import version
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
    return [pod for pod in labelled if not is_going(pod) and not has_ended(pod)]


def _view(pod: Object) -> PodView:
    metadata, ip, facts = pod["metadata"], pod.get("status", {}).get("podIP", ""), postgres_facts(pod)
    return PodView(
        metadata["name"],
        ip,
        facts,
        held=held([pod]),
        postgres_held=held([pod], facts.container) if facts else None,
        uid=str(metadata.get("uid", "")),
        image=image_of(pod, names.CONTAINER_SIDECAR),
    )


async def gather(
    context: Context, facts: RepositoryFacts, answers: Mapping[str, Status | AgentError] = MappingProxyType({})
) -> RepositoryFacts:
    """*answers* are those that agents have given a moment ago, by their IP."""
    namespace, name = facts.key
    caches = context.caches
    async with slots.waiting():  # for a pod that does not answer: others are looked at meanwhile
        seen = await asyncio.gather(*(_ask(context, facts.key, pod, answers) for pod in pods(context, facts.key)))
    # Of before the host is asked, so that the set of one that has ended is in its answer; read afterwards, as those of
    # a thousand Repositories that wait for theirs would take 100 MB.
    of_then = caches.backups.later(REPOSITORY, facts.key)
    facts = await ask_host(context, dataclasses.replace(facts, pods=tuple(seen)), answers)
    backups = of_then()
    running = operations.holder([*backups, *caches.of_repository(caches.restores, namespace, name)])
    times = [
        (schedule.get("status") or {}).get("nextScheduleTimes", [])[:1]
        for schedule in caches.of_repository(caches.schedules, namespace, name)
    ]
    return dataclasses.replace(
        facts,
        backups=tuple(backups),
        operation=operations.title(running) if running else "",
        next_scheduled=min((time[0] for time in times if time), default=""),
    )


async def ask_host(
    context: Context, facts: RepositoryFacts, answers: Mapping[str, Status | AgentError] = MappingProxyType({})
) -> RepositoryFacts:
    """With what `info` says now: of the repository host, or of the spare one while that is not ready."""
    hosts = await context.hosts(*facts.key)
    why, size = "", server_facts.of(facts.repository).wal_segment_size or 0
    for pod in hosts:
        if not is_ready(pod):
            continue
        try:
            ip, call = pod["status"]["podIP"], calls.status(refresh=True, segment_size=size)
            answer = given(answers[ip]) if ip in answers else await context.agents.host(facts.key, ip, call)
            info, error = _info(answer, facts.stanza)
        except AgentError as problem:
            why = why or str(problem)
            continue
        facts = dataclasses.replace(
            facts,
            host_ready=True,
            host_answered=Tools(image_of(pod, names.CONTAINER_HOST), version.believed(answer.pgbackrest)),
            host_answer=answer,
            info=info,
            info_error=error,
            info_age=answer.info_age or 0,
            archives=answer.archives or (),
            volume=answer.volume,
        )
        return facts if not is_spare(pod) else await _without_host(context, facts, hosts, why)
    kept = None if why else _kept_from_running(hosts, _refused(context, facts.key))
    why = why or (kept.message if kept else "the repository host's pod is not ready yet")
    reason = kept.reason if kept else ""
    facts = dataclasses.replace(facts, host_ready=False, host_message=why, host_held=reason)
    return await _without_host(context, facts, hosts, why)


async def _without_host(context: Context, facts: RepositoryFacts, hosts: list[Object], said: str) -> RepositoryFacts:
    """With what keeps the repository host from its volume, and whether a spare one is to answer in its place.
    *said*: why an agent is not believed.
    """
    if not storages.on_volume(facts.spec) or facts.claim is None:
        return facts
    view = await _volume(context, facts.claim, hosts)
    lost = volume.lost(view, hosts)
    reachable = conditions.find((facts.repository.get("status") or {}).get("conditions", []), "Reachable") or {}
    since = str(reachable.get("lastTransitionTime")) if reachable.get("status") == "False" else ""
    spare = len(facts.spec.storages) > 1 and volume.is_spare_wanted(hosts, lost, since, facts.now)
    late = facts.host_ready or volume.is_late(hosts, since, facts.now)
    away = volume.away(view, hosts, _refused(context, facts.key), said) if late else lost
    return dataclasses.replace(facts, away=away, spare_wanted=spare)


async def _volume(context: Context, claim: Object, hosts: list[Object]) -> VolumeView:
    """The claim as it is now, its volume, and the node that this is on."""
    metadata, client = claim["metadata"], context.client
    claim = await find_named(client, "persistentvolumeclaims", metadata["namespace"], metadata["name"]) or claim
    named = volume.volume_name(claim)
    found = await find_named(client, "persistentvolumes", "", named) if named else None
    node = volume.node_name(found, hosts)
    return VolumeView(claim, found, node, await find_named(client, "nodes", "", node) if node else None)


async def host_ip(context: Context, key: Key) -> str:
    """Of the repository host that is ready; empty where none is."""
    return next((str(pod["status"]["podIP"]) for pod in await context.hosts(*key) if is_ready(pod)), "")


def given(answer: Status | AgentError) -> Status:
    if isinstance(answer, AgentError):
        raise answer
    return answer


async def _ask(context: Context, key: Key, pod: PodView, answers: Mapping[str, Status | AgentError]) -> PodView:
    if pod.facts is None or not pod.ip:
        return pod
    try:
        known = answers.get(pod.ip)
        answer = given(known) if known is not None else await context.agents.pod(key, pod.ip, calls.status())
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


def _kept_from_running(hosts: list[Object], no_pod: str) -> Held | None:
    """What Kubernetes says of a host that does not come up; *no_pod* is why it creates no pod."""
    if no_pod and not [pod for pod in hosts if not is_spare(pod)]:
        return Held(REFUSED, f"Kubernetes creates no pod of the repository host: {no_pod}")
    return held(hosts)


def _refused(context: Context, key: Key) -> str:
    return refused(context.caches.deployments.get(key[0], names.host(key[1])))
