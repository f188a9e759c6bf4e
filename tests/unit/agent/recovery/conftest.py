"""A recovery for real: the server's script, this machine's PostgreSQL, and a pretended pgBackRest."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.processes import with_default_signals
from harness.waiting import SLOWER

HERE = Path(__file__).parent
ROOT = HERE.parents[3]
AGENT = """
import pathlib, sys
root = pathlib.Path(sys.argv[1])
from pgwarden.api import names
names.PGBACKREST_ARCHIVE = str(root / "pgbackrest")
from agent.recovery import command, fetching, replay
from agent.paths import Paths
replay.HOLE_SECONDS, replay.LOOK_EVERY = 1.0, 2
fetching.LONG_SECONDS, fetching.AGAIN_SECONDS = 1.0, 0.5
sys.exit(command.main(sys.argv[2:], Paths.below(root, pgbackrest=root / "pgbackrest")))
"""


def binaries() -> Path | None:
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


BIN = binaries()
#: These run a real server. Where the machine has none, the end-to-end tests are what shows the same.
collect_ignore = [] if BIN is not None else ["test_engine.py", "test_control_file_of_a_server.py"]
#: An interpreter that PostgreSQL's user may run: root's own may lie in root's home.
PYTHON = sys.executable if os.getuid() != 0 else "/usr/bin/python3"
#: Seconds within which a process ends after SIGTERM.
ENDS = 20 * SLOWER
SITE = sysconfig.get_path("purelib")


def run(*argv: Any, check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in argv],
        check=check,
        capture_output=True,
        text=True,
        timeout=120 * SLOWER,
        **AS_POSTGRES,
        **options,
    )


def _user() -> dict[str, Any]:
    """PostgreSQL does not run as root."""
    if os.getuid() != 0:
        return {}
    try:
        import pwd

        found = pwd.getpwnam("postgres")
    except KeyError:
        return {"user": 65534, "group": 65534}
    return {"user": found.pw_uid, "group": found.pw_gid}


AS_POSTGRES = _user()


class Sql:
    def __init__(self, root: Path) -> None:
        self.root = root

    def sql(self, *texts: str) -> str:
        words = [word for text in texts for word in ("-c", text)]
        return run(BIN / "psql", "-XAtq", "-h", self.root, "-U", "postgres", *words).stdout.strip()


class Source(Sql):
    """A PostgreSQL that archives into REPO/wal."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.repo, self.data = root / "repo", root / "source"
        (self.repo / "wal").mkdir(parents=True)
        _give(self.repo)
        _give(self.repo / "wal")
        run(BIN / "initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "--no-sync", "--wal-segsize=1")
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.write(
                f"listen_addresses=''\nunix_socket_directories='{root}'\narchive_mode=on\nfsync=off\n"
                f"archive_command='cp %p {self.repo}/wal/%f'\n"
            )
        self.start()

    def start(self) -> None:
        run(BIN / "pg_ctl", "-D", self.data, "-w", "-s", "-l", self.root / "source.log", "start")

    def stop(self) -> None:
        run(BIN / "pg_ctl", "-D", self.data, "-w", "-s", "-m", "fast", "stop", check=False)

    def back_up(self) -> None:
        shutil.rmtree(self.repo / "base", ignore_errors=True)
        run(
            BIN / "pg_basebackup",
            "-D",
            self.repo / "base",
            "-h",
            self.root,
            "-U",
            "postgres",
            "-X",
            "none",
            "-c",
            "fast",
        )
        text = run(BIN / "pg_controldata", self.data).stdout
        (self.repo / "system").write_text(text.split("Database system identifier:")[1].split()[0])

    def archive(self) -> str:
        """Close the segment, and wait until it has been archived; its name."""
        name = self.sql("SELECT pg_walfile_name(pg_switch_wal())")
        wait(lambda: (self.repo / "wal" / name).exists() or None, f"{name} is archived")
        return name


class Recovering:
    """The two containers of a recovery's pod."""

    def __init__(self, source: Source, *flags: str, target: dict[str, str] | None = None, live: bool = False) -> None:
        self.root = folder()
        #: With *live* what the source archives from now on is seen, too.
        self.repo = source.repo if live else self.root / "repo"
        if not live:
            run("cp", "-a", source.repo, self.repo)
            (self.repo / "calls").unlink(missing_ok=True)
        self.program = self.root / "pgbackrest"
        self.program.write_text(f"#!{PYTHON}\n{(HERE / 'pretended_pgbackrest.py').read_text()}")
        self.program.chmod(0o755)
        self.volume, self.data = self.root / "volume", self.root / "volume/data"
        self.run_dir, self.termination = self.root / "run", self.root / "termination"
        self.flags = flags
        (self.root / "pgbackrest.conf").touch()
        self.volume.mkdir()
        _give(self.volume)
        settings = {"restore_command": f'{self.program} --stanza=hippo archive-get %f "%p"'} | (target or {})
        (self.repo / "settings").write_text(json.dumps(settings))
        self.pod()
        self.agent: subprocess.Popen[str] | None = None
        self.server: subprocess.Popen[str] | None = None

    def pod(self) -> None:
        """A fresh one: its emptyDirs are empty."""
        for folder in (self.run_dir, self.root / "work", self.root / "conf"):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            _give(folder)
        self.termination.unlink(missing_ok=True)
        self.termination.touch()
        _give(self.termination)

    def start_agent(self) -> None:
        argv = [
            PYTHON, "-c", AGENT, str(self.root), "--pg-data", str(self.data), "--volume-root", str(self.volume),
            "--uid", "uid-1", "--bin", str(BIN), "--config", str(self.root / "pgbackrest.conf"), *self.flags, "--",
            "--stanza=hippo", "restore",
        ]  # fmt: skip
        environment = os.environ | {
            "REPO": str(self.repo), "PYTHONPATH": f"{ROOT}:{SITE}", "PGWARDEN_ROLE": "postgres",
            "PGWARDEN_STANZA": "hippo", "PGWARDEN_PG_DATA": str(self.data),
        }  # fmt: skip
        with (self.root / "agent.log").open("a") as log:
            self.agent = subprocess.Popen(
                with_default_signals(argv), env=environment, stdout=log, stderr=log, text=True, **AS_POSTGRES
            )

    def start_server(self) -> None:
        argv = with_default_signals(["/bin/sh", str(ROOT / "images/recover.sh")])
        argv += [str(self.run_dir), str(self.termination)]
        environment = os.environ | {"REPO": str(self.repo)}
        with (self.root / "server.log").open("a") as log:
            self.server = subprocess.Popen(
                argv, env=environment, stdout=log, stderr=log, text=True, start_new_session=True, **AS_POSTGRES
            )

    def start(self) -> None:
        self.start_agent()
        self.start_server()

    def kill_agent(self) -> None:
        assert self.agent
        self.agent.kill()
        self.agent.wait()

    def result(self, seconds: float = 60 * SLOWER) -> tuple[int, dict[str, Any]]:
        """Exit code of the server's container, and the termination message."""
        assert self.server
        assert self.agent
        try:
            code = self.server.wait(seconds)
        except subprocess.TimeoutExpired:
            pytest.fail(self.picture())
        wait(lambda: not (self.data / "pgwarden-recovery.json").exists() or code != 0 or None, "no state is left")
        self.agent.send_signal(signal.SIGTERM)
        self.agent.wait(ENDS)
        return code, json.loads(self.termination.read_text())

    def picture(self) -> str:
        logs = [self.root / "agent.log", self.root / "server.log", *self.run_dir.glob("*/wal")]
        return "\n".join(f"--- {log}\n{log.read_text()}" for log in logs if log.exists())

    def end(self) -> None:
        for process in (self.server, self.agent):
            if process and process.poll() is None:
                process.terminate()
                try:
                    process.wait(ENDS)
                except subprocess.TimeoutExpired:
                    process.kill()

        if self.server:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.server.pid, signal.SIGKILL)  # what waits for orders by itself
        if self.data.exists():
            run(BIN / "pg_ctl", "-D", self.data, "-s", "-m", "immediate", "stop", check=False)
        shutil.rmtree(self.root, ignore_errors=True)

    def kill_pod(self) -> None:
        """Both containers, as with the node; the volume stays."""
        assert self.server
        self.kill_agent()
        os.killpg(self.server.pid, signal.SIGKILL)
        self.server.wait()
        for one in processes(self.data):
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        wait(lambda: True if not processes(self.data) else None, "the server is gone")

    def serve(self) -> Sql:
        """Start what was recovered as its user would."""
        options = f"-c archive_mode=off -c unix_socket_directories={self.root}"  # it would archive into the source's
        run(BIN / "pg_ctl", "-D", self.data, "-w", "-s", "-l", self.root / "served.log", "-o", options, "start")
        return Sql(self.root)


def _give(path: Path) -> None:
    if AS_POSTGRES:
        os.chown(path, AS_POSTGRES["user"], AS_POSTGRES["group"])


def wait(look: Any, what: str, seconds: float = 30 * SLOWER) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if (found := look()) is not None:
            return found
        time.sleep(0.05)
    return pytest.fail(f"not within {seconds} s: {what}")


def folder() -> Path:
    """Of PostgreSQL's user, with a name short enough for a socket."""
    found = Path(tempfile.mkdtemp(prefix="pgw"))
    _give(found)
    return found


def processes(data: Path) -> list[int]:
    """Those whose working directory is *data*: PostgreSQL's."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            if entry.readlink() == data:
                found.append(int(entry.parent.name))
    return found


@pytest.fixture(scope="module")
def source() -> Iterator[Source]:
    root = folder()
    found = Source(root)
    try:
        yield found
    finally:
        found.stop()
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def recovering(source: Source) -> Iterator[Any]:
    made: list[Recovering] = []

    def make(*flags: str, **more: Any) -> Recovering:
        made.append(Recovering(source, *flags, **more))
        return made[-1]

    yield make
    for each in made:
        each.end()
