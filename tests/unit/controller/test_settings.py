"""What the controller is told by the chart, and what it cannot start without."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller import main
from controller.context import Caches
from controller.settings import Settings
from pgwarden.api.defaults import OperatorDefaults
from pgwarden.injection import settings as of_webhook
from pgwarden.kube.access import Access
from pgwarden.kube.cache import WatchCache
from pgwarden.kube.client import KubeClient
from webhook.cache import Store

IMAGE = {"PGWARDEN_IMAGE": "i"}


def test_environment():
    """The chart's variables."""
    given = Settings.from_environment(
        IMAGE | {"PGWARDEN_IMAGE_PULL_POLICY": "Always", "PGWARDEN_S3_BUCKET": "b", "PGWARDEN_CLUSTER_DOMAIN": "d"}
    )
    assert (given.image, given.image_pull_policy, given.cluster_domain) == ("i", "Always", "d")
    assert given.defaults == OperatorDefaults(s3_bucket="b")
    assert Settings.from_environment(IMAGE).cluster_domain == "cluster.local"


@pytest.mark.parametrize(("given", "watched"), [("", ()), ("a", ("a",)), ("a,b", ("a", "b"))])
def test_namespaces_to_watch(given: str, watched: tuple[str, ...]):
    assert Settings.from_environment(IMAGE | {"PGWARDEN_WATCH_NAMESPACES": given}).watch_namespaces == watched
    assert Settings.from_environment(IMAGE).watch_namespaces == ()


def test_every_cache_is_of_the_namespaces_to_watch_or_of_all():
    """Both of the controller and of the webhook."""
    client = KubeClient(Access("http://fake", None))

    def of_webhook(*given: tuple[str, ...]) -> list[WatchCache]:
        store = Store(client, *given)
        return [*store.caches.values(), store.quotas.cache]

    for caches in (lambda *given: Caches(client, *given).all(), of_webhook):
        found = [[watcher.path for watcher in cache.watchers] for cache in caches(("a", "b"))]
        assert len(found) > 3
        for one, other in found:
            assert one.replace("/namespaces/a/", "/namespaces/b/") == other != one
        assert not [one.path for cache in caches() for one in cache.watchers if "/namespaces/" in one.path]


@pytest.mark.parametrize(
    "environment", [{}, {"PGWARDEN_IMAGE": ""}, IMAGE | {"PGWARDEN_IMAGE_PULL_POLICY": "x"}], ids=repr
)
def test_what_could_not_run_is_refused_in_the_webhooks_words(environment):
    with pytest.raises(ValueError, match="PGWARDEN_IMAGE") as raised:
        Settings.from_environment(environment)
    with pytest.raises(ValueError, match="PGWARDEN_IMAGE") as webhooks:
        of_webhook.from_environment(environment)
    assert str(raised.value) == str(webhooks.value)


def test_main_says_what_is_missing(monkeypatch, capsys):
    """Exit status 2, one sentence."""
    monkeypatch.delenv("PGWARDEN_IMAGE", raising=False)
    monkeypatch.setattr("controller.main.logs.configure", lambda _: None)
    assert main.main([]) == 2
    said = "PGWARDEN_IMAGE must name the image of sidecars, repository hosts and Jobs: pgwarden's own"
    assert capsys.readouterr().err == f"pgwarden controller: {said}\n"


def test_no_cache_but_of_one_object_forgets_the_namespaces_to_watch():
    """A new one would be refused where the chart gives Roles in some namespaces."""
    root = Path(main.__file__).parents[1]
    found = {
        (file.name, text.split(")", 1)[0])
        for room in ("controller", "webhook")
        for file in (root / room).rglob("*.py")
        for text in file.read_text("utf-8").split("WatchCache(client, ")[1:]
        if "paths.of(" in text.split("\n", 1)[0] and "field_selector" not in text.split("\n", 1)[0]
    }
    assert found == set()
