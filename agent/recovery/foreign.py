"""What a copy does not take over of its source's configuration: whatever runs a program, or loads code from a file that
came with the data. Who is superuser of the source, or can write its repository, gets no process by that where the copy
is. (What is in the databases is copied as it is: functions and triggers of theirs run when somebody calls them.)

The lines go out of postgresql.conf, postgresql.auto.conf and what these include. Lines are split as PostgreSQL does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from agent.recovery import auto_conf, state
from pgwarden.contract.server_facts import is_plain_library

POSTGRESQL_CONF = "postgresql.conf"
#: Commands, and files that lie elsewhere: a path of the source's.
DROPPED = (
    "archive_cleanup_command", "archive_command", "archive_library", "config_file", "data_directory",
    "dynamic_library_path", "extension_control_path", "external_pid_file", "hba_file", "ident_file",
    "krb_server_keyfile", "recovery_end_command", "restore_command", "ssl_passphrase_command",
)  # fmt: skip
#: Lists of libraries: those stay that the image has under a plain name.
LIBRARIES = (
    "jit_provider", "local_preload_libraries", "oauth_validator_libraries", "session_preload_libraries",
    "shared_preload_libraries",
)  # fmt: skip
_INCLUDES = ("include", "include_dir", "include_if_exists")
#: PostgreSQL takes a value right behind the name, too: `include'file'`.
_SETS = re.compile(rf"[ \t\r]*({'|'.join((*DROPPED, *LIBRARIES, *_INCLUDES))})(?![A-Za-z0-9_.])(.*)", re.IGNORECASE)
_MOST_FILES = 100
_MOST_BYTES = 4 * 1024 * 1024


def remove(pg_data: Path) -> list[str]:
    """Out of postgresql.conf and of what it includes. What went, for the log."""
    return _clean_file(pg_data, pg_data / POSTGRESQL_CONF, set())


def without(pg_data: Path, text: str, folder: Path, seen: set[Path]) -> tuple[str, list[str]]:
    """*text* of a file in *folder* without it, and what went. Files that it includes are cleaned where they are."""
    kept, gone = [], list[str]()
    for line in text.split("\n"):
        found = _SETS.match(line)
        if found is None:
            kept.append(line)
            continue
        name, value = found[1].lower(), auto_conf.value(found[2].lstrip(" \t\r").removeprefix("="))
        if name in _INCLUDES:
            left, went = _included(pg_data, folder / value, seen, is_folder=name == "include_dir")
            gone += went
        else:
            left = name in LIBRARIES and all(is_plain_library(one) for one in _names(value))
        kept += [line] if left else [_kept_libraries(name, value)]
        gone += [] if left else [line.strip()[:200]]
    return "\n".join(kept), gone


def _kept_libraries(name: str, value: str) -> str:
    """The line that takes the place of one that goes."""
    good = [one for one in _names(value) if is_plain_library(one)] if name in LIBRARIES else []
    return f"{name} = '{', '.join(good)}'" if good else ""


def _names(value: str) -> Iterator[str]:
    for one in value.split(","):
        if name := one.strip().strip('"'):
            yield name


def _included(pg_data: Path, path: Path, seen: set[Path], *, is_folder: bool) -> tuple[bool, list[str]]:
    """Whether the line stays, and what went of the files. Only what came with the data is known, and cleaned."""
    real, root = path.resolve(), pg_data.resolve()
    if not real.is_relative_to(root):
        return False, []
    files = sorted(real.glob("*.conf")) if is_folder else [real]
    gone: list[str] = []
    for file in files:
        target = file.resolve()
        if not target.is_relative_to(root) or not target.is_file() or len(seen) >= _MOST_FILES:
            return False, gone
        gone += _clean_file(pg_data, target, seen)
    return True, gone


def _clean_file(pg_data: Path, file: Path, seen: set[Path]) -> list[str]:
    """Nothing of a file that is too large for one of settings stays."""
    real = file.resolve()
    if real in seen or not real.is_file() or not real.is_relative_to(pg_data.resolve()):
        return []  # Patroni makes a postgresql.conf where there is none
    seen.add(real)
    if real.stat().st_size > _MOST_BYTES:
        state.replace(real, b"")
        return [f"{real.name}: larger than {_MOST_BYTES} bytes"]
    before = real.read_bytes().decode("utf-8", "surrogateescape")
    after, gone = without(pg_data, before, real.parent, seen)
    if after != before:
        state.replace(real, after.encode("utf-8", "surrogateescape"))
    return gone
