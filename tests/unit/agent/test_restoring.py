"""`pgbackrest restore` into a volume: its arguments, what is left afterwards, and who may do it when."""

from __future__ import annotations

import asyncio

import pytest

from agent import restoring, volume
from agent.pgbackrest import Result

ARGS = ["--stanza=hippo", "--repo=2", "restore"]


@pytest.fixture
def place(tmp_path):
    (tmp_path / "volume").mkdir()
    root = tmp_path / "volume"
    return restoring.Place(root / "data", root, "uid", (root / "spaces" / "one",))


def pretended(place, code=0):
    seen = []

    async def run(args):
        seen.append(args)
        (place.pg_data / "PG_VERSION").touch()
        (place.pg_data / "recovery.signal").touch()
        return Result(code, "", "", 0)

    return run, seen


async def test_it_knows_its_directory_and_goes_on_with_delta(place):
    run, seen = pretended(place)
    await restoring.fill(place, ARGS, run)
    await restoring.fill(place, [f"--pg1-path={place.pg_data}", "--reset-pg1-host", "restore"], run)
    assert seen[0] == [*ARGS, f"--pg1-path={place.pg_data}", "--reset-pg1-host"]
    assert seen[1] == [f"--pg1-path={place.pg_data}", "--reset-pg1-host", "restore", "--delta"]


async def test_the_storage_and_whose_it_is_are_left_in_the_volume(place):
    run, _ = pretended(place)
    assert (await restoring.fill(place, ARGS, run)).ok
    assert (place.pg_data / "recovery.signal").read_text() == "--repo=2\nuid\n"
    assert place.tablespaces[0].is_dir()


async def test_a_copy_that_failed_is_not_signed(place):
    run, _ = pretended(place, code=82)
    assert not (await restoring.fill(place, ARGS, run)).ok
    assert (place.pg_data / "recovery.signal").read_text() == ""


async def test_over_files_of_others_it_does_not_start(place):
    place.pg_data.mkdir()
    (place.pg_data / "PG_VERSION").touch()
    run, seen = pretended(place)
    with pytest.raises(volume.VolumeError, match="choose an empty volume"):
        await restoring.fill(place, ARGS, run)
    assert seen == []


async def test_one_begins_only_when_the_one_before_it_has_ended(place):
    """Kubernetes makes a Job's next pod while the deleted one still ends."""
    began = []

    async def second():
        async with volume.alone(place.root, 30):
            began.append(2)

    async with volume.alone(place.root):
        task = asyncio.create_task(second())
        await asyncio.sleep(0.5)
        assert began == []
        with pytest.raises(volume.VolumeBusy, match="delete that pod"):
            async with volume.alone(place.root, 0.1):
                pass
    await task
    assert began == [2]


def test_the_command_and_its_levels_are_added_where_they_are_missing():
    assert restoring.with_command(["--a"], "restore", "detail") == [
        "--log-level-console=detail", "--log-level-stderr=off", "--a", "restore",
    ]  # fmt: skip
    given = ["--log-level-console=off", "--log-level-stderr=error", "restore"]
    assert restoring.with_command(given, "restore") == given
