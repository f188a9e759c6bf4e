"""The full backup that is owed after a major upgrade: asked for as `renewal` says."""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from controller import storage_state
from controller.context import Context
from controller.repository import major_upgrade, renewal
from controller.repository.facts import RepositoryFacts
from controller.repository.renewal import BackUp
from pgwarden.kube import errors, paths

log = structlog.get_logger()


async def ask(context: Context, facts: RepositoryFacts) -> None:
    """What it waits for is in the Backups' own status."""
    owed = major_upgrade.debts(facts) if facts.primary is not None else []
    if not owed:
        return
    namespace, name = facts.key
    backups = context.caches.of_repository(context.caches.backups, namespace, name)
    hindrances = {debt.storage: storage_state.hindrance(facts.repository, debt.storage) for debt in owed}
    for one in renewal.plan(facts.repository, owed, backups, hindrances, facts.now):
        if isinstance(one, BackUp):
            await _create(context, facts, one)


async def _create(context: Context, facts: RepositoryFacts, asked: BackUp) -> None:
    namespace, _ = facts.key
    try:
        await context.client.create(paths.of("backups", namespace), renewal.backup(facts.repository, asked))
    except errors.Conflict:
        log.info("the Backup already exists", name=asked.name)
        return
    await context.recorder.normal(facts.repository, "BackUp", f"taking full backup {asked.name}: {asked.debt.message}")
    await _delete(context, namespace, asked.expendable)


async def _delete(context: Context, namespace: str, failed: Iterable[tuple[str, str]]) -> None:
    for name, uid in failed:
        await context.client.delete(paths.of("backups", namespace, name), uid=uid)
