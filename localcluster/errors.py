"""The one exception the command line shows without a traceback."""

from __future__ import annotations

from pathlib import Path


class LocalClusterError(Exception):
    """Something failed that the user can act on: what, where the log is, the way out."""

    def __init__(self, what: str, *, log: Path | None = None, way_out: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.log = log
        self.way_out = way_out

    def __str__(self) -> str:
        lines = [self.what]
        if self.log is not None:
            lines.append(f"  log: {self.log}")
            lines += [f"  | {line}" for line in tail(self.log)]
        if self.way_out:
            lines.append(f"  way out: {self.way_out}")
        return "\n".join(lines)


def tail(path: Path, count: int = 8) -> list[str]:
    """The last lines of a log; an absent log is an empty one."""
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return []
    return text.splitlines()[-count:]
