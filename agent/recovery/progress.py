"""How far a recovery is, as its status says it: fed by pgBackRest's lines, the script's, and PostgreSQL's log. Pure."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pgwarden.contract import recovery
from pgwarden.pgbackrest import wal

#: The rate is of this time, in seconds.
RATE_SECONDS = 60.0
KEPT_LINES = 20
_COPIED = re.compile(r"restore (?:zeroed )?file .*\((?:.*, )?([\d.]+)(B|KB|MB|GB|TB|PB)?, ([\d.]+)%\)")
UNITS = {"B": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40, "PB": 2**50}


@dataclass
class Progress:
    phase: str = ""
    set: str = ""
    copied_percent: float | None = None
    copied_bytes: int = 0
    segment: str = ""
    segments: int = 0
    last_archived: wal.Segment | None = None
    size: int = wal.SEGMENT_SIZE
    last_replay_time: str = ""
    reason: str = ""
    message: str = ""
    advanced: float = 0.0  # seconds since the epoch
    log: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_LINES))
    _restored: deque[float] = field(default_factory=lambda: deque(maxlen=10_000))

    def at(self, phase: str, now: float) -> None:
        if phase != self.phase:
            self.phase, self.advanced = phase, now

    def copied(self, line: str, now: float) -> bool:
        """Whether pgBackRest's *line* tells of a file."""
        found = _COPIED.search(line)
        if not found:
            return False
        self.copied_bytes += int(float(found[1]) * UNITS[found[2] or "B"])
        self.copied_percent = min(100.0, float(found[3]))
        self.advanced = now
        return True

    def replayed(self, segment: str, now: float) -> None:
        """The server was given *segment*, so those before are replayed. After a restart it is given some again."""
        if segment[8:] <= self.segment[8:] and segment[:8] <= self.segment[:8]:
            return
        self.segment, self.advanced = segment, now
        self.segments += 1
        self._restored.append(now)

    def stands(self, reason: str = "", message: str = "") -> None:
        self.reason, self.message = reason, message

    def rate(self, now: float) -> float:
        recent = [one for one in self._restored if now - one <= RATE_SECONDS]
        if not recent:
            return 0.0
        return round(len(recent) / max(1.0, min(RATE_SECONDS, now - self._restored[0])), 3)

    def remaining(self) -> int | None:
        """Segments, as many as there would be on one timeline."""
        if self.last_archived is None or not self.segment:
            return None
        return max(0, self.last_archived.number - wal.parse_segment(self.segment, self.size).number)

    def told(self, now: float, lines: Iterable[str] = ()) -> recovery.Recovery:
        copying = self.phase == recovery.COPYING
        return recovery.Recovery(
            phase=self.phase,
            set=self.set or None,
            copied_percent=self.copied_percent,
            copied_bytes=self.copied_bytes or None,
            segment=self.segment or None,
            segments=None if copying else self.segments,
            remaining=None if copying else self.remaining(),
            rate=None if copying else self.rate(now),
            last_replay_time=self.last_replay_time or None,
            advanced=moment(self.advanced) if self.advanced else None,
            reason=self.reason or None,
            message=self.message or None,
            log=tuple([*self.log, *lines][-KEPT_LINES:]),
        )


def moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
