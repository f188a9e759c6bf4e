"""The status that the controller writes, on a real API server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from controller.runtime import status
from harness.kubectl import Kubectl, Object
from pgwarden.kube import access, errors
from pgwarden.kube.client import KubeClient
from tests.apiserver.manifests import repository, schedule
from tests.apiserver.release import Controllers


@pytest.fixture(autouse=True)
def leader(webhook, controllers: Controllers) -> None:
    """A module before this one may have ended those that there were."""
    controllers.leader()


@pytest.fixture
async def client(space: Kubectl) -> AsyncIterator[KubeClient]:
    async with KubeClient(await access.from_kubeconfig(str(space.kubeconfig))) as made:
        yield made


def planned(space: Kubectl) -> Object:
    """BackupSchedule `nightly`, made anew, once the controller has written its status."""
    space.apply(schedule("nightly"))
    return space.until("pgbs", "nightly", lambda one: one.get("status", {}).get("phase"), "has a status", 30)


@pytest.mark.parametrize("read", [True, False], ids=["read with a status", "read before it had one"])
async def test_what_was_found_out_about_an_object_is_not_written_on_its_successor(
    space: Kubectl, client: KubeClient, read: bool
):
    space.apply(repository("hippo"))
    old = planned(space)
    if not read:
        old.pop("status")
    space.run("delete", "pgbs", "nightly")
    new = planned(space)
    assert new["metadata"]["uid"] != old["metadata"]["uid"]
    wanted = (old.get("status") or {}) | {"phase": "OfTheOneBefore"}
    with pytest.raises(errors.Conflict):
        await status.write(client, "backupschedules", old, wanted)
    assert space.get("pgbs", "nightly")["status"] == new["status"]
    space.run("delete", "pgbs", "nightly")


async def test_a_fault_in_what_is_written_is_the_servers_own_error(space: Kubectl, client: KubeClient):
    space.apply(repository("hippo"))
    one = planned(space)
    with pytest.raises(errors.Invalid, match=r"status\.conditions"):
        await status.write(client, "backupschedules", one, one["status"] | {"conditions": "none"})
