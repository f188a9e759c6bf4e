"""gather → decide → apply for a Repository. Looks again on a period, because storage and PostgreSQL send no events."""

from __future__ import annotations

import dataclasses

import msgspec

from controller import admission, claim_growth, credentials, refusal
from controller.agents import AgentError
from controller.context import Context
from controller.failed_create import Workloads
from controller.owned import InTheWayError
from controller.repository import backups_available, decide, metrics, renewal, report, room
from controller.repository.act import Actor
from controller.repository.apply import Applier
from controller.repository.facts import RepositoryFacts
from controller.repository.gather import gather
from controller.repository.quiet import Answers, Quiet
from controller.runtime import conditions, outcomes, slots, status
from controller.runtime.event_memory import EventMemory
from controller.runtime.slots import Looks
from pgwarden import storages
from pgwarden.api.kinds import RepositorySpec
from pgwarden.api.objects import Object
from pgwarden.api.reading import is_going, objects
from pgwarden.contract import last_drills
from pgwarden.kube import errors
from pgwarden.kube.cache import Key

#: Looks at Repositories that are well, in a second, at most: each of a thousand is looked at every 31 s.
LOOKS = 32
#: At those that are not, of which each look goes through everything: a bucket that a thousand share may be away.
UNSETTLED_LOOKS = 16
#: Of so many the answers are in memory at once, some 0.3 MB each.
AT_ONCE = 24


class RepositoryController:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._told = EventMemory()
        self._applier = Applier(context)
        self.keys = self._applier.keys
        self._quiet = Quiet(context, self.keys)
        self._actor = Actor(context)
        self._workloads = Workloads(context)
        self._unsettled: set[Key] = set()
        self._looks = Looks(AT_ONCE)

    async def reconcile(self, key: Key) -> float | None:
        with self._looks.one():
            return await self._reconcile(key)

    async def _reconcile(self, key: Key) -> float | None:
        same, answers = await self._quiet.ask(key)
        if same:
            metrics.again(key)
            return self._steady()
        return await self._look(key, answers)

    async def _look(self, key: Key, answers: Answers) -> float | None:
        """Through everything. *answers* have been given a moment ago."""
        await slots.taken()
        context = self._context
        repository = context.caches.repositories.get(*key)
        if repository is None or is_going(repository):
            self._context.agents.forget(key)
            metrics.gone(key)
            outcomes.forget(key)
            admission.forget("repositories", key)
            self._unsettled.discard(key)
            for part in (self._told, self._applier, self._actor, self._workloads, self._quiet):
                part.forget(key)
            return None
        versions = self._quiet.versions(key)
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
        except errors.Invalid as error:
            facts = dataclasses.replace(facts, not_applied=refusal.waited_for(error))
        facts = dataclasses.replace(facts, claim=self._applier.claim(key), growth=self._applier.growth(key))
        facts = self._applier.versions.learn(await gather(context, facts, answers))
        found_elsewhere = self._applier.places.learn(facts)
        if facts.primary is None:
            facts = dataclasses.replace(facts, refused_workloads=await self._workloads.of(key))
        try:
            await self._applier.apply_spare(facts)
        except InTheWayError as error:
            facts = dataclasses.replace(facts, in_the_way=str(error))
        except errors.Invalid as error:
            facts = dataclasses.replace(facts, not_applied=refusal.waited_for(error))
        facts = await self._actor.advance(key, facts, on_the_way=self._applier.is_on_the_way(key, facts))
        conditions_now = await self._report(key, facts)
        self.keys.judged(key, well=decide.settled(facts))
        if self._applier.is_moving(key) or found_elsewhere:
            return decide.UNSETTLED
        pause = decide.pause(facts, conditions_now)
        await self._quiet.note(facts, versions, soon=pause < decide.STEADY)
        return self._pause(key, facts, pause)

    def _pause(self, key: Key, facts: RepositoryFacts, pause: float) -> float:
        """Seconds until the next look: *pause*, but longer where there are very many."""
        if decide.settled(facts):
            self._unsettled.discard(key)
            return self._steady()
        self._unsettled.add(key)
        return max(pause, len(self._unsettled) / UNSETTLED_LOOKS)

    def _steady(self) -> float:
        """Seconds between two looks at one that is well: longer where there are very many."""
        return max(decide.STEADY, len(self._context.caches.repositories.items) / LOOKS)

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
        archiver = facts.primary.archiver if facts.primary else None
        metrics.show(key, after, facts.volume, archiver, room.measured(facts))
        told: list[Object] = after["conditions"]
        return told

    async def _tell(self, facts: RepositoryFacts, after: Object) -> None:
        """An Event for each condition that turned. What Ready says while it is False, another has said."""
        recorder = self._context.recorder
        told = self._told.before(facts.repository, after)
        for debt in _new_debts(told, after):
            await recorder.warning(facts.repository, debt["reason"], debt["message"])
        for reason, message in room.risen(told, after):
            await recorder.warning(facts.repository, reason, message)
        before = told.get("conditions", [])
        for condition in after["conditions"]:
            if condition["type"] == "HasRoom" and condition["status"] != "True":
                continue  # of each volume there is one
            if condition["type"] == last_drills.CONDITION and condition["status"] == "Unknown":
                continue  # that there was no drill yet is no news
            old = conditions.find(before, condition["type"])
            if condition["type"] == "SameVersion" and "False" not in {condition["status"], old and old["status"]}:
                continue  # what is always so is no news
            if old is not None and (old["status"], old["reason"]) == (condition["status"], condition["reason"]):
                continue
            if condition["type"] == "Ready" and condition["status"] == "False" and not _turned_false(old, condition):
                continue
            if condition["type"] == admission.REJECTED:
                await recorder.warning(facts.repository, admission.REJECTED, condition["message"])
                continue
            tell = recorder.warning if _is_alarm(old, condition) else recorder.normal
            await tell(facts.repository, condition["reason"], f"{condition['type']}: {condition['message']}")


def _new_debts(before: Object, after: Object) -> list[Object]:
    """What is owed by *after* and was not by *before*, two statuses."""
    known = [(one.get("storage"), one.get("since")) for one in objects({"at": before}, "at", renewal.FIELD)]
    found = objects({"at": after}, "at", renewal.FIELD)
    return [one for one in found if (one["storage"], one["since"]) not in known]


def _is_alarm(old: Object | None, new: Object) -> bool:
    """Of a condition that has turned, whether that is bad news."""
    if new["reason"] in claim_growth.UNDERWAY:
        return False
    if new["reason"] in decide.ALARMS:
        return True
    return new["status"] == "False" and (_turned_false(old, new) or new["reason"] not in decide.BEGINNING)


def _turned_false(old: Object | None, new: Object) -> bool:
    return old is not None and old["status"] == "True" and new["status"] == "False"
