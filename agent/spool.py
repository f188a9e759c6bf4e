"""What archive-push left in its spool: why a WAL segment could not be archived. Read here, because it is kept out of
PostgreSQL's log: an S3 service may repeat the access key in its answer.
"""

from __future__ import annotations

import itertools
from pathlib import Path

from agent import foreign_file
from pgwarden.pgbackrest.trouble import redact

MOST_CHARACTERS = 4000
_MOST_BYTES = 8 * 1024
_MOST_FILES = 1000


def archive_error(spool: Path, stanza: str) -> tuple[str, float]:
    """The newest error of archive-push, redacted, and when it was written (seconds since the epoch); empty where there
    is none. pgBackRest clears it with its next try. The folder is PostgreSQL's container's, too.
    """
    try:
        files = itertools.islice((spool / "archive" / stanza / "out").glob("*.error"), _MOST_FILES)
        written, newest = max((path.lstat().st_mtime, path) for path in files)
        _code, _, said = foreign_file.read_text(newest, _MOST_BYTES).partition("\n")
    except (OSError, ValueError):  # none, or cleared meanwhile
        return "", 0.0
    return redact(said.strip())[:MOST_CHARACTERS], written
