"""How PostgreSQL is reached: what the Repository says, the server's arguments, the container's variables, the image.

A value that comes from a Secret or a ConfigMap is not known here. Its reference is handed on, so that the kubelet puts
the same value into what works beside PostgreSQL.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator

import msgspec

from pgwarden.api.kinds import PostgresAccess, ValueSource
from pgwarden.contract import environment as variables
from pgwarden.injection import pods
from pgwarden.injection.arguments import Start
from pgwarden.injection.known_images import KnownImage
from pgwarden.injection.pods import Container, EnvVar, VolumeMount

_PORT, _PORTS = 5432, 65536
_KINDS = ("secretKeyRef", "configMapKeyRef")
#: Of an image that is not known: what is usual.
_UNKNOWN = KnownImage(name="", images="")
_LONGEST = 4096  # characters of a value: what is longer is none
_METHOD = r"(?:scram-sha-256|md5|password)"
_is_password = re.compile(_METHOD).fullmatch
_asks_on_the_socket = re.compile(rf"(?:^|\s)(?:--auth(?:-local)?|-A)[= ]*{_METHOD}(?:\s|$)").search


class Reached(msgspec.Struct, frozen=True, kw_only=True):
    """How to connect. Port 0 and an empty user come from `sources`."""

    port: int
    socket_directory: str
    user: str
    database: str
    sources: tuple[ValueSource, ...] = ()
    password: str = ""  # as it stands in the pod
    password_file: str = ""
    password_mount: VolumeMount | None = None  # that the file is on
    asks_by: str = ""  # the variable by which the socket asks for a password that is not known


class _Found(msgspec.Struct, frozen=True):
    """A variable's value, or else where it may come from, the weakest first."""

    value: str = ""
    sources: tuple[tuple[str, str, str], ...] = ()  # kind, name, key

    def __bool__(self) -> bool:
        return bool(self.value or self.sources)

    def into(self, *names: str) -> tuple[ValueSource, ...]:
        return tuple(
            ValueSource(variable=name, kind=kind, name=of, key=key) for name in names for kind, of, key in self.sources
        )


def socket_directory(access: PostgresAccess, start: Start) -> str:
    known = start.image.known
    return posixpath.normpath(access.socket_directory or start.socket_directory or (known or _UNKNOWN).socket)


def reached(container: Container, start: Start, access: PostgresAccess) -> Reached:
    names, known = start.image.variables, start.image.known
    environment = container.environment()

    def look(among: tuple[str, ...]) -> _Found:
        return _look(container, environment, among)

    user = _Found(access.user) if access.user else look(names.user)
    port = _port(access, start, look(names.port))
    password, file = look(names.password), look(names.password_file)
    other = look(names.other_role)
    if not password and not file and (not other or other.value == "postgres"):
        password, file = look(names.password_of_other), look(names.file_of_other)
    is_known = password or file or access.password_secret_ref is not None
    if access.password_secret_ref is not None:
        password = file = _Found()
    mount = pods.holding(container.mounts, file.value) if file.value.startswith("/") else None
    return Reached(
        port=0 if port.sources else int(port.value),
        socket_directory=socket_directory(access, start),
        user="" if user.sources else user.value or (known or _UNKNOWN).superuser,
        database=access.database or "postgres",  # initdb makes it, whatever other database an image makes
        sources=(
            *user.into(variables.USER),
            *port.into(variables.PORT),
            *password.into(variables.PASSWORD),
        ),
        password=password.value,
        password_file=file.value if mount else "",
        password_mount=mount,
        asks_by="" if is_known else _asks_by(start, look),
    )


def _asks_by(start: Start, look: Callable[[tuple[str, ...]], _Found]) -> str:
    """The official image takes the method for the network alone; one that is not known may take it for all."""
    names = start.image.variables
    if _asks_on_the_socket(look(names.initdb).value):
        return names.initdb[0]
    return names.method[0] if start.image.known is None and _is_password(look(names.method).value) else ""


def _port(access: PostgresAccess, start: Start, found: _Found) -> _Found:
    if access.port or start.port:
        return _Found(str(access.port or start.port))
    if found.sources:
        return found
    usable = (
        found.value.isascii() and found.value.isdecimal() and len(found.value) < 6 and 0 < int(found.value) < _PORTS
    )
    return _Found(found.value if usable else str(_PORT))


def _look(container: Container, environment: dict[str, EnvVar], names: tuple[str, ...]) -> _Found:
    for name in names:
        if name in environment:
            return _of(environment[name], environment)
    sources: list[tuple[str, str, str]] = []
    for name in reversed(names):
        sources += _from_whole(container, name)
    return _Found("", tuple(sources[-variables.MOST_SOURCES :]))


def _of(variable: EnvVar, environment: dict[str, EnvVar]) -> _Found:
    if variable.value_from is None:
        value = variable.value or ""
        for name in dict.fromkeys(pods.references(value)):
            other = environment.get(name)
            if other is None:
                continue
            if other.value_from is not None or "$(" in (other.value or "") or len(value) > _LONGEST:
                return _Found()
            value = value.replace(f"$({name})", other.value or "")
        return _Found(value)
    for kind in _KINDS:
        found = variable.value_from.get(kind)
        if isinstance(found, dict) and isinstance(found.get("name"), str) and isinstance(found.get("key"), str):
            return _Found("", ((kind, found["name"], found["key"]),))
    return _Found()


def _from_whole(container: Container, name: str) -> Iterator[tuple[str, str, str]]:
    """Of Secrets and ConfigMaps that are variables as a whole. The last with the key wins, as in the kubelet."""
    for each in container.env_from or ():
        key = name.removeprefix(each.prefix) if name.startswith(each.prefix) else ""
        if key and each.secret_ref is not None and each.secret_ref.name:
            yield "secretKeyRef", each.secret_ref.name, key
        elif key and each.config_map_ref is not None and each.config_map_ref.name:
            yield "configMapKeyRef", each.config_map_ref.name, key
