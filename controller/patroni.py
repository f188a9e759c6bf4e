"""Patroni's side: the configuration that it is given, and what it says of itself in ConfigMaps and on pods. Pure.

Patroni keeps its state in four ConfigMaps (CLUSTER-config, -leader, -failover, -sync) and each member's in an
annotation of its pod. We read those, and write two of them as its own command line tool would: the dynamic
configuration and the request for a switchover.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from pgwarden import storages
from pgwarden.api import archive_timeout, names, outside
from pgwarden.api.kinds import PostgresClusterSpec, RepositorySpec
from pgwarden.api.objects import Object
from pgwarden.pgbackrest import commands

CONFIG, LEADER, FAILOVER, SYNC = "config", "leader", "failover", "sync"
STATUS = "status"  # the annotation of a pod in which its member is
#: The role, as a label of its pod, of who takes writes.
PRIMARY = "primary"
SUPERUSER, REPLICATOR, REWINDER, APPLICATION = "postgres", "replicator", "rewind", "app"
SOCKET = "/var/run/postgresql"
#: Seconds until a leader that is silent has lost its lock, between two looks, and for retries: Patroni's own defaults.
TTL, LOOP_WAIT, RETRY_TIMEOUT = 30, 10, 10
#: Of an asynchronous cluster: a replica that is further behind does not take over. It bounds what a failover can lose.
MAXIMUM_LAG = 1024 * 1024
#: Bytes of one of its annotations: all of an object's together have no more.
_MOST = 256 * 1024
#: Of a WAL position in bytes.
_DIGITS = 20
#: Users' parameters win over these, and these over Patroni's.
DEFAULTS: dict[str, str | int] = {
    "password_encryption": "scram-sha-256",
    # What a primary that dies has not archived, its successor has in pg_wal, and archives (agent/missed_wal.py).
    "wal_keep_size": "160MB",
    "wal_level": "replica",
}
#: Local connections as the superuser are the sidecar's and Patroni's own: same user id, no password.
_LOCAL = [
    f"local all {SUPERUSER} peer",
    "local all all scram-sha-256",
    f"local replication {REPLICATOR} scram-sha-256",
]
#: Until all instances speak TLS: those that an earlier release has made do not.
_CLEAR = [
    f"host replication {REPLICATOR} all scram-sha-256",
    "host all all all scram-sha-256",
]
#: Only an instance has a certificate of the cluster's CA. pg_rewind reads the database postgres.
_ENCRYPTED = [
    f"hostssl replication {REPLICATOR} all scram-sha-256 clientcert=verify-ca",
    f"hostssl postgres {REWINDER} all scram-sha-256 clientcert=verify-ca",
    f"host all {SUPERUSER},{REPLICATOR},{REWINDER} all reject",
    f"host replication {SUPERUSER},{REPLICATOR},{REWINDER} all reject",
]
_TLS = {
    key: f"{names.CLUSTER_TLS}/{key}"
    for key in (
        names.KEY_CA_CERT,
        names.KEY_TLS_CERT,
        names.KEY_TLS_KEY,
        names.KEY_INSTANCE_CA,
        names.KEY_INSTANCE_CERT,
        names.KEY_INSTANCE_KEY,
    )
}
#: Of PostgreSQL's server. Clients need no certificate; from an instance one is asked for (pg_hba.conf).
SERVER_TLS = {
    "ssl": "on",
    "ssl_cert_file": _TLS[names.KEY_TLS_CERT],
    "ssl_key_file": _TLS[names.KEY_TLS_KEY],
    "ssl_ca_file": _TLS[names.KEY_INSTANCE_CA],
}


# --- what it is given --------------------------------------------------------------------------------------------


def role(spec: PostgresClusterSpec) -> str:
    """The web identity by which PostgreSQL's container reaches the bucket; empty where it takes none."""
    return storages.role(msgspec.convert(spec.repository, RepositorySpec))


