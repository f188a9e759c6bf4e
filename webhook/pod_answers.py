"""The answer for a labelled pod: made once for all pods that are alike, and remembered.

What is remembered is found by the likeness of the pod and the terms of its Repository, by value: a changed template or
Repository is another question, so that no answer can be stale.
"""

from __future__ import annotations

from typing import Any

from pgwarden.api.bounded_dict import BoundedDict
from pgwarden.api.faults import Fault, limited
from pgwarden.injection import inspection, pods
from pgwarden.injection.decide import Inject, Refuse, Terms, examine, terms_of
from pgwarden.injection.patch import encode, patch
from pgwarden.injection.pods import Pod
from pgwarden.injection.settings import Settings
from webhook.review import Answer, prepared

Object = dict[str, Any]
Question = tuple[bytes, Terms]  # the likeness of a pod, and what its Repository says
_REMEMBERED = 128  # answers of some 12 kB
_LARGE = 24_576  # bytes: what is larger could be made to fill memory, and is worked out each time
_MOST_PATCH = 512 * 1024  # bytes: no honest pod has as many mounts
_REPOSITORIES = 2048  # whose terms are kept


class Injections:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._terms: dict[tuple[str, str], tuple[Object, Terms | Fault]] = {}
        self._answers: BoundedDict[Question, Answer] = BoundedDict(_REMEMBERED)

    def answer(self, pod: Pod, name: str, repository: Object) -> Answer:
        """*repository* is the object of that *name* as it is now."""
        terms = self._terms_of(repository, pod.metadata.namespace, name)
        if isinstance(terms, Fault):
            return refused([terms])
        index = inspection.container(pod, terms.access)
        if isinstance(index, Fault):
            return refused([index])
        question = pods.likeness(pod, index), terms
        known = self._answers.get(question)
        return known if known is not None else self._work_out(question)

    def _work_out(self, question: Question) -> Answer:
        like, terms = question
        pod = pods.example(like)
        decision = examine(pod, terms, self._settings)
        # A refusal names the pod, so it is encoded each time.
        answer = refused(decision.faults) if isinstance(decision, Refuse) else _injected(pod, terms, decision)
        if not answer.faults:
            answer = prepared(answer)
        if len(answer.encoded) + len(like) <= _LARGE:
            self._answers[question] = answer
        return answer

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


def _injected(pod: Pod, terms: Terms, decision: Inject) -> Answer:
    operations = patch(pod, decision)
    encoded = encode(operations) if operations else b""
    if len(encoded) > _MOST_PATCH:
        field = f"spec.containers[{decision.container}].volumeMounts"
        return refused([Fault(field, None, "are more than can be given to the sidecar as well", "size")])
    return Answer(
        outcome="injected" if operations else "unchanged",
        patch=encoded,
        warnings=decision.warnings,
        audit={"repository": terms.repository, "configured-by": decision.facts.configured_by},
    )


def refused(faults: list[Fault] | tuple[Fault, ...], warnings: tuple[str, ...] = ()) -> Answer:
    told = limited(faults)
    rules = ",".join(sorted({fault.rule or "unnamed" for fault in told}))
    return Answer(outcome="refused", faults=tuple(told), warnings=warnings, audit={"refused": rules})
