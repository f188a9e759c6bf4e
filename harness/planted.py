"""Faults that are planted in a repository, and taken out again: a drill has to find each of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from harness.kubectl import Kubectl
from harness.objects import in_host
from harness.postgres import Postgres

REPO = "/pgwarden/repo"
_FLIP = """
import os, sys
with open(sys.argv[1], 'r+b') as file:
    at = os.fstat(file.fileno()).st_size // 2
    file.seek(at)
    byte = file.read(1)[0]
    file.seek(at)
    file.write(bytes([byte ^ 1]))
"""


def flip(space: Kubectl, path: str) -> None:
    """One bit in the middle of the file; twice is as before."""
    in_host(space, "python3", "-c", _FLIP, path)


@contextmanager
def flipped(space: Kubectl, *paths: str) -> Iterator[None]:
    for path in paths:
        flip(space, path)
    yield
    for path in paths:
        flip(space, path)


@contextmanager
def lost(space: Kubectl, *paths: str) -> Iterator[None]:
    """Files or folders that somebody has taken away."""
    for path in paths:
        in_host(space, "mv", path, f"{REPO}/{path.replace('/', '_')}")
    yield
    for path in paths:
        in_host(space, "mv", f"{REPO}/{path.replace('/', '_')}", path)


def bundles(space: Kubectl, label: str) -> list[str]:
    found = in_host(space, "find", f"{REPO}/backup/hippo/{label}/bundle", "-type", "f", "-size", "+16k").split()
    assert found, label
    return found


def segment_file(space: Kubectl, segment: str) -> str:
    found = in_host(space, "sh", "-c", f"ls {REPO}/archive/hippo/*/{segment[:16]}/{segment}-*").split()
    assert len(found) == 1, found
    return found[0]


def spoil_page(postgres: Postgres, table: str, database: str) -> str:
    """Another byte in block 1 of the table's file, and what PostgreSQL has of it in memory is of before. The file."""
    postgres.sql(f"VACUUM (FREEZE) {table}", database=database)  # or autovacuum writes the page anew
    postgres.sql("CHECKPOINT", database=database)
    file = postgres.sql(f"SELECT pg_relation_filepath('{table}')", database=database)
    postgres.run("sh", "-c", f"printf XX | dd of=$PGDATA/{file} bs=1 seek=12288 conv=notrunc")
    return file


def spoil_index(postgres: Postgres, table: str, index: str, database: str) -> None:
    """A row that the index does not have: it was not ready while that was written."""
    ready = "SET allow_system_table_mods = on; UPDATE pg_index SET indisready = {} WHERE indexrelid = '{}'::regclass"
    postgres.sql(ready.format("false", index), database=database)
    postgres.sql(f"INSERT INTO {table} SELECT * FROM {table} LIMIT 1", database=database)  # noqa: S608  a test's own
    postgres.sql(ready.format("true", index), database=database)


def spoil_extensions(postgres: Postgres, database: str) -> None:
    """What was put into the running container and is not in its image: a function's library, an extension's files."""
    postgres.run("sh", "-c", 'cp "$(pg_config --pkglibdir)/pg_trgm.so" /tmp/ours.so')
    postgres.sql(
        "CREATE FUNCTION ours(text, text) RETURNS real AS '/tmp/ours', 'similarity' LANGUAGE c STRICT;"
        "SET allow_system_table_mods = on; INSERT INTO pg_extension (oid, extname, extowner, extnamespace, "
        "extrelocatable, extversion) VALUES (99999, 'gone', 10, 11, true, '1.0')",
        database=database,
    )
