"""What the S3 modules share: the store of the session's cluster, segments by storage, and steps."""

from __future__ import annotations

import json
import re
import sys

from harness.kubectl import Kubectl, Object, condition
from harness.objects import PGBACKREST, in_host
from harness.postgres import SWITCH, Postgres

SEGMENT = re.compile(r"([0-9A-F]{24})-[0-9a-f]{40}")


def segments(space: Kubectl, number: int, name: str = "hippo") -> set[str]:
    """The WAL segments in pgBackRest's storage *number*, listed there by pgBackRest itself."""
    listed = in_host(
        space,
        *PGBACKREST,
        f"--stanza={name}",
        f"--repo={number}",
        "--output=json",
        "--recurse",
        "repo-ls",
        f"archive/{name}",
    )
    return {found[1] for path in json.loads(listed) if (found := SEGMENT.search(path))}


def switch_wal(postgres: Postgres, rows: int = 1) -> str:
    """Write something, close the segment, and say which it was."""
    postgres.sql("CREATE TABLE IF NOT EXISTS ballast (x text)")
    postgres.sql(f"INSERT INTO ballast SELECT md5(i::text) FROM generate_series(1, {rows}) AS i")  # noqa: S608
    return postgres.sql(SWITCH)


def is_plain(path, content):
    """Whether an object of a repository is not encrypted. Without annotations: its source runs elsewhere as well."""
    if "/bundle/" in path:
        return content.count(b"\x28\xb5\x2f\xfd") > 3
    return not content.startswith(b"Salted__")


def says(kind: str, status: str, *parts: str):
    """A test for `until`: the condition has that status and these words."""

    def good(obj: Object) -> bool:
        found = condition(obj, kind)
        return found is not None and found["status"] == status and all(part in found["message"] for part in parts)

    return good


def started(postgres: Postgres) -> tuple[str, str]:
    """The pod's uid and the moment its postmaster started."""
    pod = postgres.kubectl.get("pod", postgres.pod)
    assert pod is not None
    return pod["metadata"]["uid"], postgres.sql("SELECT pg_postmaster_start_time()")


def figure(text: str) -> None:
    """A number that the run is to show (pytest -rP, or -s)."""
    sys.stdout.write(f"{text}\n")
