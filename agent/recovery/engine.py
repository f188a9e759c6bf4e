"""A recovery from its beginning, or from where the last agent was, to its end."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

import msgspec
from msgspec.structs import replace

from agent import door, duties, log, restoring, volume
from agent.children import Children
from agent.outcome import Seen, message
from agent.paths import Paths
from agent.pgbackrest import Result, Runner
from agent.recovery import auto_conf, failures, foreign, settings, state
from agent.recovery.archive import Archive, Place
from agent.recovery.asking import until_said
from agent.recovery.container import Container
from agent.recovery.failures import Failed, Verdict
from agent.recovery.orders import RESULT, TICK_SECONDS, Orders
from agent.recovery.progress import Progress
from agent.recovery.replay import Ended, Replay, Timelines, Wanted
from agent.recovery.settings import Control
from agent.recovery.state import State
from agent.recovery.task import Task
from agent.server import Server
from pgwarden import __version__
from pgwarden.api import names
from pgwarden.contract import calls, recovery
from pgwarden.contract.calls import Outcome
from pgwarden.contract.environment import Role, Settings
from pgwarden.contract.job_result import JobResult
from pgwarden.contract.status import Status
from pgwarden.pgbackrest import config, wal

SOURCE_SECONDS = 60.0
KEPT_CHARACTERS = 256 * 1024
#: Starts of the server that end badly, one after the other, before another pod is to try.
TRIES = 5
LONGEST_PAUSE = 60.0
LOG_CHARACTERS = 300  # of a line, in the result of a recovery that failed
FINISH = "finish"
PREPARED = "max_prepared_transactions"


class Engine:
    def __init__(self, task: Task, own: Settings, paths: Paths) -> None:
        self._task = task
        self._stanza = own.stanza
        self._paths = paths
        self._children = Children()
        self._runner = Runner(paths, self._children)
        self._config = [f"--config={task.config}"] if task.config else []
        self._archive = Archive(self._runner, own.stanza, paths.run, self._config, _chosen(task.args))
        section = config.stanza_section(own.stanza, own.instance) if own.instance else ""
        self._configuration = door.Configuration(paths, names.KEY_POD_CONF, section)
        self._progress = Progress()
        self._wanted = Wanted(task.follow)
        app = door.application(self.status, {calls.RECOVERY_FINISH: self.finish})
        self._server = Server(paths, app)
        self._orders = Orders(paths.run)
        self._container = Container(task, self._orders, own.stanza)
        self._seen = Seen()
        self._started = time.monotonic()
        self._log = log.get("recovery")

    # --- what is asked from outside ---------------------------------------------------------------------------------

    def told(self) -> recovery.Recovery:
        return self._progress.told(time.time())

    def status(self) -> Status:
        digest = self._configuration.digest
        return Status(role=Role.POSTGRES.value, version=__version__, config_hash=digest, recovery=self.told())

    def finish(self) -> Outcome:
        if not self._task.follow:
            return Outcome(error="this recovery does not follow the archive: it ends by itself")
        (self._paths.run / FINISH).touch()
        self._wanted.finish.set()
        return Outcome(ok=True)

    async def run(self) -> int:
        """Until SIGTERM: a sidecar that ends is started again."""
        if (self._paths.run / FINISH).exists():
            self._wanted.finish.set()
        stopped = duties.told_to_end()
        async with door.kept(self._configuration, self._server):
            tasks = [
                asyncio.create_task(each) for each in (self._work(), stopped.wait(), self._children.keep_reaping())
            ]
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                if tasks[0] in done:
                    tasks[0].result()  # an error of ours: let it be seen, and the container restart
                    await stopped.wait()
            finally:
                for each in tasks:
                    each.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                self._forget()  # the kubelet ends us right after the server's container
        return 0

    async def _work(self) -> None:
        if not self._orders.ended:
            try:
                result = await self._result()
            except Failed as failure:
                result = self._failed(failure)
            except volume.VolumeError as error:
                final = not isinstance(error, volume.VolumeBusy)
                result = self._failed(Failed(Verdict("VolumeNotEmpty", str(error), final)))
            except OSError as error:
                known = failures.of_copy(str(error), failures.LITTLE)
                result = self._failed(Failed(known or Verdict("", str(error), final=False)))
            self._log.info("recovery ends", **msgspec.to_builtins(result))
            (self._paths.run / RESULT).write_bytes(message(result) + b"\n")
            self._orders.end(0 if result.ok else 1)
            await self._orders.until_ended()
        self._forget()

    def _forget(self) -> None:
        """The state, once the container has ended with the result."""
        if self._orders.ended and json.loads((self._paths.run / RESULT).read_bytes()).get("ok"):
            state.remove(self._task.pg_data)

    def _failed(self, failure: Failed) -> JobResult:
        verdict = failure.verdict
        return JobResult(
            ok=False,
            exit_code=failure.exit_code,
            error=verdict.message,
            log=tuple(line[:LOG_CHARACTERS] for line in self._progress.log),
            reason=verdict.reason if verdict.final else "",
            copied=self._state() is not None,
            set=self._progress.set,
            segment=self._progress.segment,
            segments=self._progress.segments,
            seconds=self._seconds(),
        )

    def _seconds(self) -> float:
        return round(time.monotonic() - self._started, 1)

    def _state(self) -> State | None:
        """From the end of the copy on."""
        return state.read(self._task.pg_data, self._task.place.uid)

    async def _result(self) -> JobResult:
        await self._configured()
        async with volume.alone(self._task.place.root):
            now = self._state() or await self._copy()
            self._progress.set = now.set
            if now.result is None:
                now = await self._recover(now)
            return self._settle(now)

    async def _configured(self) -> None:
        given = Path(self._task.config) if self._task.config else None
        try:
            await asyncio.wait_for(_there(given) if given else self._configuration.ready.wait(), SOURCE_SECONDS)
        except TimeoutError:
            missing = str(given) if given else ", ".join(self._configuration.missing) or "its folder"
            raise Failed(
                Verdict("", f"no configuration within {SOURCE_SECONDS:g} s: {missing} missing", False)
            ) from None

    # --- the copy ---------------------------------------------------------------------------------------------------

    async def _copy(self) -> State:
        begun = time.time()
        self._progress.at(recovery.COPYING, begun)
        args = [*self._config, *restoring.with_command(self._task.args, "restore", "detail")]
        result = await restoring.fill(self._task.place, args, self._pgbackrest)
        if not result.ok:
            known = failures.of_copy(result.output, volume.room(self._task.place.root))
            raise Failed(known or Verdict("", result.error, final=False), result.exit_code)
        file = self._task.pg_data / state.AUTO_CONF
        text = file.read_text("utf-8", "surrogateescape") if file.exists() else ""
        done = time.time()
        found = State(
            uid=self._task.place.uid, auto_conf=text, set=self._seen.set, copy_seconds=done - begun, copied=done
        )
        state.write(self._task.pg_data, found)
        return found

    async def _pgbackrest(self, args: list[str]) -> Result:
        return await self._runner.run(args, None, self._line, keep=KEPT_CHARACTERS)

    def _line(self, line: str) -> None:
        self._seen.line(line)
        self._progress.set = self._seen.set
        self._progress.log.append(line)
        if not self._progress.copied(line, time.time()) and " DETAIL: " not in line:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()

    # --- the server -------------------------------------------------------------------------------------------------

    async def _recover(self, now: State) -> State:
        state.replace(self._task.pg_data / state.AUTO_CONF, b"")  # what was in it is in the state
        self._orders.major = (self._task.pg_data / "PG_VERSION").read_text().strip()
        adopted = next((run for run in reversed(self._orders.runs()) if run.is_server), None)
        while True:
            control = await self._container.control()
            self._progress.size = control.segment_bytes or wal.SEGMENT_SIZE
            target = self._target(now)
            places, timelines = await self._archived(control, target)
            if not adopted:
                self._progress.at(recovery.STARTING, time.time())
            run = adopted or self._container.start(now, control, target)
            if adopted:
                self._orders.repeat(run, server=True)
            adopted = None
            watched = Replay(
                run, self._archive, places, timelines, self._progress, self._wanted, target, self._task.pg_data
            )
            before = self._progress.segments
            ended = await watched.watch()
            if ended.log.ready and ended.exit_code == 0:
                return await self._promoted(now, ended)
            if self._progress.segments > before:
                now = replace(now, tries=0)
            now = await self._after(now, ended, control, target)

    def _target(self, now: State) -> dict[str, str]:
        found = auto_conf.recovery_target(now.auto_conf)
        return {"recovery_target_timeline": found.get("recovery_target_timeline", "latest")} if now.to_end else found

    async def _archived(self, control: Control, target: dict[str, str]) -> tuple[list[Place], Timelines]:

        async def ask() -> tuple[list[Place], Timelines]:
            places = await self._archive.places(control.system_identifier)
            wanted = target.get("recovery_target_timeline", "latest")
            return places, await self._timelines(control, wanted, places)

        places, timelines = await until_said(self._progress, ask)
        size = self._progress.size
        lasts = [wal.parse_segment(one.last, size) for one in places if wal.is_segment(one.last)]
        self._progress.last_archived = max(lasts, key=lambda one: one.number, default=None)
        return places, timelines

    async def _timelines(self, control: Control, wanted: str, places: list[Place]) -> Timelines:
        base = control.timeline
        if wanted == "current":
            return Timelines(base, base, fixed=True, ancestors=await self._archive.history(base) if base > 1 else ())
        try:
            chosen = int(wanted, 0)
        except ValueError:
            newest = wal.newest(await self._archive.timelines(places), base)
            return Timelines(base, newest, ancestors=await self._archive.history(newest) if newest > 1 else ())
        return Timelines(base, chosen, fixed=True, ancestors=await self._archive.history(chosen) if chosen > 1 else ())

    async def _after(self, now: State, ended: Ended, control: Control, target: dict[str, str]) -> State:
        """How to go on after a server that ended otherwise than it should; Failed where not."""
        if ended.again:
            return now
        verdict = ended.hole or failures.judge(
            ended.log,
            ended.exit_code,
            failures.Context(
                major=self._orders.major,
                parameters=settings.parameters(control, now.least),
                libraries=self._task.preload,
                preloaded=now.preload,
                target=target,
                ended_at=ended.ended_at,
                given=ended.given,
            ),
        )
        self._log.warning("PostgreSQL ended", reason=verdict.reason, said=verdict.message, code=ended.exit_code)
        if verdict.final:
            raise Failed(verdict)
        changed = bool(verdict.least or verdict.preload or verdict.to_end)
        tries = now.tries if changed else now.tries + 1
        if tries >= TRIES:
            raise Failed(verdict)
        now = replace(
            now,
            least={**now.least, **verdict.least},
            preload=now.preload or verdict.preload,
            to_end=now.to_end or verdict.to_end,
            tries=tries,
            reached=ended.log.last_commit or now.reached,
        )
        state.write(self._task.pg_data, now)
        if not changed:
            self._progress.stands(verdict.reason, verdict.message)
            await asyncio.sleep(min(LONGEST_PAUSE, 2.0**tries))
        return now

    async def _promoted(self, now: State, ended: Ended) -> State:
        note = self._note(now, ended.log.last_commit or now.reached)
        if now.least:
            larger = ", ".join(f"{name} = {value}" for name, value in sorted(now.least.items()))
            note = "; ".join(part for part in (note, f"WAL needed more than the backup knew of: {larger}") if part)
        control = await self._container.control()
        if not self._task.follow:  # there the living server has the same image
            note = "; ".join(part for part in (note, await self._container.image_fits(now, control)) if part)
        self._log.info("recovered", state=control.state, timeline=control.timeline)
        result = JobResult(
            ok=True,
            set=now.set,
            timeline=control.timeline,
            reached=ended.log.last_commit or now.reached,
            segment=self._progress.segment,
            segments=self._progress.segments,
            system_identifier=control.system_identifier,
            seconds=self._seconds(),
            copy_seconds=round(now.copy_seconds, 1),
            replay_seconds=round(max(time.time() - now.copied, 0), 1) if now.copied else 0.0,
            note=note,
        )
        prepared = control.number("max_prepared_xacts setting") if self._has_prepared() else 0
        now = replace(now, result=result, prepared=prepared)
        state.write(self._task.pg_data, now)
        return now

    def _note(self, now: State, last: str) -> str:
        if not now.to_end:
            return ""
        reached = f"the last commit in it is of {last}" if last else "no commit is in it"
        wanted = self._task.target_time or auto_conf.values(now.auto_conf).get("recovery_target_time", "")
        return f"the target {wanted} lies after the end of the archived WAL; {reached}, and all of it is there"

    def _has_prepared(self) -> bool:
        """Whether prepared transactions came back, each in a file: the server that was shut down has written them."""
        return any((self._task.pg_data / "pg_twophase").glob("*"))

    def _settle(self, now: State) -> JobResult:
        """Put postgresql.auto.conf back; the same once more where the agent was killed meanwhile."""
        if now.result is None:
            raise AssertionError("a recovery without a result is not over")
        kept = auto_conf.without(now.auto_conf, auto_conf.SOURCES if self._task.copy else auto_conf.TARGETS)
        if self._task.copy:
            kept, gone = foreign.without(self._task.pg_data, kept, self._task.pg_data, set())
            gone += foreign.remove(self._task.pg_data)
            if gone:
                self._log.info("not taken over from the source's configuration", lines=gone)
        text = auto_conf.at_least(kept, PREPARED, now.prepared)
        state.replace(self._task.pg_data / state.AUTO_CONF, text.encode("utf-8", "surrogateescape"))
        return now.result


async def _there(file: Path) -> None:
    while not file.exists():  # noqa: ASYNC110, ASYNC240  the kubelet writes it
        await asyncio.sleep(TICK_SECONDS)


def _chosen(args: tuple[str, ...]) -> int | None:
    """The storage that is restored from; the others are only asked for what it does not have."""
    found = next((arg.removeprefix("--repo=") for arg in args if arg.startswith("--repo=")), "")
    return int(found) if found.isdigit() else None
