"""Times as places on a drawing. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from pgwarden.cli.window import round_times

LEFT, RIGHT = 110.0, 985.0  # where time begins and ends, on a drawing that is 1000 wide
_LABELS = 9


@dataclass(frozen=True)
class Tick:
    x: float
    label: str

    @property
    def anchor(self) -> str:
        """So that the label of the last one has room."""
        return "end" if self.x > RIGHT - 45 else "middle"


@dataclass(frozen=True)
class Axis:
    start: datetime
    end: datetime

    def x(self, time: datetime) -> float:
        """What is outside stands at the edge."""
        whole = max(1.0, (self.end - self.start).total_seconds())
        part = (time - self.start).total_seconds() / whole
        return round(LEFT + min(1.0, max(0.0, part)) * (RIGHT - LEFT), 1)

    def ticks(self) -> list[Tick]:
        return [Tick(self.x(time), label) for time, label in round_times(self.start, self.end, _LABELS)]


def around(times: list[datetime], now: datetime) -> Axis:
    """From the first of *times* to *now*, with a little room before."""
    first = min([one for one in times if one <= now], default=now - timedelta(hours=1))
    end = max([now, *times])
    return Axis(first - (end - first) / 50, end)