def dynamic(cluster: str, spec: PostgresClusterSpec, *, paused: bool, encrypted: bool = True) -> Object:
    """The configuration that all members share. Patroni's pause is autofail off. *encrypted*: all of them speak TLS."""
    parameters = DEFAULTS | _archive_timeout(spec) | dict(sorted(spec.parameters.items()))
    parameters |= {
        "archive_mode": "on",
        "archive_command": commands.archive_command(names.stanza(cluster), role(spec)),
        "unix_socket_directories": SOCKET,
    }
    made: Object = {
        "ttl": TTL,
        "loop_wait": LOOP_WAIT,
        "retry_timeout": RETRY_TIMEOUT,
        "maximum_lag_on_failover": MAXIMUM_LAG,
        # While the API server is away, the primary goes on as long as all members agree (cluster/keep_place.py).
        "failsafe_mode": True,
        "synchronous_mode": spec.synchronous,
        "postgresql": {
            "use_pg_rewind": True,
            # A replica that was away reads what it missed from the repository: the primary keeps no WAL for it.
            "use_slots": False,
            "parameters": {name: str(value) for name, value in parameters.items()},
            "pg_hba": access(spec, encrypted=encrypted),
        },
    }
    return made | {"pause": True} if paused else made


#: What Patroni starts PostgreSQL with where nobody says otherwise (its CMDLINE_OPTIONS).
_STARTED_WITH = {
    "max_connections": "100",
    "max_locks_per_transaction": "64",
    "max_prepared_transactions": "0",
    "max_wal_senders": "10",
    "max_worker_processes": "8",
}


def parameters(cluster: str, spec: PostgresClusterSpec) -> str:
    """Lines for postgresql.conf: what Patroni sets, for a start without it."""
    return _lines(_STARTED_WITH | dynamic(cluster, spec, paused=False)["postgresql"]["parameters"])


def tls_parameters() -> str:
    """The same, of an instance that has certificates."""
    return _lines(SERVER_TLS)


def _lines(found: Mapping[str, str]) -> str:
    quoted = {name: value.replace("\\", "\\\\").replace("'", "''") for name, value in found.items()}
    return "".join(f"{name} = '{value}'\n" for name, value in quoted.items() if value.isprintable())


def access(spec: PostgresClusterSpec, *, encrypted: bool) -> list[str]:
    """The lines of pg_hba.conf. *encrypted*: all instances speak TLS."""
    if not encrypted:
        return _LOCAL + _CLEAR
    required = spec.tls is None or spec.tls.required
    return [*_LOCAL, *_ENCRYPTED, f"{'hostssl' if required else 'host'} all all all scram-sha-256"]


def tls(*, encrypted: bool) -> str:
    """tls.yml, of an instance that has certificates; read again whenever it, or one of them, has changed.

    Patroni's REST asks for a client's certificate where more is asked for than how it is: the kubelet has none. Among
    instances the CA is looked at, not the name: they know each other by address (with `certfile`, Patroni takes
    `insecure` as just that). Until all speak TLS, replication does where it can.
    """
    own = {
        "sslmode": "verify-ca" if encrypted else "prefer",
        "sslrootcert": _TLS[names.KEY_CA_CERT],
        "sslcert": _TLS[names.KEY_INSTANCE_CERT],
        "sslkey": _TLS[names.KEY_INSTANCE_KEY],
    }
    pair = {"certfile": _TLS[names.KEY_INSTANCE_CERT], "keyfile": _TLS[names.KEY_INSTANCE_KEY]}
    made = {
        "restapi": pair | {"cafile": _TLS[names.KEY_INSTANCE_CA], "verify_client": "optional"},
        "ctl": pair | {"cacert": _TLS[names.KEY_INSTANCE_CA], "insecure": True},
        "postgresql": {
            "use_unix_socket_repl": True,
            "parameters": SERVER_TLS,
            "authentication": {"replication": own, "rewind": own},
        },
    }
    return _text(made)


def _archive_timeout(spec: PostgresClusterSpec) -> dict[str, str | int]:
    """Of spec.repository; nothing where it is off."""
    seconds = archive_timeout.seconds(msgspec.convert(spec.repository, RepositorySpec).archive_timeout)
    return {"archive_timeout": f"{seconds}s"} if seconds else {}


