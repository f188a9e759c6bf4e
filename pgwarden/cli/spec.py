"""The commands as data: parser, help and completion come from one table (commands.py)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Option:
    """`--name VALUE`, or a switch. Options of one `group` exclude each other."""

    flags: tuple[str, ...]
    help: str
    metavar: str = ""
    choices: tuple[str, ...] = ()
    default: Any = ""
    switch: bool = False
    many: bool = False
    number: bool = False
    required: bool = False
    group: str = ""
    bare: str = ""  # its value where none is given
    known_as: tuple[str, ...] = ()  # what others may call it: for the hint
    hidden: bool = False  # it is taken; help and completion do not show it

    @property
    def dest(self) -> str:
        return next(flag for flag in self.flags if flag.startswith("--"))[2:].replace("-", "_")


@dataclass(frozen=True)
class Argument:
    name: str
    help: str
    count: str = ""  # "", ? or +
    names: str = ""  # plural of the resource whose names complete it; "workloads" are KIND/NAME


@dataclass(frozen=True)
class Command:
    words: tuple[str, ...]
    summary: str
    run: str  # module:function
    arguments: tuple[Argument, ...] = ()
    options: tuple[Option, ...] = ()
    examples: tuple[str, ...] = ()
    preset: dict[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        return " ".join(self.words)
