"""What the webhook and the controller tell a container of ours through its environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from pgwarden.api import names


class Role(Enum):
    REPOSITORY = "repository"
    POSTGRES = "postgres"

    @property
    def conf_key(self) -> str:
        return names.KEY_HOST_CONF if self is Role.REPOSITORY else names.KEY_POD_CONF


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
        role = environment.get("PGWARDEN_ROLE", "")
        if role not in {known.value for known in Role}:
            faults.append(f"PGWARDEN_ROLE must be repository or postgres, not {role!r}")
        stanza = environment.get("PGWARDEN_STANZA", "")
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", stanza):
            faults.append(f"PGWARDEN_STANZA is not a stanza's name: {stanza!r}")
        if role == Role.POSTGRES.value:
            faults += _instance_faults(environment)
        if faults:
            raise SettingsError("; ".join(faults))
        return cls(Role(role), stanza, instance(environment) if role == Role.POSTGRES.value else None)


def _instance_faults(environment: Mapping[str, str]) -> list[str]:
    faults = []
    if not environment.get("PGWARDEN_PG_DATA", "").startswith("/"):
        faults.append("PGWARDEN_PG_DATA must be an absolute path")
    if not environment.get("PGWARDEN_PG_PORT", "5432").isdecimal():
        faults.append("PGWARDEN_PG_PORT must be a number")
    if environment.get("PGWARDEN_CONFIGURE_BY", "Arguments") not in {"Arguments", "AlterSystem", "Patroni"}:
        faults.append("PGWARDEN_CONFIGURE_BY must be Arguments, AlterSystem or Patroni")
    return faults


def instance(environment: Mapping[str, str]) -> Instance:
    default = Instance(data_directory="")
    return Instance(
        data_directory=environment["PGWARDEN_PG_DATA"],
        port=int(environment.get("PGWARDEN_PG_PORT") or default.port),
        socket_directory=environment.get("PGWARDEN_PG_SOCKET") or default.socket_directory,
        user=environment.get("PGWARDEN_PG_USER") or default.user,
        database=environment.get("PGWARDEN_PG_DATABASE") or default.database,
        alter_system=environment.get("PGWARDEN_CONFIGURE_BY") == "AlterSystem",
    )