def local(cluster: str, spec: PostgresClusterSpec) -> str:
    """patroni.yml (JSON is YAML): what does not change while an instance runs. Names and passwords are variables."""
    restore = commands.restore_command(names.stanza(cluster), role(spec))
    made = {
        "scope": cluster,
        "kubernetes": {
            "labels": {names.MANAGED_BY: "pgwarden"},
            "scope_label": names.LABEL_CLUSTER,
            "role_label": names.LABEL_ROLE,
            "leader_label_value": "primary",
            "follower_label_value": "replica",
            "standby_leader_label_value": "primary",
        },
        "restapi": {"listen": f"0.0.0.0:{names.PORT_PATRONI}"},
        "postgresql": {
            "listen": f"*:{names.PORT_POSTGRES}",
            "bin_dir": names.cluster_bin(spec.postgres_version),
            "use_unix_socket": True,
            "pgpass": "/tmp/pgpass",  # noqa: S108  an emptyDir of the pod's own
            "authentication": {
                "superuser": {"username": SUPERUSER},
                "replication": {"username": REPLICATOR},
                "rewind": {"username": REWINDER},
            },
            # A primary that went its own way is rewound; where that cannot be, it is restored, not copied.
            "remove_data_directory_on_rewind_failure": True,
            "remove_data_directory_on_diverged_timelines": True,
            "create_replica_methods": ["pgbackrest", "basebackup"],
            "pgbackrest": {"command": f"{names.CLUSTER_CONF}/replica.sh", "keep_data": True, "no_params": True},
            "basebackup": {"checkpoint": "fast"},
            "recovery_conf": {"restore_command": restore},
        },
    }
    return _text(made)


def bootstrap(cluster: str, spec: PostgresClusterSpec, *, copy: bool = False) -> str:
    """bootstrap.yml: read once, by the instance that is the first of all. *copy*: a recovery has filled its volume."""
    made: Object = {
        "dcs": dynamic(cluster, spec, paused=False),
        "post_bootstrap": f"{names.CLUSTER_CONF}/after-bootstrap.sh",
    }
    if not copy:
        auth = [{"auth-host": "scram-sha-256"}, {"auth-local": "peer"}]
        made["initdb"] = [{"encoding": "UTF8"}, *auth, "data-checksums"]
    else:
        # A recovery has filled the volume: only its folder is put in place, which is done at once.
        made["method"] = "clone"
        made["clone"] = {"command": f"{names.CLUSTER_CONF}/take-clone.sh", "no_params": True}
    return _text({"bootstrap": made})


def _text(made: Object) -> str:
    return json.dumps(made, indent=2, sort_keys=True) + "\n"


# --- what it says ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Member:
    """What Patroni in one pod says of itself."""

    state: str = ""
    role: str = ""
    timeline: int | None = None
    pending_restart: bool = False
    replication: str = ""
    position: int | None = None  # bytes of WAL: received or replayed

    @property
    def is_empty(self) -> bool:
        """Whether its data directory is: Patroni waits there for somebody to copy from."""
        return self.role == "uninitialized"

    @property
    def follows(self) -> bool:
        """Whether it is a replica that takes the primary's WAL, from wherever."""
        return self.role == "replica" and self.state in {"running", "streaming", "in archive recovery"}


@dataclass(frozen=True)
class Store:
    """Patroni's ConfigMaps."""

    leader: str = ""  # name of the pod that holds, or last held, the lock
    position: int | None = None  # bytes of WAL that it had written, at its last look
    system_identifier: str = ""  # empty until the first instance has initialised the cluster
    config: Object | None = None  # the dynamic configuration
    switching: bool = False  # a switchover that has been asked for, and not for later
    synchronous: frozenset[str] = field(default_factory=frozenset)  # pods that commits wait for
    synchronous_leader: str = ""  # pod of the primary that these were named for
    synchronous_version: str = ""  # resource version of what says so
    of_another: bool = False  # a Restore has brought the data of another PostgreSQL cluster

    @property
    def paused(self) -> bool:
        return bool((self.config or {}).get("pause"))


def member(pod: Object) -> Member:
    said = _json(pod["metadata"].get("annotations", {}).get(STATUS))
    return Member(
        state=str(said.get("state", "")),
        role={"master": "primary"}.get(str(said.get("role", "")), str(said.get("role", ""))),
        timeline=said["timeline"] if isinstance(said.get("timeline"), int) else None,
        pending_restart=bool(said.get("pending_restart")),
        replication=str(said.get("replication_state", "")),
        position=said["xlog_location"] if isinstance(said.get("xlog_location"), int) else None,
    )


def noted(cluster: str, maps: Mapping[str, Object]) -> dict[str, dict[str, str]]:
    """The annotations of each of Patroni's ConfigMaps that is there, by its key. *maps* are ConfigMaps by name."""
    there = {key: maps.get(names.patroni_object(cluster, key)) for key in (CONFIG, LEADER, FAILOVER, SYNC)}
    return {key: dict(one["metadata"].get("annotations") or {}) for key, one in there.items() if one is not None}


