"""A restore in place replaces one volume: what PostgreSQL keeps on another one is refused before anything. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from typing import Any

from controller.recovery.order import volume_root
from controller.restore.facts import RestoreFacts
from controller.restore.verdict import StepVerdict, fail
from pgwarden.contract import server_facts
from pgwarden.contract.calls import Fenced, Tablespace
from pgwarden.contract.server_facts import TablespacePlace


def folders(facts: RestoreFacts, answer: Fenced | None) -> list[str]:
    """Of tablespaces: a restore makes them on the new volume, which PostgreSQL does not."""
    return [one.location for one in _tablespaces(facts, answer) if one.location.startswith("/")]


def refusal(facts: RestoreFacts, answer: Fenced | None) -> StepVerdict | None:
    """By what the server says; where it says nothing (*answer* None, or it was not reached), by what is known of it."""
    return _tablespace(facts, answer) or _wal(facts, answer)


def _tablespaces(facts: RestoreFacts, answer: Fenced | None) -> Iterable[Tablespace | TablespacePlace]:
    if answer is not None and answer.tablespaces is not None:
        return answer.tablespaces
    return server_facts.of(facts.repository).tablespaces


def _wal_directory(facts: RestoreFacts, answer: Fenced | None) -> str | None:
    if answer is not None and answer.tablespaces is not None:  # it was reached
        return answer.wal_directory
    return server_facts.of(facts.repository).wal_directory


def _tablespace(facts: RestoreFacts, answer: Fenced | None) -> StepVerdict | None:
    for one in _tablespaces(facts, answer):
        # A relative one is in the data directory (allow_in_place_tablespaces).
        if one.location.startswith("/") and not _is_on_the_volume(facts, one.location):
            return fail(
                "TablespaceElsewhere",
                f"tablespace {one.name} is in {one.location}, but a restore replaces only the volume at "
                f"{_root(facts)}. Move it into a folder of that volume (CREATE TABLESPACE there, "
                f"ALTER … SET TABLESPACE), or restore by hand",
            )
    return None


def _wal(facts: RestoreFacts, answer: Fenced | None) -> StepVerdict | None:
    """Into a new claim it may go: all is there, and pg_wal is a folder of it."""
    plan, directory = facts.planned, _wal_directory(facts, answer)
    data = posixpath.normpath(plan.facts.data_directory)
    is_mount = directory == posixpath.join(data, "pg_wal")
    if not directory or not plan.in_place or (_is_on_the_volume(facts, directory) and not is_mount):
        return None
    return fail(
        "WalElsewhere",
        f"pg_wal is in {directory}, on another volume than the data directory, but a restore replaces only the volume "
        f"at {_root(facts)}. Stop PostgreSQL and move pg_wal into {data}, or restore into a new claim "
        f"(spec.volumeClaim), where pg_wal becomes a folder of the data directory",
    )


def _is_on_the_volume(facts: RestoreFacts, path: str) -> bool:
    """By the deepest mount that holds it, of those in the PostgreSQL container; another may lie in the volume's own."""
    mounts = [(posixpath.normpath(str(mount["mountPath"])), mount["name"]) for mount in _mounts(facts)]
    holding = [one for one in mounts if posixpath.commonpath([one[0], posixpath.normpath(path)]) == one[0]]
    return bool(holding) and max(holding, key=lambda one: len(one[0]))[1] == facts.planned.facts.data_volume


def _mounts(facts: RestoreFacts) -> list[dict[str, Any]]:
    """All of them while the pod is there, of the data volume once it is not."""
    plan = facts.planned
    for pod in facts.pods:
        if pod["metadata"]["name"] == plan.pod:
            for container in pod["spec"]["containers"]:
                if container["name"] == plan.facts.container:
                    return list(container.get("volumeMounts", []))
    return plan.mounts


def _root(facts: RestoreFacts) -> str:
    return volume_root(facts.planned.facts, facts.planned.mounts)
