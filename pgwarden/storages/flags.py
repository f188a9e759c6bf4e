"""Options of the command line that say something of a storage."""

from __future__ import annotations

import msgspec


class Flag(msgspec.Struct, frozen=True):
    """`--pgbackrest-NAME VALUE` of the commands that create a Repository."""

    name: str
    help: str
    value: str = ""
    choices: tuple[str, ...] = ()
    #: Of `spec.<storage>`; empty: it says nothing there.
    field: str = ""
    #: The field is a reference to a Secret of that name.
    names_secret: bool = False
    #: It works, and no help or completion shows it.
    hidden: bool = False

    @property
    def text(self) -> str:
        return f"--pgbackrest-{self.name}"

    @property
    def dest(self) -> str:
        """The attribute of the parsed command line."""
        return f"pgbackrest_{self.name}".replace("-", "_")
