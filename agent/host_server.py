"""pgBackRest's server of a repository host, in a container of its own: PostgreSQL's pods reach it.

Its clients bring their own options (`--repo1-path=/`), and read and write whatever this container can. So it has the
repository's volume, a certificate that opens no door, and of the passwords that of the storage on the volume alone,
which its clients have themselves. It answers no questions: the agent beside it does.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from agent import duties, log
from agent.children import Children
from agent.in_step import InStep
from agent.paths import Paths
from agent.pgbackrest import Runner
from agent.supervisor import Supervisor
from pgwarden.contract.environment import Settings


@dataclass
class _Told:
    digest: str = ""
    sync_error: str = ""


async def run(settings: Settings, paths: Paths) -> None:
    """Until SIGTERM or SIGINT."""
    stop = duties.told_to_end()
    children = Children()
    supervisor = Supervisor(Runner(paths, children), children)
    in_step = InStep(settings, paths, [supervisor], _Told())
    log.get("agent").info("agent starts", role=settings.role.value, stanza=settings.stanza, pid=os.getpid())
    await duties.run(stop, [in_step.run(), supervisor.run(), children.keep_reaping()])
