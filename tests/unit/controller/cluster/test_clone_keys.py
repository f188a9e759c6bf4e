"""Which keys a clone is given: those with which its source's own pods read, and no more; of what is not watched none."""

from __future__ import annotations

import base64
import dataclasses
from typing import Any

import msgspec
import pytest

from controller import credentials
from controller.cluster.clone_source import Sources
from pgwarden.api import names
from pgwarden.api.kinds import DataSource, RepositorySpec
from pgwarden.kube import paths

from .test_owners import Answers, client, context

__all__ = ["client", "context"]
S3 = {"bucket": "b", "endpoint": "e", "region": "r", "credentialsSecretRef": {"name": "keys"}}
OF_PODS = {"podCredentialsSecretRef": {"name": "pods"}}
OF_CLONES = {"cloneCredentialsSecretRef": {"name": "clones"}}


@pytest.mark.parametrize(
    ("more", "given"),
    [({}, "of-keys"), (OF_PODS, "of-pods"), (OF_CLONES, "of-clones"), (OF_PODS | OF_CLONES, "of-clones")],
    ids=["one Secret", "one of the pods'", "one of clones", "both"],
)
async def test_a_clone_gets_its_own_keys_then_those_of_the_pods_then_those_of_all(
    client: Answers, context, more: Any, given: str
):
    for name in ("keys", "pods", "clones"):
        data = {key: base64.b64encode(f"of-{name}".encode()).decode() for key in ("s3-key", "s3-key-secret")}
        client.there[paths.of("secrets", "apps", name)] = {
            "metadata": {"name": name, "resourceVersion": "1"},
            "data": data,
        }
    source = {"metadata": {"namespace": "apps", "name": "rhino"}, "spec": {"storageType": "s3", "s3": S3 | more}}
    content = await Sources(context)._content(source, DataSource(repository="rhino", namespace="apps"))
    lines = content[names.KEY_CLONE_CONF].decode().splitlines()
    keys = [line for line in lines if line.startswith(("repo1-s3-key=", "repo1-s3-key-secret="))]
    assert keys == [f"repo1-s3-key={given}", f"repo1-s3-key-secret={given}"]


async def test_a_secret_of_clones_that_is_missing_is_named_to_the_clone_and_keeps_the_repository_from_nothing(
    client: Answers, context
):
    data = {key: base64.b64encode(b"key").decode() for key in ("s3-key", "s3-key-secret")}
    client.there[paths.of("secrets", "apps", "keys")] = {
        "metadata": {"name": "keys", "resourceVersion": "1"},
        "data": data,
    }
    source = {"metadata": {"namespace": "apps", "name": "rhino"}, "spec": {"storageType": "s3", "s3": S3 | OF_CLONES}}
    with pytest.raises(
        credentials.MissingSecretError, match=r"spec\.s3\.cloneCredentialsSecretRef: there is no Secret"
    ):
        await Sources(context)._content(source, DataSource(repository="rhino", namespace="apps"))
    spec = msgspec.convert(source["spec"], RepositorySpec)
    found = await credentials.read_credentials(context.client, "apps", spec)
    assert found.pod_keys["s3"]["s3-key"] == "key"


@pytest.mark.parametrize(("watched", "is_read"), [((), True), (("apps", "ns"), True), (("ns",), False)], ids=str)
async def test_a_source_in_a_namespace_that_is_not_watched_is_not_asked_for(
    client: Answers, context, monkeypatch, watched: tuple[str, ...], is_read: bool
):
    asked, find = [], client.find

    async def noted(path: str) -> Any:
        asked.append(path)
        return await find(path)

    monkeypatch.setattr(client, "find", noted)
    context.settings = dataclasses.replace(context.settings, watch_namespaces=watched)
    sources, wanted = Sources(context), DataSource(repository="rhino", namespace="apps")
    assert (await sources.read(wanted, "ns")).repository is None
    why = await sources.give({"metadata": {"namespace": "ns", "name": "copy"}}, wanted)
    assert ("watchNamespaces" in why) != is_read
    assert bool(asked) == is_read
