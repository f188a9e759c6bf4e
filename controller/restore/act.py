"""Carrying out the one thing that was decided: at the API server, or by an agent."""

from __future__ import annotations

from dataclasses import replace

import structlog

from controller.agents import AgentError
from controller.context import Context
from controller.restore import workload
from controller.restore.carried_plans import Carried
from controller.restore.facts import Answers
from controller.restore.verdict import POLL, SOON, Action, Ask, Create, Delete, Dismiss, Merge
from pgwarden.api import names
from pgwarden.kube import errors, paths

log = structlog.get_logger()
#: Actions in one go; then other keys have their turn.
ACTIONS = 20


async def act(
    context: Context, carried: Carried, namespace: str, repository: str, action: Action, answers: Answers
) -> None:
    """What an agent answers is put into *answers*."""
    client = context.client
    match action:
        case Create(plural, body):
            if plural == "backups":
                body = await carried.sealed_backup(namespace, body)
            try:
                await client.create(paths.of(plural, namespace), body)
            except errors.Conflict as error:
                log.info("there already", kind=body["kind"], name=body["metadata"]["name"], error=str(error))
        case Merge(plural, where, name, body):
            if names.ANNOTATION_STOPPED_BY in body.get("metadata", {}).get("annotations", {}):
                kind = next(kind for kind, own in workload.PLURALS.items() if own == plural)
                body = await carried.sealed(kind, where, name, body)
            await client.merge(paths.of(plural, where, name), body)
        case Delete(plural, where, name, uid):
            await client.delete(paths.of(plural, where, name), uid=uid)
        case Dismiss(where, name, uid):
            try:
                await client.delete(paths.of("pods", where, name), uid=uid, grace_seconds=0)
            except errors.ApiError as error:  # its node takes it away then
                log.info("the pod is left to its node", namespace=where, pod=name, error=str(error))
        case Ask(ip, call, seconds):
            try:
                answers[call.name] = await context.agents.pod((namespace, repository), ip, call, seconds=seconds)
            except AgentError as error:
                answers[call.name] = call.answer(error=str(error))


def before_next(action: Action) -> float:
    """Seconds until *action*, which has changed nothing, is tried again."""
    return SOON if isinstance(action, Dismiss) else POLL  # a pod goes by itself in a moment, and PostgreSQL is down


class Done:
    """What one look has done. What was done and is to be done again, has changed nothing: that is not tried at once."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def seen(self, action: Action) -> bool:
        """Whether it was done already; of a change of an object, whatever version of it that was meant for."""
        what = repr(action)
        if isinstance(action, Merge):
            metadata = {k: v for k, v in action.body.get("metadata", {}).items() if k != "resourceVersion"}
            what = repr(replace(action, body=action.body | {"metadata": metadata}))
        before = what in self._seen
        self._seen.add(what)
        return before
