"""What pods of ours are made by besides what they run: what their namespace asks, and what PostgreSQL's pods show."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import msgspec

from controller import placement
from controller.context import Context
from controller.placement import Inherited
from pgwarden.api import names
from pgwarden.api.reading import is_going
from pgwarden.api.sizing import NOTHING, Asks, asks


@dataclass(frozen=True)
class PodTerms:
    asks: Asks = NOTHING
    inherited: Inherited = placement.NOTHING

    @cached_property
    def digest(self) -> str:
        """Of ten hexadecimal digits: the same for the same terms."""
        told = msgspec.json.encode([self.asks, self.inherited], order="deterministic")
        return hashlib.sha256(told).hexdigest()[:10]


PLAIN = PodTerms()


def asked(context: Context, namespace: str) -> Asks:
    """By the ResourceQuotas and LimitRanges of *namespace*."""
    caches = context.caches
    return asks(caches.quotas.in_namespace(namespace), caches.limit_ranges.in_namespace(namespace))


def terms(context: Context, namespace: str, repository: str) -> PodTerms:
    """For the repository host and for Jobs. What was taken over stays while no PostgreSQL runs."""
    caches = context.caches
    labelled = caches.labelled(caches.postgres_pods, namespace, names.LABEL_REPOSITORY, repository)
    staying = [pod for pod in labelled if not is_going(pod)]
    current = placement.noted(caches.deployments.get(namespace, names.host(repository)))
    return PodTerms(asked(context, namespace), placement.chosen(staying, current))
