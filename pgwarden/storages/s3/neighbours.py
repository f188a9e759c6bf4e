"""Repositories whose folders in a bucket meet."""

from __future__ import annotations

from pgwarden.api.defaults import OperatorDefaults
from pgwarden.api.faults import Elsewhere, Waits
from pgwarden.api.judging import Case
from pgwarden.api.objects import Object
from pgwarden.api.reading import get
from pgwarden.storages.s3.location import Location, location

_SAME, _WITHIN, _AROUND = "is used by", "lies within the folder of", "contains the folder of"
_MOST = 10_000
Spellings = tuple[tuple[str, str], ...]
#: Each of a thousand is compared with all others: of a Repository, by namespace and name, the very object that was read
#: last, and where it is. A cache has another object once anything of it has changed.
Known = dict[tuple[str, str], tuple[Object, Spellings]]
_known: dict[OperatorDefaults, Known] = {}


def check(case: Case) -> None:
    """Two Repositories in one folder would mix the backups of two clusters; in one within another's, what ends the one
    takes files of the other.

    If both exist (created without the webhook, or at the same moment), the older one keeps the place.
    """
    mine = location(case.obj, case.defaults)
    if mine is None:
        return
    spellings = _spellings(case.obj, mine)
    own = (case.namespace, case.name)
    settled = case.standing or (case.old is not None and location(case.old, case.defaults) == mine)
    known = _known.setdefault(case.defaults, {})
    for other in case.lookup.repositories():
        how = _overlap(spellings, _spellings_of(other, case.defaults, known))
        if not how or (settled and (how != _SAME or _age(case.obj) < _age(other))):
            continue  # one within another's stood before that was refused
        namespace, name = get(other, str, "metadata", "namespace") or "", get(other, str, "metadata", "name") or ""
        if (namespace, name) == own:
            continue
        _refuse_place(case, mine[2], how, namespace, name)
        return


def _spellings_of(repository: Object, defaults: OperatorDefaults, known: Known) -> Spellings:
    """Empty where it has no place in a bucket. *known* is added to."""
    metadata = repository.get("metadata")
    if not isinstance(metadata, dict):
        return ()
    key = str(metadata.get("namespace")), str(metadata.get("name"))
    found = known.get(key)
    if found is None or found[0] is not repository:
        if len(known) >= _MOST:
            known.clear()
        found = known[key] = repository, _read(repository, defaults)
    return found[1]


def _read(repository: Object, defaults: OperatorDefaults) -> Spellings:
    at = location(repository, defaults)
    return _spellings(repository, at) if at else ()


def _spellings(repository: Object, at: Location) -> Spellings:
    """Service and folder, the bucket first. With uriStyle path a bucket may also be the first part of the endpoint."""
    endpoint, bucket, path = at
    found = [(endpoint, f"/{bucket}{path}/")]
    first, _, rest = endpoint.partition(".")
    if get(repository, str, "spec", "s3", "uriStyle") == "path" and "." in rest:
        found.append((rest, f"/{first}/{bucket}{path}/"))
    return tuple(found)


def _overlap(mine: Spellings, theirs: Spellings) -> str:
    """How they lie to each other, in words; empty where apart."""
    found = ""
    for at, own in mine:
        for there, other in theirs:
            if at != there:
                continue
            if own == other:
                return _SAME
            if own.startswith(other):
                found = _WITHIN
            elif other.startswith(own):
                found = found or _AROUND
    return found


def _refuse_place(case: Case, path: str, how: str, namespace: str, name: str) -> None:
    """*namespace* and *name* are those of the Repository that has the place; *how* the two lie to each other."""
    where = "in the same bucket; set another path"
    if namespace == case.namespace:
        message = f"{how} Repository {namespace}/{name} {where}"
        case.refuse("spec.s3.path", path, message, "s3.path", Waits.PLACE_TAKEN)
        return
    message = f"{how} a Repository of another namespace {where}"
    elsewhere = Elsewhere(((namespace, name),), (f"{how} Repository ", f"/{name} {where}"))
    case.refuse("spec.s3.path", path, message, "s3.path", Waits.PLACE_TAKEN, elsewhere=elsewhere)


def _age(repository: Object) -> tuple[str, str]:
    """Smaller is older."""
    created = get(repository, str, "metadata", "creationTimestamp") or ""
    return created, get(repository, str, "metadata", "uid") or ""