def store(cluster: str, maps: Mapping[str, Object]) -> Store:
    """*maps* are the ConfigMaps by name."""
    found = noted(cluster, maps)
    config, failover, sync = found.get(CONFIG, {}), found.get(FAILOVER, {}), found.get(SYNC, {})
    sync_map = maps.get(names.patroni_object(cluster, SYNC), {})
    return Store(
        leader=found.get(LEADER, {}).get("leader", ""),
        position=_number(found.get(LEADER, {}).get("optime", "")),
        system_identifier=config.get(_INITIALIZE, ""),
        config=_json(config[CONFIG]) if CONFIG in config else None,
        switching=bool(failover.get("leader") or failover.get("member")) and not failover.get("scheduled_at"),
        synchronous=frozenset(filter(None, sync.get("sync_standby", "").split(","))),
        synchronous_leader=sync.get("leader", ""),
        of_another=bool(config.get(names.ANNOTATION_INITIALIZED_BEFORE)),
        synchronous_version=str(sync_map.get("metadata", {}).get("resourceVersion", "")),
    )


def config_patch(config: Object) -> Object:
    return {"metadata": {"annotations": {CONFIG: json.dumps(config, separators=(",", ":"), sort_keys=True)}}}


def synchronous_patch(leader: str, standbys: Sequence[str], version: str) -> Object:
    """Who has every acknowledged commit, by the names of now. Refused where Patroni has changed it meanwhile."""
    annotations = {"leader": leader, "sync_standby": ",".join(standbys) or None}
    return {"metadata": {"resourceVersion": version, "annotations": annotations}}


#: What Patroni has noted of a cluster that is not the one on the volume any more, by the key of its ConfigMap. Its
#: dynamic configuration stays: that is ours.
_OF_ONE_CLUSTER = {
    LEADER: ("leader", "optime", "slots", "retain_slots", "failsafe"),
    FAILOVER: ("leader", "member", "scheduled_at"),
    SYNC: ("leader", "sync_standby"),
    CONFIG: ("history",),
}
_INITIALIZE = "initialize"


def begin_with(
    found: Mapping[str, Mapping[str, str]], system_identifier: str, restore_uid: str
) -> tuple[str, Object] | None:
    """The next change (key of a ConfigMap, patch) by which Patroni knows the PostgreSQL cluster *system_identifier*.

    *found* is what it has noted. `initialize` comes last, as it says that the rest is done; what it was stays beside
    it, for `go_back`. None where all is so.
    """
    before = found.get(CONFIG, {}).get(_INITIALIZE)
    if CONFIG not in found or before == system_identifier:
        return None
    for key, marks in _OF_ONE_CLUSTER.items():
        gone = {mark: None for mark in marks if found.get(key, {}).get(mark)}
        if gone:
            return key, _annotations(gone)
    was = {names.ANNOTATION_INITIALIZED_BEFORE: f"{restore_uid}/{before}" if before else None}
    return CONFIG, _annotations({_INITIALIZE: system_identifier} | was)


def go_back(found: Mapping[str, Mapping[str, str]], restore_uid: str) -> tuple[str, Object] | None:
    """The change by which Patroni knows the cluster again that it knew before that Restore; None where it does."""
    by, _, before = found.get(CONFIG, {}).get(names.ANNOTATION_INITIALIZED_BEFORE, "").partition("/")
    if by != restore_uid or not before:
        return None
    return CONFIG, _annotations({_INITIALIZE: before, names.ANNOTATION_INITIALIZED_BEFORE: None})


def _annotations(wanted: Mapping[str, str | None]) -> Object:
    return {"metadata": {"annotations": dict(wanted)}}


def switchover(cluster: str, leader: str, candidate: str) -> Object:
    """The ConfigMap by which a switchover is asked for."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": names.patroni_object(cluster, FAILOVER),
            "labels": {names.MANAGED_BY: "pgwarden", names.LABEL_CLUSTER: cluster},
            "annotations": {"leader": leader, "member": candidate},
        },
    }


def switchover_patch(asked: Object) -> Object:
    """What *asked* is where the ConfigMap is there already, perhaps with a switchover for later."""
    return {"metadata": {"annotations": asked["metadata"]["annotations"] | {"scheduled_at": None}}}


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _DIGITS else None


def _json(text: object) -> Object:
    return outside.decode_object(text, most=_MOST) or {}
