"""What the server is started with: a configuration of ours alone, and what its control file asks for. Pure.

No file of the source's configuration is read and no command of it is run. What replay needs of the source's parameters
is in pg_control. With hot_standby=off PostgreSQL compares none of them (CheckRequiredParameterValues), but prepared
transactions and replication origins still have to fit in (twophase.c, origin.c), and the end of recovery writes the
parameters into the WAL, so that those that change how WAL is read later (wal_level, wal_log_hints) and those that throw
data away (track_commit_timestamp) stay as they were.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

#: PostgreSQL's own defaults: never less than these.
DEFAULTS = {
    "max_connections": 100,
    "max_wal_senders": 10,
    "max_prepared_transactions": 0,
    "max_locks_per_transaction": 64,
    "max_replication_slots": 10,
}
_LABELS = {
    "max_connections": "max_connections setting",
    "max_wal_senders": "max_wal_senders setting",
    "max_prepared_transactions": "max_prepared_xacts setting",
    "max_locks_per_transaction": "max_locks_per_xact setting",
}
_KEPT = {
    "wal_level": "wal_level setting",
    "wal_log_hints": "wal_log_hints setting",
    "track_commit_timestamp": "track_commit_timestamp setting",
}
_FIXED = {
    "listen_addresses": "",
    "hot_standby": "off",
    "dynamic_library_path": "$libdir",
    "local_preload_libraries": "",
    "session_preload_libraries": "",
    "archive_mode": "on",  # WAL of the new timeline waits as .ready until the workload's own archive_command
    "archive_command": "",
    "archive_cleanup_command": "",
    "recovery_end_command": "",
    "autovacuum": "off",
    "checkpoint_timeout": "60s",  # what a killed recovery has to replay again
    "huge_pages": "off",
    "jit": "off",
    "lc_messages": "C",  # they are read here
    "log_checkpoints": "on",
    "log_destination": "stderr",
    "log_line_prefix": "%m [%p] ",
    "log_timezone": "UTC",
    "logging_collector": "off",
    "max_logical_replication_workers": "0",
    "max_worker_processes": "0",
    "recovery_min_apply_delay": "0",
    "restart_after_crash": "off",
    "shared_buffers": "128MB",
    "ssl": "off",
    "timezone": "UTC",
    "wal_retrieve_retry_interval": "500ms",
}


@dataclass(frozen=True)
class Control:
    """What is in pg_control, by pg_controldata's names."""

    values: Mapping[str, str]

    @classmethod
    def parse(cls, text: str) -> Control:
        pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
        return cls({name.strip(): value.strip() for name, value in pairs})

    def number(self, name: str) -> int:
        found = self.values.get(name, "")
        return int(found) if found.isascii() and found.isdigit() else 0

    @property
    def state(self) -> str:
        return self.values.get("Database cluster state", "")

    @property
    def system_identifier(self) -> str:
        return self.values.get("Database system identifier", "")

    @property
    def timeline(self) -> int:
        return self.number("Latest checkpoint's TimeLineID")

    @property
    def segment_bytes(self) -> int:
        return self.number("Bytes per WAL segment")


@dataclass(frozen=True)
class Files:
    """Where things of ours lie, beside the server."""

    pg_data: Path
    config: Path
    hba: Path
    ident: Path
    sockets: Path


def parameters(control: Control, least: Mapping[str, int]) -> dict[str, int]:
    """The larger of PostgreSQL's default, of what pg_control says, and of *least* (what an attempt has asked for)."""
    found = {name: control.number(label) for name, label in _LABELS.items()}
    return {name: max(value, found.get(name, 0), least.get(name, 0)) for name, value in DEFAULTS.items()}


def arguments(
    files: Files,
    control: Control,
    *,
    restore_command: str,
    target: Mapping[str, str],
    least: Mapping[str, int] | None = None,
    preload: str = "",
) -> list[str]:
    """The server's arguments. *target*: settings recovery_target…; without one it recovers to the end of the WAL."""
    settings = dict(_FIXED)
    settings |= {name: str(value) for name, value in parameters(control, least or {}).items()}
    for name, label in _KEPT.items():
        if value := control.values.get(label):
            settings[name] = value
    if settings.get("wal_level") == "minimal":
        settings["wal_level"] = "replica"  # what the WAL has of it is judged by PostgreSQL; archive_mode refuses it
    settings |= {
        "config_file": str(files.config),
        "hba_file": str(files.hba),
        "ident_file": str(files.ident),
        "unix_socket_directories": str(files.sockets),
        "restore_command": restore_command,
        "shared_preload_libraries": preload,
    }
    wanted = {name: value for name, value in target.items() if re.fullmatch(r"recovery_target\w*", name)}
    if any(name not in {"recovery_target_timeline", "recovery_target_action"} for name in wanted):
        wanted["recovery_target_action"] = "promote"
    settings |= wanted
    return [
        "-D",
        str(files.pg_data),
        *(word for name in sorted(settings) for word in ("-c", f"{name}={settings[name]}")),
    ]
