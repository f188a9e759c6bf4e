"""WAL is pushed into the storage that answers while the other one is away; and never beside pgBackRest's own."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from agent import fence
from agent.calls import State
from agent.paths import Paths
from agent.pgbackrest import Result
from agent.relay import LOCK_SECONDS, PAUSE_SECONDS, QUIET_SECONDS, WATCH_SECONDS, Relay
from pgwarden.pgbackrest import config

ERROR = "archive-push command encountered error(s):\nrepo{}: [HostConnectError] unable to connect to 's3:7070'"
CONF = """[global]
archive-async=y
repo1-host=hippo-pgbackrest
repo2-s3-bucket=b
repo2-type=s3

[global:archive-push]
io-timeout=15

[hippo]
pg1-path=/data
"""
SEGMENTS = [f"00000001000000000000000{n}" for n in (1, 2, 3)]


class Runner:
    """pgBackRest, as far as it was asked."""

    def __init__(self) -> None:
        self.pushed: list[tuple[str, str]] = []  # configuration and file
        self.fails = ""

    async def run(self, argv, _seconds) -> Result:
        conf = next(one for one in argv if one.startswith("--config=")).partition("=")[2]
        assert argv[-2] == "archive-push"
        assert "--no-archive-async" in argv
        if self.fails and self.fails in argv[-1]:
            return Result(1, "", "ERROR: [104]: the volume is full", 0.1)
        self.pushed.append((Path(conf).read_text(), argv[-1]))  # noqa: ASYNC240  a few bytes
        return Result(0, "", "", 0.1)


@pytest.fixture
def paths(tmp_path) -> Paths:
    found = Paths.below(tmp_path)
    for folder in (found.include, *found.work_folders, tmp_path / "data/pg_wal/archive_status"):
        folder.mkdir(parents=True)
    found.conf_file.write_text(CONF)
    (found.include / "credentials.conf").write_text("[global]\nrepo2-s3-key=k\nrepo1-cipher-pass=p\n")
    ready(tmp_path, "00000002.history", *SEGMENTS)
    return found


def ready(tmp_path: Path, *files: str) -> None:
    for file in files:
        (tmp_path / "data/pg_wal/archive_status" / f"{file}.ready").touch()


@pytest.fixture
def state() -> SimpleNamespace:
    return SimpleNamespace(settings=SimpleNamespace(stanza="hippo"), error=ERROR.format(2))


@pytest.fixture
def runner() -> Runner:
    return Runner()


@pytest.fixture
def relay(tmp_path, paths, state, runner) -> Relay:
    state.archive_error = lambda: state.error
    return Relay(state, paths, runner, str(tmp_path / "data"))


async def test_all_that_waits_is_pushed_once_by_a_configuration_without_the_storage_that_is_away(relay, runner):
    await relay.look()
    assert [file.rpartition("/")[2] for _, file in runner.pushed] == [*SEGMENTS, "00000002.history"]
    text = runner.pushed[0][0]
    assert "repo1-host=hippo-pgbackrest" in text
    assert "repo1-cipher-pass=p" in text
    assert "pg1-path=/data" in text
    assert "repo2" not in text
    assert await relay.look() == WATCH_SECONDS
    assert len(runner.pushed) == 4


async def test_whichever_storage_is_away(relay, runner, state):
    state.error = ERROR.format(1)
    await relay.look()
    assert all("repo2-s3-key=k" in text and "repo1" not in text for text, _ in runner.pushed)
    assert relay.holds(2, SEGMENTS[-1])
    assert not relay.holds(1, SEGMENTS[-1])


@pytest.mark.parametrize(
    "error",
    [
        pytest.param("", id="archiving works"),
        pytest.param("unable to push WAL file asynchronously after 60 second(s)", id="of no storage by name"),
        pytest.param(f"{ERROR.format(1)}\nrepo2: [FileOpenError] no", id="both are in trouble"),
    ],
)
async def test_nothing_is_pushed_otherwise(relay, runner, state, error):
    state.error = error
    assert await relay.look() == QUIET_SECONDS
    assert runner.pushed == []


@pytest.mark.parametrize(
    "conf",
    [
        pytest.param(CONF.replace("repo2-", "# "), id="one storage"),
        pytest.param(CONF.replace("async=y", "async=n"), id="archive-push takes no lock"),
    ],
)
async def test_it_does_not_work_where_it_is_not_safe_or_of_no_use(relay, runner, paths, conf):
    (paths.include / "credentials.conf").unlink()
    assert relay.works
    paths.conf_file.write_text(conf)
    assert not relay.works
    await relay.look()
    assert runner.pushed == []


@pytest.mark.parametrize("name", ["standby.signal", "recovery.signal"])
async def test_what_a_former_primary_left_is_not_pushed_by_a_replica(relay, runner, tmp_path, name):
    (tmp_path / "data" / name).touch()
    await relay.look()
    assert runner.pushed == []


async def test_while_pgbackrest_is_at_work_itself_nothing_is_pushed(relay, runner, paths):
    path = paths.work / "lock" / "hippo-archive-2.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    assert await relay.look() == LOCK_SECONDS
    assert runner.pushed == []
    os.close(descriptor)
    await relay.look()
    assert len(runner.pushed) == 4


async def test_while_it_pushes_pgbackrest_has_no_lock(relay, runner, paths):
    seen = []

    async def run(_argv, _seconds) -> Result:
        for number in (1, 2):
            with (paths.work / "lock" / f"hippo-archive-{number}.lock").open() as other, pytest.raises(BlockingIOError):
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        seen.append(True)
        return Result(0, "", "", 0.1)

    runner.run = run
    await relay.look()
    assert len(seen) == 4


class Postgres:
    """It calls archive-push three times, a second apart, and pauses for a minute. archive-push takes the lock at its
    start or ends at once, and goes about a storage that is away for twenty seconds, after which it writes its error.
    """

    def __init__(self, paths: Paths, error: Path, clock: list[float]) -> None:
        self.lock, self.error, self.clock = paths.work / "lock" / "hippo-archive-1.lock", error, clock
        self.next, self.ends, self.tries, self.held = 0.0, 0.0, 0, -1
        self.turns: list[float] = []
        self.away = True

    def pass_time(self, seconds: float) -> None:
        self.clock[0] += seconds
        while True:
            if self.held >= 0 and self.ends <= self.clock[0]:
                os.close(self.held)
                self.held = -1
                if self.away:
                    self.error.write_text(f"103\n{ERROR.format(2)}")
                    os.utime(self.error, (self.ends, self.ends))
                self._ended(self.ends)
            elif self.held < 0 and self.next <= self.clock[0]:
                self._try(self.next)
            else:
                return

    def _try(self, at: float) -> None:
        descriptor = os.open(self.lock, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            self._ended(at)
            return
        self.held, self.ends = descriptor, at + 20
        self.turns.append(at)
        self.error.unlink(missing_ok=True)

    def _ended(self, at: float) -> None:
        self.tries += 1
        self.next = at + (1 if self.tries % 3 else 60)


@pytest.mark.parametrize("takes", [4.0, 29.0], ids=["pushes of seconds", "slow pushes"])
async def test_archive_push_has_its_turn_while_there_is_a_backlog(paths, runner, tmp_path, monkeypatch, takes):
    clock = [100_000.0]
    now = SimpleNamespace(monotonic=lambda: clock[0], time=lambda: clock[0])
    monkeypatch.setattr("agent.relay.time", now)
    monkeypatch.setattr("agent.calls.time", now)
    out = paths.work / "spool/archive/hippo/out"
    out.mkdir(parents=True)
    postgres = Postgres(paths, out / "global.error", clock)
    postgres.next = clock[0]
    state = State(SimpleNamespace(stanza="hippo"), None, spool=paths.work / "spool")
    relay = Relay(state, paths, runner, str(tmp_path / "data"))
    pushed = 0

    async def run(_argv, _seconds) -> Result:
        nonlocal pushed
        ready(tmp_path, *(f"0000000100000001{pushed + n:08X}" for n in range(10)))  # PostgreSQL goes on writing
        postgres.pass_time(takes)
        pushed += 1
        return Result(0, "", "", takes)

    runner.run = run
    postgres.pass_time(25)
    while clock[0] < 103_600:
        postgres.pass_time(await relay.look())
    turns = postgres.turns
    assert max(after - before for before, after in zip(turns, [*turns[1:], clock[0]], strict=True)) <= 150
    assert sum(turns[n + 1] - turns[n] <= 125 for n in range(len(turns) - 1)) >= 0.9 * (len(turns) - 1)
    assert pushed * takes >= 600
    assert state.archive_error()
    postgres.away, back = False, clock[0]
    while state.archive_error():
        postgres.pass_time(await relay.look())
        assert clock[0] - back <= 190


async def test_after_one_that_failed_no_later_one_is_pushed_and_none_is_claimed(relay, runner):
    runner.fails = SEGMENTS[1]
    assert await relay.look() == PAUSE_SECONDS
    assert [file[-24:] for _, file in runner.pushed] == [SEGMENTS[0]]
    assert relay.holds(1, SEGMENTS[0])
    assert not relay.holds(1, SEGMENTS[1])
    assert not relay.holds(1, SEGMENTS[2])


async def test_a_segment_counts_only_with_all_that_waits_before_it(relay, tmp_path):
    await relay.look()
    assert relay.holds(1, SEGMENTS[2])
    ready(tmp_path, "000000010000000000000000")
    assert not relay.holds(1, SEGMENTS[2])


async def test_a_folder_that_cannot_be_read_ends_nobody(relay, paths, runner):
    paths.conf_file.unlink()
    assert await relay.look() == QUIET_SECONDS
    assert runner.pushed == []


@pytest.mark.parametrize(("relayed", "ok"), [(None, False), (lambda wal: wal == "000000010000000000000009", True)])
async def test_a_fence_is_content_with_the_one_storage_that_is_meant(monkeypatch, relayed, ok):
    answers = {
        "pg_is_in_recovery": {"standby": False, "archive_mode": "on"},
        "clock_timestamp": {"time": None, "xid": 7},
        "pg_switch_wal": {"wal": "000000010000000000000009", "lsn": "0/9000000"},
        "pg_stat_archiver": {"last_archived_wal": "000000010000000000000004", "last_failed_wal": "0" * 24},
    }

    async def one(_connection, query):
        return next(answer for part, answer in answers.items() if part in query)

    async def rows(*_):
        return []

    class Postgres:
        data_directory = "/data"

        def connect(self, *_, **__):
            return self

        async def __aenter__(self):
            return self

        async def __aexit__(self, *_):
            return None

    monkeypatch.setattr(fence, "one", one)

    async def inside(*_):
        return None

    monkeypatch.setattr(fence, "rows", rows)
    monkeypatch.setattr(fence, "wal_directory", inside)
    answer = await fence.fence(Postgres(), 0.2, relayed)
    assert answer.ok is ok
    assert ok or "not archived within 0.2 s" in answer.error


@pytest.mark.parametrize(
    ("repo", "kept"),
    [(1, ["repo1-host=a"]), (2, ["repo2-path=b"]), (12, ["repo12-type=s3"])],
)
def test_a_configuration_of_one_storage(repo, kept):
    text = "[global]\nrepo1-host=a\nrepo12-type=s3\nrepo2-path=b\nspool-path=/s\n"
    assert config.only(text, repo).split() == ["[global]", *kept, "spool-path=/s"]
    assert config.repos(text) == [1, 2, 12]
