"""Whether the library sorts as it did when the databases were made; else indexes on text may be wrong. Pure.

PostgreSQL remembers a collation's version with each database, and warns in a session's log; nobody reads that. It
differs after a clone from another image, and after an image with another libc or ICU.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from pgwarden.api.objects import Object
from pgwarden.contract import server_facts
from pgwarden.contract.server_facts import Locale

CONDITION = "Collations"
DIFFER, UNKNOWN, AGREE = "CollationVersionMismatch", "CollationVersionUnknown", "CollationVersionsMatch"
#: Sort by code points, in whatever library.
_BY_CODE_POINT = ("C", "POSIX", "C.")
#: initdb records no version for it, and nobody works in it.
_PRISTINE = "template0"

Judgement = tuple[bool | None, str, str]


def judge(repository: Object | None, *, told: bool) -> Judgement | None:
    """By what the Repository knows of its primary. None: nothing is to be said; where there is a condition already
    (*told*) it is said that all is well.
    """
    locales = server_facts.of(repository).locales if repository is not None else ()
    if not locales:
        return None
    differing = [one for one in locales if one.version and one.actual_version and one.version != one.actual_version]
    if differing:
        return False, DIFFER, _differ(differing)
    unknown = [one for one in map(_without_pristine, locales) if one.database_count and _is_unknown(one)]
    if unknown:
        return None, UNKNOWN, _unknown(unknown)
    return (True, AGREE, "all databases have the collation versions that they were made with") if told else None


def _without_pristine(one: Locale) -> Locale:
    if _PRISTINE not in one.databases:
        return one
    names = tuple(name for name in one.databases if name != _PRISTINE)
    return msgspec.structs.replace(one, databases=names, database_count=max(one.database_count - 1, 0))


def _is_unknown(one: Locale) -> bool:
    by_code_point = one.collate in _BY_CODE_POINT or one.collate.startswith(_BY_CODE_POINT[-1])
    return one.provider == "libc" and not by_code_point and not one.version and bool(one.actual_version)


def _differ(found: list[Locale]) -> str:
    parts = [
        f"{_databases([one])} (collation {one.locale or one.collate}): made with version {one.version}, and the image "
        f"has {one.actual_version}"
        for one in found
    ]
    cure = "REINDEX DATABASE NAME; ALTER DATABASE NAME REFRESH COLLATION VERSION"
    return f"{'; '.join(parts)}. Indexes on text may be wrong: in each run {cure}"


def _unknown(found: list[Locale]) -> str:
    which = ", ".join(dict.fromkeys(one.collate for one in found))
    return (
        f"{_databases(found)} (collation {which}): made with a library that has no versions, as musl (Alpine), and it "
        "may sort in another order. If the data come from such an image, run REINDEX DATABASE NAME in each"
    )


def _databases(found: Iterable[Locale]) -> str:
    listed = list(found)
    names = [name for one in listed for name in one.databases]
    more = sum(one.database_count for one in listed) - len(names)
    word = "database" if len(names) + max(more, 0) == 1 else "databases"
    return f"{word} {', '.join(names)}" + (f" and {more} more" if more > 0 else "")
