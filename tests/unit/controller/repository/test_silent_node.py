"""How long the repository host stays on a node that does not answer."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from controller.repository import render
from pgwarden.api.kinds import RepositorySpec
from tests.unit.controller.restore.conftest import SETTINGS

REPOSITORY = {
    "apiVersion": "pgwarden.io/v1alpha1",
    "kind": "Repository",
    "metadata": {"name": "hippo", "namespace": "ns", "uid": "u"},
}
BUCKET = {"bucket": "b", "endpoint": "e", "region": "r", "credentialsSecretRef": {"name": "k"}}
VOLUME = {"size": "1Gi"}


def tolerations(**spec: Any) -> list[dict[str, Any]]:
    found = render.deployment(REPOSITORY, msgspec.convert(spec, RepositorySpec), SETTINGS)
    return found["spec"]["template"]["spec"].get("tolerations", [])


def test_a_host_without_a_volume_leaves_it_soon():
    made = tolerations(storageType="s3", s3=BUCKET)
    assert {one["key"] for one in made} == {"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"}
    assert {(one["effect"], one["tolerationSeconds"]) for one in made} == {("NoExecute", render.SILENT_NODE)}


@pytest.mark.parametrize("storage_type", ["local", "local,s3"])
def test_a_host_with_a_volume_stays_as_long_as_kubernetes_has_it(storage_type: str):
    assert tolerations(storageType=storage_type, local=VOLUME, s3=BUCKET) == []
