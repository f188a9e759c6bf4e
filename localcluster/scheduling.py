"""Who gets the CPU where there is too little of it.

Linux shares it among sessions (autogroups, sched(7)) and cgroups, one share each, and not among processes: a test run
of no importance has as much as an API server, and as much as all pods of a cluster together. An API server that needs
more than its share answers after seconds, and leaders lose their leases.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

#: Of a session, as nice(2) has it for a process: nine shares.
PREFERRED, LAST = -10, 19
#: The same for a node's pods, in cgroup v1's words and in v2's.
_SHARES = {"cpu.shares": "8192", "cpu.weight": "800"}


def prefer(pid: int, nice: int = PREFERRED) -> None:
    """The session of *pid*. A kernel without autogroups, or one that does not let us, goes on as it is."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(nice))


def weigh(group: Path) -> None:
    """The pods of a node, below *group* of any hierarchy."""
    for name, shares in _SHARES.items():
        with contextlib.suppress(OSError):
            if (group / name).exists():
                (group / name).write_text(shares)
