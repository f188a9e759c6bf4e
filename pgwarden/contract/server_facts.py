"""What is known of a PostgreSQL server while it lives, and needed once it does not: for a recovery, or a clone.

The agent beside it finds out (`Status.facts`), the controller keeps it in the Repository (`status.postgres`), and `of`
reads it there. What the account may not see, or an old agent does not tell, is None or empty.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec

from pgwarden.api import outside
from pgwarden.contract.shape import Count, Shape

#: So many are told at most; of databases the total is told as well.
MOST_LIBRARIES, MOST_LOCALES, MOST_NAMES, MOST_TABLESPACES = 32, 20, 10, 100
MOST_TEXT, MOST_PATH = 128, 1024  # characters

Text = Annotated[str, msgspec.Meta(max_length=MOST_TEXT)]
Path = Annotated[str, msgspec.Meta(max_length=MOST_PATH)]
SetBy = Literal["default", "pgwarden", "user"]
Libraries = Annotated[tuple[Path, ...], msgspec.Meta(max_length=MOST_LIBRARIES)]


_PLAIN_LIBRARY = re.compile(r"(\$libdir/(plugins/)?)?[A-Za-z0-9_][A-Za-z0-9_.+-]*", re.ASCII)


def is_plain_library(name: str) -> bool:
    """Whether it is one of the image's own: a path may name a file that came with the data."""
    return _PLAIN_LIBRARY.fullmatch(name) is not None


class Locale(Shape, frozen=True, kw_only=True):
    """What the databases of one locale have in common."""

    provider: Text = ""  # libc, icu or builtin
    collate: Text = ""
    ctype: Text = ""
    locale: Text | None = None  # of icu or builtin
    version: Text | None = None  # of the collation, when its databases were made (15 and later)
    actual_version: Text | None = None  # of the same collation, as the library has it now (15 and later)
    databases: Annotated[tuple[Text, ...], msgspec.Meta(max_length=MOST_NAMES)] = ()  # the first by name
    database_count: Count = 0


class TablespacePlace(Shape, frozen=True, kw_only=True):
    name: Text
    location: Path  # relative: in the data directory


class ArchiveTimeout(Shape, frozen=True, kw_only=True):
    seconds: Count  # in force
    set_by: SetBy
    own: Count | None = None  # seconds that pgwarden has set; beside a user's value they are to be taken back


class ServerFacts(Shape, frozen=True, kw_only=True):
    version_num: Count | None = None  # 170002
    bin_dir: Path | None = None  # of its programs
    shared_preload_libraries: Libraries = ()
    session_preload_libraries: Libraries = ()
    local_preload_libraries: Libraries = ()
    data_checksums: bool | None = None
    block_size: Count | None = None  # bytes
    wal_segment_size: Count | None = None  # bytes
    archive_timeout: ArchiveTimeout | None = None
    config_file: Path | None = None
    hba_file: Path | None = None
    libc: Literal["glibc", "musl"] | None = None
    libc_version: Text | None = None
    wal_directory: Path | None = None  # where it is not in the data directory: behind a link, or a mount of its own
    tablespaces: Annotated[tuple[TablespacePlace, ...], msgspec.Meta(max_length=MOST_TABLESPACES)] = ()
    locales: Annotated[tuple[Locale, ...], msgspec.Meta(max_length=MOST_LOCALES)] = ()  # of most databases first
    database_count: Count | None = None

    @property
    def major(self) -> int | None:
        return self.version_num // 10000 if self.version_num else None


FIELD = "postgres"  # of a Repository's status


def of(repository: Any) -> ServerFacts:
    """Of the primary of *repository* (the object), as they were last known; empty where nothing is, or not readable."""
    status = repository.get("status") if isinstance(repository, dict) else None
    found = status.get(FIELD) if isinstance(status, dict) else None
    try:
        return msgspec.convert(found or {}, ServerFacts)
    except outside.UNREADABLE:
        return ServerFacts()


def entry(facts: ServerFacts) -> dict[str, Any]:
    """*facts* as `of` reads them: what is not known is left out."""
    found: dict[str, Any] = _without_empty(msgspec.to_builtins(facts))
    return found


#: Characters of the mark on a backup set: `info` tells it of each of thousands.
MOST_MARK = 512
#: What it leaves out, in this order, until it is no longer than that.
_LEFT_OUT = ("locales", "shared_preload_libraries", "config_file", "wal_directory", "bin_dir")


def mark(repository: Any) -> str:
    """What is known of the server of *repository*, for a backup set; empty where nothing is.

    So it is known where Kubernetes, or the status, was lost and only the storage is left.
    """
    known = of(repository)
    if known.version_num is None:
        return ""
    brief = ServerFacts(
        version_num=known.version_num,
        bin_dir=known.bin_dir,
        shared_preload_libraries=known.shared_preload_libraries,
        wal_segment_size=known.wal_segment_size,
        config_file=known.config_file,
        libc=known.libc,
        libc_version=known.libc_version,
        wal_directory=known.wal_directory,
        locales=tuple(msgspec.structs.replace(one, databases=()) for one in known.locales[:1]),
    )
    for left_out in (None, *_LEFT_OUT):
        if left_out:
            brief = msgspec.structs.replace(brief, **{left_out: getattr(_NOTHING, left_out)})
        text = msgspec.json.encode(entry(brief)).decode()
        if len(text) <= MOST_MARK:
            return text
    return ""


def marked(text: str) -> ServerFacts | None:
    """What such a mark says; None where it cannot be read."""
    return outside.decode(text, ServerFacts, most=4 * MOST_MARK)


_NOTHING = ServerFacts()


def _without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_empty(one) for key, one in value.items() if one is not None and one not in ((), [], "")}
    if isinstance(value, list | tuple):
        return [_without_empty(one) for one in value]
    return value
