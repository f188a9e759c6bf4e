"""pgbackrest.conf as text, the same text for the same input: what each side of a Repository reads.

Four texts make up a configuration: `host_conf` (repository host and Jobs), `server_conf` (the host's server, for pods),
`pod_conf` + `stanza_section` (PostgreSQL pods), and `credentials_conf` beside each. Local storage is reached by pods
through the repository host; S3 is written by each side itself, so that WAL does not wait for the host.

lock-path is each pod's own folder, not one shared on the repository's volume. pgBackRest locks a stanza by flock on a
file there, and its `backup` and `stanza-create` take the same lock once more where their first remote process runs: in
the PostgreSQL pod. So two Jobs exclude each other there, whatever volume they mount, and with S3 there is no volume to
share. A shared folder would have to be writable for both our user id and PostgreSQL's, and flock on a network volume
may report stale locks as held. On top of that the controller runs one operation at a time for each Repository.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from pgwarden.api import names
from pgwarden.api.kinds import PodFacts, RepositorySpec
from pgwarden.api.quantity import parse_quantity
from pgwarden.api.reading import get
from pgwarden.pgbackrest import option_needs, standby
from pgwarden.pgbackrest.user_options import REPEATED, parse_options

Settings = dict[str, str]
#: Nobody is served by more: the rest of the CPU is the network's and the kernel's.
MOST_PROCESSES = 8
#: How long pgBackRest waits for WAL to be archived.
ARCHIVE_TIMEOUT_SECONDS = 60
#: How long archive-push tries to reach a storage. Below a minute, so that PostgreSQL is told why and not "timeout".
ARCHIVE_IO_SECONDS = 15
_REPO = re.compile(r"^\s*repo(\d+)-", re.MULTILINE)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")


class PodEndpoint(msgspec.Struct, frozen=True):
    """A labelled pod: where it is, and what the webhook found in it."""

    ip: str
    facts: PodFacts


class PostgresFacts(Protocol):
    """What `stanza_section` needs; PodFacts has it."""

    @property
    def data_directory(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def socket_directory(self) -> str: ...
    @property
    def user(self) -> str: ...
    @property
    def database(self) -> str: ...


class StoragePlace(Protocol):
    """What a configuration needs of a storage."""

    @property
    def through_host(self) -> bool:
        """PostgreSQL's pods reach it through the repository host, which alone has its volume."""

    def settings(self, folder: str) -> Settings:
        """Its options without `repoN-`. *folder* has the files that they name."""


class RepoCredentials(msgspec.Struct, frozen=True):
    """Secrets of one storage, by pgBackRest's option without `repoN-`. Its text form does not show them."""

    options: Mapping[str, str] = {}
    cipher_pass: str = ""

    def __repr__(self) -> str:
        return "RepoCredentials(…)"


def host_conf(
    repository: Mapping[str, Any], spec: RepositorySpec, places: Sequence[StoragePlace], pods: Sequence[PodEndpoint]
) -> str:
    """For repository host and Jobs. *places* are the spec's storages; *pods* in any order; 256 at most count."""
    name, namespace = repository["metadata"]["name"], repository["metadata"]["namespace"]
    settings = _common() | {
        "log-level-console": "info",
        "process-max": str(processes(spec.resources)),
        "start-fast": "y",
    }
    for number, place in enumerate(places, 1):
        settings |= _of(number, place) | _kept(number, spec)
    # Pods come through the host's server for what is on its volume alone: its clients act with all of the host's keys.
    through = [names.cn_pods(name)] if any(place.through_host for place in places) else []
    settings |= _server((names.cn_host(name), *through), names.stanza(name, spec.stanza))
    stanza: Settings = {}
    for number, pod in enumerate(sorted(pods, key=lambda pod: pod.ip)[:256], 1):
        stanza |= _pod(number, names.pod_dns(name, namespace, pod.ip), pod.facts)
    return _section("global", _with_options(settings, spec)) + "\n" + _section(names.stanza(name, spec.stanza), stanza)


