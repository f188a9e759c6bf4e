"""What the log of a PostgreSQL that recovers says: where it is, and what went wrong. Pure; messages of 14 to 18.

The server is started with lc_messages=C and log_line_prefix '%m [%p] ', so that its words are these. A LOG of one
version may be worded a little differently in another: what differs is left out of the expressions.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime

#: Of each log so many lines are kept for the status.
KEPT_LINES = 20
_PREFIX = re.compile(r"^\d{4}-\d\d-\d\d [\d:.]+ \S+ \[\d+\] ")
_LEVEL = re.compile(r"^(LOG|FATAL|PANIC|ERROR|WARNING|DETAIL|HINT|CONTEXT|STATEMENT|INFO|NOTICE|DEBUG\d?): +")
_COMMIT = re.compile(r"last completed transaction was at log time (\S+ \S+)", re.IGNORECASE)
_STOPPING = re.compile(r"recovery stopping (?:before|after|at) ")
_REDO_DONE = re.compile(r"redo done at ([0-9A-F]+/[0-9A-F]+)")
_TIMELINE = re.compile(r"selected new timeline ID: (\d+)")
_READY = "database system is ready to accept connections"
#: What PostgreSQL says where the WAL that it reads does not go on, as a LOG: then it takes that for the end.
_INVALID = re.compile(
    r"invalid record length at|incorrect resource manager data checksum|invalid resource manager ID|"
    r"record with incorrect prev-link|contrecord|record length \S+ at \S+ too long|invalid record offset|"
    r"unexpected pageaddr|invalid magic number|invalid info bits|out-of-sequence|"
    r"WAL file is from different database system|has wrong size: |record with invalid length"
)


@dataclass
class ServerLog:
    """Fed with each line as it comes."""

    started: bool = False  # recovery has begun
    consistent: bool = False
    redo_done: str = ""  # the position of the last record that was replayed
    stopped_at_target: bool = False
    promoted: bool = False
    ready: bool = False
    timeline: int = 0  # the new one
    last_commit: str = ""  # RFC 3339
    invalid: str = ""  # what was wrong with the WAL where it ended
    errors: list[str] = field(default_factory=list)  # FATAL, PANIC and ERROR with their DETAIL and HINT, each a line
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_LINES))
    _open: bool = False  # the last error may go on

    def feed(self, line: str) -> None:
        self.lines.append(line)
        text = _PREFIX.sub("", line)
        level = _LEVEL.match(text)
        kind = level[1] if level else ""
        words = text[level.end() :].strip() if level else text.strip()
        if kind in {"FATAL", "PANIC", "ERROR"}:
            self.errors.append(words)
            self._open = True
        elif kind in {"DETAIL", "HINT"}:
            if self._open:
                self.errors[-1] += f" {kind}: {words}"
            self._commit(words)
        else:
            self._open = self._open and kind in {"", "CONTEXT", "STATEMENT"}
            self._log(words)

    def _log(self, words: str) -> None:
        if words.startswith(("starting archive recovery", "starting point-in-time recovery", "redo starts at")):
            self.started = True
        elif words.startswith("consistent recovery state reached"):
            self.consistent = True
        elif found := _REDO_DONE.search(words):
            self.redo_done = found[1]
        elif _STOPPING.match(words):
            self.stopped_at_target = True
        elif words.startswith("archive recovery complete"):
            self.promoted = True
        elif words.startswith(_READY):
            self.ready = True
        elif found := _TIMELINE.search(words):
            self.timeline = int(found[1])
        elif _INVALID.search(words):
            self.invalid = words
        self._commit(words)

    def _commit(self, words: str) -> None:
        if found := _COMMIT.search(words):
            self.last_commit = rfc3339(found[1]) or self.last_commit


def rfc3339(text: str) -> str:
    """`2026-11-28 21:34:33.12+00`, as PostgreSQL writes it → `2026-11-28T21:34:33.120000Z`; empty for other text."""
    try:
        found = datetime.fromisoformat(text.rstrip(".;,").strip())
    except ValueError:
        return ""
    if found.tzinfo is None:
        return ""
    return found.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
