"""The PersistentVolumeClaim of PostgreSQL's data, by what the webhook wrote on the pod. Pure: to tell only."""

from __future__ import annotations

from collections.abc import Iterable

from pgwarden.api import names, outside
from pgwarden.api.kinds import PodFacts
from pgwarden.api.objects import Object
from pgwarden.api.quantity import parse_quantity
from pgwarden.api.reading import get, objects


def of(pods: Iterable[Object], primary: str) -> str:
    """Of the pod *primary*, else of the first that tells; empty where none does."""
    listed = sorted(pods, key=lambda pod: get(pod, str, "metadata", "name") != primary)
    return next((claim for pod in listed if (claim := _of_pod(pod))), "")


def _of_pod(pod: Object) -> str:
    text = get(pod, str, "metadata", "annotations", names.ANNOTATION_POSTGRES)
    facts = outside.decode(text, PodFacts)
    volumes = {get(one, str, "name"): one for one in objects(pod, "spec", "volumes")}
    volume = volumes.get(facts.data_volume) if facts else None
    return get(volume, str, "persistentVolumeClaim", "claimName") or ""


def size(claim: Object | None, wanted: str | None = None) -> int | None:
    """Bytes of a volume like that of *claim*, or of the size *wanted*."""
    found = parse_quantity(wanted or get(claim, str, "spec", "resources", "requests", "storage"))
    return int(found) if found is not None else None