def server_conf(repository: Mapping[str, Any], spec: RepositorySpec, places: Sequence[StoragePlace]) -> str:
    """For the host's own server, which pods reach: the storage on its volume. Empty where there is none."""
    reached = [number for number, place in enumerate(places, 1) if place.through_host]
    if not reached:
        return ""
    name, (number,) = repository["metadata"]["name"], reached
    settings = _common() | {"log-level-console": "warn"} | _of(number, places[number - 1]) | _cipher(number, spec)
    settings |= _server((names.cn_pods(name),), names.stanza(name, spec.stanza))
    return only(_section("global", _with_options(settings, spec)), number)


def pod_conf(repository: Mapping[str, Any], spec: RepositorySpec, places: Sequence[StoragePlace]) -> str:
    """The [global] of a PostgreSQL pod; the agent there appends `stanza_section`."""
    name, namespace = repository["metadata"]["name"], repository["metadata"]["namespace"]
    settings = _common() | {"log-level-console": "warn", "process-max": "2"}
    for number, place in enumerate(places, 1):
        if place.through_host:
            settings |= _through_host(number, names.host_dns(name, namespace))
        else:
            settings |= _of(number, place) | _cipher(number, spec)
    settings |= _server((names.cn_host(name),), names.stanza(name, spec.stanza))
    return _section("global", _with_options(settings, spec)) + _archiving(spec)


def lines_of(conf: str, number: int) -> Settings:
    """What *conf* (a `host_conf`) says of storage *number*, `repoN-` cut off."""
    lines, prefix = dict(line.split("=", 1) for line in conf.splitlines() if "=" in line), f"repo{number}-"
    return {key.removeprefix(prefix): value for key, value in lines.items() if key.startswith(prefix)}


def clone_conf(
    source: Mapping[str, Any],
    spec: RepositorySpec,
    places: Sequence[StoragePlace],
    repos: Mapping[int, RepoCredentials],
) -> str:
    """The whole configuration of a clone that reads Repository *source*, with its secrets: the text is a Secret's.

    All files are in the clone's own folders, so that nothing of it meets the configuration of the clone's Repository.
    *repos* are the storages that it may use, by pgBackRest's number; those that are left out are not read.
    """
    name, namespace = source["metadata"]["name"], source["metadata"]["namespace"]
    work = names.CLONE_WORK_DIR
    folders = {"lock-path": f"{work}/lock", "log-path": f"{work}/log", "spool-path": f"{work}/spool"}
    settings = _common() | folders | {"process-max": "2"}
    for number, place in enumerate(places, 1):
        if number not in repos:
            continue
        if place.through_host:
            settings |= _through_host(number, names.host_dns(name, namespace), names.CLONE_SOURCE)
        else:
            settings |= _of(number, place, names.CLONE_SOURCE) | _cipher(number, spec) | _of_service(number, spec)
            settings |= _secrets(number, repos[number])
    wanted = {"io-timeout": str(ARCHIVE_IO_SECONDS), "log-level-console": "off", "log-level-stderr": "error"}
    stanza = _section(names.stanza(name, spec.stanza), {"pg1-path": names.CLONE_PGDATA})
    return f"{_section('global', settings)}\n{_section('global:archive-get', wanted)}\n{stanza}"


def stanza_section(stanza: str, facts: PostgresFacts) -> str:
    """The section of a pod's own PostgreSQL."""
    return _section(stanza, _postgres(1, facts))


def retention(spec: RepositorySpec, number: int) -> Settings:
    """What host.conf says of how long storage *number* keeps backups: `full-type` → `time`. Empty: for ever."""
    settings, prefix = _with_options(_kept(number, spec), spec), f"repo{number}-retention-"
    return {key.removeprefix(prefix): value for key, value in settings.items() if key.startswith(prefix)}


def credentials_conf(repos: Mapping[int, RepoCredentials]) -> str:
    """The secrets, by pgBackRest's number of the storage. A line break that ends a value is not part of it."""
    settings: Settings = {}
    for number, credentials in sorted(repos.items()):
        settings |= _secrets(number, credentials)
    return _section("global", settings)


