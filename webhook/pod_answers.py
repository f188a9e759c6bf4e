"""The answer for a labelled pod: made once for all pods that are alike, and remembered.

What is remembered is found by the likeness of the pod, the terms of its Repository and what the namespace asks, by
value: a changed template, Repository or LimitRange is another question, so that no answer can be stale. So is what a
quota has left, but only where that is less than a sidecar takes.
"""

from __future__ import annotations

from collections.abc import Iterable

from pgwarden.api.bounded_dict import BoundedDict
from pgwarden.api.faults import Fault, limited
from pgwarden.api.objects import Object
from pgwarden.api.sizing import NOTHING, Asks
from pgwarden.injection import resources, room
from pgwarden.injection.decide import Inject, Refuse, decide
from pgwarden.injection.inspection import inspect
from pgwarden.injection.likeness import example, likeness
from pgwarden.injection.main_container import postgres_container
from pgwarden.injection.patch import encode
from pgwarden.injection.pipeline import operations
from pgwarden.injection.pods import Pod
from pgwarden.injection.room import Quota
from pgwarden.injection.settings import Settings
from pgwarden.injection.terms import Terms, terms_of
from webhook.review import Answer, prepared

#: The likeness of a pod, what its Repository says, and what its namespace asks of each container.
Question = tuple[bytes, Terms, Asks]
#: Among an answer's audit annotations: what of the sidecar is less than usual.
SHRUNK = "shrunk"
_REMEMBERED = 128  # answers of some 12 kB
_LARGE = 24_576  # bytes: what is larger could be made to fill memory, and is worked out each time
_MOST_PATCH = 512 * 1024  # bytes: no honest pod has as many mounts
_REPOSITORIES = 2048  # whose terms are kept


class Injections:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._terms: dict[tuple[str, str], tuple[Object, Terms | Fault]] = {}
        self._answers: BoundedDict[Question, Answer] = BoundedDict(_REMEMBERED)

    def answer(
        self, pod: Pod, name: str, repository: Object, wanted: Asks = NOTHING, quotas: Iterable[Quota] = ()
    ) -> Answer:
        """*repository* is the object of that *name* as it is now; *wanted* what the namespace asks of a container, and
        *quotas* are its own.
        """
        terms = self._terms_of(repository, pod.metadata.namespace, name)
        if isinstance(terms, Fault):
            return refused([terms])
        wanted = room.within(wanted, pod, quotas, resources.most(terms.memory))
        index = postgres_container(pod, terms.access)
        if isinstance(index, Fault):  # by which container it is like another cannot be told
            return self._work_out(pod, terms, wanted)
        question = likeness(pod, index), terms, wanted
        known = self._answers.get(question)
        return known if known is not None else self._remember(question)

    def _remember(self, question: Question) -> Answer:
        like, terms, wanted = question
        answer = self._work_out(example(like), terms, wanted)
        if not answer.faults:
            answer = prepared(answer)
        if len(answer.encoded) + len(like) <= _LARGE:
            self._answers[question] = answer
        return answer

    def _work_out(self, pod: Pod, terms: Terms, wanted: Asks) -> Answer:
        decision = decide(inspect(pod, terms.access), terms, self._settings, wanted)
        # A refusal names the pod, so it is encoded each time.
        return refused(decision.faults) if isinstance(decision, Refuse) else _injected(decision)

    def _terms_of(self, repository: Object, namespace: str, name: str) -> Terms | Fault:
        """Read once, as long as the cache has the same object."""
        known = self._terms.get((namespace, name))
        if known is not None and known[0] is repository:
            return known[1]
        if len(self._terms) >= _REPOSITORIES:
            self._terms.clear()
        terms = terms_of(repository, name)
        self._terms[namespace, name] = repository, terms
        return terms


def _injected(injection: Inject) -> Answer:
    found = operations(injection)
    encoded = encode(found) if found else b""
    if len(encoded) > _MOST_PATCH:
        field = f"spec.containers[{injection.postgres.container}].volumeMounts"
        return refused([Fault(field, None, "are more than can be given to the sidecar as well", "size")])
    audit = {"repository": injection.recipe.repository, "configured-by": injection.facts.configured_by}
    if injection.recipe.shrunk:
        audit[SHRUNK] = injection.recipe.shrunk
    return Answer(outcome="injected" if found else "unchanged", patch=encoded, warnings=injection.warnings, audit=audit)


def refused(faults: list[Fault] | tuple[Fault, ...], warnings: tuple[str, ...] = ()) -> Answer:
    told = limited(faults)
    rules = ",".join(sorted({fault.rule or "unnamed" for fault in told}))
    return Answer(outcome="refused", faults=tuple(told), warnings=warnings, audit={"refused": rules})
