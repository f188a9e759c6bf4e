"""How far a backup is, as its status says it: fed by pgBackRest's lines, and by what its processes do. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from agent import work_done
from agent.recovery.progress import UNITS, moment
from agent.work_done import Work
from pgwarden.contract import backup_progress as words

#: `backup file HOST:/… (bundle 1/0, 8KB->16KB, 0.03%) checksum …`, and the same of one that need not be copied.
_FILE = re.compile(r" DETAIL: .* \((?:.*, )?(?:[\d.]+[A-Z]+->)?([\d.]+)(B|KB|MB|GB|TB|PB), ([\d.]+)%\)")
_PHASES = (
    (re.compile(r"INFO: expire command begin"), words.EXPIRING),
    (re.compile(r"INFO: (?:execute .*backup stop|check archive for segment\(s\))"), words.ARCHIVING),
)
#: Less than this is no progress: what waits looks at its clock, and keeps its connections alive.
LEAST = 2**20


@dataclass
class BackupProgress:
    phase: str = ""
    percent: float | None = None
    bytes: int = 0
    advanced: float = 0.0  # seconds since the epoch
    watched: bool = False
    _work: Work = field(default_factory=dict)  # when it advanced last

    def begins(self, now: float) -> None:
        self.phase, self.advanced = words.STARTING, now

    def line(self, line: str, now: float) -> None:
        """Whatever pgBackRest says, it has come further."""
        self.advanced = now
        found = _FILE.search(line)
        if found:
            self.phase = words.COPYING
            self.bytes += int(float(found[1]) * UNITS[found[2]])
            self.percent = min(100.0, float(found[3]))
        else:
            self.phase = next((phase for pattern, phase in _PHASES if pattern.search(line)), self.phase)

    def works(self, found: Work | None, now: float) -> None:
        """*found*: what its processes have done by now; None where that cannot be known."""
        self.watched = found is not None
        if found is not None and work_done.since(self._work, found) >= LEAST:
            self._work, self.advanced = found, max(self.advanced, now)

    def told(self) -> words.BackupProgress:
        return words.BackupProgress(
            phase=self.phase,
            copied_percent=self.percent,
            copied_bytes=self.bytes or None,
            advanced=moment(self.advanced) if self.advanced else None,
            watched=self.watched,
        )
