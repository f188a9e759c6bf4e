"""One register of the kinds: what is made of it names each of them, and none beside."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from controller.context import Caches
from controller.manager import Manager
from pgwarden import rules
from pgwarden.api import names, registry
from pgwarden.api.schema import crds
from pgwarden.cli.commands import COMMANDS
from pgwarden.kube import paths
from pgwarden.kube.access import Access
from pgwarden.kube.client import KubeClient
from webhook.cache import Store

ROOT = Path(__file__).parents[3]
PLURALS = {kind.plural for kind in registry.KINDS}


def client() -> KubeClient:
    return KubeClient(Access("http://fake", None))


def test_there_is_a_crd_of_each_kind_and_no_other():
    assert set(crds()) == set(registry.BY_NAME)


def test_each_kind_has_a_path_and_rules():
    assert {paths.of(plural) for plural in PLURALS} == {f"/apis/{names.API_VERSION}/{plural}" for plural in PLURALS}
    assert list(rules._RULES) == list(registry.BY_NAME)


def test_the_controller_watches_each_kind_and_gives_each_a_worker():
    found = Manager(SimpleNamespace(caches=Caches(client()), client=None, settings=None))  # type: ignore[arg-type]
    assert {worker.kind: plural for plural, worker in found.workers.items()} == {
        kind.name: kind.plural for kind in registry.KINDS
    }
    assert [cache.watchers[0].path for cache, _ in found._own] == [paths.of(kind.plural) for kind in registry.KINDS]


def test_the_webhook_watches_what_its_rules_look_up():
    ours = {kind.plural for kind in registry.KINDS if kind.read_by_webhook}
    assert set(Store(client()).caches) == ours | {"limitranges"}


def test_our_command_line_shows_each_kind_by_its_word():
    assert {command.words[1] for command in COMMANDS if command.words[0] == "show"} == set(registry.BY_WORD)


def test_names_plurals_short_names_and_words_are_each_used_once():
    for field in ("name", "plural", "short_name", "word"):
        assert len({getattr(kind, field) for kind in registry.KINDS}) == len(registry.KINDS), field


@pytest.mark.parametrize(
    ("found", "message"),
    [
        pytest.param(
            {kind: 1 for kind in registry.BY_NAME if kind != "Restore"}, "without any: ['Restore']", id="none"
        ),
        pytest.param({**registry.BY_NAME, "Drill": 1}, "unknown kinds: ['Drill']", id="unknown"),
    ],
)
def test_what_is_attached_to_kinds_must_be_attached_to_each(found, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        registry.attached("rules", found)


def test_the_charts_readme_names_each_kind():
    (line,) = [
        one for one in (ROOT / "charts/pgwarden/README.md").read_text().splitlines()
        if one.startswith("| CustomResourceDefinition |")
    ]  # fmt: skip
    assert set(re.findall(r"`([a-z]+)`", line)) == PLURALS


def test_no_other_module_lists_the_kinds():
    """Three plurals or names in one bracket are a list that a new kind would have to be added to."""
    known = "|".join([*PLURALS, *registry.BY_NAME])
    listed = re.compile(rf"""[\[({{](?:[^\[\](){{}}]*["'](?:{known})["']){{3}}""")
    allowed = {"pgwarden/api/registry.py", "pgwarden/rules/__init__.py", "controller/manager.py"}
    files = [path for room in ("pgwarden", "webhook", "controller", "agent") for path in (ROOT / room).rglob("*.py")]
    found = {str(path.relative_to(ROOT)) for path in files if listed.search(path.read_text())}
    assert found - allowed == set()
