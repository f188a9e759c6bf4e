"""A segment that restore_command works on for long: why, asked in its stead, as the server's own try says nothing.

pgBackRest's wrapper (images/archive.c) tries an error again for minutes, so that PostgreSQL takes none for the end of
the WAL. A storage that is away is waited for; damaged files and a full volume do not mend by waiting.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path

from agent import volume
from agent.recovery import failures
from agent.recovery.archive import Archive, ArchiveError
from agent.recovery.failures import Verdict

#: So long a try may take before it is looked at; and between two looks.
LONG_SECONDS, AGAIN_SECONDS = 15.0, 10.0
#: A damage, or a full volume, is believed when it is seen this often.
LOOKS = 2
#: pgBackRest's names for content that is not what it should be.
_DAMAGED = re.compile(r"\[(?:FormatError|ChecksumError|CryptoError)\]")


@dataclass
class Fetching:
    """Told of each try by the script's notes."""

    archive: Archive
    pg_wal: Path
    name: str = ""
    _due: float = 0.0  # when to look
    _looks: int = 0

    def begins(self, name: str) -> None:
        self.name, self._due, self._looks = name, time.monotonic() + LONG_SECONDS, 0

    def ended(self) -> bool:
        """Whether it had taken long."""
        told = bool(self._looks)
        self.name, self._looks = "", 0
        return told

    @property
    def is_due(self) -> bool:
        return bool(self.name) and time.monotonic() >= self._due

    async def look(self, size: int) -> Verdict | None:
        """What stands in the way; final where waiting does not help. None where nothing was found."""
        name, self._looks = self.name, self._looks + 1
        self._due = time.monotonic() + AGAIN_SECONDS
        try:
            said = await self.archive.fault(name)
        except ArchiveError as error:
            said = str(error)
        sure = self._looks >= LOOKS
        if _DAMAGED.search(said):
            return failures.unreadable(name, said, final=sure)
        if said:
            return Verdict("StorageNotReadable", f"{name} cannot be fetched: {said}", final=False)
        room = volume.room(self.pg_wal)
        return failures.no_room(name, room, size, final=sure) if room < size else None
