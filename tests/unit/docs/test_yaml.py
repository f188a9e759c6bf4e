"""What the documents tell users to apply is what the code takes, and what the demo applies."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from pgwarden.api.defaults import OperatorDefaults
from pgwarden.cli import repository_resources
from pgwarden.rules import validate

from .pages import MANIFESTS, PAGES, ROOT, blocks, text, yaml_texts

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
#: In the order of the README.
SHOWN = ["repository", "backup", "schedule", "restore"]


class OnlyHippo:
    """A namespace with the demo's Repository, which holds one backup set."""

    def repository(self, namespace: str, name: str) -> dict | None:
        if name != "hippo":
            return None
        found = yaml.safe_load((MANIFESTS / "repository.yaml").read_text(encoding="utf-8"))
        found["metadata"]["namespace"] = namespace
        found["spec"]["storageType"] = "local,s3"  # as the pages need either
        times = {"startTime": "2026-11-23T01:00:00Z", "stopTime": "2026-11-23T01:00:09Z"}
        found["status"] = {"backups": [{"label": "20261123-010000F", "type": "full", "storage": "local"} | times]}
        return found

    def repositories(self) -> list[dict]:
        return [self.repository("default", "hippo") or {}]

    def backups(self, namespace: str, repository: str) -> list[dict]:
        return []

    schedules = restores = backups


class Nothing(OnlyHippo):
    """A namespace for a PostgresCluster, which brings its own Repository; that of another one may be cloned, and one
    that another pgBackRest has laid (docs/existing-repository.md).
    """

    def repository(self, namespace: str, name: str) -> dict | None:
        if name == "old":
            found = ours(yaml_texts(ROOT / "docs" / "existing-repository.md"))[0]
            found["metadata"]["namespace"] = namespace
            return found
        if namespace != "production":
            return None
        found = super().repository(namespace, name)
        if found is not None:
            found["spec"]["cloneableFrom"] = ["staging"]
        return found


def faults(obj: dict) -> list:
    lookup = Nothing() if obj["kind"] == "PostgresCluster" else OnlyHippo()
    return validate(obj, old=None, lookup=lookup, now=NOW, defaults=OperatorDefaults()).faults


def ours(texts: list[str]) -> list[dict]:
    documents = [one for body in texts for one in yaml.safe_load_all(body) if one]
    return [one for one in documents if str(one.get("apiVersion", "")).startswith("pgwarden.io/")]


def test_the_readme_shows_the_manifests_of_the_demo_to_the_letter():
    expected = [(MANIFESTS / f"{name}.yaml").read_text(encoding="utf-8") for name in SHOWN]
    assert blocks(ROOT / "README.md", "yaml")[: len(SHOWN)] == expected


def test_the_readme_shows_a_whole_s3_repository():
    """Its Secret is beside it, with the keys that the controller reads; the way for MinIO is named."""
    (block,) = blocks(ROOT / "README.md", "yaml")[len(SHOWN) :]
    secret, repository = yaml.safe_load_all(block)
    assert faults(repository) == []
    assert repository["spec"]["s3"]["credentialsSecretRef"] == {"name": secret["metadata"]["name"]}
    assert secret["stringData"].keys() == {repository_resources.KEY, repository_resources.KEY_SECRET}
    assert "`uriStyle: path`" in text(ROOT / "README.md")


@pytest.mark.parametrize("name", SHOWN)
def test_the_manifests_of_the_demo_keep_every_rule(name: str):
    (obj,) = ours([(MANIFESTS / f"{name}.yaml").read_text(encoding="utf-8")])
    assert faults(obj) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_object_in_the_documents_keeps_every_rule(page: Path):
    for obj in ours(yaml_texts(page)):
        assert faults(obj) == [], obj
