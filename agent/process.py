"""The agent's process: a configuration kept in step, beside PostgreSQL `pgbackrest server` too, and the TLS door."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvloop

from agent import duties, host_server, log, password
from agent.calls import Repository, State, pgbackrest_version
from agent.children import Children
from agent.held_up import HeldUp
from agent.in_step import InStep, User
from agent.paths import Paths
from agent.pgbackrest import Runner
from agent.relay import Relay
from agent.repo_volume import RepoVolume
from agent.server import Server, application
from agent.supervisor import Supervisor
from pgwarden.api import names, postgres_majors
from pgwarden.contract.environment import CONFIGURE_BY, Role, Settings
from pgwarden.pgbackrest import commands, identity
from pgwarden.pgbackrest.trouble import by_repo
from pgwarden.storages import explain_archiving

if TYPE_CHECKING:
    from agent.missed_wal import MissedWal
    from agent.postgres import Postgres

#: How often a PostgreSQL that the agent configures is looked at.
CONFIGURE_SECONDS = 15.0
#: And at most, while somebody else changes back each time what it has set.
LONGEST_CONFIGURE_SECONDS = 600.0
#: How long after the tools could not be copied that is tried again.
TOOLS_SECONDS = 30.0
#: How often the spool is looked at for a new reason why WAL waits.
TELL_SECONDS = 5.0


class Agent:
    def __init__(self, settings: Settings, paths: Paths) -> None:
        self._settings = settings
        self._paths = paths
        self._log = log.get("agent")
        self._children = Children()
        self._runner = Runner(paths, self._children)
        # The host's is in a container of its own (host_server.py).
        self._supervisor = Supervisor(self._runner, self._children) if settings.instance else None
        spool = paths.work / Path(names.SPOOL_DIR).name if settings.instance else None
        self._state = State(settings, self._supervisor, spool=spool)
        self._postgres = _postgres(settings)
        self._repository = _repository(settings, paths, self._runner)
        self._relay = _relay(settings, self._state, paths, self._runner)
        self._held_up = _held_up(settings, self._state, paths, self._runner, self._relay)
        self._missed = _missed(self._postgres, self._runner, settings.stanza, paths)
        app = application(
            self._state, repository=self._repository, postgres=self._postgres, relay=self._relay, missed=self._missed
        )
        self._server = Server(paths, app)
        users: list[User] = [self._server, *([self._supervisor] if self._supervisor else [])]
        self._in_step = InStep(settings, paths, users, self._state, self._postgres.place if self._postgres else None)
        if self._relay and self._postgres:
            self._relay.follow(self._postgres.where)

    async def run(self) -> None:
        """Until SIGTERM or SIGINT."""
        stop = duties.told_to_end()
        self._log.info("agent starts", role=self._settings.role.value, stanza=self._settings.stanza, pid=os.getpid())
        self._state.pgbackrest_version = await pgbackrest_version(self._runner)
        await duties.run(stop, self._duties(), self._server.close)

    def _duties(self) -> list[Coroutine[Any, Any, None]]:
        found: list[Coroutine[Any, Any, None]] = [self._in_step.run(), self._children.keep_reaping()]
        if self._supervisor:
            found.append(self._supervisor.run())
        if self._settings.instance:
            found += [self._keep_telling(), self._keep_tools()]
        if self._repository:
            found.append(self._repository.archives.run())
        if self._relay:
            found.append(self._relay.run())
        if self._held_up:
            found.append(self._held_up.run())
        if self._missed:
            found.append(self._missed.run())
        if self._postgres and self._settings.instance and self._settings.instance.alter_system:
            found.append(self._keep_configured(self._postgres))
        return found

    async def _keep_telling(self) -> None:
        """Why WAL waits, once for each reason: archive-push is silent in PostgreSQL's log."""
        before = ""
        while True:
            text = self._state.archive_error()
            parts = [(number, explain_archiving(said).sentence) for number, said in by_repo(text)] if text else []
            told = "; ".join(f"repo{number}: {sentence}" if number else sentence for number, sentence in parts)
            if told and told != before:
                self._log.warning("archive-push fails", error=told)
            before = told
            await asyncio.sleep(TELL_SECONDS)

    async def _keep_tools(self) -> None:
        """The tools in PostgreSQL's container; the sidecar's postStart has copied them, unless it was ended halfway."""
        from agent import tools

        said, target, source = "", self._paths.tools_target, self._paths.pgbackrest.parent.parent
        while target.is_dir():  # else this is a pod of before: an init container has copied them
            try:
                self._log.info("tools", said=await asyncio.to_thread(tools.install, source, target))
                break
            except OSError as error:
                if str(error) != said:
                    self._log.warning("PostgreSQL has no tools to archive with", error=str(error))
                said = str(error)
            await asyncio.sleep(TOOLS_SECONDS)
        await asyncio.Event().wait()  # a duty does not end

    async def _keep_configured(self, postgres: Postgres) -> None:
        from agent.sql import PostgresError

        stanza = self._settings.stanza
        role = os.environ.get(identity.ROLE, "") if os.environ.get(identity.TOKEN) == identity.TOKEN_FILE else ""
        wanted = {
            "archive_mode": "on",
            "archive_command": commands.kept(commands.archive_command(stanza, role)),
            "restore_command": commands.kept(commands.restore_command(stanza, role)),
        }
        said, pause = "", CONFIGURE_SECONDS
        while True:
            try:
                changed = await postgres.configure(wanted)
                said = ""
                pause = min(pause * 2, LONGEST_CONFIGURE_SECONDS) if changed else max(pause / 2, CONFIGURE_SECONDS)
                if changed:
                    self._log.info("PostgreSQL configured by ALTER SYSTEM", settings=changed, next_look=pause)
            except PostgresError as error:
                if str(error) != said:
                    self._log.warning("PostgreSQL not configured yet", error=str(error))
                said = str(error)
            await asyncio.sleep(pause)


def _repository(settings: Settings, paths: Paths, runner: Runner) -> Repository | None:
    if settings.role is not Role.REPOSITORY:
        return None
    return Repository(settings.stanza, runner, RepoVolume(paths, settings.stanza), paths)


def _relay(settings: Settings, state: State, paths: Paths, runner: Runner) -> Relay | None:
    return Relay(state, paths, runner, settings.instance.data_directory) if settings.instance else None


def _held_up(settings: Settings, state: State, paths: Paths, runner: Runner, relay: Relay | None) -> HeldUp | None:
    return HeldUp(state, paths, runner, relay) if settings.instance and relay else None


def _postgres(settings: Settings) -> Postgres | None:
    """Imported for the role that has one: psycopg is ten megabytes."""
    if settings.instance is None:
        return None
    from agent.postgres import Postgres

    password.from_file(settings.instance.password_file)
    is_patronis = os.environ.get(CONFIGURE_BY) == "Patroni"  # as each PostgresCluster's is
    return Postgres(settings.instance, postgres_majors.OLDEST if is_patronis else postgres_majors.OLDEST_FOREIGN)


def _missed(postgres: Postgres | None, runner: Runner, stanza: str, paths: Paths) -> MissedWal | None:
    if postgres is None:
        return None
    from agent.missed_wal import MissedWal

    return MissedWal(postgres, runner, stanza, paths)


def main(settings: Settings, paths: Paths | None = None) -> int:
    where = paths or Paths()
    running = host_server.run(settings, where) if settings.role is Role.SERVER else Agent(settings, where).run()
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(running)
    return 0
