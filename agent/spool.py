"""What archive-push left in its spool: why a WAL segment could not be archived. Read here, because it is kept out of
PostgreSQL's log: an S3 service may repeat the access key in its answer.
"""

from __future__ import annotations

from pathlib import Path

from pgwarden.pgbackrest.trouble import redact

MOST_CHARACTERS = 4000


def archive_error(spool: Path, stanza: str) -> tuple[str, float]:
    """The newest error of archive-push, redacted, and when it was written (seconds since the epoch); empty where there
    is none. pgBackRest clears it with its next try.
    """
    try:
        files = (spool / "archive" / stanza / "out").glob("*.error")
        written, newest = max((path.stat().st_mtime, path) for path in files)
        _code, _, said = newest.read_text("utf-8", "replace").partition("\n")
    except (OSError, ValueError):  # none, or cleared meanwhile
        return "", 0.0
    return redact(said.strip())[:MOST_CHARACTERS], written
