"""How a backup stands: what the agent in its Job's pod answers (`Status.backup`), for both sides. Its end is the Job's
`JobResult`.
"""

from __future__ import annotations

from pgwarden.contract.recovery import Percent
from pgwarden.contract.shape import Count, Shape, Time

#: In this order. ARCHIVING: all is copied, and the WAL that it needs has to be archived. EXPIRING: the set is complete.
STARTING, COPYING, ARCHIVING, EXPIRING = "Starting", "Copying", "Archiving", "Expiring"


class BackupProgress(Shape, frozen=True, kw_only=True):
    phase: str = ""  # one of the above; empty before the first
    copied_percent: Percent | None = None
    copied_bytes: Count | None = None
    advanced: Time | None = None  # when it moved last
    watched: bool = False  # whether that counts all that its processes do, and not pgBackRest's lines alone