def _secrets(number: int, credentials: RepoCredentials) -> Settings:
    given = {**credentials.options, "cipher-pass": credentials.cipher_pass}
    return {f"repo{number}-{option}": text for option, value in given.items() if (text := value.rstrip("\r\n"))}


def repos(text: str) -> list[int]:
    """pgBackRest's numbers of the storages that a configuration names."""
    return sorted({int(number) for number in _REPO.findall(text)})


def only(text: str, repo: int) -> str:
    """A configuration without every storage but *repo*."""
    others = re.compile(rf"^\s*repo(?!{repo}-)\d+-.*\n?", re.MULTILINE)
    return others.sub("", text)


def without_server(text: str) -> str:
    """A configuration that names no PostgreSQL: else archive-push reads its pg_control, which may be what is lost."""
    return re.sub(r"^\s*pg\d+-.*\n?", "", text, flags=re.MULTILINE)


def archives_async(text: str) -> bool:
    """Whether archive-push goes on in the background. The last line wins."""
    found = re.findall(r"^\s*archive-async\s*=\s*(\S+)", text, re.MULTILINE)
    return bool(found) and found[-1].lower() in {"y", "yes", "true", "on", "1"}


def split_endpoint(endpoint: str) -> tuple[str, str]:
    """Host and port ("" where none is given) of `host`, `host:port` or `[v6]:port`."""
    host, colon, port = endpoint.rpartition(":")
    return (host, port) if colon and port.isdigit() and not host.endswith(":") else (endpoint, "")


def _common() -> Settings:
    return {
        "archive-async": "y",
        "archive-timeout": str(ARCHIVE_TIMEOUT_SECONDS),
        "compress-type": "zst",
        "lock-path": names.LOCK_DIR,
        "log-level-file": "off",
        "log-path": names.LOG_DIR,
        "spool-path": names.SPOOL_DIR,
        # A peer whose node has gone is noticed, and its locks are freed, in about a minute instead of two hours.
        "tcp-keep-alive-count": "3",
        "tcp-keep-alive-idle": "30",
        "tcp-keep-alive-interval": "10",
    }


def _of_service(number: int, spec: RepositorySpec) -> Settings:
    """The user's options without which a service may refuse to be read."""
    given, _ = parse_options(spec.options, command="repository", storages=spec.storages)
    wanted = (f"repo{number}-s3-", f"repo{number}-storage-")
    return {name: value for name, value in given.settings.items() if name.startswith(wanted)}


def _of(number: int, place: StoragePlace, folder: str = names.CONF_DIR) -> Settings:
    return {f"repo{number}-{key}": value for key, value in place.settings(folder).items()}


def _kept(number: int, spec: RepositorySpec) -> Settings:
    """How the storage is laid out and how long it is kept: of interest to the side that backs up."""
    settings = {f"repo{number}-bundle": "y", f"repo{number}-block": "y"} | _cipher(number, spec)
    if spec.retention and spec.retention.full:
        settings[f"repo{number}-retention-full"] = str(spec.retention.full)
        settings[f"repo{number}-retention-full-type"] = spec.retention.full_type
    if spec.retention and spec.retention.diff:
        settings[f"repo{number}-retention-diff"] = str(spec.retention.diff)
    return settings


def _cipher(number: int, spec: RepositorySpec) -> Settings:
    return {f"repo{number}-cipher-type": "aes-256-cbc"} if spec.encryption else {}


def _through_host(number: int, host: str, folder: str = names.CONF_DIR) -> Settings:
    return {f"repo{number}-host{key}": value for key, value in _peer(host, folder).items()}


def _pod(number: int, host: str, facts: PodFacts) -> Settings:
    return {f"pg{number}-host{key}": value for key, value in _peer(host).items()} | _postgres(number, facts)


