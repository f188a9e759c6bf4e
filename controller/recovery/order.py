"""What one recovery is to do, whoever asks for it: a Restore, a cluster that begins as a copy."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pgwarden.api.kinds import PodFacts, RepositorySpec
from pgwarden.api.objects import Object
from pgwarden.api.sizing import NOTHING, Asks

#: Plain variables of the workload's container that decide how its binaries run: locale, libraries.
_KEPT_VARIABLES = ("LANG", "LANGUAGE", "LC_", "LD_", "TZ", "PATH", "LOCPATH", "NSS_WRAPPER_")


@dataclass(frozen=True)
class Server:
    """The workload's own PostgreSQL, as far as a recovery has to start it."""

    image: str
    image_pull_policy: str = ""
    bin_directory: str = ""  # empty: looked for in the image
    preload: tuple[str, ...] = ()  # shared_preload_libraries, in case WAL can only be replayed with them
    environment: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True)
class Elsewhere:
    """Another Repository than the pod's own: a Secret holds pgBackRest's whole configuration of it."""

    stanza: str
    secret: str
    folder: str  # where both containers have the Secret
    config: str  # the configuration, below *folder*
    needs: str = ""  # what the image must have, below *folder*; see needs.py


@dataclass(frozen=True)
class Order:
    job: str  # the Job's name
    namespace: str
    owner: Object  # the object that the Job goes with
    labels: Mapping[str, str]
    repository: str
    repo_spec: RepositorySpec
    facts: PodFacts
    server: Server
    claim: str
    mounts: tuple[Mapping[str, Any], ...]  # of the data volume, in the workload's container
    uid: str  # whose volume it is: written on it
    arguments: tuple[str, ...]  # pgBackRest's, of its command restore
    tablespaces: tuple[str, ...] = ()
    elsewhere: Elsewhere | None = None  # where the data comes from, if not from *repository*
    copy: bool = False  # it is to be a server of its own: without its source's settings to connect, archive and follow
    follow: bool = False  # replay what is archived until it is told to end
    target_time: str = ""  # the moment that is asked for, where it is one; RFC 3339
    as_of: tuple[int, str] | None = None  # pgBackRest's number of a storage, and when it is read as of
    scheduling: Mapping[str, Any] = field(default_factory=dict)
    security: Mapping[str, Any] = field(default_factory=dict)  # the workload's pod's own
    own_volume: bool = False  # whether root must give the new volume to PostgreSQL's user first
    asks: Asks = NOTHING  # of each container, by the namespace

    @property
    def volume_root(self) -> str:
        return volume_root(self.facts, self.mounts)


def volume_root(facts: PodFacts, mounts: Iterable[Mapping[str, Any]]) -> str:
    """The mount that the data directory is in."""
    data = facts.data_directory
    paths = [str(mount["mountPath"]) for mount in mounts]
    holding = [p for p in paths if posixpath.commonpath([p, data]) == posixpath.normpath(p)]
    return max(holding, key=len, default=data)


def server_environment(container: Object) -> list[dict[str, str]]:
    """Of the workload's container: names and plain values of what its binaries need to run."""
    found = []
    for one in container.get("env") or []:
        name, value = str(one.get("name", "")), one.get("value")
        if isinstance(value, str) and name.startswith(_KEPT_VARIABLES):
            found.append({"name": name, "value": value})
    return found
