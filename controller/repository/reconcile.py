"""gather → decide → apply for a Repository. Looks again on a period, because storage and PostgreSQL send no events."""

from __future__ import annotations

import dataclasses

import msgspec

from controller import admission, credentials
from controller.agents import AgentError
from controller.context import Context
from controller.repository import backups_available, decide, metrics, renewal, report
from controller.repository.act import Actor
from controller.repository.apply import Applier, InTheWayError
from controller.repository.facts import RepositoryFacts
from controller.repository.gather import gather
from controller.runtime import conditions, status
from controller.runtime.event_memory import EventMemory
from pgwarden import storages
from pgwarden.api.kinds import RepositorySpec
from pgwarden.api.objects import Object
from pgwarden.api.reading import objects
from pgwarden.kube.cache import Key


class RepositoryController:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._told = EventMemory()
        self._applier = Applier(context)
        self._actor = Actor(context)

    async def reconcile(self, key: Key) -> float | None:
        context = self._context
        repository = context.caches.repositories.get(*key)
        if repository is None or "deletionTimestamp" in repository["metadata"]:
            self._context.agents.forget(key)
            metrics.forget(key)
            admission.forget("repositories", key)
            for part in (self._told, self._applier, self._actor):
                part.forget(key)
            return None
        answer = await admission.judge(context, "repositories", repository)
        if not answer.go:
            metrics.show(key, {"conditions": answer.status["conditions"]})  # all else is of before
            return answer.again
        spec = msgspec.convert(repository["spec"], RepositorySpec)
        places = storages.places(spec, context.settings.defaults, *key)
        if answer.refused:
            places = await self._applier.in_force(repository, places)
        facts = RepositoryFacts(repository, spec, context.clock(), places=places, refused=answer.refused)
        try:
            if all(place.is_complete for place in places) and await self._applier.apply(repository, spec, places):
                self._actor.try_again(key)
        except (credentials.MissingSecretError, AgentError) as error:
            facts = dataclasses.replace(facts, secret_error=str(error))
        except InTheWayError as error:
            facts = dataclasses.replace(facts, in_the_way=str(error))
        facts = dataclasses.replace(facts, claim=self._applier.claim(key))
        facts = await gather(context, facts)
        try:
            await self._applier.apply_spare(facts)
        except InTheWayError as error:
            facts = dataclasses.replace(facts, in_the_way=str(error))
        facts = await self._actor.advance(key, facts, on_the_way=self._applier.is_on_the_way(key, facts))
        conditions_now = await self._report(key, facts)
        return decide.UNSETTLED if self._applier.is_moving(key) else decide.pause(facts, conditions_now)

    async def _report(self, key: Key, facts: RepositoryFacts) -> list[Object]:
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
        metrics.show(key, after, facts.volume)
        told: list[Object] = after["conditions"]
        return told

    async def _tell(self, facts: RepositoryFacts, after: Object) -> None:
        """An Event for each condition that turned. What Ready says while it is False, another has said."""
        recorder = self._context.recorder
        told = self._told.before(facts.repository, after)
        for debt in _new_debts(told, after):
            await recorder.warning(facts.repository, debt["reason"], debt["message"])
        before = told.get("conditions", [])
        for condition in after["conditions"]:
            old = conditions.find(before, condition["type"])
            if old is not None and (old["status"], old["reason"]) == (condition["status"], condition["reason"]):
                continue
            if condition["type"] == "Ready" and condition["status"] == "False" and not _turned_false(old, condition):
                continue
            if condition["type"] == admission.REJECTED:
                await recorder.warning(facts.repository, admission.REJECTED, condition["message"])
                continue
            alarm = condition["reason"] in {"ClaimTerminating", "VolumeLost"} or (
                condition["status"] == "False"
                and (_turned_false(old, condition) or condition["reason"] not in decide.BEGINNING)
            )
            tell = recorder.warning if alarm else recorder.normal
            await tell(facts.repository, condition["reason"], f"{condition['type']}: {condition['message']}")


def _new_debts(before: Object, after: Object) -> list[Object]:
    """What is owed by *after* and was not by *before*, two statuses."""
    known = [(one.get("storage"), one.get("since")) for one in objects({"at": before}, "at", renewal.FIELD)]
    found = objects({"at": after}, "at", renewal.FIELD)
    return [one for one in found if (one["storage"], one["since"]) not in known]


def _turned_false(old: Object | None, new: Object) -> bool:
    return old is not None and old["status"] == "True" and new["status"] == "False"
