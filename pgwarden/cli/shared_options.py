"""Options that commands of several kinds take."""

from __future__ import annotations

from pgwarden.cli.spec import Option

YES = Option(("-y", "--yes"), "do not ask", switch=True)
#: Where a recovery begins and ends: of a Restore and of a clone.
RECOVERY_POINT = (
    Option(("--pitr-target",), "a moment with its zone, as 2026-11-23 10:00:00+00", "TIME", group="target"),
    Option(("--target-lsn",), "a WAL position, as 0/3000060", "LSN", group="target"),
    Option(("--target-xid",), "a transaction id", "XID", group="target"),
    Option(("--target-name",), "a restore point of pg_create_restore_point", "NAME", group="target"),
    Option(("--immediate",), "only up to where the backup is consistent", switch=True, group="target"),
    Option(("--target-timeline",), "latest, current or a number", "TIMELINE"),
    Option(("--set",), "the backup set to begin from, as 20261123-010000F", "LABEL"),
)
