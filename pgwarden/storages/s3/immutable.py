"""What a bucket keeps of what is deleted: its versioning and its object lock, as the service answers. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pgwarden.contract.status import Immutable
from pgwarden.storages.s3.signature import Keys

ENABLED, SUSPENDED, OFF, UNKNOWN = "Enabled", "Suspended", "Off", "Unknown"
#: The two questions: the query of a GET on the bucket.
VERSIONING, LOCK = "versioning", "object-lock"
#: What a service says that has no lock on the bucket.
NO_LOCK = "<Code>ObjectLockConfigurationNotFoundError</Code>"
_DAYS_OF_A_YEAR = 365
_CODE = re.compile(r"<Code>(\w{1,80})</Code>", re.ASCII)
_STATUS = re.compile(r"<Status>(Enabled|Suspended)</Status>")
_MODE = re.compile(r"<Mode>(GOVERNANCE|COMPLIANCE)</Mode>")
_PERIOD = re.compile(r"<(Days|Years)>([0-9]{1,6})</(?:Days|Years)>", re.ASCII)


class Bucket:
    """Where and with what a storage's bucket is asked, by its lines of the configuration (`repoN-` cut off)."""

    def __init__(self, lines: Mapping[str, str]) -> None:
        endpoint, port, bucket = (lines.get(key, "") for key in ("s3-endpoint", "storage-port", "s3-bucket"))
        by_path = lines.get("s3-uri-style") == "path"
        self.host = f"{endpoint}:{port}" if port and port != "443" else endpoint
        self.host = self.host if by_path else f"{bucket}.{self.host}"
        self.path = f"/{bucket}" if by_path else "/"
        self.region = lines.get("s3-region", "")
        self.keys = Keys(lines.get("s3-key", ""), lines.get("s3-key-secret", ""), lines.get("s3-token", ""))
        self.ca_file = lines.get("storage-ca-file", "")
        self.is_verified = lines.get("storage-verify-tls", "y") not in {"n", "no", "false", "off", "0"}
        self.is_elsewhere = "storage-host" in lines

    @property
    def hindrance(self) -> str:
        """Why it is not asked; empty where it can be."""
        if not self.keys.access or not self.keys.secret:
            return "it is asked with keys only, not with a role"
        return "it is reached by way of another host (storage-host)" if self.is_elsewhere else ""


def judge(repo: int, versioning: tuple[int, str], lock: tuple[int, str]) -> Immutable:
    """By the HTTP status and the answer to each of the two."""
    kept, why = _versioning(*versioning)
    mode, days, reason = _lock(*lock)
    said = "; ".join(filter(None, (why, reason)))
    return Immutable(repo=repo, versioning=kept, lock_mode=mode, lock_days=days, reason=said or None)


def unknown(repo: int, why: str) -> Immutable:
    return Immutable(repo=repo, versioning=UNKNOWN, reason=why)


def _versioning(status: int, text: str) -> tuple[str, str]:
    if status != 200 or "VersioningConfiguration" not in text:
        return UNKNOWN, f"versioning: {_error(status, text)}"
    found = _STATUS.search(text)
    return (found[1] if found else OFF), ""


def _lock(status: int, text: str) -> tuple[str | None, int | None, str]:
    if status == 404 and NO_LOCK in text:
        return None, None, ""
    if status != 200 or "ObjectLockConfiguration" not in text:
        return None, None, f"object lock: {_error(status, text)}"
    mode, period = _MODE.search(text), _PERIOD.search(text)
    if mode is None or period is None:  # the lock is allowed on objects, and none has it by itself
        return None, None, ""
    return mode[1], int(period[2]) * (_DAYS_OF_A_YEAR if period[1] == "Years" else 1), ""


def _error(status: int, text: str) -> str:
    found = _CODE.search(text)
    return f"{status} {found[1]}" if found else f"{status} without an answer that can be read"
