"""What a clone's image must have that its source has: locales of databases, and libraries to preload. Pure text.

Which image has what is known inside of it alone: the first instance looks before anything is copied (needs.sh).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pgwarden.api import names
from pgwarden.contract.server_facts import Locale, ServerFacts

#: How an instance whose image lacks something says so in its pod's termination message; see clone.py.
FAILED = "clone: needs"
#: Parameters that name libraries which PostgreSQL loads by itself: without one of those it does not start, or lets
#: nobody in.
PRELOADING = ("shared_preload_libraries", "session_preload_libraries", "local_preload_libraries")
#: Locales that every system has.
EVERYWHERE = frozenset({"", "C", "POSIX"})
_SHOWN = 3  # databases of a locale

#: A locale is asked for as PostgreSQL itself does it: each system has its own idea of names. pg_config knows where
#: libraries are; some images lack it.
_SCRIPT = """\
#!/bin/sh
set -u
[ -s {file} ] || exit 0
probe=$(mktemp -d /tmp/needs.XXXXXX)
: > "$probe/postgresql.conf"
folder=$("$PGWARDEN_BIN/pg_config" --pkglibdir 2> /dev/null) || folder=$PGWARDEN_BIN/../lib
missing=
lacks() {{
  missing="$missing${{missing:+; }}$1"
}}
while IFS='|' read -r kind name whose; do
  case $kind in
    locale)
      "$PGWARDEN_BIN/postgres" -D "$probe" -C lc_monetary -c "lc_monetary=$name" > /dev/null 2>&1 \\
        || lacks "locale $name ($whose)"
      ;;
    library)
      path=${{name#\\$libdir/}}
      case $path in /*) ;; *) path=$folder/$path ;; esac
      [ -e "$path" ] || [ -e "$path.so" ] || lacks "library $name ($whose)"
      ;;
  esac
done < {file}
rm -r "$probe"
[ -z "$missing" ] && exit 0
printf '%s' "$missing"
exit 1
"""


def script() -> str:
    """needs.sh: prints what is missing and ends with 1, or prints nothing."""
    return _SCRIPT.format(file=names.CLONE_NEEDS_FILE)


def listed(source: ServerFacts, parameters: Mapping[str, str | int]) -> str:
    """What needs.sh reads: a line for each locale and library. *parameters* of the clone win over the source's."""
    lines = [f"locale|{name}|{_databases(of)}" for name, of in _locales(source.locales).items()]
    for parameter in PRELOADING:
        told = getattr(source, parameter)
        if parameter in parameters:
            told = [one.strip(" \"'") for one in str(parameters[parameter]).split(",")]
        lines += [f"library|{name}|{parameter}" for name in told if name]
    return "".join(f"{line}\n" for line in lines if line.isprintable())


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
