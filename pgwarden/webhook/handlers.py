"""The two questions of the API server: what to inject into a pod, and what is wrong with one of our own kinds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec

from pgwarden.api import names
from pgwarden.api.faults import Fault
from pgwarden.webhook.decide import Inject, Refuse, Skip, decide
from pgwarden.webhook.patch import encode, patch
from pgwarden.webhook.pods import Pod
from pgwarden.webhook.review import Answer, Request
from pgwarden.webhook.settings import Settings

Object = dict[str, Any]
FindRepository = Callable[[str, str], Awaitable[Object | None]]
_decode_pod = msgspec.json.Decoder(Pod).decode
_decode_object = msgspec.json.Decoder(dict[str, Any]).decode
_PASSED = Answer(outcome="skipped")


class Verdict(Protocol):
    """What the rules say of an object: see pgwarden.api.rules."""

    @property
    def faults(self) -> list[Fault] | tuple[Fault, ...]: ...
    @property
    def warnings(self) -> list[str] | tuple[str, ...]: ...


#: (object, the object before or None, now) → Verdict
Judge = Callable[[Object, Object | None, datetime], Verdict]


class Handlers:
    """*find_repository* asks the API server only what the cache does not know; *judge* is the rules, with a lookup."""

    def __init__(self, settings: Settings, find_repository: FindRepository, judge: Judge) -> None:
        self._settings = settings
        self._find_repository = find_repository
        self._judge = judge

    async def mutate_pods(self, request: Request) -> Answer:
        if request.operation != "CREATE" or request.sub_resource:
            return _PASSED
        pod = _decode_pod(request.object)
        if not pod.metadata.namespace:
            pod = msgspec.structs.replace(
                pod, metadata=msgspec.structs.replace(pod.metadata, namespace=request.namespace)
            )
        name = pod.labels.get(names.LABEL_REPOSITORY, "")
        repository = await self._find_repository(pod.metadata.namespace, name) if name else None
        decision = decide(pod, repository, self._settings)
        match decision:
            case Skip(reason):
                return Answer(outcome="skipped", audit={"skipped": reason})
            case Refuse(faults):
                return Answer(outcome="refused", faults=tuple(faults), audit={"refused": _rules(faults)})
            case Inject():
                return _injected(pod, name, decision)

    async def check_kinds(self, request: Request) -> Answer:
        """Also asked before the schema has been applied, so that the object may be anything that is JSON."""
        if request.operation not in {"CREATE", "UPDATE"} or request.sub_resource:
            return _PASSED
        obj = _decode_object(request.object)
        old = _decode_object(request.old_object) if request.operation == "UPDATE" else None
        if old is not None and _being_deleted(old):
            return _PASSED  # finalizers must come off whatever the rules say today
        _complete(obj, request.namespace)
        await self._prefetch(obj, request.namespace)
        verdict = self._judge(obj, old, datetime.now(UTC))
        if verdict.faults:
            faults = tuple(verdict.faults)
            # Without the warnings: they would tell of what has become of an object that has not been made.
            return Answer(outcome="refused", faults=faults, audit={"refused": _rules(faults)})
        return Answer(outcome="allowed", warnings=tuple(verdict.warnings))

    async def _prefetch(self, obj: Object, namespace: str) -> None:
        """The rules look up without waiting: a Repository made by the same `kubectl apply` is fetched beforehand."""
        spec = obj.get("spec")
        name = spec.get("repository") if isinstance(spec, dict) else None
        if isinstance(name, str) and name:
            await self._find_repository(namespace, name)


def _injected(pod: Pod, name: str, decision: Inject) -> Answer:
    operations = patch(pod, decision)
    return Answer(
        outcome="injected" if operations else "unchanged",
        patch=encode(operations) if operations else b"",
        warnings=decision.warnings,
        audit={"repository": name, "configured-by": decision.facts.configured_by},
    )


def _complete(obj: Object, namespace: str) -> None:
    """The namespace is in the request, not always in the object; only a copy is judged."""
    metadata = obj.setdefault("metadata", {})
    if isinstance(metadata, dict) and not metadata.get("namespace"):
        metadata["namespace"] = namespace


def _being_deleted(obj: Object) -> bool:
    metadata = obj.get("metadata")
    return isinstance(metadata, dict) and bool(metadata.get("deletionTimestamp"))


def _rules(faults: list[Fault] | tuple[Fault, ...]) -> str:
    return ",".join(sorted({fault.rule or "unnamed" for fault in faults}))
