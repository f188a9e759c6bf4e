"""What is run in the server's container: pg_controldata, the server, and a session to see whether the image fits."""

from __future__ import annotations

import os

from agent import log
from agent.recovery import auto_conf, control_file, failures, restore_script, settings
from agent.recovery.failures import Failed
from agent.recovery.orders import Orders, Run
from agent.recovery.server_log import ServerLog
from agent.recovery.settings import Control
from agent.recovery.state import State
from agent.recovery.task import Task
from pgwarden.pgbackrest import commands


class Container:
    def __init__(self, task: Task, orders: Orders, stanza: str) -> None:
        self._task = task
        self._orders = orders
        self._stanza = stanza
        self._log = log.get("recovery")

    async def control(self) -> Control:
        """Of pg_control: read here, or where its layout is another one, by the image's own pg_controldata."""
        read = control_file.parse((self._task.pg_data / "global" / "pg_control").read_bytes())
        if read is not None:
            return read
        run = self._orders.new()
        self._orders.order(run, [self._program("pg_controldata"), str(self._task.pg_data)])
        code = await run.until_exit()
        text = run.log.read_text("utf-8", "replace") if run.log.exists() else ""
        if code != 0:
            seen = ServerLog()
            for line in text.splitlines():
                seen.feed(line)
            raise Failed(failures.judge(seen, code, failures.Context(self._orders.major)))
        if "WARNING: " in text:  # its layout is another one; what it shows then is no parameter of ours
            raise Failed(failures.other_layout(self._orders.major))
        return Control.parse(text)

    def _program(self, name: str) -> str:
        return f"{self._task.bin}/{name}" if self._task.bin else name

    def start(self, now: State, control: Control, target: dict[str, str]) -> Run:
        run = self._orders.new()
        script = run.folder / "restore.sh"
        script.write_text(restore_script.text(self._restore_command(now), run.folder))
        os.mkfifo(run.answers, 0o600)
        arguments = self._arguments(run, now, control, restore_script.restore_command(script), target)
        (self._task.pg_data / "postmaster.pid").unlink(missing_ok=True)  # of a pod that was killed: we have the volume
        self._orders.order(run, [self._program("postgres"), *arguments], server=True)
        return run

    def _arguments(self, run: Run, now: State, control: Control, command: str, target: dict[str, str]) -> list[str]:
        folder, sockets = run.folder, self._orders.run_dir / "sockets"
        (folder / "postgresql.conf").touch()
        (folder / "hba.conf").write_text("local all all reject\n")
        (folder / "ident.conf").touch()
        sockets.mkdir(mode=0o700, exist_ok=True)
        names_of = (folder / "postgresql.conf", folder / "hba.conf", folder / "ident.conf")
        return settings.arguments(
            settings.Files(self._task.pg_data, *names_of, sockets),
            control,
            restore_command=command,
            target=target,
            least=now.least,
            preload=self._task.preload if now.preload else "",
        )

    def _restore_command(self, now: State) -> str:
        found = auto_conf.values(now.auto_conf).get("restore_command", "")
        return found if commands.is_for_postgres(found) else commands.restore_command(self._stanza)

    async def image_fits(self, now: State, control: Control) -> str:
        """Whether a session could begin: the image has the locale. A sentence where its collations are of another
        version. Nothing else is judged by it.
        """
        run = self._orders.new()
        arguments = ["--single", *self._arguments(run, now, control, "", {}), "template1"]
        self._orders.order(run, [self._program("postgres"), *arguments])
        code = await run.until_exit()
        seen = ServerLog()
        for line in run.log.read_text("utf-8", "replace").splitlines() if run.log.exists() else ():
            seen.feed(line)
        if code != 0:
            verdict = failures.judge(seen, code, failures.Context(self._orders.major))
            if verdict.reason == "LocaleMissing":
                raise Failed(verdict)
            self._log.warning("the check of a session failed", said=verdict.message)
        return failures.collations(seen)
