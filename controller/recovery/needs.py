"""What the image of a server must have that the source of its data has: locales of databases, and libraries to preload.

Which image has what is known inside of it alone: an init container of the recovery looks before anything is copied
(images/needs.sh). Pure text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pgwarden.contract.server_facts import Locale, ServerFacts, is_plain_library

#: Parameters that name libraries which PostgreSQL loads by itself: without one of those it does not start, or lets
#: nobody in.
SHARED = "shared_preload_libraries"
PRELOADING = (SHARED, "session_preload_libraries", "local_preload_libraries")
#: Locales that every system has.
EVERYWHERE = frozenset({"", "C", "POSIX"})
#: Reasons that needs.sh gives.
LOCALE_MISSING, LIBRARY_MISSING = "LocaleMissing", "LibraryMissing"
_SHOWN = 3  # databases of a locale


def listed(source: ServerFacts, parameters: Mapping[str, str | int]) -> str:
    """What needs.sh reads: a line for each locale and library. *parameters* of the copy win over the source's."""
    lines = [f"locale|{name}|{_databases(of)}" for name, of in _locales(source.locales).items()]
    for parameter in PRELOADING:
        lines += [f"library|{name}|{parameter}" for name in libraries(source, parameters, parameter)]
    return "".join(f"{line}\n" for line in lines if line.isprintable())


def libraries(source: ServerFacts, parameters: Mapping[str, str | int], parameter: str = SHARED) -> list[str]:
    """What *parameter* makes the copy load: of the source's what its own image has, no path into the data."""
    told: Iterable[str] = filter(is_plain_library, getattr(source, parameter))
    if parameter in parameters:
        told = [one.strip(" \"'") for one in str(parameters[parameter]).split(",")]
    return [name for name in told if name]


def _locales(found: Iterable[Locale]) -> dict[str, list[Locale]]:
    """By name: a database needs LC_COLLATE and LC_CTYPE whatever provider its collation has."""
    by_name: dict[str, list[Locale]] = {}
    for one in found:
        for name in dict.fromkeys((one.collate, one.ctype)):
            if name not in EVERYWHERE and "|" not in name:
                by_name.setdefault(name, []).append(one)
    return by_name


def _databases(found: list[Locale]) -> str:
    known = [name for one in found for name in one.databases]
    more = sum(one.database_count for one in found) - len(known[:_SHOWN])
    word = "database" if len(known) == 1 and more < 1 else "databases"
    return f"{word} {', '.join(known[:_SHOWN])}" + (f" and {more} more" if more > 0 else "")
