"""gather → decide → apply for a Repository. Looks again on a period, because storage and PostgreSQL send no events."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
import structlog

from controller import admission, credentials, operations, owned
from controller.agents import AgentError
from controller.context import Context
from controller.pods import has_ended, is_ready, postgres_facts, waiting_reason
from controller.repository import backups_available, decide, metrics, render, report, secrets, segment
from controller.repository.facts import Facts, PodView
from controller.runtime import conditions, status
from controller.runtime.applied import Applied
from controller.runtime.backoff import Allowance, Pace, Tries
from controller.runtime.event_memory import EventMemory
from pgwarden import storages
from pgwarden.api import names
from pgwarden.api.kinds import RepositorySpec
from pgwarden.contract import calls
from pgwarden.contract.status import Status
from pgwarden.kube import errors, paths
from pgwarden.kube.cache import Key
from pgwarden.kube.client import Object
from pgwarden.pgbackrest import config
from pgwarden.pgbackrest.info import Info, InfoError, parse_info
from pgwarden.storages import Place

log = structlog.get_logger()
#: The kubelet, and then the agent, see a changed configuration within this time.
MOVING = timedelta(seconds=20)
#: A pod that has not got it after this time is not waited for: what keeps it is another matter.
ARRIVED = timedelta(minutes=2)
STANZA_CREATE_SECONDS = 60.0
#: stanza-create that failed is tried again.
STANZA_PACE = Pace(timedelta(seconds=3), timedelta(minutes=1))
#: Times that pods are touched for a new configuration: more at once than a person makes, then one a minute.
NUDGES, NUDGE_AGAIN = 20, timedelta(minutes=1)


class InTheWayError(Exception):
    """An object of a name that the Repository needs is not its own. The message says which, and what to do."""


class RepositoryController:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._told = EventMemory()
        self._applied = Applied()
        #: Repository → until when its pods may still be on the way to a new configuration.
        self._moving: dict[Key, datetime] = {}
        #: Repository → the digest of what its PostgreSQL pods are given, and since when it is that.
        self._given: dict[Key, tuple[str, datetime]] = {}
        self._stanzas: Tries[Key] = Tries(STANZA_PACE)
        self._nudges: Allowance[Key] = Allowance(NUDGES, NUDGE_AGAIN)
        #: When a segment was asked for last (status.segmentAsked), and what came of it.
        self._segments: dict[Key, tuple[Object, str]] = {}

    async def reconcile(self, key: Key) -> float | None:
        context = self._context
        repository = context.caches.repositories.get(*key)
        if repository is None or "deletionTimestamp" in repository["metadata"]:
            self._context.agents.forget(key)
            metrics.forget(key)
            admission.forget("repositories", key)
            self._forget(key)
            return None
        answer = await admission.judge(context, "repositories", repository)
        if not answer.go:
            metrics.show(key, {"conditions": answer.status["conditions"]})  # all else is of before
            return answer.again
        spec = msgspec.convert(repository["spec"], RepositorySpec)
        places = storages.places(spec, context.settings.defaults, *key)
        if answer.refused:
            places = await self._in_force(repository, places)
        facts = Facts(repository, spec, context.clock(), places=places, refused=answer.refused)
        try:
            if all(place.is_complete for place in places):
                await self._apply_objects(repository, spec, places)
        except (credentials.MissingSecretError, AgentError) as error:
            facts = dataclasses.replace(facts, secret_error=str(error))
        except InTheWayError as error:
            facts = dataclasses.replace(facts, in_the_way=str(error))
        facts = await self._gather(facts)
        facts = await self._advance(key, facts)
        conditions_now = await self._report(key, facts)
        on_the_way = self._moving.get(key, context.clock()) > context.clock()
        return decide.UNSETTLED if on_the_way else decide.pause(facts, conditions_now)

    def _forget(self, key: Key) -> None:
        for known in (self._moving, self._given, self._segments):
            known.pop(key, None)
        for told in (self._told, self._stanzas, self._nudges, self._applied):
            told.forget(key)

    # --- apply ---------------------------------------------------------------------------------------------------

    async def _in_force(self, repository: Object, places: Sequence[Place]) -> tuple[Place, ...]:
        """*places* with what the configuration in force says in place of an operator's default that is gone."""
        metadata = repository["metadata"]
        found = await self._context.client.find(
            paths.of("configmaps", metadata["namespace"], names.host(metadata["name"]))
        )
        text = str(((found or {}).get("data") or {}).get(names.KEY_HOST_CONF, ""))
        return tuple(place.in_force(config.lines_of(text, number)) for number, place in enumerate(places, 1))

    async def _apply_objects(self, repository: Object, spec: RepositorySpec, places: Sequence[Place]) -> None:
        context, now = self._context, self._context.clock()
        namespace, name = repository["metadata"]["namespace"], repository["metadata"]["name"]
        authority = await secrets.ensure_authority(context.client, repository, now)
        await asyncio.to_thread(context.agents.trust, (namespace, name), authority)
        given = await credentials.read_credentials(context.client, namespace, spec)
        per_repo = {
            number: config.RepoCredentials(given.keys.get(storage, {}), given.cipher_pass)
            for number, storage in enumerate(spec.storages, 1)
        }
        conf = config.credentials_conf(per_repo)
        leaves = await secrets.ensure_leaves(
            context.client, repository, authority, conf, given.storage_ca, now, context.settings.cluster_domain
        )
        endpoints = [
            config.PodEndpoint(pod.ip, pod.facts) for pod in self._pods(namespace, name) if pod.ip and pod.facts
        ]
        host_conf = config.host_conf(repository, spec, places, endpoints)
        pod_conf = config.pod_conf(repository, spec, places)
        changed = await self._apply("configmaps", render.config_map(repository, host_conf, pod_conf)) or leaves.written
        for service in render.services(repository):
            await self._apply("services", service)
        volume = storages.volume(spec)
        if volume is not None:
            await self._ensure_claim(render.claim(repository, volume))
        await self._apply("deployments", render.deployment(repository, spec, context.settings))
        key = namespace, name
        digest = config.source_digest({names.KEY_POD_CONF: pod_conf.encode(), **leaves.pods})
        if self._given.get(key, ("",))[0] != digest:
            self._given[key] = digest, now
            self._stanzas.forget(key)  # what was in its way may be mended
        if changed:
            self._moving[key] = now + MOVING
            if self._nudges.take(key, now):
                await self._nudge(namespace, name)

    async def _apply(self, plural: str, obj: Object) -> bool:
        """Server-side apply where it differs from what we applied last, or where the object has gone.

        Whether that changed it: what a controller that has just started applies is there already, as a rule.
        Another's Deployment of that name is not taken over; an earlier Repository's goes by itself.
        """
        path = paths.of(plural, obj["metadata"]["namespace"], obj["metadata"]["name"])
        found = await self._context.client.find(path)
        is_workload = plural == "deployments"
        if found and is_workload and not owned.is_owned(found, obj["metadata"]["ownerReferences"][0]["uid"]):
            raise InTheWayError(_in_the_way("Deployment", obj["metadata"]["name"]))
        if self._applied.age(path, obj) is not None and found is not None:
            return False
        made = await self._context.client.apply(path, obj)
        self._applied.note(path, obj)
        return found is None or made["metadata"]["resourceVersion"] != found["metadata"]["resourceVersion"]

    async def _ensure_claim(self, claim: Object) -> None:
        """Made once. One that is there is adopted where it carries our labels and has no owner, as an earlier
        Repository of the name has left it; its spec cannot be applied again.
        """
        namespace, name = claim["metadata"]["namespace"], claim["metadata"]["name"]
        found = await self._context.client.find(paths.of("persistentvolumeclaims", namespace, name))
        if found is not None:
            ours = {key: claim["metadata"]["labels"][key] for key in (names.MANAGED_BY, names.LABEL_OWNER_REPOSITORY)}
            if not owned.is_adoptable(found, ours):
                raise InTheWayError(_in_the_way("PersistentVolumeClaim", name))
            return
        try:
            await self._context.client.create(paths.of("persistentvolumeclaims", namespace), claim)
        except errors.Conflict:
            return

    async def _nudge(self, namespace: str, name: str) -> None:
        """Touch the pods that mount what changed: the kubelet looks at a pod's volumes then, else only each minute."""
        caches = self._context.caches
        pods = caches.labelled(caches.postgres_pods, namespace, names.LABEL_REPOSITORY, name)
        pods += caches.labelled(caches.own_pods, namespace, names.LABEL_OWNER_REPOSITORY, name)
        stamp = {
            "metadata": {"annotations": {names.ANNOTATION_CONFIG_HASH: conditions.timestamp(self._context.clock())}}
        }
        for pod in pods:
            if pod.get("status", {}).get("phase") in {"Pending", "Running"}:
                try:
                    await self._context.client.merge(paths.of("pods", namespace, pod["metadata"]["name"]), stamp)
                except errors.NotFound:
                    continue

    # --- gather --------------------------------------------------------------------------------------------------

    def _pods(self, namespace: str, name: str) -> list[PodView]:
        """The labelled pods that are there to stay."""
        caches = self._context.caches
        return [
            PodView(pod["metadata"]["name"], pod.get("status", {}).get("podIP", ""), postgres_facts(pod))
            for pod in caches.labelled(caches.postgres_pods, namespace, names.LABEL_REPOSITORY, name)
            if "deletionTimestamp" not in pod["metadata"] and not has_ended(pod)
        ]

    async def _gather(self, facts: Facts) -> Facts:
        namespace, name = facts.repository["metadata"]["namespace"], facts.repository["metadata"]["name"]
        caches = self._context.caches
        pods = await asyncio.gather(*(self._ask(namespace, name, pod) for pod in self._pods(namespace, name)))
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
            pods=tuple(pods),
            operation=operations.title(running) if running else "",
            next_scheduled=min((time[0] for time in times if time), default=""),
        )
        return await self._ask_host(facts)

    async def _ask(self, namespace: str, name: str, pod: PodView) -> PodView:
        if pod.facts is None or not pod.ip:
            return pod
        try:
            answer = await self._context.agents.pod((namespace, name), pod.ip, calls.status())
        except AgentError as error:
            return dataclasses.replace(pod, error=str(error))
        return dataclasses.replace(pod, answer=answer)

    async def _ask_host(self, facts: Facts) -> Facts:
        namespace, name = facts.repository["metadata"]["namespace"], facts.repository["metadata"]["name"]
        caches = self._context.caches
        mine = caches.labelled(caches.own_pods, namespace, names.LABEL_OWNER_REPOSITORY, name)
        hosts = [pod for pod in mine if pod["metadata"]["labels"].get(names.LABEL_COMPONENT) == "host"]
        ready = next((pod for pod in hosts if is_ready(pod)), None)
        if ready is None:
            return dataclasses.replace(facts, host_message=_why_not_ready(hosts))
        try:
            answer = await self._context.agents.host(
                (namespace, name), ready["status"]["podIP"], calls.status(refresh=True)
            )
            info, error = _info(answer, names.stanza(name))
        except AgentError as problem:
            return dataclasses.replace(facts, host_message=str(problem))
        return dataclasses.replace(facts, host_ready=True, info=info, info_error=error)

    # --- act -----------------------------------------------------------------------------------------------------

    async def _advance(self, key: Key, facts: Facts) -> Facts:
        """Make the stanza, then see to it that a first segment is archived."""
        if decide.wants_stanza(facts):
            facts = await self._make_stanza(key, facts)
        elif facts.host_ready and not decide.stanza_missing(facts):
            self._stanzas.forget(key)
        asked, error = self._segments.get(key, (None, ""))
        facts = dataclasses.replace(
            facts, segment_asked=asked, segment_error=error, on_the_way=self._is_on_the_way(key, facts)
        )
        return await self._ask_for_segment(key, facts) if decide.needs_fence(facts) else facts

    async def _make_stanza(self, key: Key, facts: Facts) -> Facts:
        """Tried at once, then after growing pauses; meanwhile it is said why the last try failed."""
        host_ip, error = self._host_ip(*key), ""
        known, again = self._stanzas.get(key), self._stanzas.next(key)
        if known is not None and again is not None and facts.now < again:
            said = f"{known.said}; tried again at {conditions.timestamp(again)}" if known.said else ""
            return dataclasses.replace(facts, stanza_error=said)
        if not host_ip:
            return facts
        try:
            made = await self._context.agents.host(key, host_ip, calls.stanza_create(), seconds=STANZA_CREATE_SECONDS)
            error = "" if made.ok else _last_line(made.output or "")
        except AgentError as problem:
            error = str(problem)
        self._stanzas.tried(key, facts.now, error)
        if error:
            return dataclasses.replace(facts, stanza_error=error)
        await self._context.recorder.normal(facts.repository, "StanzaCreated", f"created stanza {names.stanza(key[1])}")
        return await self._ask_host(facts)

    def _is_on_the_way(self, key: Key, facts: Facts) -> bool:
        """Whether the primary's pod works with another configuration than it was given a moment ago."""
        digest, since = self._given.get(key, ("", facts.now))
        has = facts.primary.answer.config_hash if facts.primary and facts.primary.answer else ""
        return bool(digest and has and has != digest and facts.now - since < ARRIVED)

    async def _ask_for_segment(self, key: Key, facts: Facts) -> Facts:
        """That it is asked for is in the status before: whoever looks next, this process or another, knows it."""
        facts = dataclasses.replace(facts, now=self._context.clock())  # the look may have taken its time
        before, primary = facts.repository.get("status") or {}, facts.primary
        entry = segment.ask(facts).entry()
        after = before | {segment.FIELD: entry}
        await status.write(self._context.client, "repositories", facts.repository, after)
        self._segments[key] = entry, ""
        facts = dataclasses.replace(facts, repository=facts.repository | {"status": after}, segment_asked=entry)
        await self._context.recorder.normal(facts.repository, "SegmentAskedFor", segment.event(facts))
        error = ""
        try:
            seconds = segment.WAIT_SECONDS + 10.0
            ip = primary.ip if primary else ""
            answer = await self._context.agents.pod(key, ip, segment.call(), seconds=seconds)
            error = "" if answer.ok else answer.error or ""
        except AgentError as problem:
            error = str(problem)
        self._segments[key] = entry, error
        if error:
            log.info("could not switch to the first WAL segment", repository=key[1], error=error)
        return await self._ask_host(dataclasses.replace(facts, segment_error=error))

    def _host_ip(self, namespace: str, name: str) -> str:
        caches = self._context.caches
        for pod in caches.labelled(caches.own_pods, namespace, names.LABEL_OWNER_REPOSITORY, name):
            if pod["metadata"]["labels"].get(names.LABEL_COMPONENT) == "host" and is_ready(pod):
                return str(pod["status"]["podIP"])
        return ""

    async def _report(self, key: Key, facts: Facts) -> list[Object]:
        """Write the status; its conditions."""
        caches = self._context.caches
        uids = {
            backup["metadata"]["uid"]: backup["metadata"]["name"]
            for backup in caches.of_repository(caches.backups, key[0], key[1])
        }
        after = report.status(facts, uids)
        await self._tell(facts, after)
        await backups_available.tell(self._context, facts, after)  # before the list that says what was there goes
        await status.write(self._context.client, "repositories", facts.repository, after)
        metrics.show(key, after)
        told: list[Object] = after["conditions"]
        return told

    async def _tell(self, facts: Facts, after: Object) -> None:
        """An Event for each condition that turned. What Ready says while it is False, another has said."""
        recorder = self._context.recorder
        before = self._told.before(facts.repository, after).get("conditions", [])
        for condition in after["conditions"]:
            old = conditions.find(before, condition["type"])
            if old is not None and (old["status"], old["reason"]) == (condition["status"], condition["reason"]):
                continue
            if condition["type"] == "Ready" and condition["status"] == "False" and not _turned_false(old, condition):
                continue
            if condition["type"] == admission.REJECTED:
                await recorder.warning(facts.repository, admission.REJECTED, condition["message"])
                continue
            alarm = condition["status"] == "False" and (
                _turned_false(old, condition) or condition["reason"] not in decide.BEGINNING
            )
            tell = recorder.warning if alarm else recorder.normal
            await tell(facts.repository, condition["reason"], f"{condition['type']}: {condition['message']}")


def _in_the_way(kind: str, name: str) -> str:
    said = f"there is a {kind} {name} that does not belong to this Repository; it is left unchanged"
    return f"{said}. Delete it if it is unused, or give the Repository another name"


def _info(answer: Status, stanza: str) -> tuple[Info | None, str]:
    if answer.info_error:
        return None, answer.info_error
    if answer.info is None:
        return None, ""
    try:
        return parse_info([answer.info], stanza), ""
    except InfoError as error:
        return None, str(error)


def _turned_false(old: Object | None, new: Object) -> bool:
    return old is not None and old["status"] == "True" and new["status"] == "False"


def _why_not_ready(hosts: list[Object]) -> str:
    """What Kubernetes says of a host that does not come up."""
    return waiting_reason(hosts) or "the repository host's pod is not ready yet"


def _last_line(output: str) -> str:
    """The line that says what is wrong, with its hints."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    begin = next((n for n, line in enumerate(lines) if "ERROR" in line), max(len(lines) - 1, 0))
    return " ".join(lines[begin:])[:1000]
