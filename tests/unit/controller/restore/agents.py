"""What the agents beside PostgreSQL and in the repository host answer, for the cluster of plain dicts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec

from controller.agents import AgentError
from pgwarden.contract import calls
from pgwarden.contract.calls import Call, Fenced, Outcome
from pgwarden.contract.recovery import Recovery
from pgwarden.contract.status import Postgres, Status

Object = dict[str, Any]
#: Of the pod of a recovery that follows the archive.
RECOVERY_IP = "10.0.0.9"


class Served(Protocol):
    finished: bool

    def serves(self) -> str:
        """What is on the volume that PostgreSQL runs on."""

    def settle(self) -> None:
        """Kubernetes' controllers look."""


class FakeAgents:
    def __init__(self, cluster: Served) -> None:
        self.cluster = cluster
        self.calls: list[str] = []
        self.fence: Object | None = {"ok": True, "wal": "000000010000000000000009", "time": "2026-11-23T12:00:00Z"}
        self.recovers = True
        self.host_up = True
        self.annotations: dict[str, str] = {}  # of a set that was made since
        self.made = int(datetime(2026, 11, 24, tzinfo=UTC).timestamp())  # when it was

    async def host(self, _key: Any, _ip: str, call: Call, **_: Any) -> Any:
        if not self.host_up:
            raise AgentError("the agent at 10.0.0.2 cannot be reached")
        found = info()
        if self.annotations:
            first = found["backup"][0]
            when = {"start": self.made - 60, "stop": self.made}
            made = {"label": "20261123-130000F", "annotation": self.annotations, "timestamp": when}
            found["backup"].append(first | made)
        return Status(info=found, info_error="")

    async def pod(self, _key: Any, ip: str, call: Call, **_: Any) -> Any:
        self.calls.append(call.name)
        if call.name == calls.FENCE:
            if self.fence is None:
                raise AgentError("the agent at 10.0.0.7 cannot be reached")
            return msgspec.convert(self.fence, Fenced)
        if call.name == calls.CHECKPOINT:
            return Outcome(ok=True)
        if call.name == calls.RECOVERY_FINISH:
            self.cluster.finished = True
            self.cluster.settle()
            return Outcome(ok=True)
        if ip == RECOVERY_IP:
            return Status(recovery=Recovery(phase="Following", set="20261123-110000F", segments=7))
        ready = self.recovers or self.cluster.serves() == "old"
        postgres = Postgres(
            reachable=True, in_recovery=not ready, timeline=2, last_replay_time="2026-11-23T11:59:00.5Z"
        )
        return Status(postgres=postgres)


def info() -> Object:
    backup = {
        "label": "20261123-110000F", "type": "full", "prior": None, "reference": None, "error": False,
        "database": {"id": 1, "repo-key": 1}, "timestamp": {"start": 1795431600, "stop": 1795431660},
        "archive": {"start": "000000010000000000000002", "stop": "000000010000000000000003"},
        "lsn": {"start": "0/2000028", "stop": "0/3000050"},
        "info": {"size": 1, "delta": 1, "repository": {"delta": 1}},
    }  # fmt: skip
    return {
        "name": "hippo", "status": {"code": 0, "message": "ok"}, "backup": [backup],
        "db": [{"id": 1, "repo-key": 1, "system-id": 7, "version": "18"}],
        "archive": [{"database": {"id": 1, "repo-key": 1}, "id": "18-1", "min": "000000010000000000000001", "max": "000000010000000000000009"}],
        "repo": [{"key": 1, "cipher": "none", "status": {"code": 0, "message": "ok"}}],
    }  # fmt: skip
