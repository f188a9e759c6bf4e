"""What the webhook and the controller tell a container of ours by its variables: written and read here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from pgwarden.api import names
from pgwarden.api.kinds import PodFacts

ROLE, STANZA = "PGWARDEN_ROLE", "PGWARDEN_STANZA"
DATA, PORT, SOCKET = "PGWARDEN_PG_DATA", "PGWARDEN_PG_PORT", "PGWARDEN_PG_SOCKET"
#: A file of the pod with the superuser's password, where PGPASSWORD is not set.
PASSWORD_FILE = "PGWARDEN_PG_PASSWORD_FILE"  # noqa: S105  a variable's name
USER, DATABASE, CONFIGURE_BY = "PGWARDEN_PG_USER", "PGWARDEN_PG_DATABASE", "PGWARDEN_CONFIGURE_BY"
PASSWORD = "PGPASSWORD"  # noqa: S105  a variable's name
#: Where one value may come from, at most: checks.sh of drills counts as far.
MOST_SOURCES = 16


class Role(Enum):
    REPOSITORY = "repository"
    SERVER = "server"  # beside the former: pgBackRest's server for PostgreSQL's pods, and no more
    POSTGRES = "postgres"

    @property
    def conf_key(self) -> str:
        return _CONF_KEYS[self]


_CONF_KEYS = {
    Role.REPOSITORY: names.KEY_HOST_CONF,
    Role.SERVER: names.KEY_SERVER_CONF,
    Role.POSTGRES: names.KEY_POD_CONF,
}


class SettingsError(Exception):
    """The environment cannot be used. The message names each variable."""


@dataclass(frozen=True)
class Instance:
    """How PostgreSQL is reached from beside it. The password, if any, stays in PGPASSWORD, which libpq reads."""

    data_directory: str
    port: int = 5432
    socket_directory: str = "/var/run/postgresql"
    user: str = "postgres"
    database: str = "postgres"
    alter_system: bool = False
    password_file: str = ""


@dataclass(frozen=True)
class Settings:
    role: Role
    stanza: str
    instance: Instance | None = None

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Settings:
        """SettingsError with every fault at once."""
        faults = [
            f"{name} holds a control character"
            for name, value in environment.items()
            if name.startswith("PGWARDEN_") and re.search(r"[\x00-\x1f\x7f]", value)
        ]
        role = environment.get(ROLE, "")
        if role not in {known.value for known in Role}:
            known = ", ".join(one.value for one in Role)
            faults.append(f"{ROLE} must be one of {known}, not {role!r}")
        stanza = environment.get(STANZA, "")
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", stanza):
            faults.append(f"{STANZA} is not a stanza's name: {stanza!r}")
        if role == Role.POSTGRES.value:
            faults += _instance_faults(environment)
        if faults:
            raise SettingsError("; ".join(faults))
        return cls(Role(role), stanza, instance(environment) if role == Role.POSTGRES.value else None)


def of_repository(stanza: str) -> dict[str, str]:
    """For the repository host, and for Jobs that work as it does."""
    return {ROLE: Role.REPOSITORY.value, STANZA: stanza}


def of_server(stanza: str) -> dict[str, str]:
    """For the container of the repository host that PostgreSQL's pods reach."""
    return {ROLE: Role.SERVER.value, STANZA: stanza}


def of_postgres(stanza: str, facts: PodFacts) -> dict[str, str]:
    """For what works beside PostgreSQL, or on its volume: what is known before it runs. The rest: `by_reference`."""
    values = {
        ROLE: Role.POSTGRES.value,
        STANZA: stanza,
        DATA: facts.data_directory,
        PORT: str(facts.port or ""),
        SOCKET: facts.socket_directory,
        USER: facts.user,
        DATABASE: facts.database,
        CONFIGURE_BY: facts.configured_by,
    }
    return {name: value for name, value in values.items() if value}


def by_reference(facts: PodFacts, variable: str = "", called: str = "") -> list[dict[str, Any]]:
    """A container's variables whose values are in Secrets and ConfigMaps; of *variable* alone, where it is given, and
    then perhaps *called* otherwise. Optional, so that none keeps a database from starting. Of several sources of one
    value each is a variable (NAME, NAME_2, …), as a server-side apply refuses two of one name: see `settled`.
    """
    found: list[dict[str, Any]] = []
    count: dict[str, int] = {}
    for one in facts.sources:
        if variable in {"", one.variable}:
            number = count[one.variable] = count.get(one.variable, 0) + 1
            name = _numbered(called or one.variable, number)
            found.append({"name": name, "valueFrom": {one.kind: {"name": one.name, "key": one.key, "optional": True}}})
    return found


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name}_{number}"


def settled(environment: Mapping[str, str]) -> dict[str, str]:
    """Of several sources the last that is there, as in PostgreSQL's container; where none is, the usual value holds."""
    found = {}
    for name in (USER, PORT, PASSWORD):
        there = [each for number in range(2, MOST_SOURCES + 1) if (each := _numbered(name, number)) in environment]
        if there:
            found[name] = environment[there[-1]]
    return found


def _instance_faults(environment: Mapping[str, str]) -> list[str]:
    faults = []
    if not environment.get(DATA, "").startswith("/"):
        faults.append(f"{DATA} must be an absolute path")
    if not (environment.get(PORT) or "5432").isdecimal():
        faults.append(f"{PORT} must be a number")
    if environment.get(CONFIGURE_BY, "Arguments") not in {"Arguments", "AlterSystem", "Patroni"}:
        faults.append(f"{CONFIGURE_BY} must be Arguments, AlterSystem or Patroni")
    return faults


def instance(environment: Mapping[str, str]) -> Instance:
    default = Instance(data_directory="")
    return Instance(
        data_directory=environment[DATA],
        port=int(environment.get(PORT) or default.port),
        socket_directory=environment.get(SOCKET) or default.socket_directory,
        user=environment.get(USER) or default.user,
        database=environment.get(DATABASE) or default.database,
        alter_system=environment.get(CONFIGURE_BY) == "AlterSystem",
        password_file=environment.get(PASSWORD_FILE) or "",
    )
