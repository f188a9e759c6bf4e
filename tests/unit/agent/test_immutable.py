"""When the agent asks a bucket what it keeps, and that nobody waits for it."""

from __future__ import annotations

import asyncio

import pytest

from agent.immutable import KNOWN_SECONDS, UNKNOWN_SECONDS, Immutables
from agent.paths import Paths
from pgwarden.contract.status import Immutable
from pgwarden.storages.s3 import immutable
from tests.unit.virtual_time import run

CONF = """[global]
repo1-type=posix
repo1-path=/pgwarden/repo
repo2-type=s3
repo2-s3-bucket=b
repo2-s3-endpoint=e
repo2-s3-region=r
"""
KEYS = "[global]\nrepo2-s3-key=k\nrepo2-s3-key-secret=s\n"
GOOD = {
    immutable.VERSIONING: (200, "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"),
    immutable.LOCK: (404, immutable.NO_LOCK),
}
ENABLED = (Immutable(repo=2, versioning="Enabled"),)


class Service:
    def __init__(self) -> None:
        self.asked, self.error = 0, None

    async def ask(self, bucket, wanted):
        self.asked += 1
        await asyncio.sleep(1)
        if self.error:
            raise self.error
        return GOOD[wanted]


@pytest.fixture
def paths(tmp_path):
    found = Paths.below(tmp_path)
    found.include.mkdir(parents=True)
    found.conf_file.write_text(CONF)
    (found.include / "credentials.conf").write_text(KEYS)
    return found


async def looks(found, *pauses):
    told = []
    for pause in pauses:
        await asyncio.sleep(pause)
        told.append(found.told())
    return told


def test_a_look_does_not_wait_and_the_next_one_knows(paths):
    service = Service()
    assert run(looks(Immutables(paths, service.ask), 0, 5, 5)) == [None, ENABLED, ENABLED]
    assert service.asked == 2


def test_what_is_known_is_asked_again_after_half_an_hour(paths):
    service = Service()
    run(looks(Immutables(paths, service.ask), 0, 5, KNOWN_SECONDS, 5))
    assert service.asked == 4


def test_a_service_that_does_not_answer_is_unknown_and_asked_again_soon(paths):
    service = Service()
    service.error = OSError("secret words")
    told = run(looks(Immutables(paths, service.ask), 0, 5, UNKNOWN_SECONDS, 5))[-1]
    assert told == (Immutable(repo=2, versioning="Unknown", reason="the service was not asked: OSError"),)
    assert service.asked == 2


async def test_new_keys_are_tried_at_once(paths):
    (paths.include / "credentials.conf").unlink()
    found = Immutables(paths, Service().ask)
    found.told()
    await found._task
    assert found.told()[0].versioning == "Unknown"
    (paths.include / "credentials.conf").write_text(KEYS)
    found.told()
    await found._task
    assert found.told() == ENABLED


def test_a_repository_without_a_bucket_tells_nothing(paths):
    paths.conf_file.write_text("[global]\nrepo1-type=posix\n")
    assert run(looks(Immutables(paths, Service().ask), 0, 5)) == [None, None]
