"""Which of pgBackRest's lines are shown: it is asked for more of them than the user wants to see. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

OPTION = "--log-level-console="
LEVELS = ("off", "error", "warn", "info", "detail", "debug", "trace")
DEFAULT, TELLS = "info", "detail"  # at the latter it names each file
_SAID = re.compile(r"(?:^|P\d+\s+)(ASSERT|ERROR|WARN|INFO|DETAIL|DEBUG|TRACE): ")


class LogLevel:
    """By *args*, pgBackRest's arguments."""

    def __init__(self, args: Sequence[str]) -> None:
        given = [arg.removeprefix(OPTION) for arg in args if arg.startswith(OPTION)]
        wanted = given[-1] if given and given[-1] in LEVELS else DEFAULT
        self._shown = LEVELS.index(wanted)
        self._shows = True  # whether the line before was shown: what has no level belongs to it
        self.asked = LEVELS[max(self._shown, LEVELS.index(TELLS))]

    @staticmethod
    def others(args: Sequence[str]) -> list[str]:
        """*args* without the level: pgBackRest is asked for another one."""
        return [arg for arg in args if not arg.startswith(OPTION)]

    def shows(self, line: str) -> bool:
        found = _SAID.search(line)
        if found:
            said = found[1].lower().replace("assert", "error")
            self._shows = LEVELS.index(said) <= self._shown
        return self._shows