def _peer(host: str, folder: str = names.CONF_DIR) -> Settings:
    """The other side's pgBackRest server, where it has its own configuration, and our certificate in *folder*."""
    return {
        "": host,
        "-type": "tls",
        "-port": str(names.PORT_PGBACKREST),
        "-ca-file": f"{folder}/{names.KEY_CA_CERT}",
        "-cert-file": f"{folder}/{names.KEY_TLS_CERT}",
        "-key-file": f"{folder}/{names.KEY_TLS_KEY}",
        "-config": names.CONF_FILE,
        "-config-include-path": names.CONF_INCLUDE_DIR,
    }


def _postgres(number: int, facts: PostgresFacts) -> Settings:
    """Port and user are left out where only the pod knows them: its own configuration has them."""
    found = {
        "path": facts.data_directory,
        "port": str(facts.port or ""),
        "socket-path": facts.socket_directory,
        "user": facts.user,
        "database": facts.database,
    }
    return {f"pg{number}-{key}": value for key, value in found.items() if value}


def _server(clients: Sequence[str], stanza: str) -> Settings:
    """pgBackRest's own server. tls-server-auth is the one setting with several lines; `_section` splits it."""
    return {
        "tls-server-address": "*",
        "tls-server-auth": "\n".join(f"{client}={stanza}" for client in clients),
        "tls-server-ca-file": f"{names.CONF_DIR}/{names.KEY_CA_CERT}",
        "tls-server-cert-file": f"{names.CONF_DIR}/{names.KEY_TLS_CERT}",
        "tls-server-key-file": f"{names.CONF_DIR}/{names.KEY_TLS_KEY}",
        "tls-server-port": str(names.PORT_PGBACKREST),
    }


def _archiving(spec: RepositorySpec) -> str:
    """What PostgreSQL calls: one storage that is down must not hold up the WAL for the other one for a minute, and what
    an S3 service answers (it may repeat the access key) does not go into PostgreSQL's log. The agent reads it.
    """
    settings = {"io-timeout": str(ARCHIVE_IO_SECONDS), "log-level-console": "off", "log-level-stderr": "off"}
    given, _ = parse_options(spec.options, command="repository", storages=spec.storages)
    wanted = {key: value for key, value in settings.items() if key not in given.settings}
    return "".join(f"\n{_section(f'global:{command}', wanted)}" for command in ("archive-push", "archive-get"))


def _with_options(settings: Settings, spec: RepositorySpec) -> Settings:
    """The user's options win over ours. What is not allowed was refused at admission; here it is left out."""
    parsed, _ = parse_options(spec.options, command="repository", storages=spec.storages)
    merged = settings | standby.settings(parsed.settings)
    return option_needs.without_needless(merged, parsed.settings)


def processes(resources: Mapping[str, Any] | None) -> int:
    """One process for each CPU that the container may use; two where that is not said."""
    for bound in ("limits", "requests"):
        cpu = parse_quantity((get(resources, dict, bound) or {}).get("cpu"))
        if cpu is not None:
            return max(1, min(MOST_PROCESSES, math.ceil(cpu)))
    return 2


def _section(name: str, settings: Settings) -> str:
    lines = [f"[{name}]"]
    for key in sorted(settings, key=_natural):
        for value in settings[key].split("\n") if key.endswith(("tls-server-auth", REPEATED)) else [settings[key]]:
            if _UNPRINTABLE.search(value):
                raise ValueError(f"{key}: a value in pgbackrest.conf is one line without control characters")
            lines.append(f"{key}={value}")
    return "\n".join(lines) + "\n"


def _natural(key: str) -> tuple[object, ...]:
    """pg2-… before pg10-…."""
    return tuple((int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", key))


def source_digest(files: Mapping[str, bytes]) -> str:
    """Sixteen hex digits over the source's names and contents, sorted by name: `name NUL length NUL content` each.

    The agent tells it of what it uses (`configHash`), the controller knows it of what it wrote.
    """
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(f"{name}\0{len(files[name])}\0".encode() + files[name])
    return digest.hexdigest()[:16]
