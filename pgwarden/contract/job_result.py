"""What a Job's container leaves in its termination message, of which the kubelet takes 4096 bytes."""

from __future__ import annotations

import msgspec


class JobResult(msgspec.Struct, rename="camel", frozen=True, kw_only=True, omit_defaults=True):
    ok: bool
    exit_code: int = 0  # pgBackRest's; -1 where it was not run, or was ended
    error: str = ""
    label: str = ""  # of the backup set that was made
    expiry_error: str = ""  # of a backup whose set is complete: why old sets may not have been removed after it
    set: str = ""  # the backup set that was restored
    expired: tuple[str, ...] = ()  # labels
    expired_not_shown: int = 0  # how many more there were
    seconds: float = 0.0
    # Of a recovery:
    reason: str = ""  # CamelCase: why another attempt would end in the same way; empty where it may end better
    copied: bool = False  # the backup set is on the volume, also where what came after has failed
    timeline: int = 0  # the new one
    reached: str = ""  # RFC 3339: the last commit that was replayed; empty where there was none
    segment: str = ""  # the WAL file that was replayed last
    segments: int = 0  # how many were replayed
    copy_seconds: float = 0.0
    replay_seconds: float = 0.0  # from the end of the copy on, whatever was killed meanwhile
    system_identifier: str = ""
    log: tuple[str, ...] = ()  # the last lines of PostgreSQL's or pgBackRest's log, of one that failed
    #: A sentence for the status of one that succeeded: the target lies after the end of the WAL; no standby answered.
    note: str = ""
