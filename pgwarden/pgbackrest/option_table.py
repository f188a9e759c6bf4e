"""The table behind options.py: what may be set where, of which type, and why the rest may not."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Literal

import msgspec

Command = Literal["backup", "restore", "repository"]
_SIZE = re.compile(r"([0-9]{1,15})([KMGTP]?)(?:i?B)?", re.IGNORECASE | re.ASCII)
#: pgBackRest 2.60 takes no fractions: `100ms`, not `0.1`.
_DURATION = re.compile(r"([0-9]{1,9})(ms|s|m|h|d|w)?", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_POWER = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
KIB, MIB, TIB, PIB = 1024, 1024**2, 1024**4, 1024**5


class Option(msgspec.Struct, frozen=True):
    """`low` and `high` bound an integer, a size (bytes) or a time (seconds)."""

    type: Literal["boolean", "integer", "enum", "size", "time", "text"]
    commands: tuple[Command, ...]
    low: float = 0
    high: float = 0
    values: tuple[str, ...] = ()
    pattern: str = ""
    example: str = ""

    @property
    def expects(self) -> str:
        if self.type == "enum":
            return "one of " + ", ".join(self.values)
        if self.type == "integer":
            return f"a whole number from {self.low:.0f} to {self.high:.0f}"
        if self.type == "size":
            return f"a size from {_size_text(self.low)} to {_size_text(self.high)}, such as {self.example or '64MiB'}"
        if self.type == "time":
            return f"a time from {_time_text(self.low)} to {_time_text(self.high)}, such as 60, 90s or 5m"
        return self.example

    def problem(self, value: str) -> str:
        """Empty where *value* is good."""
        return "" if self._fits(value) else f"must be {self.expects}"

    def _fits(self, value: str) -> bool:
        if self.type == "enum":
            return value in self.values
        if self.type == "integer":
            return re.fullmatch(r"-?[0-9]{1,9}", value, re.ASCII) is not None and self.low <= int(value) <= self.high
        if self.type == "size":
            size = _SIZE.fullmatch(value)
            return size is not None and self.low <= int(size[1]) * 1024 ** _POWER[size[2].lower()] <= self.high
        if self.type == "time":
            time = in_seconds(value)
            return time is not None and self.low <= time <= self.high
        return re.fullmatch(self.pattern, value) is not None


class Pattern(msgspec.Struct, frozen=True):
    """Names of options, `*` stands for anything. Without commands it holds in all places."""

    names: tuple[str, ...]
    commands: tuple[Command, ...] = ()

    def matches(self, name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in self.names)


def in_seconds(value: str) -> float | None:
    """None where *value* is no time that pgBackRest takes."""
    time = _DURATION.fullmatch(value)
    return float(time[1]) * _SECONDS[time[2] or ""] if time else None


def _time_text(seconds: float) -> str:
    for unit in ("d", "h", "m", "s"):
        if seconds >= _SECONDS[unit] and seconds % _SECONDS[unit] == 0:
            return f"{seconds / _SECONDS[unit]:g}{unit}"
    return f"{seconds * 1000:g}ms"


def _size_text(size: float) -> str:
    for power, unit in ((5, "PiB"), (4, "TiB"), (3, "GiB"), (2, "MiB"), (1, "KiB")):
        if size >= 1024**power:
            return f"{size / 1024**power:g}{unit}"
    return f"{size:g}B"


_B: tuple[Command, ...] = ("backup",)
_R: tuple[Command, ...] = ("restore",)
_G: tuple[Command, ...] = ("repository",)
_BG: tuple[Command, ...] = ("backup", "repository")
_ALL: tuple[Command, ...] = ("backup", "restore", "repository")
_LEVELS = ("off", "error", "warn", "info", "detail", "debug", "trace")
_BUFFERS = ("16KiB", "32KiB", "64KiB", "128KiB", "256KiB", "512KiB", "1MiB", "2MiB", "4MiB", "8MiB", "16MiB")
#: A key of ours begins with pgwarden: it ties a set to its Backup object.
_ANNOTATION = r"(?!pgwarden)[A-Za-z0-9][A-Za-z0-9._-]{0,62}=[^\x00-\x1f]{1,500}"
_TAG = r"[^\x00-\x1f=&]{1,128}=[^\x00-\x1f&]{0,256}"


def _flags(commands: tuple[Command, ...], *names: str) -> dict[str, Option]:
    return {name: Option("boolean", commands) for name in names}


ALLOWED: dict[str, Option] = {
    **_flags(_BG, "archive-check", "archive-copy", "archive-mode-check", "checksum-page", "expire-auto", "resume"),
    **_flags(_BG, "start-fast", "page-header-check", "repo-bundle", "repo-block"),
    **_flags(_G, "archive-async", "archive-header-check", "archive-missing-retry", "sck-keep-alive", "log-timestamp"),
    **_flags(_G, "repo-s3-requester-pays"),
    **_flags(_R, "link-all", "target-exclusive"),
    "delta": Option("boolean", _ALL),
    "type": Option("enum", _B, values=("full", "diff", "incr")),
    "annotation": Option("text", _B, pattern=_ANNOTATION, example="KEY=VALUE, the key not beginning with pgwarden"),
    "archive-mode": Option("enum", _R, values=("preserve", "off")),
    "backup-standby": Option("enum", _BG, values=("y", "n", "prefer")),
    "buffer-size": Option("enum", _ALL, values=_BUFFERS),
    "compress-type": Option("enum", _BG, values=("none", "bz2", "gz", "lz4", "zst")),
    "compress-level": Option("integer", _BG, -7, 22),
    "compress-level-network": Option("integer", _ALL, -5, 12),
    "db-include": Option("text", _R, pattern=r"[^\x00-\x1f/]{1,63}", example="the name of a database"),
    "db-exclude": Option("text", _R, pattern=r"[^\x00-\x1f/]{1,63}", example="the name of a database"),
    "log-level-console": Option("enum", _ALL, values=_LEVELS),
    "manifest-save-threshold": Option("size", _BG, 1, TIB, example="1GiB"),
    "priority": Option("integer", _ALL, -20, 19),
    "process-max": Option("integer", _ALL, 1, 999),
    "job-retry": Option("integer", _G, 0, 360),
    "archive-timeout": Option("time", _BG, 0.1, 86400),
    "db-timeout": Option("time", _BG, 0.1, 604800),
    "io-timeout": Option("time", _ALL, 0.1, 3600),
    "protocol-timeout": Option("time", _ALL, 0.1, 604800),
    "archive-get-queue-max": Option("size", _G, 0, 4 * PIB, example="128MiB"),
    "archive-push-queue-max": Option("size", _G, 0, 4 * PIB, example="1TiB"),
    "tcp-keep-alive-count": Option("integer", _G, 1, 32),
    "tcp-keep-alive-idle": Option("integer", _G, 1, 3600),
    "tcp-keep-alive-interval": Option("integer", _G, 1, 900),
    "repo-retention-full": Option("integer", _BG, 1, 9999999),
    "repo-retention-full-type": Option("enum", _BG, values=("count", "time")),
    "repo-retention-diff": Option("integer", _BG, 1, 9999999),
    "repo-retention-archive": Option("integer", _BG, 1, 9999999),
    "repo-retention-archive-type": Option("enum", _BG, values=("full", "diff", "incr")),
    "repo-retention-history": Option("integer", _BG, 0, 9999999),
    "repo-bundle-size": Option("size", _BG, MIB, PIB, example="20MiB"),
    "repo-bundle-limit": Option("size", _BG, 8 * KIB, PIB, example="2MiB"),
    "repo-storage-upload-chunk-size": Option("size", _G, 5 * MIB, 1024 * MIB, example="16MiB"),
    "repo-storage-prefetch": Option("integer", _G, 0, 1024),
    "repo-storage-read-over": Option("size", _G, 0, MIB, example="64KiB"),
    "repo-storage-tag": Option("text", _G, pattern=_TAG, example="KEY=VALUE, a tag for each object"),
    "repo-s3-service": Option("text", _G, pattern=r"[a-z0-9-]{1,64}", example="the service in signatures, such as s3"),
    "repo-s3-sts-host": Option("text", _G, pattern=r"[A-Za-z0-9._-]{1,253}", example="a host, such as sts.example"),
    "repo-s3-kms-key-id": Option("text", _G, pattern=r"[A-Za-z0-9:/_-]{1,2048}", example="the id of a KMS key"),
    "repo-s3-role": Option("text", _G, pattern=r"[A-Za-z0-9+=,.@_/:-]{1,512}", example="the name of a role"),
}

#: Compression type → its levels.
LEVELS: dict[str, tuple[int, int]] = {"bz2": (1, 9), "gz": (-1, 9), "lz4": (-5, 12), "zst": (-7, 22)}

#: Read from the top; the first that matches gives the reason.
REFUSED: tuple[tuple[Pattern, str], ...] = (
    (Pattern(("*-cmd", "cmd", "cmd-ssh")), "is not allowed: it runs an arbitrary program; remove it"),
    (
        Pattern(("repo-host*", "pg-host*", "repo-sftp*")),
        "is set by pgwarden from the Repository and its pods; remove it",
    ),
    (Pattern(("pg-*", "pg")), "is set by pgwarden; use spec.postgres of the Repository"),
    (Pattern(("stanza",)), "is set by pgwarden: the stanza has the Repository's name; remove it"),
    (
        Pattern(("config*", "lock-path", "spool-path", "log-path", "lock", "tls-server-*")),
        "is set by pgwarden: paths are the same in every container; remove it",
    ),
    (
        Pattern(("log-level-file", "log-level-stderr", "log-subprocess")),
        "is not allowed: logs go to the container's output; use --log-level-console",
    ),
    (
        Pattern(
            (
                "repo-s3-kms-key-id",
                "repo-s3-role",
                "repo-s3-requester-pays",
                "repo-s3-service",
                "repo-s3-sts-host",
                "repo-storage-tag",
                "repo-storage-prefetch",
                "repo-storage-read-over",
                "repo-storage-upload-chunk-size",
            ),
            ("backup", "restore"),
        ),
        "belongs in the Repository's spec.options",
    ),
    (
        Pattern(("repo-s3-key", "repo-s3-key-secret", "repo-s3-token", "repo-s3-sse-customer-key")),
        "is a secret; put it into the Secret in spec.s3.credentialsSecretRef, under its name without repoN-",
    ),
    (
        Pattern(("repo-s3-storage-class*", "repo-storage-class*")),
        "is unknown to pgBackRest 2.60: objects get the bucket's default class; set a lifecycle rule on the bucket",
    ),
    (
        Pattern(("repo-s3-sse*", "repo-s3-acl*", "repo-s3-object-lock*", "repo-s3-accelerate*", "repo-s3-checksum*")),
        "is unknown to pgBackRest 2.60; set it on the bucket (for KMS use --repoN-s3-kms-key-id)",
    ),
    (Pattern(("repo-s3-key-type",)), "cannot be set here; use spec.s3.keyType of the Repository"),
    (
        Pattern(
            ("repo-s3-*", "repo-storage-ca-*", "repo-storage-verify-tls", "repo-storage-port", "repo-storage-host")
        ),
        "cannot be set here; use spec.s3 of the Repository",
    ),
    (Pattern(("repo-cipher-*", "cipher*")), "cannot be set here; use spec.encryption of the Repository"),
    (Pattern(("repo-path",)), "cannot be set here; use spec.s3.path of the Repository"),
    (
        Pattern(("repo-type", "repo-azure-*", "repo-gcs-*")),
        "cannot be set here; use spec.storageType of the Repository",
    ),
    (Pattern(("repo",), ("backup", "restore")), "cannot be set here; use spec.storage (local or s3)"),
    (
        Pattern(("repo-retention-*",), ("restore",)),
        "belongs in the Repository's spec.retention or a Backup's spec.options",
    ),
    (
        Pattern(("target", "type", "target-action"), ("restore",)),
        "cannot be set here; use spec.target (pgwarden promotes PostgreSQL at the target)",
    ),
    (Pattern(("target-timeline",), ("restore",)), "cannot be set here; use spec.targetTimeline"),
    (Pattern(("repo-target-time",), ("restore",)), "cannot be set here; use spec.repoTargetTime"),
    (Pattern(("set",), ("restore",)), "cannot be set here; use spec.set"),
    (
        Pattern(("tablespace-map*", "link-map")),
        "is not allowed: it writes outside the volume; tablespaces and links are restored in place",
    ),
    (Pattern(("recovery-option",)), "is not allowed: it can run a program; use spec.target and spec.targetTimeline"),
    (Pattern(("force", "online")), "is not allowed: it disables a safety check; remove it"),
    (Pattern(("annotation",), ("repository",)), "belongs in a Backup's spec.options"),
    (Pattern(("repo-hardlink",)), "is incompatible with repo-bundle, which pgwarden enables; remove it"),
    (Pattern(("*-path", "*-file")), "is not allowed: pgwarden sets all paths; remove it"),
)
