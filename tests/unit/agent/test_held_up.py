"""archive-push that a storage holds up is found out about, and ended; what is slow is left alone."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from agent.calls import State
from agent.held_up import ASK_SECONDS, LONGEST_SECONDS, STILL_SECONDS, HeldUp
from agent.paths import Paths
from agent.pgbackrest import Result
from pgwarden.api import names
from pgwarden.contract.environment import Role, Settings

CONF = "[global]\narchive-async=y\nrepo1-host=hippo-pgbackrest\nrepo2-s3-bucket=b\nrepo2-type=s3\n"
SEGMENT = "000000010000000000000001"
WELL, LATE = Result(0, "{}", "", 0.1), Result(-15, "", "", ASK_SECONDS, timed_out=True)
NOW = 1000.0


class Runner:
    """pgBackRest, as each storage lets it answer."""

    def __init__(self) -> None:
        self.answers = {1: WELL, 2: LATE}
        self.asked: list[int] = []

    async def run(self, argv, seconds) -> Result:
        assert seconds == ASK_SECONDS
        assert argv[-2:] == ["repo-ls", "archive/hippo"]
        assert "--stanza=hippo" in argv  # else the repository host's server lets it not in
        repo = int(next(one for one in argv if one.startswith("--repo=")).removeprefix("--repo="))
        self.asked.append(repo)
        return self.answers[repo]


class Pod:
    """The sidecar of one whose archive-push is at work since NOW, with a segment that waits."""

    def __init__(self, paths: Paths, data: Path) -> None:
        self.paths, self.runner, self.relay = paths, Runner(), SimpleNamespace(works=True, wal=data / "pg_wal")
        self.out = paths.work / "spool/archive/hippo/out"
        self.ready = data / "pg_wal/archive_status" / f"{SEGMENT}.ready"
        for folder in (paths.include, self.out, self.ready.parent):
            folder.mkdir(parents=True)
        paths.conf_file.write_text(CONF)
        self.ready.touch()
        self.state = State(Settings(Role.POSTGRES, "hippo"), None, spool=paths.work / "spool")
        self.held_up = HeldUp(self.state, paths, self.runner, self.relay)  # type: ignore[arg-type]

    async def look(self, after: float) -> bool:
        """Whether it was asked to end."""
        before = self._asked()
        await self.held_up.look(NOW + after)
        return self._asked() != before

    def _asked(self) -> int:
        path = self.paths.work / Path(names.GIVE_UP).name
        return path.stat().st_mtime_ns if path.exists() else 0

    def goes_on(self, name: str = f"{SEGMENT}.ok", text: str = "") -> None:
        (self.out / name).write_text(text)
        os.utime(self.out, ns=(time.time_ns(), time.time_ns()))


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    return Pod(Paths.below(tmp_path), tmp_path / "data")


async def test_a_storage_that_does_not_come_to_an_end_is_named_and_archive_push_ended(pod: Pod):
    assert not await pod.look(0)
    assert not await pod.look(STILL_SECONDS - 1)
    assert pod.runner.asked == []
    assert await pod.look(STILL_SECONDS)
    assert pod.runner.asked == [1, 2]
    assert pod.state.archive_error() == "repo2: no result within 15 s"


async def test_the_next_try_that_it_holds_up_is_ended_as_well(pod: Pod):
    await pod.look(0)
    assert await pod.look(STILL_SECONDS)
    pod.goes_on("global.error", "103\nrepo2: [x] y")
    assert not await pod.look(STILL_SECONDS + 5)
    (pod.out / "global.error").unlink()
    assert not await pod.look(STILL_SECONDS + 10)
    assert await pod.look(2 * STILL_SECONDS + 10)


async def test_what_goes_on_is_left_alone(pod: Pod):
    await pod.look(0)
    for turn in range(1, 5):
        pod.goes_on(f"00000001000000000000000{turn}.ok")
        assert not await pod.look(turn * STILL_SECONDS)
    assert pod.runner.asked == []


async def test_slow_storages_that_answer_have_their_time_and_are_asked_ever_more_seldom(pod: Pod):
    pod.runner.answers[2] = WELL
    await pod.look(0)
    for seconds in range(0, 3600, 5):
        assert not await pod.look(seconds)
    assert 3600 / LONGEST_SECONDS <= len(pod.runner.asked) / 2 <= 3600 / LONGEST_SECONDS + 4
    assert pod.state.archive_error() == ""


async def test_where_no_storage_answers_there_is_none_to_make_way_for(pod: Pod):
    pod.runner.answers[1] = LATE
    await pod.look(0)
    assert not await pod.look(STILL_SECONDS)
    assert pod.state.archive_error() == ""


@pytest.mark.parametrize("change", ["nothing waits", "it says which", "no relay"])
async def test_nobody_is_asked_where_nothing_is_held_up(pod: Pod, change: str):
    if change == "nothing waits":
        pod.ready.unlink()
    elif change == "it says which":
        (pod.out / f"{SEGMENT}.error").write_text("103\nrepo2: [HostConnectError] unable to connect")
    else:
        pod.relay.works = False
    await pod.look(0)
    assert not await pod.look(STILL_SECONDS)
    assert pod.runner.asked == []


async def test_an_error_that_names_no_storage_is_followed_up_though_each_try_clears_it(pod: Pod):
    error = pod.out / f"{SEGMENT}.error"
    error.write_text("41\nunable to allocate 65536 bytes")
    await pod.look(0)
    error.unlink()
    pod.goes_on("x.ok")
    assert not await pod.look(10)
    error.write_text("41\nunable to allocate 65536 bytes")
    assert await pod.look(STILL_SECONDS)
    assert pod.state.archive_error() == "repo2: no result within 15 s"
    error.write_text("103\nrepo2: [HostConnectError] no")
    assert pod.state.archive_error() == "repo2: [HostConnectError] no", "its own words say more"


async def test_what_lies_in_wait_in_the_shared_folder_is_not_touched(pod: Pod, tmp_path: Path):
    other = tmp_path / "other"
    other.touch()
    os.utime(other, (0, 0))
    (pod.paths.work / Path(names.GIVE_UP).name).symlink_to(other)
    await pod.look(0)
    with pytest.raises(OSError, match="symbolic link"):
        await pod.look(STILL_SECONDS)
    assert other.stat().st_mtime == 0


def test_the_program_in_postgresqls_container_looks_where_the_agent_touches():
    text = (Path(__file__).parents[3] / "images" / "adopter.c").read_text()
    assert re.findall(r'#define GIVE_UP "(.*)"', text) == [names.GIVE_UP]
