"""The one way of a pod: inspect → decide → render → patch. No stage looks back at what an earlier one looked at.

The webhook goes the same way, but waits for the Repository in between and remembers: see webhook/pod_answers.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pgwarden.api import names
from pgwarden.api.faults import Fault
from pgwarden.api.sizing import NOTHING, Asks
from pgwarden.injection import pods, resources, room
from pgwarden.injection.decide import Inject, InjectionDecision, Refuse, Skip, decide
from pgwarden.injection.inspection import inspect, passed_over
from pgwarden.injection.patch import Operation, patch
from pgwarden.injection.pods import Pod
from pgwarden.injection.render import render
from pgwarden.injection.room import Quota
from pgwarden.injection.settings import Settings
from pgwarden.injection.terms import no_repository, terms_of


def decision_on(
    pod: dict[str, Any] | Pod,
    repository: dict[str, Any] | None,
    settings: Settings,
    wanted: Asks = NOTHING,
    quotas: Iterable[Quota] = (),
) -> InjectionDecision:
    """*repository* is the object that the pod's label names, None where there is none. *wanted*: see `decide`.
    *quotas*: of the pod's namespace.

    msgspec.ValidationError where *pod* is no pod.
    """
    seen = pod if isinstance(pod, Pod) else pods.read(pod)
    reason = passed_over(seen)
    if reason:
        return Skip(reason)
    name = seen.labels[names.LABEL_REPOSITORY]
    if repository is None:
        return Refuse([no_repository(name, seen.metadata.namespace)])
    terms = terms_of(repository, name)
    if isinstance(terms, Fault):
        return Refuse([terms])
    wanted = room.within(wanted, seen, quotas, resources.most(terms.memory))
    return decide(inspect(seen, terms.access), terms, settings, wanted)


def operations(injection: Inject) -> list[Operation]:
    """Empty where the pod carries exactly this injection already."""
    return patch(injection.postgres, render(injection.recipe))
