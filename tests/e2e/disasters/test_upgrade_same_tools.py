"""`helm upgrade` from the release before, with the image as it was released: its pgBackRest is this release's.

tests/e2e/test_upgrade.py has one of another version, which is what can go wrong. Here the host is renewed at once.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness import images, release
from harness.install import wait_admission
from harness.kubectl import Kubectl, condition, is_true
from harness.objects import archived, backed_up
from harness.postgres import SWITCH, Postgres
from harness.waiting import until


@pytest.fixture(scope="module")
def postgres(installed, space: Kubectl) -> Iterator[Postgres]:
    """Archived and backed up by the release before."""
    where = installed.cluster, installed.kubectl, installed.helm
    with release.before(*where, images.RELEASE, installed.image):
        yield backed_up(space, installed.postgres_image)


def test_the_host_is_renewed_at_once_and_archiving_goes_on_with_the_pod_of_before(
    installed, space: Kubectl, postgres: Postgres
):
    uid = space.get("pod", "postgres-0")["metadata"]["uid"]
    installed.helm.install(installed.image)
    wait_admission(installed.kubectl)

    def renewed() -> bool:
        found = space.get("deployment", "hippo-pgbackrest")
        return found["spec"]["template"]["spec"]["containers"][0]["image"] == installed.image

    until(renewed, "the repository host has the new image", 90)
    found = space.until("pgrepo", "hippo", is_true("SameVersion"), "has one version", 120)
    assert condition(found, "SameVersion")["reason"] == "VersionsMatch"
    segment = postgres.sql(SWITCH)
    until(lambda: segment in archived(space), f"{segment} is archived", 150)
    assert space.get("pod", "postgres-0")["metadata"]["uid"] == uid
    assert postgres.sql("SELECT count(*) FROM notes") == "1"
