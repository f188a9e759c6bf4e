"""What is to be recovered, as the command line says it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agent import restoring


@dataclass(frozen=True)
class Task:
    place: restoring.Place
    args: tuple[str, ...]  # of pgbackrest restore
    bin: str = ""
    follow: bool = False
    preload: str = ""
    target_time: str = ""
    config: str = ""  # a configuration to be used as it is
    copy: bool = False  # it is to be a server of its own

    @property
    def pg_data(self) -> Path:
        return self.place.pg_data
