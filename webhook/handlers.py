"""The two questions of the API server: what to inject into a pod, and what is wrong with one of our own kinds."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from pgwarden.api import names, registry
from pgwarden.api.faults import Fault
from pgwarden.api.objects import Object
from pgwarden.api.sizing import NOTHING, Asks
from pgwarden.injection.inspection import passed_over
from pgwarden.injection.pods import Pod
from pgwarden.injection.room import QUOTA
from pgwarden.injection.settings import Settings
from pgwarden.injection.terms import no_repository
from pgwarden.rules import Verdict
from webhook import incoming
from webhook.pod_answers import SHRUNK, Injections, refused
from webhook.quotas import Quotas
from webhook.requester import Requester
from webhook.review import Answer, Request

FindRepository = Callable[[str, str], Awaitable[Object | None]]
Known = Callable[[str, str], Object | None]
_decode_pod = msgspec.json.Decoder(Pod).decode
_replace = msgspec.structs.replace
_PASSED = Answer(outcome="skipped")
#: Kinds whose deletion the rules are asked about.
_GUARDED = frozenset(kind.name for kind in registry.KINDS if kind.guards_deletion)
SETTLES_SECONDS = 0.4  # a quota that counts a pod which is gone
_MOST_SETTLING = 64  # pods that wait for that; others are answered at once
_LONGEST_NAME = 63  # characters, of a namespace and of the value of a label; a Repository's are fewer


#: (object, the object before or None, now) → Verdict
Judge = Callable[[Object, Object | None, datetime], Verdict]
#: (Repository or Backup, who deletes it) → Verdict
Deletable = Callable[[Object, str], Verdict]


class Handlers:
    """*known* is the cache; *find_repository* asks the API server too, for what is not in it. *judge* is the rules;
    *asks* tells what a namespace asks of each container, *quotas* what room it has, *requester* what the author of an
    object may.

    A handler answers at once where memory is enough, which it nearly always is, and else promises an answer.
    """

    def __init__(
        self,
        settings: Settings,
        find_repository: FindRepository,
        judge: Judge,
        known: Known = lambda *_: None,
        deletable: Deletable | None = None,
        asks: Callable[[str], Asks] = lambda _: NOTHING,
        requester: Requester | None = None,
        quotas: Quotas | None = None,
    ) -> None:
        self._quotas = quotas
        self._settling = 0
        self._requester = requester
        self._known = known
        self._find_repository = find_repository
        self._judge = judge
        self._deletable = deletable
        self._asks = asks
        self._injections = Injections(settings)

    def mutate_pods(self, request: Request[Any]) -> Answer | Awaitable[Answer]:
        if request.operation != "CREATE" or request.sub_resource:
            return _PASSED
        pod = _pod(request)
        if isinstance(pod, Fault):
            return refused([pod])
        reason = passed_over(pod)
        if reason:
            return Answer(outcome="skipped", audit={"skipped": reason})
        name, namespace = pod.labels[names.LABEL_REPOSITORY], pod.metadata.namespace
        repository = self._known(namespace, name)
        if repository is not None:
            answer = self._answer(pod, name, repository)
            return self._settled(request, name, repository, answer) if self._may_settle(answer) else answer
        if max(len(name), len(namespace)) > _LONGEST_NAME:
            return refused([no_repository(name, namespace)])
        return self._mutate_later(request, namespace, name)

    async def _mutate_later(self, request: Request[Any], namespace: str, name: str) -> Answer:
        """A large pod is decoded once more afterwards: many may be waiting, and none of them decoded."""
        repository = await self._find_repository(namespace, name)
        pod = _pod(request)
        if isinstance(pod, Fault) or repository is None:
            return refused([pod if isinstance(pod, Fault) else no_repository(name, namespace)])
        answer = self._answer(pod, name, repository)
        return await self._settled(request, name, repository, answer) if self._may_settle(answer) else answer

    def _answer(self, pod: Pod, name: str, repository: Object) -> Answer:
        namespace = pod.metadata.namespace
        quotas = self._quotas.of(namespace) if self._quotas is not None else ()
        return self._injections.answer(pod, name, repository, self._asks(namespace), quotas)

    def _may_settle(self, answer: Answer) -> bool:
        return _is_short(answer) and self._quotas is not None and self._settling < _MOST_SETTLING

    async def _settled(self, request: Request[Any], name: str, repository: Object, answer: Answer) -> Answer:
        """A quota may still count the pod that this one replaces. Then it changes within a moment."""
        if self._quotas is None:
            return answer
        until = time.monotonic() + SETTLES_SECONDS
        self._settling += 1
        try:
            while _is_short(answer) and (left := until - time.monotonic()) > 0:
                await self._quotas.changed(request.namespace, left)
                pod = _pod(request)
                answer = refused([pod]) if isinstance(pod, Fault) else self._answer(pod, name, repository)
            return answer
        finally:
            self._settling -= 1

    def check_kinds(self, request: Request[Any]) -> Answer | Awaitable[Answer]:
        """Asked before the schema has been applied, so that the object may be anything that is JSON."""
        return self._kinds(request, final=False)

    def validate_kinds(self, request: Request[Any]) -> Answer | Awaitable[Answer]:
        """The last word: what the object is now is what will be kept, so its author is asked about here."""
        return self._kinds(request, final=True)

    def _kinds(self, request: Request[Any], *, final: bool) -> Answer | Awaitable[Answer]:
        if request.sub_resource:
            return _PASSED
        if request.operation == "DELETE" and request.kind.kind in _GUARDED and self._deletable:
            return _verdict(self._deletable(incoming.known(request.old_object), request.user_info.username))
        if request.operation not in {"CREATE", "UPDATE"}:
            return _PASSED
        change = incoming.change(request.object, request.old_object if request.operation == "UPDATE" else None)
        if change is None:
            return Answer(outcome="allowed")
        if isinstance(change, Fault):
            return refused([change])
        obj, old = change
        if old is not None and _being_deleted(old):
            return _PASSED  # finalizers must come off whatever the rules say today
        _complete(obj, request.namespace)
        where, name = _names(obj, request.namespace)
        if name and max(len(where), len(name)) <= _LONGEST_NAME and self._known(where, name) is None:
            return self._check_later(where, name, request, final=final)
        return self._judged(obj, old, request, final=final)

    async def _check_later(self, namespace: str, name: str, request: Request[Any], *, final: bool) -> Answer:
        """The rules look up without waiting: a Repository made by the same `kubectl apply` is fetched beforehand.

        The object is decoded once more afterwards: many may be waiting, and none of them decoded.
        """
        await self._find_repository(namespace, name)
        change = incoming.change(request.object, request.old_object if request.operation == "UPDATE" else None)
        if not isinstance(change, tuple):  # it was one before
            return _PASSED
        _complete(change[0], request.namespace)
        found = self._judged(*change, request, final=final)
        return found if isinstance(found, Answer) else await found

    def _judged(
        self, obj: Object, old: Object | None, request: Request[Any], *, final: bool
    ) -> Answer | Awaitable[Answer]:
        verdict = self._judge(obj, old, datetime.now(UTC))
        requester = self._requester
        if requester is None:
            return _verdict(verdict)
        if any(fault.elsewhere for fault in verdict.faults):
            return _told(requester, request, verdict)
        questions = requester.faults(request, obj, old) if final and not verdict.faults else None
        return _allowed(questions, verdict) if questions is not None else _verdict(verdict)


def _pod(request: Request[Any]) -> Pod | Fault:
    """The pod with its namespace; a Fault where it is too large."""
    pod = request.object
    if not isinstance(pod, Pod):
        fault = incoming.pod_fault(pod)
        if fault is not None:
            return fault
        pod = _decode_pod(pod)
    if pod.metadata.namespace:
        return pod
    return _replace(pod, metadata=_replace(pod.metadata, namespace=request.namespace))


def _is_short(answer: Answer) -> bool:
    """Whether the sidecar gets less than usual because of what a quota has left."""
    return QUOTA in answer.audit.get(SHRUNK, "")


async def _told(requester: Requester, request: Request[Any], verdict: Verdict) -> Answer:
    return refused(await requester.told(request, verdict.faults))


async def _allowed(questions: Awaitable[list[Fault]], verdict: Verdict) -> Answer:
    faults = await questions
    return refused(faults) if faults else _verdict(verdict)


def _verdict(verdict: Verdict) -> Answer:
    """With a refusal no warnings: they would tell what becomes of an object that is not made."""
    if verdict.faults:
        return refused(verdict.faults)
    return Answer(outcome="allowed", warnings=tuple(verdict.warnings))


def _names(obj: Object, namespace: str) -> tuple[str, str]:
    """Namespace and name of the Repository that one of our kinds names; the name empty where it names none."""
    spec = obj.get("spec")
    source = spec.get("dataSource") if isinstance(spec, dict) else None
    named = source if isinstance(source, dict) else spec if isinstance(spec, dict) else {}
    name, where = named.get("repository"), named.get("namespace") if named is source else None
    return (where if isinstance(where, str) and where else namespace), name if isinstance(name, str) else ""


def _complete(obj: Object, namespace: str) -> None:
    """The namespace is in the request, not always in the object; only a copy is judged."""
    metadata = obj.setdefault("metadata", {})
    if isinstance(metadata, dict) and not metadata.get("namespace"):
        metadata["namespace"] = namespace


def _being_deleted(obj: Object) -> bool:
    metadata = obj.get("metadata")
    return isinstance(metadata, dict) and bool(metadata.get("deletionTimestamp"))
